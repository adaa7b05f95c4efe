//! A layer's tar on its way into a snapshot: inflated on one thread, hashed on another, written on a third.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use flate2::bufread::MultiGzDecoder;
use oci_spec::image::Digest;
use tar::EntryType;
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge as WINDOW_TOO_LARGE;

use super::entries::Entries;
use super::tree::{BodyOf, entry};
use crate::error::{Error, Result, reason};
use crate::image::digest::Hasher;
use crate::sys::layer::LayerTree;
use crate::sys::tree::{Body, Sink as _};

/// Inflated bytes handed over at a time, and how many such parts wait for each thread at most.
const PART: usize = 256 << 10;
const PARTS: usize = 4;
const BUFFER: usize = 128 << 10;
/// How far back zstd may look, as a power of two: with three layers side by side 100 MB. What `zstd -19` writes needs
/// 8 MB each.
const LARGEST_WINDOW: u32 = 25;

/// A layer that was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Directories that the layer needs and says nothing of: see [`crate::sys::layer::adopt`].
    pub implied: Vec<PathBuf>,
}

/// Write the layer that `input` gives, a tar, plain or in gzip or zstd, into `tree`. None when it has something that
/// only containerd's differ knows what to do with: a sparse file, hard links of aufs, a zstd that wants much memory.
///
/// # Errors
/// The layer is damaged or means harm, its bytes do not arrive, or the disk is full.
pub fn apply_layer(input: impl Read + Send, tree: LayerTree) -> Result<Option<Applied>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let mut head = Vec::new();
    // The first bytes may come one by one.
    input.by_ref().take(4).read_to_end(&mut head).map_err(|cause| unreadable(&cause))?;
    let is_gzip = head.starts_with(&[0x1f, 0x8b]);
    // A frame, or one to be skipped.
    let is_zstd = matches!(*head, [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18]);
    let input = Cursor::new(head).chain(input);
    let plain: Box<dyn Read + Send + '_> = match () {
        () if is_gzip => Box::new(MultiGzDecoder::new(input)),
        () if is_zstd => Box::new(zstd(input).map_err(|cause| unreadable(&cause))?),
        () => Box::new(input),
    };
    let too_large = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let (to_hash, inflated) = sync_channel(PARTS);
        let (to_write, hashed) = sync_channel(PARTS);
        let (back, used) = channel();
        let too_large = &too_large;
        scope.spawn(move || inflate(plain, &to_hash, &used, too_large));
        let hashing = scope.spawn(move || hash(&inflated, &to_write));
        let Some(implied) =
            write(Parts { parts: hashed, back, part: Vec::new(), at: 0, is_done: false }, tree)?
        else {
            return Ok(None);
        };
        let diff_id = hashing.join().map_err(|_| Error::failed("hashing the layer was interrupted"))?;
        Ok(Some(Applied { diff_id, implied }))
    });
    if too_large.load(Ordering::Relaxed) { Ok(None) } else { written }
}

fn zstd<R: BufRead>(input: R) -> io::Result<zstd::Decoder<'static, R>> {
    let mut decoder = zstd::Decoder::with_buffer(input)?;
    decoder.window_log_max(LARGEST_WINDOW)?;
    Ok(decoder)
}

fn unreadable(cause: &io::Error) -> Error {
    Error::failed(format!("read the layer: {}", reason(cause)))
}

/// Bytes, or why there are no more.
type Part = io::Result<Vec<u8>>;

fn inflate(
    mut from: Box<dyn Read + '_>,
    to: &SyncSender<Part>,
    used: &Receiver<Vec<u8>>,
    too_large: &AtomicBool,
) {
    loop {
        // Parts go round: fresh memory for each would be cleared by the kernel again and again.
        let mut part = used.try_recv().unwrap_or_default();
        part.resize(PART, 0);
        let mut filled = 0;
        let result = loop {
            let Some(rest) = part.get_mut(filled..).filter(|rest| !rest.is_empty()) else { break Ok(()) };
            match from.read(rest) {
                Ok(0) => break Ok(()),
                Ok(count) => filled += count,
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => break Err(cause),
            }
        };
        if let Err(cause) = &result {
            let cause = cause.get_ref().and_then(|cause| cause.downcast_ref::<zstd::Error>());
            too_large.fetch_or(cause.is_some_and(|cause| cause.is(WINDOW_TOO_LARGE)), Ordering::Relaxed);
        }
        part.truncate(filled);
        let is_last = filled < PART;
        let stopped = to.send(result.map(|()| part)).is_err();
        if is_last || stopped {
            return;
        }
    }
}

fn hash(from: &Receiver<Part>, to: &SyncSender<Part>) -> Digest {
    let mut hasher = Hasher::default();
    for part in from {
        if let Ok(bytes) = &part {
            hasher.update(bytes);
        }
        if to.send(part).is_err() {
            break;
        }
    }
    hasher.finish()
}

/// Inflated parts as one stream.
struct Parts {
    parts: Receiver<Part>,
    back: Sender<Vec<u8>>,
    part: Vec<u8>,
    at: usize,
    is_done: bool,
}

impl Read for Parts {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            if self.is_done {
                return Ok(0);
            }
            let next = match self.parts.recv() {
                Ok(part) => part?,
                Err(_) => Vec::new(),
            };
            self.is_done = next.len() < PART;
            self.at = 0;
            // Nobody takes it back once everything is inflated.
            let _ = self.back.send(std::mem::replace(&mut self.part, next));
        }
        let rest = self.part.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

/// Writes the entries; gives the directories that none of them told of.
fn write(input: Parts, mut tree: LayerTree) -> Result<Option<Vec<PathBuf>>> {
    let mut entries = Entries::telling_sparse(input);
    while let Some(found) = entries.next()? {
        let name = found.attributes.name.as_slice();
        let last = name.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty()).unwrap_or_default();
        if found.kind == EntryType::GNUSparse || (last.starts_with(b".wh..wh.") && last != b".wh..wh..opq") {
            return Ok(None);
        }
        let Some(entry) = entry(&found) else { return Ok(None) };
        match entry.node {
            crate::sys::tree::Node::File(_) => tree.put(&entry, Body::Stream(&mut BodyOf(&mut entries)))?,
            _ => tree.put(&entry, Body::None)?,
        }
    }
    // What follows the end of the archive belongs to the digest too.
    let mut rest = entries.into_input();
    io::copy(&mut rest, &mut io::sink()).map_err(|cause| unreadable(&cause))?;
    Ok(Some(tree.finish()))
}

#[cfg(test)]
mod tests;
