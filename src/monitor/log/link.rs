//! The way to a log server: a queue and a socket that never wait. A server that is away or dead costs messages
//! once the queue is full, never the container's time; one that is merely slow is waited for, unless the driver
//! is non-blocking.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use serde::{Deserialize, Serialize};

/// A server that is connected and takes nothing for so long is waited for no more.
const STALLED: Duration = Duration::from_secs(10);
/// While the container waits for the server, what it has written already is kept: so many times the limit.
const OVERFLOW: usize = 4;

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Where a log server listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    /// A unix socket that takes datagrams.
    Datagram(PathBuf),
    /// A unix socket that takes connections.
    Stream(PathBuf),
    /// UDP.
    Udp(SocketAddr),
    /// TCP.
    Tcp(SocketAddr),
}

impl Address {
    /// Each message travels alone.
    fn is_datagram(&self) -> bool {
        matches!(self, Self::Datagram(_) | Self::Udp(_))
    }

    /// A socket that is connected or about to be, non-blocking.
    fn open(&self) -> io::Result<(OwnedFd, bool)> {
        let kind = if self.is_datagram() { SocketType::DGRAM } else { SocketType::STREAM };
        let family = match self {
            Self::Datagram(_) | Self::Stream(_) => AddressFamily::UNIX,
            Self::Udp(address) | Self::Tcp(address) if address.is_ipv6() => AddressFamily::INET6,
            Self::Udp(_) | Self::Tcp(_) => AddressFamily::INET,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        let connected = match self {
            Self::Datagram(path) | Self::Stream(path) => {
                rustix::net::connect(&socket, &SocketAddrUnix::new(path.as_path())?)
            }
            Self::Udp(address) | Self::Tcp(address) => rustix::net::connect(&socket, address),
        };
        match connected {
            Ok(()) => Ok((socket, true)),
            Err(Errno::INPROGRESS) => Ok((socket, false)),
            Err(cause) => Err(cause.into()),
        }
    }
}

/// How patient to be with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// The container waits for a server that is there and slow.
    pub blocking: bool,
    /// The first pause before another attempt; the next ones are half as long again.
    pub pause: Duration,
    /// After so many failures what waits is given up; None never.
    pub attempts: Option<u32>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { blocking: true, pause: Duration::from_secs(1), attempts: None }
    }
}

/// A queue and its socket.
#[derive(Debug)]
pub struct Link {
    address: Address,
    patience: Patience,
    limit: usize,
    socket: Option<OwnedFd>,
    connected: bool,
    queue: VecDeque<Box<[u8]>>,
    queued: usize,
    /// Bytes of the first message that are sent.
    sent: usize,
    failures: u32,
    retry: Option<Instant>,
    /// When the server took something, or was connected to, the last time.
    progress: Option<Instant>,
    lost: u64,
}

impl Link {
    /// To `address`, with at most `limit` bytes waiting.
    pub fn new(address: Address, patience: Patience, limit: usize) -> Self {
        Self {
            address,
            patience,
            limit,
            socket: None,
            connected: false,
            queue: VecDeque::new(),
            queued: 0,
            sent: 0,
            failures: 0,
            retry: None,
            progress: None,
            lost: 0,
        }
    }

    /// Queues a message; false when there is no room for it, which counts as lost.
    pub fn push(&mut self, message: &[u8]) -> bool {
        let over = |link: &Self, limit| link.queued + message.len() > limit && !link.queue.is_empty();
        if over(self, self.limit) {
            self.advance();
            let limit = if self.waits() { self.limit.saturating_mul(OVERFLOW) } else { self.limit };
            if over(self, limit) {
                self.lost += 1;
                return false;
            }
        }
        self.queued += message.len();
        self.queue.push_back(message.into());
        true
    }

    /// The server is there, and patience with it is not at its end.
    fn waits(&self) -> bool {
        let lately = self.progress.is_some_and(|progress| progress.elapsed() < STALLED);
        self.patience.blocking && self.connected && lately
    }

    /// So much waits for a server that takes it slowly that the container should too.
    pub fn is_full(&self) -> bool {
        self.queued > self.limit / 2 && self.waits()
    }

