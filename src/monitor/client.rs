//! The other side of `attach.sock`: what the engine uses to attach to a container and to tell its monitor
//! what it needs to know.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::frame::{self, Decoder, Hello, Type, Welcome};
use super::{FAILURE, PROTOCOL, socket};
use crate::{Error, Kind, Result};

/// A monitor that takes longer to say hello is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a client attaches for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wants {
    /// To send input.
    pub stdin: bool,
    /// Standard output (or the terminal), from now on.
    pub stdout: bool,
    /// Standard error, from now on.
    pub stderr: bool,
}

/// What a container and its monitor tell.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// Output, or what the terminal shows.
    Stdout(Vec<u8>),
    /// Error output.
    Stderr(Vec<u8>),
    /// All input was handed on and closed: ask containerd to close its end too.
    StdinClosed,
    /// The container has ended and everything was delivered.
    End,
}

/// A connection to a monitor. The two halves work independently of one another.
#[derive(Debug)]
pub struct Attachment {
    /// What the monitor said about the container.
    pub welcome: Welcome,
    /// From the container.
    pub events: Events,
    /// To the container and its monitor.
    pub input: Input,
}

impl Attachment {
    /// Connects to the monitor that serves `run_directory`. When this returns, the monitor knows of the
    /// client: all output from now on comes. [`Kind::Unavailable`] when there is no monitor, with the reason
    /// that it left, if any.
    pub async fn connect(run_directory: &Path, wants: Wants) -> Result<Self> {
        match tokio::time::timeout(PATIENCE, Self::greet(run_directory, wants)).await {
            Ok(Ok(attachment)) => Ok(attachment),
            Ok(Err(cause)) => Err(unavailable(run_directory, &crate::error::reason(&cause))),
            Err(_) => Err(unavailable(run_directory, "it does not answer")),
        }
    }

    /// As [`Attachment::connect`], for a monitor that is just being started: waits for its socket first. Never
    /// returns when no monitor comes.
    pub async fn arrive(run_directory: &Path, wants: Wants) -> Result<Self> {
        super::arrival::wait(run_directory)
            .await
            .map_err(|cause| Error::io("watch", run_directory, cause))?;
        Self::connect(run_directory, wants).await
    }

    async fn greet(run_directory: &Path, wants: Wants) -> io::Result<Self> {
        let stream = socket::connect(run_directory)?;
        stream.set_nonblocking(true)?;
        let (read, write) = UnixStream::from_std(stream)?.into_split();
        let mut events = Events {
            stream: read,
            decoder: Decoder::default(),
            block: vec![0; 64 * 1024].into_boxed_slice(),
            ended: false,
            directory: run_directory.to_path_buf(),
        };
        let mut input = Input { stream: write };
        input.send(Type::Hello, &hello(wants)?).await?;
        let welcome = loop {
            match events.decoder.take()? {
                Some((Type::Hello, payload)) => break serde_json::from_slice(&payload)?,
                // The container ended before the monitor came to our hello.
                Some((Type::End, _)) => {
                    events.ended = true;
                    break Welcome { version: PROTOCOL, ..Welcome::default() };
                }
                Some(_) => {}
                None if events.fill().await? => {}
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        };
        Ok(Self { welcome, events, input })
    }
}

fn hello(wants: Wants) -> io::Result<Vec<u8>> {
    let Wants { stdin, stdout, stderr } = wants;
    Ok(serde_json::to_vec(&Hello { version: PROTOCOL, stdin, stdout, stderr })?)
}

fn unavailable(run_directory: &Path, reason: &str) -> Error {
    let path = run_directory.join(socket::SOCKET);
    let error =
        Error::new(Kind::Unavailable, format!("connect to the monitor at {}: {reason}", path.display()));
    match failure(run_directory) {
        Some(failure) => error.hint(format!("the monitor could not start: {failure}")),
        None => error.hint("the container may have just ended: `wharfie ps -a` shows its state"),
    }
}

/// Why the last monitor of `run_directory` could not start, if it could not.
pub fn failure(run_directory: &Path) -> Option<String> {
    let text = std::fs::read_to_string(run_directory.join(FAILURE)).ok()?;
    Some(text.trim().to_owned())
}

/// Output and news.
#[derive(Debug)]
pub struct Events {
    stream: OwnedReadHalf,
    decoder: Decoder,
    block: Box<[u8]>,
    ended: bool,
    directory: PathBuf,
}

impl Events {
    /// The next event; None after [`Event::End`]. A connection that breaks before the end is an error
    /// ([`Kind::Unavailable`]): the monitor died, or let go of a client that took nothing for 10 s. Safe to be
    /// dropped and called again (`select!`).
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let frame = match self.decoder.take() {
                Ok(frame) => frame,
                Err(cause) => return Err(self.broken(&cause)),
            };
            let more = match frame {
                Some((Type::Stdout, payload)) => return Ok(Some(Event::Stdout(payload))),
                Some((Type::Stderr, payload)) => return Ok(Some(Event::Stderr(payload))),
                Some((Type::StdinClosed, _)) => return Ok(Some(Event::StdinClosed)),
                Some((Type::End, _)) => {
                    self.ended = true;
                    return Ok(Some(Event::End));
                }
                Some(_) => continue,
                None => self.fill().await,
            };
            match more {
                Ok(true) => {}
                Ok(false) => return Err(self.broken(&io::ErrorKind::UnexpectedEof.into())),
                Err(cause) => return Err(self.broken(&cause)),
            }
        }
    }

    /// Reads more; false at the end of the connection.
    async fn fill(&mut self) -> io::Result<bool> {
        let length = self.stream.read(&mut self.block).await?;
        self.decoder.feed(&self.block[..length]);
        Ok(length > 0)
    }

    fn broken(&self, cause: &io::Error) -> Error {
        let path = self.directory.join(socket::SOCKET);
        Error::new(
            Kind::Unavailable,
            format!("the monitor at {} broke off: {}", path.display(), crate::error::reason(cause)),
        )
        .hint("it died, or let go of a client that took nothing for 10 seconds; the container's log has everything")
    }
}

