//! The container's two outputs: pipes from the shim, or FIFOs.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;

use crate::monitor::log::Stream;

/// The size of a pipe: what one read can bring.
const READ: usize = 64 * 1024;

/// Both outputs and the buffer they are read into.
#[derive(Debug)]
pub(super) struct Outputs {
    sources: [Option<OwnedFd>; 2],
    buffer: Vec<u8>,
    /// Since when a look at every open output has found nothing.
    quiet: Option<Instant>,
}

/// The outputs in the order of their numbers.
pub(super) const STREAMS: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

impl Outputs {
    /// Both must be non-blocking.
    pub(super) fn new(stdout: OwnedFd, stderr: OwnedFd) -> Self {
        Self { sources: [Some(stdout), Some(stderr)], buffer: vec![0; READ], quiet: None }
    }

    pub(super) fn open(&self) -> impl Iterator<Item = (Stream, BorrowedFd<'_>)> {
        STREAMS.into_iter().zip(&self.sources).filter_map(|(stream, fd)| Some((stream, fd.as_ref()?.as_fd())))
    }

    /// Whether this output has ended (with `Stdout` alone where a terminal joins both).
    pub(super) fn has_ended(&self, stream: Stream) -> bool {
        self.sources[stream as usize].is_none()
    }

    /// Reads what is there, up to 64 KiB, once. The bytes; empty when there was nothing or the output ended.
    pub(super) fn read(&mut self, stream: Stream) -> &[u8] {
        let Some(source) = &self.sources[stream as usize] else { return &[] };
        match rustix::io::read(source, &mut self.buffer[..]) {
            Ok(length) if length > 0 => {
                self.quiet = None;
                &self.buffer[..length]
            }
            Err(Errno::INTR | Errno::AGAIN) => &[],
            Ok(_) | Err(_) => {
                self.sources[stream as usize] = None;
                self.quiet = None;
                &[]
            }
        }
    }

    /// A look has found nothing to read.
    pub(super) fn found_nothing(&mut self) {
        self.quiet.get_or_insert_with(Instant::now);
    }

    /// Something has changed: only what is seen from now on counts.
    pub(super) fn look_again(&mut self) {
        self.quiet = None;
    }

    /// Since when they have been quiet.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        self.quiet
    }
}
