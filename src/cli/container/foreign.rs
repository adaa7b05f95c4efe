//! Joining the user to a container that another client has made: through its FIFOs where it has such, otherwise by
//! following its log.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use super::logs;
use super::session::InContainer;
use crate::cli::errors::EngineResult;
use crate::cli::stream::{Chunk, Control, Ended, Join, LATE_OUTPUT, Remote, Sink, Source, join};
use crate::cli::{Context, exit};
use crate::engine::Engine;
use crate::engine::container::{Container, ExecStreams, Exit, foreign_streams, wait};
use crate::error::{Error, Result};

/// Join a container that runs. The exit code is the container's.
pub(super) async fn attach(
    engine: &Engine,
    container: &Container,
    how: &Join,
    cx: &mut Context<'_>,
) -> Result<u8> {
    let mut exit = None;
    let ended = match foreign_streams(engine, container, how.input).await.told()? {
        Some(streams) => {
            // Asked now: once the container has ended, its task may go at once.
            let (containerd, id) = (engine.containerd.clone(), container.id.clone());
            let waiting = tokio::spawn(async move { containerd.wait(&id, "").await.ok() });
            let process = InContainer { engine, id: &container.id, exec: "" };
            let mut remote = Fifos { streams, process, waiting, exit: None };
            let ended = join(cx.ui, &mut remote, how).await?;
            exit = remote.exit.flatten();
            ended
        }
        None if container.log.is_some() => {
            cx.ui.warn(format!(
                "nobody serves the streams of container {}: its log is followed, input is not possible",
                container.name
            ))?;
            logs::follow_new(engine, container, cx.ui)?;
            Ended::Output
        }
        None => {
            return Err(Error::failed(format!(
                "container {} was not made by wharfie: nobody serves its streams",
                container.name
            ))
            .hint(format!("`wharfie exec -it {} sh` opens a shell in it", container.name)));
        }
    };
    match ended {
        Ended::Detached => Ok(0),
        Ended::Forced(code) => Err(Error::silent(code)),
        Ended::Output => Ok(exit::of_process(match exit {
            Some(exit) => exit.status,
            None => wait(engine, container).await.told()?,
        })),
    }
}

/// FIFOs between a shim and us.
pub(in crate::cli) struct Fifos<'a> {
    pub(in crate::cli) streams: ExecStreams,
    pub(in crate::cli) process: InContainer<'a>,
    /// Its end; None where nobody can tell it.
    pub(in crate::cli) waiting: JoinHandle<Option<Exit>>,
    /// It has ended; with None nobody can tell how.
    pub(in crate::cli) exit: Option<Option<Exit>>,
}

impl Remote for Fifos<'_> {
    fn split(&mut self) -> (impl Source, impl Sink, impl Control) {
        let container = self.process;
        let ExecStreams { stdin, stdout, stderr } = &mut self.streams;
        let output = Output { stdout, stderr, waiting: &mut self.waiting, exit: &mut self.exit };
        (output, Input { stdin, container }, container)
    }
}

struct Output<'a> {
    stdout: &'a mut Option<pipe::Receiver>,
    stderr: &'a mut Option<pipe::Receiver>,
    waiting: &'a mut JoinHandle<Option<Exit>>,
    exit: &'a mut Option<Option<Exit>>,
}

impl Source for Output<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        let (mut out, mut err) = ([0; 16 << 10], [0; 16 << 10]);
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return Ok(None);
            }
            tokio::select! {
                count = read(self.stdout, &mut out) => match count? {
                    0 => *self.stdout = None,
                    count => return Ok(Some(Chunk::Out(out[..count].to_vec()))),
                },
                count = read(self.stderr, &mut err) => match count? {
                    0 => *self.stderr = None,
                    count => return Ok(Some(Chunk::Err(err[..count].to_vec()))),
                },
                ended = &mut *self.waiting, if self.exit.is_none() => *self.exit = Some(ended.unwrap_or_default()),
                // A process that outlives the container's first may hold its streams open for ever.
                () = tokio::time::sleep(LATE_OUTPUT), if self.exit.is_some() => return Ok(None),
            }
        }
    }
}

async fn read(stream: &mut Option<pipe::Receiver>, into: &mut [u8]) -> Result<usize> {
    match stream {
        Some(stream) => {
            stream.read(into).await.map_err(|cause| Error::io("read from", "the container", cause))
        }
        None => std::future::pending().await,
    }
}

struct Input<'a> {
    stdin: &'a mut Option<pipe::Sender>,
    container: InContainer<'a>,
}

impl Sink for Input<'_> {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        match self.stdin {
            Some(stdin) => {
                let written = stdin.write_all(&bytes).await;
                written.map_err(|cause| Error::io("write to", "the container", cause))
            }
            None => Ok(()),
        }
    }

    /// As ctr does it: the end of the first user's input is the end of the container's.
    async fn close(&mut self) -> Result<()> {
        if self.stdin.take().is_some() {
            // It may have ended already: then nobody misses the end of its input.
            let _ =
                self.container.engine.containerd.close_stdin(self.container.id, self.container.exec).await;
        }
        Ok(())
    }
}
