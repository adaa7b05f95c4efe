//! Locks and atomic files: all the state that wharfie keeps beside containerd's is made of these two.

pub mod file;
pub mod lock;
pub mod pending;
pub mod watch;

pub use file::{edited, make_directory, read_bounded, write_atomic};
pub use lock::Lock;
pub use pending::Pending;
pub use watch::Watch;
