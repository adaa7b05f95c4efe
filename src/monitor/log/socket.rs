//! A socket to a log server that never waits, plain or with TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustls::ClientConnection;
use serde::{Deserialize, Serialize};

use super::tls::Tls;

/// The most that one record of TLS carries.
const RECORD: usize = 16 << 10;

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
    pub(super) fn is_datagram(&self) -> bool {
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

/// One connection.
#[derive(Debug)]
pub struct Socket {
    wire: Wire,
    connected: bool,
    tls: Option<Box<ClientConnection>>,
}

impl Socket {
    /// Begin to connect.
    pub(super) fn open(address: &Address, tls: Option<&Tls>) -> io::Result<Self> {
        let tls = tls.map(Tls::connection).transpose()?.map(Box::new);
        let (fd, connected) = address.open()?;
        Ok(Self { wire: Wire(fd), connected, tls })
    }

    /// Whether it takes messages; goes on connecting until it does.
    pub(super) fn is_ready(&mut self) -> io::Result<bool> {
        if !self.connected {
            let mut polled = [PollFd::new(&self.wire.0, PollFlags::OUT)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            if rustix::event::poll(&mut polled, Some(&now))? == 0 {
                return Ok(false);
            }
            sockopt::socket_error(&self.wire.0)??;
            self.connected = true;
        }
        while self.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            if !self.flush()? || !self.fill()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What to wait for before it can get further: answers where they are due, room where something waits.
    pub(super) fn source(&self, sending: bool, answers: bool) -> Option<(BorrowedFd<'_>, PollFlags)> {
        let handshaking = self.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
        let mut flags = PollFlags::empty();
        if !self.connected || self.is_pending() || (sending && !handshaking) {
            flags |= PollFlags::OUT;
        }
        if self.connected && (answers || (handshaking && !self.is_pending())) {
            flags |= PollFlags::IN;
        }
        (!flags.is_empty()).then(|| (self.wire.0.as_fd(), flags))
    }

    /// Hand over some of `bytes`: how many it took. [`ErrorKind::WouldBlock`] when it has no room.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.wire.write(bytes) };
        if tls.wants_write() && !self.flush()? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let Some(tls) = &mut self.tls else { return Ok(0) };
        tls.writer().write(&bytes[..bytes.len().min(RECORD)])
    }

    /// Whether all that it took is on its way, as far as we can tell.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        while tls.wants_write() {
            match tls.write_tls(&mut self.wire) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(true)
    }

    /// What the server says: 0 bytes when it has closed the connection, [`ErrorKind::WouldBlock`] when it says nothing.
    pub(super) fn receive(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(tls) = &mut self.tls else { return self.wire.read(into) };
            match tls.reader().read(into) {
                Err(cause) if cause.kind() == ErrorKind::WouldBlock => {}
                Err(cause) if cause.kind() == ErrorKind::UnexpectedEof => return Ok(0),
                read => return read,
            }
            if !self.fill()? {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
    }

    /// Take what is there from the wire; false when there is nothing.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else { return Ok(false) };
        match tls.read_tls(&mut self.wire) {
            Ok(0) if tls.is_handshaking() => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(cause) if cause.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(cause) if cause.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(cause) => return Err(cause),
        }
        let processed = tls.process_new_packets();
        if let Err(cause) = processed {
            // The server is told why, if it listens.
            let _ = self.flush();
            return Err(io::Error::other(cause));
        }
        Ok(true)
    }

    fn is_pending(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }
}

impl Drop for Socket {
    /// The other side can tell an end from a cut.
    fn drop(&mut self) {
        if let Some(tls) = &mut self.tls
            && !tls.is_handshaking()
        {
            tls.send_close_notify();
            let _ = self.flush();
        }
    }
}

/// The system's socket, as rustls reads and writes.
#[derive(Debug)]
struct Wire(OwnedFd);

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::net::recv(&self.0, into, RecvFlags::DONTWAIT)?.0)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
