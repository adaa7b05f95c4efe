//! Containers: making, running, ending and describing them, whoever made them.

pub mod aftermath;
mod create;
mod end;
mod exec;
mod files;
mod find;
mod hold;
mod hung;
pub mod inspect;
mod list;
mod model;
mod mounts;
mod names;
pub mod network;
mod origin;
mod recover;
mod remove;
mod runtime_error;
mod spec;
mod start;
mod stop;
mod top;
mod wait;

pub use crate::containerd::Exit;
pub use create::{Created, Unsettled, create};
pub use end::finish;
pub use exec::{Exec, ExecStreams, exec};
pub use find::find;
pub use list::list;
pub use model::{Container, Origin, Record, ResolvedMount, State, Status};
pub use recover::{Recovered, is_due, reap, recover, recover_if_due, settle};
pub use remove::{RemoveOptions, remove};
pub use start::{StartOptions, Started, start};
pub use stop::{kill, restart, signal_number, stop};
pub use top::processes;
pub use wait::{exit_status, is_over, wait};
