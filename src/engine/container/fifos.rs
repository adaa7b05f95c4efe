//! The FIFOs between a shim and a client that serves a process's streams, where containerd's own client has them,
//! so that either can attach to what the other has started.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tokio::net::unix::pipe;

use super::exec::{ExecStreams, fifo};
use crate::containerd::{Stdio, Task};
use crate::error::{Error, Result};
use crate::store::make_directory;

/// Where containerd's clients make theirs.
pub const FIFO_DIRECTORY: &str = "/run/containerd/fifo";

/// Made and opened.
#[derive(Debug)]
pub struct Fifos {
    /// For the shim.
    pub stdio: Stdio,
    /// For us.
    pub streams: ExecStreams,
    /// What to remove afterwards.
    directory: PathBuf,
}

/// New FIFOs for the process `id` in a directory of their own below `root`.
pub fn make_fifos(root: &Path, id: &str, tty: bool) -> Result<Fifos> {
    make_directory(root, 0o700)?;
    let directory = root.join(&super::names::random_id()?[..16]);
    make_directory(&directory, 0o700)?;
    let made = open_all(&directory, id, tty);
    if made.is_err() {
        let _ = std::fs::remove_dir_all(&directory);
    }
    let (stdio, streams) = made?;
    Ok(Fifos { stdio, streams, directory })
}

fn open_all(directory: &Path, id: &str, tty: bool) -> Result<(Stdio, ExecStreams)> {
    let path = |name: &str| fifo(directory, &format!("{id}-{name}"));
    let reader = |path: &Path| {
        pipe::OpenOptions::new().open_receiver(path).map_err(|cause| Error::io("open", path, cause))
    };
    let (stdin, stdout) = (path("stdin")?, path("stdout")?);
    let mut stdio = Stdio {
        stdin: stdin.display().to_string(),
        stdout: stdout.display().to_string(),
        stderr: String::new(),
        terminal: tty,
    };
    // Opened for both, so that neither side waits for the other.
    let input = pipe::OpenOptions::new().read_write(true).open_sender(&stdin);
    let mut streams = ExecStreams {
        stdin: Some(input.map_err(|cause| Error::io("open", &stdin, cause))?),
        stdout: Some(reader(&stdout)?),
        stderr: None,
    };
    if !tty {
        let stderr = path("stderr")?;
        stdio.stderr = stderr.display().to_string();
        streams.stderr = Some(reader(&stderr)?);
    }
    Ok((stdio, streams))
}

impl Fifos {
    /// The streams, and what to call [`remove_fifos`] with later.
    pub fn into_parts(self) -> (ExecStreams, PathBuf) {
        (self.streams, self.directory)
    }
}

/// Remove a process's FIFOs once it has ended.
pub fn remove_fifo_directory(directory: &Path) {
    // Somebody else may have done it.
    let _ = std::fs::remove_dir_all(directory);
}

/// Remove the FIFOs of an ended task, and their directory where nothing else is in it. Files of other kinds stay.
pub fn remove_fifos(task: &Task) {
    for path in [&task.stdin, &task.stdout, &task.stderr] {
        let path = Path::new(path);
        let is_fifo = path.is_absolute()
            && std::fs::symlink_metadata(path).is_ok_and(|data| data.file_type().is_fifo());
        if is_fifo {
            let _ = std::fs::remove_file(path);
            if let Some(directory) = path.parent() {
                let _ = std::fs::remove_dir(directory);
            }
        }
    }
}
