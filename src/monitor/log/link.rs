//! The way to a log server: a queue and a socket that never wait. A server that is away or dead costs messages
//! once the queue is full, never the container's time; one that is merely slow is waited for, unless the driver
//! is non-blocking. Where the server confirms what it has taken, a message is kept until then, and sent again over
//! the next connection.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::fluentd::{Receipt, receipt};
use super::socket::{Address, Socket};
use super::tls::{Settings, Tls};

/// A server that is connected and takes nothing for so long is waited for no more.
const STALLED: Duration = Duration::from_secs(10);
/// While the container waits for the server, what it has written already is kept: so many times the limit.
const OVERFLOW: usize = 4;

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A receipt is a few dozen bytes.
const LONGEST_RECEIPT: usize = 1 << 10;

/// How patient to be with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// The container waits for a server that is there and slow.
    pub blocking: bool,
    /// The first pause before another attempt; the next ones are half as long again.
    pub pause: Duration,
    /// After so many failures what waits is given up; None never.
    pub attempts: Option<u32>,
    /// The server confirms each message, within this time; None where it does not.
    #[serde(default)]
    pub receipt: Option<Duration>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { blocking: true, pause: Duration::from_secs(1), attempts: None, receipt: None }
    }
}

/// A queue and its socket.
#[derive(Debug)]
pub struct Link {
    address: Address,
    /// How to begin TLS, and what came of it: the files are read once.
    settings: Option<Settings>,
    tls: Option<Tls>,
    patience: Patience,
    limit: usize,
    socket: Option<Socket>,
    connected: bool,
    queue: VecDeque<Box<[u8]>>,
    queued: usize,
    /// Messages at the queue's front that are sent and not confirmed yet.
    unconfirmed: usize,
    /// Bytes of the next message that are sent.
    sent: usize,
    /// What has come of a receipt.
    answer: Vec<u8>,
    failures: u32,
    retry: Option<Instant>,
    /// When the server took or confirmed something, or was connected to, the last time.
    progress: Option<Instant>,
    lost: u64,
}

