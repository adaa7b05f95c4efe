//! Other machines, reached through the system's ssh and nothing else: their containerd's socket forwarded to this
//! machine, or a copy of this program that runs there.

mod forward;
mod program;
mod script;
mod ssh;
mod watch;

pub use forward::{Forward, Refusal, sweep};
pub use program::{Outcome, Program, Run, Sent};
pub use ssh::{Login, Terminal};
pub use watch::{NODE_ARGUMENT, end_with_the_reader};
