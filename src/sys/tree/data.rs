//! The bytes of files: holes stay holes, and memory is bounded whatever a file's size.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use rustix::fs::SeekFrom as Extent;
use rustix::io::Errno;

/// Copies `from` into the new file `to`: at most `size` bytes, only those that are there. A file of a terabyte
/// that was never written takes no time and no space.
pub(super) fn file(from: &File, to: &File, size: u64) -> io::Result<()> {
    let (mut source, mut target) = (from, to);
    let mut at = 0;
    while at < size {
        let begin = match rustix::fs::seek(from, Extent::Data(at)) {
            Ok(begin) => begin.min(size),
            // Nothing but a hole to the end.
            Err(Errno::NXIO) => break,
            // This file system does not tell.
            Err(_) => at,
        };
        let end = match rustix::fs::seek(from, Extent::Hole(begin)) {
            Ok(end) => end.min(size),
            Err(_) => size,
        };
        if end <= begin {
            break;
        }
        source.seek(SeekFrom::Start(begin))?;
        target.seek(SeekFrom::Start(begin))?;
        // The kernel copies by itself, sharing blocks where the file system can.
        let copied = io::copy(&mut source.take(end - begin), &mut target)?;
        if copied < end - begin {
            // It became shorter meanwhile.
            return to.set_len(begin + copied);
        }
        at = end;
    }
    to.set_len(size)
}

/// Writes all of `from` into the new file `to`; runs of zeros become holes.
pub(super) fn with_holes(from: &mut dyn Read, to: &File) -> io::Result<()> {
    let mut target = to;
    let mut space = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        let mut filled = 0;
        while filled < space.len() {
            match from.read(&mut space[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(cause),
            }
        }
        if filled == 0 {
            return to.set_len(size);
        }
        if space[..filled].iter().any(|byte| *byte != 0) {
            target.seek(SeekFrom::Start(size))?;
            target.write_all(&space[..filled])?;
        }
        size += filled as u64;
    }
}

/// Writes exactly `size` bytes of `from`; a file that became shorter meanwhile is filled with zeros, so that
/// what was promised is kept.
pub fn exactly(from: &mut dyn Read, to: &mut dyn Write, size: u64) -> io::Result<()> {
    let copied = io::copy(&mut from.take(size), to)?;
    io::copy(&mut io::repeat(0).take(size - copied), to).map(drop)
}