/// Input and messages to the monitor. Each takes effect in the order sent. A monitor that is gone is
/// [`Kind::BrokenPipe`].
#[derive(Debug)]
pub struct Input {
    stream: OwnedWriteHalf,
}

impl Input {
    /// Bytes for the container's standard input. Waits while the container does not read. When dropped before
    /// it has finished, the connection is of no more use.
    pub async fn stdin(&mut self, bytes: &[u8]) -> Result<()> {
        self.message(Type::Stdin, bytes).await
    }

    /// The input has ended. For a container whose input ends with the first client's
    /// ([`Welcome::stdin_once`]) [`Event::StdinClosed`] follows; others keep theirs open.
    pub async fn close_stdin(&mut self) -> Result<()> {
        self.message(Type::StdinClose, b"").await
    }

    /// From now on this client does the clean-up and removal after the container's end, unless its connection
    /// breaks before [`Input::disown_done`].
    pub async fn own(&mut self) -> Result<()> {
        self.message(Type::Own, b"").await
    }

    /// The clean-up and removal are done.
    pub async fn disown_done(&mut self) -> Result<()> {
        self.message(Type::DisownDone, b"").await
    }

    /// The user asked to stop: no restart by policy after this end.
    pub async fn stopping(&mut self) -> Result<()> {
        self.message(Type::Stopping, b"").await
    }

    /// The init process's id. Needed where the monitor was not started by the shim (see
    /// [`super::Duty::output`]); its starter keeps the pipe it got readiness from open until then.
    pub async fn pid(&mut self, pid: u32) -> Result<()> {
        self.message(Type::Pid, &pid.to_be_bytes()).await
    }

    async fn message(&mut self, kind: Type, payload: &[u8]) -> Result<()> {
        self.send(kind, payload).await.map_err(|cause| Error::io("write to", "the monitor", cause))
    }

    async fn send(&mut self, kind: Type, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame::frame(kind, payload)).await
    }
}

/// Tells the monitor that serves `run_directory` that the user asked to stop, and blocks until it knows (at
/// most 10 s). To be called before the signal is sent. False when there is no monitor to tell.
pub fn stopping(run_directory: &Path) -> Result<bool> {
    use std::io::{Read, Write};
    let tell = || -> io::Result<bool> {
        let mut stream = match socket::connect(run_directory) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(false);
            }
            other => other?,
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut wire = frame::frame(Type::Hello, &hello(Wants::default())?);
        frame::put(&mut wire, Type::Stopping, b"");
        stream.write_all(&wire)?;
        // Its hello comes after it has read both.
        Ok(stream.read(&mut [0; 64])? > 0)
    };
    tell().map_err(|cause| unavailable(run_directory, &crate::error::reason(&cause)))
}
