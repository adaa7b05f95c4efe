//! The streams of a container that another client has made: what CRI serves, or FIFOs beside its shim.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use tokio::net::unix::pipe;

use super::exec::ExecStreams;
use super::model::{Container, Origin};
use super::origin::takes_input;
use crate::cri::{self, streaming};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// How long a shim or CRI may take to tell where the streams are.
const ANSWER: Duration = Duration::from_secs(5);

/// Where a container's streams are.
#[derive(Debug)]
pub enum ForeignStreams {
    /// FIFOs beside the shim, as `ctr task attach` uses them: of the output each byte goes to one reader only.
    Fifos(ExecStreams),
    /// What containerd's CRI serves to a kubelet.
    Cri(streaming::Output, Option<streaming::Input>),
    /// Its output goes into a log and nowhere else.
    Logged {
        /// Its input's FIFO, where it has one and it is asked for.
        stdin: Option<pipe::Sender>,
        /// Why CRI does not serve what it should.
        cause: Option<Error>,
    },
}

/// The streams of a running container, its input where `input` asks for it.
///
/// # Errors
/// The shim does not answer, a FIFO cannot be opened.
pub async fn foreign_streams(engine: &Engine, container: &Container, input: bool) -> Result<ForeignStreams> {
    if container.origin == Origin::Cri {
        return Ok(of_cri(engine, container, input).await);
    }
    let task = engine.containerd.task(&container.id, Some(ANSWER)).await?;
    let (stdout, stderr) = (open(&task.stdout)?, open(&task.stderr)?);
    let stdin = if input && is_fifo(&task.stdin) {
        // Opened for both, so that neither side waits for the other.
        let opened = pipe::OpenOptions::new().read_write(true).open_sender(&task.stdin);
        Some(opened.map_err(|cause| Error::io("open", &task.stdin, cause))?)
    } else {
        None
    };
    if stdout.is_none() && stderr.is_none() {
        return Ok(ForeignStreams::Logged { stdin, cause: None });
    }
    Ok(ForeignStreams::Fifos(ExecStreams { stdin, stdout, stderr }))
}

/// Its FIFOs belong to containerd, which writes the kubelet's log from them: nobody else may read there. Where no
/// input is wanted the log tells as much as CRI does, and one who only watches does not end the input by leaving.
async fn of_cri(engine: &Engine, container: &Container, input: bool) -> ForeignStreams {
    if !input || !takes_input(container) {
        return ForeignStreams::Logged { stdin: None, cause: None };
    }
    let client = cri::Client::new(&engine.containerd, Some(ANSWER));
    match streaming::attach(&client, &container.id, true, container.tty).await {
        Ok((output, input)) => ForeignStreams::Cri(output, input),
        Err(cause) => ForeignStreams::Logged { stdin: None, cause: Some(cause) },
    }
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
