//! The streams of a container that another client has made: FIFOs beside its shim, where it has such.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::unix::pipe;

use super::exec::ExecStreams;
use super::model::Container;
use crate::containerd::Task;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// How long a shim may take to tell where its streams are.
const ANSWER: Duration = Duration::from_secs(5);

/// Open the FIFOs of a running container, as `ctr task attach` does: its input where `input` is asked for, and
/// its output, of which each byte goes to one reader only. None where its streams are no FIFOs.
///
/// # Errors
/// The shim does not answer, a FIFO cannot be opened.
pub async fn foreign_streams(
    engine: &Engine,
    container: &Container,
    input: bool,
) -> Result<Option<ExecStreams>> {
    open_streams_of(&engine.containerd.task(&container.id, Some(ANSWER)).await?, input)
}

/// The same for a task that is known.
pub fn open_streams_of(task: &Task, input: bool) -> Result<Option<ExecStreams>> {
    let (stdout, stderr) = (open(&task.stdout)?, open(&task.stderr)?);
    if stdout.is_none() && stderr.is_none() {
        return Ok(None);
    }
    let stdin = if input && is_fifo(&task.stdin) {
        // Opened for both, so that neither side waits for the other.
        let opened = pipe::OpenOptions::new().read_write(true).open_sender(&task.stdin);
        Some(opened.map_err(|cause| Error::io("open", &task.stdin, cause))?)
    } else {
        None
    };
    Ok(Some(ExecStreams { stdin, stdout, stderr }))
}

fn is_fifo(path: &str) -> bool {
    Path::new(path).is_absolute() && std::fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo())
}

fn open(path: &str) -> Result<Option<pipe::Receiver>> {
    if !is_fifo(path) {
        return Ok(None);
    }
    let opened = pipe::OpenOptions::new().open_receiver(path);
    opened.map(Some).map_err(|cause| Error::io("open", path, cause))
}
