//! A blob on its way into the content store from bytes that are here: written into containerd's own unfinished file where
//! that is a file of this machine too, handed over everywhere else.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use rustix::io::Errno;

use super::arrival::Growing;
use super::local::Local;
use crate::containerd::{BlobWriter, Client, Code};
use crate::error::{Error, Result};

/// Bytes handed to containerd at a time.
const PART: u64 = 1 << 20;
/// Bytes that the kernel copies at a time.
const COPY: u64 = 4 << 20;
/// Blobs smaller than this are handed over: finding the file costs more than it saves.
const WORTH_A_FILE: u64 = 512 << 10;

/// Which containerd, and its files where they are to be had.
#[derive(Clone, Copy)]
pub(super) struct Store<'a> {
    /// Under a lease.
    pub(super) client: &'a Client,
    pub(super) local: Option<&'a Local>,
}

/// An open ingest.
pub(super) struct Deposit<'a> {
    client: &'a Client,
    reference: String,
    size: u64,
    writer: BlobWriter,
    own: Option<Own>,
    offset: u64,
    /// containerd has all bytes, from another namespace or an earlier try, and takes none.
    is_whole: bool,
}

/// containerd's file, while its own writer stays open so that nobody else's is.
struct Own {
    growing: Arc<Growing>,
    file: Arc<File>,
}

impl Drop for Own {
    fn drop(&mut self) {
        // A reader must not wait for bytes that will not come.
        self.growing.give_up();
    }
}

impl<'a> Deposit<'a> {
    /// Opens the ingest `reference` of a blob of `size` bytes (0: not known) with the digest `promised` (empty: not
    /// known), waiting while another process writes it. None when the blob is there.
    pub(super) async fn open(
        store: Store<'a>,
        reference: String,
        size: u64,
        promised: &str,
    ) -> Result<Option<Self>> {
        let Store { client, local } = store;
        let mut writer = match client.await_writer(&reference, size, promised).await {
            Ok(writer) => writer,
            Err(error) if error.code == Code::AlreadyExists => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let is_large = size == 0 || size >= WORTH_A_FILE;
        let file = local.filter(|_| is_large).and_then(|local| local.ingest(client, &reference));
        let mut is_whole = false;
        let own = match file {
            Some(file) => {
                // Of an earlier try only the place is taken over.
                file.set_len(0).map_err(failed)?;
                let growing = Growing::new(file.try_clone().map_err(failed)?, 0);
                Some(Own { growing, file: Arc::new(file) })
            }
            None => {
                is_whole = !promised.is_empty() && size > 0 && writer.offset() == size;
                if !is_whole && writer.offset() > 0 {
                    writer.truncate().await?;
                }
                None
            }
        };
        Ok(Some(Self { client, reference, size, writer, own, offset: 0, is_whole }))
    }

    /// The file as it grows, where there is one.
    pub(super) fn growing(&self) -> Option<Arc<Growing>> {
        self.own.as_ref().map(|own| Arc::clone(&own.growing))
    }

    /// Whether containerd needs no bytes.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The next bytes.
    pub(super) async fn write(&mut self, part: Vec<u8>) -> Result<()> {
        if self.is_whole {
            return Ok(());
        }
        let length = part.len() as u64;
        match &self.own {
            Some(own) => {
                own.file.write_all_at(&part, self.offset).map_err(failed)?;
                own.growing.grow(self.offset + length);
            }
            None => self.writer.write(part).await?,
        }
        self.offset += length;
        Ok(())
    }

    /// All bytes, out of `file` from `place` on.
    pub(super) async fn copy_from(&mut self, file: &Arc<File>, place: u64) -> Result<()> {
        if let Some(own) = &self.own {
            let (from, to) = (Arc::clone(file), Arc::clone(&own.file));
            let (growing, size) = (Arc::clone(&own.growing), self.size);
            let copied = tokio::task::spawn_blocking(move || copy(&from, place, (&to, size), &growing)).await;
            copied.map_err(|_| Error::failed("storing the archive was interrupted"))?.map_err(failed)?;
            self.offset = size;
            return Ok(());
        }
        while !self.is_whole && self.offset < self.size {
            let length = PART.min(self.size - self.offset);
            let mut part = vec![0; usize::try_from(length).unwrap_or_default()];
            file.read_exact_at(&mut part, place + self.offset).map_err(unreadable)?;
            self.write(part).await?;
        }
        Ok(())
    }

    /// Makes it the blob `digest`; false when its bytes are others, of which then nothing stays.
    pub(super) async fn commit(self, digest: &str) -> Result<bool> {
        let Self { client, reference, mut writer, own, offset, .. } = self;
        if let Some(own) = own {
            own.growing.complete();
            drop(own);
            writer.close().await;
            // Opened again, containerd hashes what it finds.
            writer = match client.await_writer(&reference, offset, digest).await {
                Ok(writer) => writer,
                Err(error) if error.code == Code::AlreadyExists => return Ok(true),
                Err(error) => return Err(error.into()),
            };
        }
        match writer.commit(digest, HashMap::new()).await {
            Ok(()) => Ok(true),
            Err(error) if error.code == Code::AlreadyExists => Ok(true),
            Err(error) if error.code == Code::FailedPrecondition => {
                let _ = client.abort_ingest(&reference).await;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Gives it up.
    pub(super) async fn abort(self) {
        let Self { client, reference, writer, own, .. } = self;
        drop(own);
        drop(writer);
        // The lease's end collects it otherwise.
        let _ = client.abort_ingest(&reference).await;
    }
}

/// `size` bytes of `from` into the file `to`, by the kernel where it can.
fn copy(from: &File, place: u64, (to, size): (&File, u64), growing: &Growing) -> io::Result<()> {
    let mut done = 0;
    let mut by_kernel = true;
    while done < size {
        if growing.is_void() {
            return Err(io::Error::other("it was interrupted"));
        }
        let (mut at, mut end) = (place + done, done);
        let length = usize::try_from(COPY.min(size - done)).unwrap_or_default();
        let count = match by_kernel {
            true => match rustix::fs::copy_file_range(from, Some(&mut at), to, Some(&mut end), length) {
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    by_kernel = false;
                    continue;
                }
                Err(cause) => return Err(cause.into()),
            },
            false => {
                let mut part = vec![0; length.min(PART as usize)];
                let count = from.read_at(&mut part, at)?;
                to.write_all_at(part.get(..count).unwrap_or_default(), end)?;
                count
            }
        };
        if count == 0 {
            return Err(io::Error::other("the archive became shorter while it was read"));
        }
        done += count as u64;
        growing.grow(done);
    }
    Ok(())
}

fn failed(cause: io::Error) -> Error {
    Error::io("write", "containerd's content store", cause)
}

fn unreadable(cause: io::Error) -> Error {
    Error::io("read", "the archive", cause)
}
