//! Starting a monitor that the shim does not start: for a container with input and without a terminal.

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncReadExt;

use super::MONITOR_ARGUMENT;
use crate::{Error, Result};

/// A monitor that waits for its container. Dropped before [`Starter::done`], the monitor ends: the start has
/// failed.
#[derive(Debug)]
pub struct Starter {
    _ready: tokio::net::unix::pipe::Receiver,
    waiting: Option<rustix::process::Pid>,
}

impl Starter {
    /// The monitor knows its container's process: it stays.
    pub fn done(mut self) {
        self.waiting = None;
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        if let Some(monitor) = self.waiting {
            // It is our child and nobody has waited for it: the number is still its own.
            let _ = rustix::process::kill_process(monitor, rustix::process::Signal::TERM);
        }
    }
}

/// Start `program` as the monitor of the duty at `duty`, and wait until it listens.
///
/// # Errors
/// The program that cannot be executed, or why the monitor ended.
pub async fn spawn(program: &Path, duty: &Path) -> Result<Starter> {
    let failed = |cause: std::io::Error| Error::io("start", program, cause);
    let mut child = std::process::Command::new(program)
        .arg(MONITOR_ARGUMENT)
        .arg(duty)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let pipe = child.stdout.take().ok_or_else(|| Error::failed("the monitor has no standard output"))?;
    let mut ready = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe.into()).map_err(failed)?;
    match ready.read_u8().await {
        Ok(_) => Ok(Starter { _ready: ready, waiting: Some(rustix::process::Pid::from_child(&child)) }),
        Err(_) => {
            Err(Error::failed(format!("the container's monitor did not start: see {}", super::FAILURE))
                .hint("is the data root writable, and does it have space?"))
        }
    }
}