    /// How many messages were lost since this was last asked, once there is room to tell of it.
    pub fn take_lost(&mut self) -> Option<u64> {
        (self.lost > 0 && self.queued < self.limit / 2).then(|| std::mem::take(&mut self.lost))
    }

    /// What to wait for before [`Link::advance`] can get further.
    pub fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let socket = self.socket.as_ref()?;
        (!self.connected || !self.queue.is_empty()).then(|| (socket.as_fd(), PollFlags::OUT))
    }

    /// When to call [`Link::advance`] although nothing is ready.
    pub fn deadline(&self) -> Option<Instant> {
        if self.is_full() {
            return self.progress.map(|progress| progress + STALLED);
        }
        self.retry.filter(|_| self.socket.is_none() && !self.queue.is_empty())
    }

    /// Connects, and sends what the server takes.
    pub fn advance(&mut self) {
        while !self.queue.is_empty() {
            match self.step() {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => return self.fail(),
            }
        }
    }

    /// Sends for as long as there is something to send and `most` lasts: the container has ended.
    pub fn drain(&mut self, most: Duration) {
        let end = Instant::now() + most;
        self.retry = None;
        loop {
            self.advance();
            let left = end.saturating_duration_since(Instant::now());
            let Some((socket, flags)) = self.source() else { return };
            if self.queue.is_empty() || left.is_zero() {
                return;
            }
            let mut polled = [PollFd::from_borrowed_fd(socket, flags)];
            let left = Timespec::try_from(left).ok();
            if !matches!(rustix::event::poll(&mut polled, left.as_ref()), Ok(1) | Err(Errno::INTR)) {
                return;
            }
        }
    }

    /// One connection or one message further; false when it has to wait.
    fn step(&mut self) -> io::Result<bool> {
        if self.socket.is_none() {
            if self.retry.is_some_and(|retry| retry > Instant::now()) {
                return Ok(false);
            }
            let (socket, connected) = self.address.open()?;
            self.socket = Some(socket);
            self.connected = connected;
            self.progress = Some(Instant::now());
        }
        let Some(socket) = &self.socket else { return Ok(false) };
        if !self.connected {
            let mut polled = [PollFd::new(socket, PollFlags::OUT)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            if rustix::event::poll(&mut polled, Some(&now))? == 0 {
                return Ok(false);
            }
            sockopt::socket_error(socket)??;
            self.connected = true;
            self.progress = Some(Instant::now());
        }
        let Some(message) = self.queue.front() else { return Ok(false) };
        if !self.address.is_datagram() && self.sent == 0 && is_closed(socket) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match rustix::net::send(socket, &message[self.sent..], SendFlags::NOSIGNAL) {
            Ok(length) => {
                self.progress = Some(Instant::now());
                self.sent += length;
                if self.address.is_datagram() || self.sent >= message.len() {
                    self.pop();
                    self.failures = 0;
                }
                Ok(true)
            }
            Err(Errno::AGAIN) => Ok(false),
            Err(Errno::INTR) => Ok(true),
            Err(Errno::MSGSIZE) => {
                self.pop();
                self.lost += 1;
                Ok(true)
            }
            // The answer to an earlier datagram: nobody listened then. This one is tried for its own sake.
            Err(Errno::CONNREFUSED) if matches!(self.address, Address::Udp(_)) => {
                let _ = rustix::net::send(socket, message, SendFlags::NOSIGNAL);
                self.pop();
                Ok(true)
            }
            Err(cause) => Err(cause.into()),
        }
    }

    fn pop(&mut self) {
        if let Some(message) = self.queue.pop_front() {
            self.queued -= message.len();
        }
        self.sent = 0;
        if self.queue.is_empty() {
            self.queue.shrink_to(16);
        }
    }

    /// Away: another attempt later, from the beginning of the message.
    fn fail(&mut self) {
        self.socket = None;
        self.connected = false;
        self.sent = 0;
        let factor = 1.5_f64.powi(i32::try_from(self.failures.min(30)).unwrap_or(30));
        self.retry = Some(Instant::now() + self.patience.pause.mul_f64(factor).min(LONGEST_PAUSE));
        self.failures = self.failures.saturating_add(1);
        if self.patience.attempts.is_some_and(|most| self.failures > most) {
            self.lost += self.queue.len() as u64;
            self.queue = VecDeque::new();
            self.queued = 0;
            self.failures = 0;
        }
    }
}

