//! A layer's tar on its way into a snapshot: inflated on one thread, hashed and written on another.

use std::io::{self, BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use flate2::bufread::MultiGzDecoder;
use oci_spec::image::Digest;
use tar::EntryType;

use super::entries::Entries;
use super::tree::{BodyOf, entry};
use crate::error::{Error, Result, reason};
use crate::image::digest::Hasher;
use crate::sys::layer::LayerTree;
use crate::sys::tree::{Body, Sink as _};

/// Inflated bytes handed over at a time, and how many such parts are under way at most.
const PART: usize = 256 << 10;
const PARTS: usize = 6;
const BUFFER: usize = 128 << 10;

/// A layer that was written.
#[derive(Debug, PartialEq, Eq)]
pub struct Applied {
    /// The digest of the uncompressed tar.
    pub diff_id: Digest,
    /// Directories that the layer needs and says nothing of: see [`crate::sys::layer::adopt`].
    pub implied: Vec<PathBuf>,
}

/// Write the layer that `input` gives, a tar or a tar in gzip, into `tree`. None when it has something that only
/// containerd's differ knows what to do with: another compression, a sparse file, hard links of aufs.
///
/// # Errors
/// The layer is damaged or means harm, its bytes do not arrive, or the disk is full.
pub fn apply_layer(input: impl Read + Send, tree: LayerTree) -> Result<Option<Applied>> {
    let mut input = BufReader::with_capacity(BUFFER, input);
    let head = loop {
        match input.fill_buf() {
            Ok(head) => break head.get(..4).unwrap_or_default(),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(unreadable(&cause)),
        }
    };
    match head {
        [0x1f, 0x8b, ..] => std::thread::scope(|scope| {
            let (sender, parts) = sync_channel(PARTS);
            let (back, used) = channel();
            scope.spawn(move || inflate(MultiGzDecoder::new(input), &sender, &used));
            write(Parts { parts, back, part: Vec::new(), at: 0, is_done: false }, tree)
        }),
        [0x28, 0xb5, 0x2f, 0xfd] => Ok(None),
        _ => write(input, tree),
    }
}

fn unreadable(cause: &io::Error) -> Error {
    Error::failed(format!("read the layer: {}", reason(cause)))
}

fn inflate(mut from: impl Read, to: &SyncSender<io::Result<Vec<u8>>>, used: &Receiver<Vec<u8>>) {
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
        part.truncate(filled);
        let is_last = filled < PART;
        let stopped = to.send(result.map(|()| part)).is_err();
        if is_last || stopped {
            return;
        }
    }
}

/// Inflated parts as one stream.
struct Parts {
    parts: Receiver<io::Result<Vec<u8>>>,
    back: std::sync::mpsc::Sender<Vec<u8>>,
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

/// Bytes hashed on their way.
struct Hashed<R> {
    input: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn write(input: impl Read, mut tree: LayerTree) -> Result<Option<Applied>> {
    let mut entries = Entries::telling_sparse(Hashed { input, hasher: Hasher::default() });
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
    Ok(Some(Applied { diff_id: rest.hasher.finish(), implied: tree.finish() }))
}
