//! The two kinds of process that a user can be joined to: a container's own, through its monitor, and one of
//! an exec, through FIFOs.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use crate::cli::stream::{Chunk, Control, LATE_OUTPUT, Remote, Sink, Source};
use crate::engine::Engine;

use crate::engine::container::{Exec, ExecStreams, Exit};
use crate::error::{Error, Result};
use crate::monitor::client::{Attachment, Event, Events, Input};

/// A container through its monitor.
pub struct Attached<'a> {
    /// The engine, for signals and sizes.
    pub engine: &'a Engine,
    /// The container's id.
    pub id: &'a str,
    /// The monitor.
    pub attachment: &'a mut Attachment,
}

impl Remote for Attached<'_> {
    fn split(&mut self) -> (impl Source, impl Sink, impl Control) {
        let container = InContainer { engine: self.engine, id: self.id, exec: "" };
        let Attachment { events, input, .. } = &mut *self.attachment;
        (Output { events, container }, input, container)
    }
}

/// A container's own process.
#[derive(Clone, Copy)]
pub(in crate::cli) struct InContainer<'a> {
    pub(in crate::cli) engine: &'a Engine,
    pub(in crate::cli) id: &'a str,
    /// The id of an exec; empty for the container's own process.
    pub(in crate::cli) exec: &'a str,
}

struct Output<'a> {
    events: &'a mut Events,
    container: InContainer<'a>,
}

impl Source for Output<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            match self.events.next().await? {
                Some(Event::Stdout(bytes)) => return Ok(Some(Chunk::Out(bytes))),
                Some(Event::Stderr(bytes)) => return Ok(Some(Chunk::Err(bytes))),
                // Every byte of the input has reached the container's FIFO, whose other writer is the shim.
                Some(Event::StdinClosed) => {
                    drop(self.container.engine.containerd.close_stdin(self.container.id, "").await);
                }
                Some(Event::End) | None => return Ok(None),
            }
        }
    }
}

impl Sink for &mut Input {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.stdin(&bytes).await
    }

    async fn close(&mut self) -> Result<()> {
        self.close_stdin().await
    }
}

impl Control for InContainer<'_> {
    async fn resize(&self, width: u16, height: u16) -> Result<()> {
        Ok(self.engine.containerd.resize(self.id, self.exec, width, height).await?)
    }

    async fn signal(&self, number: u32) -> Result<()> {
        Ok(self.engine.containerd.kill(self.id, self.exec, number, false).await?)
    }
}

/// A process of an exec.
pub struct Executed<'a> {
    /// The process.
    exec: &'a Exec,
    /// Its streams.
    streams: ExecStreams,
    buffers: (Vec<u8>, Vec<u8>),
    waiting: JoinHandle<Result<Exit>>,
    exit: Option<Result<Exit>>,
}

impl<'a> Executed<'a> {
    /// Joined to `exec`, which has started.
    pub fn new(exec: &'a Exec, streams: ExecStreams) -> Self {
        let waiting = tokio::spawn(exec.wait());
        Self { exec, streams, buffers: (vec![0; 64 << 10], vec![0; 64 << 10]), waiting, exit: None }
    }

    /// The end of the process.
    pub async fn exit(self) -> Result<Exit> {
        match self.exit {
            Some(exit) => exit,
            None => ended(self.waiting.await),
        }
    }
}

fn ended(waited: std::result::Result<Result<Exit>, tokio::task::JoinError>) -> Result<Exit> {
    waited.unwrap_or_else(|cause| Err(Error::failed(format!("wait for the process: {cause}"))))
}

impl Remote for Executed<'_> {
    fn split(&mut self) -> (impl Source, impl Sink, impl Control) {
        let Self { exec, streams, buffers, waiting, exit } = self;
        let ExecStreams { stdin, stdout, stderr } = streams;
        (ExecOutput { stdout, stderr, buffers, waiting, exit }, ExecInput { stdin, exec }, InExec(exec))
    }
}

struct ExecOutput<'a> {
    stdout: &'a mut Option<pipe::Receiver>,
    stderr: &'a mut Option<pipe::Receiver>,
    buffers: &'a mut (Vec<u8>, Vec<u8>),
    waiting: &'a mut JoinHandle<Result<Exit>>,
    exit: &'a mut Option<Result<Exit>>,
}

impl Source for ExecOutput<'_> {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if self.stdout.is_none() && self.stderr.is_none() {
                return Ok(None);
            }
            tokio::select! {
                read = read(self.stdout, &mut self.buffers.0) => match read? {
                    0 => *self.stdout = None,
                    count => return Ok(Some(Chunk::Out(self.buffers.0[..count].to_vec()))),
                },
                read = read(self.stderr, &mut self.buffers.1) => match read? {
                    0 => *self.stderr = None,
                    count => return Ok(Some(Chunk::Err(self.buffers.1[..count].to_vec()))),
                },
                waited = &mut *self.waiting, if self.exit.is_none() => *self.exit = Some(ended(waited)),
                // A child that outlives the command may hold its streams open for ever.
                () = tokio::time::sleep(LATE_OUTPUT), if self.exit.is_some() => return Ok(None),
            }
        }
    }
}

struct ExecInput<'a> {
    stdin: &'a mut Option<pipe::Sender>,
    exec: &'a Exec,
}

impl Sink for ExecInput<'_> {
    async fn send(&mut self, bytes: Vec<u8>) -> Result<()> {
        match self.stdin {
            Some(stdin) => {
                stdin.write_all(&bytes).await.map_err(|cause| Error::io("write to", "the process", cause))
            }
            None => Ok(()),
        }
    }

    async fn close(&mut self) -> Result<()> {
        *self.stdin = None;
        self.exec.close_stdin().await
    }
}

struct InExec<'a>(&'a Exec);

impl Control for InExec<'_> {
    async fn resize(&self, width: u16, height: u16) -> Result<()> {
        self.0.resize(width, height).await
    }

    async fn signal(&self, number: u32) -> Result<()> {
        self.0.kill(number).await
    }
}

async fn read(pipe: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> Result<usize> {
    match pipe {
        Some(pipe) => {
            pipe.read(buffer).await.map_err(|cause| Error::failed(format!("read from the process: {cause}")))
        }
        None => std::future::pending().await,
    }
}
