//! Waiting for a monitor's socket to appear. The shim starts the monitor at the beginning of a task's
//! creation: a client that connects meanwhile has nothing to wait for when the task is there.

use std::io;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::socket::SOCKET;

/// Return once `attach.sock` is in `run_directory`. It comes by rename, listening already.
///
/// # Errors
/// The directory cannot be watched.
pub(super) async fn wait(run_directory: &Path) -> io::Result<()> {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, run_directory, WatchFlags::MOVED_TO)?;
    // What comes does not matter, only that something came: the events are bytes like a pipe's.
    let mut events = Receiver::from_owned_fd_unchecked(watch)?;
    let mut bytes = [0; 1024];
    let socket = run_directory.join(SOCKET);
    while !socket.exists() {
        if events.read(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}