impl Link {
    /// To `address`, with TLS where there are `settings`, with at most `limit` bytes waiting.
    pub fn new(address: Address, settings: Option<Settings>, patience: Patience, limit: usize) -> Self {
        Self {
            address,
            settings,
            tls: None,
            patience,
            limit,
            socket: None,
            connected: false,
            queue: VecDeque::new(),
            queued: 0,
            unconfirmed: 0,
            sent: 0,
            answer: Vec::new(),
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
        socket.source(self.queue.len() > self.unconfirmed, self.unconfirmed > 0)
    }

    /// When to call [`Link::advance`] although nothing is ready.
    pub fn deadline(&self) -> Option<Instant> {
        let stalled = self.progress.filter(|_| self.is_full()).map(|progress| progress + STALLED);
        let retry = self.retry.filter(|_| self.socket.is_none() && !self.queue.is_empty());
        [stalled.or(retry), self.overdue()].into_iter().flatten().min()
    }

    /// When the server is late with a receipt.
    fn overdue(&self) -> Option<Instant> {
        let (progress, limit) = (self.progress?, self.patience.receipt?);
        (self.unconfirmed > 0).then_some(progress + limit)
    }

    /// Connects, sends what the server takes, and listens to what it confirms.
    pub fn advance(&mut self) {
        while !self.queue.is_empty() {
            match self.step() {
                Ok(true) => {}
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Ok(false) => return,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.fail(),
            }
        }
        self.answer.clear();
    }

    /// Sends for as long as there is something to send and `most` lasts: the container has ended.
    pub fn drain(&mut self, most: Duration) {
        let end = Instant::now() + most;
        self.retry = None;
        loop {
            self.advance();
            let left = end.saturating_duration_since(Instant::now());
            if self.queue.is_empty() || left.is_zero() {
                return;
            }
            let Some((socket, flags)) = self.source() else {
                // The connection broke: another attempt, where there is time for it.
                match self.retry.filter(|retry| *retry < end) {
                    Some(retry) => std::thread::sleep(retry.saturating_duration_since(Instant::now())),
                    None => return,
                }
                continue;
            };
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
            if let (Some(settings), None) = (&self.settings, &self.tls) {
                self.tls = Some(Tls::new(settings).map_err(io::Error::other)?);
            }
            self.socket = Some(Socket::open(&self.address, self.tls.as_ref())?);
            self.progress = Some(Instant::now());
        }
        let Some(socket) = &mut self.socket else { return Ok(false) };
        if !socket.is_ready()? {
            return Ok(false);
        }
        if !self.connected {
            self.connected = true;
            self.progress = Some(Instant::now());
        }
        // What is sent into a connection that the server has closed would be lost without a word.
        if !self.address.is_datagram() && (self.sent == 0 || self.patience.receipt.is_some()) {
            self.listen()?;
        }
        if self.overdue().is_some_and(|late| late <= Instant::now()) {
            return Err(ErrorKind::TimedOut.into());
        }
        if self.queue.len() > self.unconfirmed { self.send() } else { Ok(false) }
    }

    /// Takes what the server says, and forgets what it confirms.
    fn listen(&mut self) -> io::Result<()> {
        let mut block = [0; 512];
        loop {
            let Some(socket) = &mut self.socket else { return Ok(()) };
            match socket.receive(&mut block) {
                Ok(0) => return Err(ErrorKind::BrokenPipe.into()),
                Ok(count) if self.patience.receipt.is_some() => {
                    self.answer.extend_from_slice(&block[..count])
                }
                // Nobody has asked it.
                Ok(_) => continue,
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(cause) => return Err(cause),
            }
            loop {
                match receipt(&self.answer) {
                    Receipt::Short if self.answer.len() < LONGEST_RECEIPT => break,
                    // The chunk's id is the message's end.
                    Receipt::Of(id, length)
                        if self.unconfirmed > 0
                            && self.queue.front().is_some_and(|sent| sent.ends_with(id)) =>
                    {
                        self.answer.drain(..length);
                        self.unconfirmed -= 1;
                        self.pop();
                    }
                    _ => return Err(ErrorKind::InvalidData.into()),
                }
            }
        }
    }

    /// Sends of the next message what the server takes.
    fn send(&mut self) -> io::Result<bool> {
        let (Some(message), Some(socket)) = (self.queue.get(self.unconfirmed), &mut self.socket) else {
            return Ok(false);
        };
        if self.sent < message.len() {
            match socket.send(&message[self.sent..]) {
                Ok(length) => {
                    self.progress = Some(Instant::now());
                    self.sent = if self.address.is_datagram() { message.len() } else { self.sent + length };
                }
                Err(cause) => return self.unsent(cause),
            }
        }
        if !socket.flush()? {
            return Ok(false);
        }
        if self.sent >= message.len() {
            self.sent = 0;
            match self.patience.receipt {
                Some(_) => self.unconfirmed += 1,
                None => self.pop(),
            }
        }
        Ok(true)
    }

    fn unsent(&mut self, cause: io::Error) -> io::Result<bool> {
        match Errno::from_io_error(&cause) {
            Some(Errno::MSGSIZE) => {
                self.pop();
                self.lost += 1;
                Ok(true)
            }
            // The answer to an earlier datagram: nobody listened then. This one is tried for its own sake.
            Some(Errno::CONNREFUSED) if matches!(self.address, Address::Udp(_)) => {
                if let (Some(message), Some(socket)) = (self.queue.front(), &mut self.socket) {
                    let _ = socket.send(message);
                }
                self.pop();
                Ok(true)
            }
            _ => Err(cause),
        }
    }

    /// The first message is where it should be.
    fn pop(&mut self) {
        if let Some(message) = self.queue.pop_front() {
            self.queued -= message.len();
        }
        self.progress = Some(Instant::now());
        self.failures = 0;
        if self.queue.is_empty() {
            self.queue.shrink_to(16);
        }
    }

    /// Away: another attempt later, from the beginning of the first message that is not known to have arrived.
    fn fail(&mut self) {
        self.socket = None;
        self.connected = false;
        self.sent = 0;
        self.unconfirmed = 0;
        self.answer.clear();
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

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::{UnixDatagram, UnixListener};

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    fn link(address: Address, limit: usize) -> Link {
        let patience = Patience { blocking: false, pause: Duration::from_millis(5), ..Patience::default() };
        Link::new(address, None, patience, limit)
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
        link.advance();
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
        let mut link = Link::new(Address::Stream(path), None, Patience::default(), 100_000);
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
    fn what_is_not_confirmed_is_sent_again() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let patience =
            Patience { pause: Duration::ZERO, receipt: Some(Duration::from_secs(60)), ..Patience::default() };
        let mut link = Link::new(address, None, patience, 1000);
        let server = std::thread::spawn(move || {
            let expect = |stream: &mut std::net::TcpStream, expected: &[u8]| {
                let mut block = vec![0; expected.len()];
                stream.read_exact(&mut block).unwrap();
                assert_eq!(block, expected);
            };
            // All three come at once. The first alone is confirmed, in two pieces.
            let (mut first, _) = listener.accept().unwrap();
            expect(&mut first, b"one-idA two-idB three-idC ".as_slice());
            first.write_all(b"\x81\xa3ack\xa4").unwrap();
            first.write_all(b"idA ").unwrap();
            drop(first);
            // An answer to something else is none.
            let (mut second, _) = listener.accept().unwrap();
            expect(&mut second, b"two-idB three-idC ".as_slice());
            second.write_all(b"\x81\xa3ack\xa4idX ").unwrap();
            let (mut third, _) = listener.accept().unwrap();
            expect(&mut third, b"two-idB three-idC ".as_slice());
            third.write_all(b"\x81\xa3ack\xa4idB \x81\xa3ack\xa4idC ").unwrap();
            (second, third)
        });
        for message in [&b"one-idA "[..], b"two-idB ", b"three-idC "] {
            link.push(message);
        }
        let began = Instant::now();
        while !link.queue.is_empty() {
            assert!(began.elapsed() < 6 * SOON, "{link:?}");
            link.drain(Duration::from_millis(100));
        }
        server.join().unwrap();
    }

    #[test]
    fn a_receipt_that_does_not_come_is_not_waited_for_long() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let patience = Patience {
            pause: Duration::ZERO,
            receipt: Some(Duration::from_millis(50)),
            ..Patience::default()
        };
        let mut link = Link::new(address, None, patience, 1000);
        link.push(b"x");
        let mut accepted = Vec::new();
        for _ in 0..2 {
            while link.unconfirmed == 0 {
                link.drain(Duration::from_millis(5));
            }
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0]).unwrap();
            accepted.push(stream);
            assert!(link.overdue().is_some() && link.deadline() == link.overdue());
            std::thread::sleep(Duration::from_millis(60));
            link.advance();
            assert_eq!((link.queue.len(), link.unconfirmed), (1, 0), "it waits to be sent again");
        }
    }

    #[test]
    fn what_is_given_up_is_counted() {
        let temp = tempfile::tempdir().unwrap();
        let patience = Patience { pause: Duration::ZERO, attempts: Some(2), ..Patience::default() };
        let mut link = Link::new(Address::Stream(temp.path().join("nobody")), None, patience, 1000);
        link.push(b"x");
        for _ in 0..3 {
            link.advance();
        }
        assert_eq!(link.take_lost(), Some(1));
        assert!(link.deadline().is_none());
    }
}
