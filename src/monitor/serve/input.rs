//! The container's standard input: a FIFO that many clients may write to and that is closed once.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Clients are not read while so much waits for the container.
const MOST: usize = 64 * 1024;

/// How often to look whether the shim has opened its end.
const RETRY: Duration = Duration::from_millis(10);

/// The FIFO's state.
#[derive(Debug, Default)]
pub(super) struct Input {
    /// Open for reading and writing, so that opening never waits and the container sees no end before the
    /// first client comes.
    held: Option<OwnedFd>,
    /// Open for writing only: the last step before the close, see [`Input::advance`].
    last: Option<OwnedFd>,
    waiting: VecDeque<u8>,
    closing: bool,
    retry: Option<Instant>,
}

impl Input {
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let held = match path {
            Some(path) => Some(rustix::fs::open(
                path,
                OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC,
                Mode::empty(),
            )?),
            None => None,
        };
        Ok(Self { held, ..Self::default() })
    }

    /// Takes bytes for the container. After the close they go nowhere, as with a pipe nobody reads.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.held.is_some() && !self.closing {
            self.waiting.extend(bytes);
        }
    }

    /// Whether clients may send more.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST
    }

    /// Nothing comes any more: close once everything is written.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    /// Everything was written and our end is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.held.is_none() && self.last.is_none()
    }

    /// The container is gone.
    pub(super) fn discard(&mut self) {
        *self = Self { closing: true, ..Self::default() };
    }

    /// What to wait for before [`Input::advance`] can get further.
    pub(super) fn wants_write(&self) -> Option<BorrowedFd<'_>> {
        if self.waiting.is_empty() { None } else { self.held.as_ref().map(AsFd::as_fd) }
    }

    /// When to call [`Input::advance`] again although nothing is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.retry
    }

    /// Writes what fits and closes when it is time. Between our close and the shim's open the FIFO would have
    /// no end at all and the kernel would drop what is in it: so we become a mere writer first, and stay until
    /// there is a reader.
    pub(super) fn advance(&mut self) {
        self.write();
        self.retry = None;
        if !self.closing || !self.waiting.is_empty() {
            return;
        }
        if let Some(held) = &self.held {
            let writer = rustix::fs::open(
                format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(held)),
                OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC,
                Mode::empty(),
            );
            self.last = writer.ok();
            self.held = None;
        }
        if let Some(last) = &self.last {
            if has_reader(last) {
                self.last = None;
            } else {
                self.retry = Some(Instant::now() + RETRY);
            }
        }
    }

    fn write(&mut self) {
        let Some(fifo) = &self.held else { return };
        while !self.waiting.is_empty() {
            let (front, _) = self.waiting.as_slices();
            match rustix::io::write(fifo, front) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.waiting.clear(),
            }
        }
        self.waiting.shrink_to(4096);
    }
}

fn has_reader(writer: &OwnedFd) -> bool {
    let mut poll = [PollFd::new(writer, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::event::poll(&mut poll, Some(&now)) {
        Ok(_) => !poll[0].revents().contains(PollFlags::ERR),
        Err(_) => false,
    }
}
