//! Joining the user to a container that another client has made: through CRI or through its FIFOs where it has such,
//! otherwise by following its log.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::logs;
use super::session::InContainer;
use crate::cli::errors::EngineResult;
use crate::cli::stream::{Chunk, Control, Ended, Join, LATE_OUTPUT, Remote, Sink, Source, join};
use crate::cli::{Context, exit};
use crate::cri::streaming::{self, End, Piece};
use crate::engine::Engine;
use crate::engine::container::{Container, ExecStreams, Exit, ForeignStreams, Origin, foreign_streams, wait};
use crate::error::{Error, Result};

/// Join a container that runs. The exit code is the container's.
pub(in crate::cli) async fn attach(
    engine: &Engine,
    container: &Container,
    how: &Join,
    cx: &mut Context<'_>,
) -> Result<u8> {
    let streams = foreign_streams(engine, container, how.input).await.told()?;
    // Asked now: once the container has ended, its task may go at once.
    let (containerd, id) = (engine.containerd.clone(), container.id.clone());
    let mut waiting = tokio::spawn(async move { containerd.wait(&id, "").await.ok() });
    let mut exit = None;
    let in_container = InContainer { engine, id: &container.id, exec: "" };
    let ended = match streams {
        ForeignStreams::Fifos(streams) => {
            let mut remote = Fifos { streams, process: in_container, waiting: &mut waiting, exit: &mut exit };
            join(cx.ui, &mut remote, how).await?
        }
        ForeignStreams::Cri(output, input) => {
            let mut remote = Served { output, input, container: in_container };
            join(cx.ui, &mut remote, how).await?
        }
        ForeignStreams::Logged { stdin, cause } => {
            let log = followed(engine, container)?;
            let name = &container.name;
            let without = |why: &str| format!("{why}: its log is followed, input is not possible");
            match (&stdin, cause) {
                (Some(_), _) => {
                    cx.ui
                        .warn(format!("nobody serves the output of container {name}: its log is followed"))?;
                }
                (None, Some(cause)) => {
                    cx.ui.warn(without(&format!(
                        "CRI does not serve the streams of container {name}: {cause}"
                    )))?;
                }
                // All that a kubelet's container writes is in its log.
                (None, None) if container.origin == Origin::Cri => {}
                (None, None) => {
                    cx.ui.warn(without(&format!("nobody serves the streams of container {name}")))?;
                }
            }
            let how = Join { input: stdin.is_some(), ..how.clone() };
            let mut remote = Logged { log, stdin, container: in_container };
            join(cx.ui, &mut remote, &how).await?
        }
    };
    match ended {
        Ended::Detached => Ok(0),
        Ended::Forced(code) => Err(Error::silent(code)),
        Ended::Output => {
            let exit = match exit {
                Some(exit) => exit,
                None => waiting.await.unwrap_or_default(),
            };
            Ok(exit::of_process(match exit {
                Some(exit) => exit.status,
                None => wait(engine, container).await.told()?,
            }))
        }
    }
}

fn followed(engine: &Engine, container: &Container) -> Result<mpsc::Receiver<Result<Chunk>>> {
    if container.log.is_some() {
        return logs::follow_new(engine, container);
    }
    Err(Error::failed(format!(
        "container {} was not made by wharfie: nobody serves its streams",
        container.name
    ))
    .hint(format!("`wharfie exec -it {} sh` opens a shell in it", container.name)))
}

/// A kubelet's container, as CRI serves it.
struct Served<'a> {
    output: streaming::Output,
    input: Option<streaming::Input>,
    container: InContainer<'a>,
}

impl Remote for Served<'_> {
    fn split(&mut self) -> (impl Source, impl Sink, impl Control) {
        (&mut self.output, &self.input, self.container)
    }
}

impl Source for &mut streaming::Output {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        Ok(match streaming::Output::next(self).await? {
            Some(Piece::Out(bytes)) => Some(Chunk::Out(bytes)),
            Some(Piece::Err(bytes)) => Some(Chunk::Err(bytes)),
            Some(Piece::End(End::Failure(message))) => return Err(Error::failed(message)),
            Some(Piece::End(_)) | None => None,
        })
    }
}

impl Sink for &Option<streaming::Input> {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        match self {
            Some(input) => input.send(&bytes).await,
            None => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match self {
            Some(input) => input.close().await,
            None => Ok(()),
        }
    }
}

/// A container whose log alone tells what it writes.
struct Logged<'a> {
    log: mpsc::Receiver<Result<Chunk>>,
    stdin: Option<pipe::Sender>,
    container: InContainer<'a>,
}

impl Remote for Logged<'_> {
    fn split(&mut self) -> (impl Source, impl Sink, impl Control) {
        (&mut self.log, Input { stdin: &mut self.stdin, container: self.container }, self.container)
    }
}

impl Source for &mut mpsc::Receiver<Result<Chunk>> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        self.recv().await.transpose()
    }
}

/// FIFOs between a shim and us.
pub(in crate::cli) struct Fifos<'a> {
    pub(in crate::cli) streams: ExecStreams,
    pub(in crate::cli) process: InContainer<'a>,
    /// Its end; None where nobody can tell it.
    pub(in crate::cli) waiting: &'a mut JoinHandle<Option<Exit>>,
    /// It has ended; with None nobody can tell how.
    pub(in crate::cli) exit: &'a mut Option<Option<Exit>>,
}

impl Remote for Fifos<'_> {
    fn split(&mut self) -> (impl Source, impl Sink, impl Control) {
        let container = self.process;
        let ExecStreams { stdin, stdout, stderr } = &mut self.streams;
        let output = Output { stdout, stderr, waiting: self.waiting, exit: self.exit };
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