/// The server has closed the connection: what is sent into it now would be lost without a word.
fn is_closed(socket: &OwnedFd) -> bool {
    let mut byte = [0];
    let peek = rustix::net::recv(socket, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
    matches!(peek, Ok((0, _)))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read};
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn link(address: Address, limit: usize) -> Link {
        Link::new(
            address,
            Patience { blocking: false, pause: Duration::from_millis(5), attempts: None },
            limit,
        )
    }

    #[test]
    fn datagrams_arrive_one_by_one() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("log");
        let unix = UnixDatagram::bind(&path).unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut block = [0; 100];
        for address in [Address::Datagram(path), Address::Udp(udp.local_addr().unwrap())] {
            let mut link = link(address.clone(), 1000);
            assert!(link.push(b"one") && link.push(b"two"));
            link.drain(SOON);
            for expected in [b"one", b"two"] {
                let length = match address {
                    Address::Udp(_) => udp.recv(&mut block).unwrap(),
                    _ => unix.recv(&mut block).unwrap(),
                };
                assert_eq!(&block[..length], expected);
            }
        }
    }

    #[test]
    fn streams_come_back_after_the_server_did() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut link = link(Address::Tcp(address), 1000);
        link.push(b"first\n");
        link.drain(SOON);
        let (first, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(first).read_line(&mut line).unwrap();
        assert_eq!(line, "first\n");
        // The connection is closed, and for a while nobody listens.
        drop(listener);
        link.push(b"second\n");
        link.drain(Duration::from_millis(50));
        assert!(link.source().is_none() && link.deadline().is_some(), "{link:?}");
        let listener = TcpListener::bind(address).unwrap();
        link.drain(SOON);
        let (mut second, _) = listener.accept().unwrap();
        drop(link);
        let mut rest = String::new();
        second.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "second\n");
    }

    #[test]
    fn a_server_that_takes_nothing_costs_messages_and_no_time() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("log");
        let listener = UnixListener::bind(&path).unwrap();
        let mut link = link(Address::Stream(path), 100_000);
        let began = Instant::now();
        let mut kept = 0;
        for _ in 0..1000 {
            kept += usize::from(link.push(&[b'x'; 1000]));
            link.advance();
        }
        assert!(began.elapsed() < SOON && kept < 1000, "{kept}");
        assert_eq!(link.take_lost(), None, "there is no room to tell of it");
        let (mut stream, _) = listener.accept().unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all.len()
        });
        link.drain(SOON);
        assert_eq!(link.take_lost(), Some(1000 - kept as u64));
        drop(link);
        assert_eq!(reader.join().unwrap(), kept * 1000);
    }

    #[test]
    fn a_slow_server_is_waited_for() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("log");
        let listener = UnixListener::bind(&path).unwrap();
        let mut link = Link::new(Address::Stream(path), Patience::default(), 100_000);
        let mut pushed = 0;
        while !link.is_full() {
            assert!(link.push(&[b'x'; 1000]));
            link.advance();
            pushed += 1000;
        }
        assert!(link.deadline().is_some(), "not for ever");
        let (mut stream, _) = listener.accept().unwrap();
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all.len()
        });
        link.drain(SOON);
        assert!(!link.is_full());
        drop(link);
        assert_eq!(reader.join().unwrap(), pushed);
    }

    #[test]
    fn what_is_given_up_is_counted() {
        let temp = tempfile::tempdir().unwrap();
        let patience = Patience { pause: Duration::ZERO, attempts: Some(2), blocking: true };
        let mut link = Link::new(Address::Stream(temp.path().join("nobody")), patience, 1000);
        link.push(b"x");
        for _ in 0..3 {
            link.advance();
        }
        assert_eq!(link.take_lost(), Some(1));
        assert!(link.deadline().is_none());
    }
}
