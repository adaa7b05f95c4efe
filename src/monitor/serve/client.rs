//! One attached client: what waits to be sent to it, and what it asks for.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::monitor::PROTOCOL;
use crate::monitor::frame::{self, Decoder, Hello, Type, Welcome};

/// What may wait for one client before the container's output is read no further.
const MOST: usize = 1024 * 1024;

/// With so much before it a client is let go at once.
const FAR_TOO_MUCH: usize = 8 * MOST;

/// A client that takes nothing for so long, while others and the container wait for it, is let go. docker
/// stops the container for as long as the client does; here only an owner (a foreground `run`) may.
pub(super) const PATIENCE: Duration =
    if cfg!(test) { Duration::from_millis(500) } else { Duration::from_secs(10) };

/// What a client wants done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    Stdin(Vec<u8>),
    StdinClose,
    Stopping,
    Pid(u32),
}

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    decoder: Decoder,
    hello: Option<Hello>,
    queue: VecDeque<Rc<[u8]>>,
    /// Bytes of the first in `queue` that are sent.
    sent: usize,
    queued: usize,
    /// Since when it has taken nothing although something waits.
    stalled: Option<Instant>,
    /// It does the clean-up: from `own` to `disown-done`.
    pub(super) owner: bool,
    /// It has done the clean-up.
    pub(super) disowned: bool,
    /// It sent `stdin-close` and is to be told when that is done.
    pub(super) awaits_close: bool,
    /// The kernel says that the other side is gone, while what it sent may still wait to be read.
    pub(super) hung_up: bool,
    /// Nothing comes from it any more.
    pub(super) gone: bool,
    /// It was told the end: close when everything is sent.
    ended: bool,
}

impl Client {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            decoder: Decoder::default(),
            hello: None,
            queue: VecDeque::new(),
            sent: 0,
            queued: 0,
            stalled: None,
            owner: false,
            disowned: false,
            awaits_close: false,
            hung_up: false,
            gone: false,
            ended: false,
        })
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    pub(super) fn wants_stdin(&self) -> bool {
        self.hello.as_ref().is_some_and(|hello| hello.stdin)
    }

    pub(super) fn wants(&self, kind: Type) -> bool {
        self.hello.as_ref().is_some_and(|hello| match kind {
            Type::Stdout => hello.stdout,
            Type::Stderr => hello.stderr,
            _ => true,
        })
    }

    /// Something waits to be sent.
    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// So much waits that the container has to.
    pub(super) fn is_full(&self) -> bool {
        self.queued >= MOST
    }

    /// Nothing more is to be done for it.
    pub(super) fn is_done(&self) -> bool {
        self.gone || (self.ended && !self.owner && self.queue.is_empty())
    }

    /// When it will have been patiently waited for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let held_up = self.is_full() || self.ended;
        self.stalled.filter(|_| held_up && !self.owner).map(|since| since + PATIENCE)
    }

    /// Queues a frame that other clients may share.
    pub(super) fn queue(&mut self, frame: Rc<[u8]>) {
        if !self.hung_up && !self.gone {
            self.queued += frame.len();
            self.queue.push_back(frame);
            // Only at the container's end is output read for a client that is full.
            self.gone = self.queued > FAR_TOO_MUCH;
        }
    }

    /// Queues the last frame.
    pub(super) fn end(&mut self) {
        self.queue(frame::frame(Type::End, b"").into());
        self.ended = true;
    }

    /// Sends what the socket takes.
    pub(super) fn send(&mut self) {
        while let Some(first) = self.queue.front() {
            match (&self.stream).write(&first[self.sent..]) {
                Ok(written) => {
                    self.stalled = None;
                    self.sent += written;
                    self.queued -= written;
                    if self.sent == first.len() {
                        self.queue.pop_front();
                        self.sent = 0;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.stalled.get_or_insert_with(Instant::now);
                    return;
                }
                Err(_) => return self.hang_up(),
            }
        }
        self.queue.shrink_to(16);
        self.stalled = None;
    }

    /// Nobody reads what is sent to it any more.
    pub(super) fn hang_up(&mut self) {
        self.hung_up = true;
        self.queue.clear();
        self.queued = 0;
        self.sent = 0;
        self.stalled = None;
    }

    /// Reads what is there, at most once, and adds what it asks for to `requests`. `welcome` is the answer to
    /// its hello. A client that does not keep to the protocol is let go.
    pub(super) fn receive(&mut self, welcome: &Welcome, requests: &mut Vec<Request>) {
        let mut block = [0; 16 * 1024];
        match (&self.stream).read(&mut block) {
            Ok(0) => self.gone = true,
            Ok(length) => {
                self.decoder.feed(&block[..length]);
                if self.decode(welcome, requests).is_err() {
                    self.gone = true;
                }
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
            Err(_) => self.gone = true,
        }
    }

    fn decode(&mut self, welcome: &Welcome, requests: &mut Vec<Request>) -> io::Result<()> {
        let mut answer = None;
        while let Some((kind, payload)) = self.decoder.take()? {
            if self.hello.is_none() {
                if kind != Type::Hello {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                let hello: Hello = serde_json::from_slice(&payload)?;
                let version = hello.version.min(PROTOCOL);
                if version == 0 {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                self.hello = Some(hello);
                answer = Some(serde_json::to_vec(&Welcome { version, ..welcome.clone() })?);
                continue;
            }
            match kind {
                Type::Stdin => requests.push(Request::Stdin(payload)),
                Type::StdinClose => {
                    self.awaits_close = true;
                    requests.push(Request::StdinClose);
                }
                Type::Own => self.owner = true,
                Type::DisownDone => {
                    self.disowned = self.owner;
                    self.owner = false;
                }
                Type::Stopping => requests.push(Request::Stopping),
                Type::Pid => {
                    let bytes = payload.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
                    requests.push(Request::Pid(u32::from_be_bytes(bytes)));
                }
                Type::Hello | Type::Stdout | Type::Stderr | Type::StdinClosed | Type::End => {}
            }
        }
        if let Some(answer) = answer {
            self.queue(frame::frame(Type::Hello, &answer).into());
        }
        Ok(())
    }
}
