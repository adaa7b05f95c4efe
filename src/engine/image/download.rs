//! One blob from a registry into the content store: resumed where it stopped, tried again when it breaks.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use oci_spec::image::Descriptor;

use tokio::sync::{Semaphore, watch};

use super::arrival::{Arriving, Growing};
use super::local::Local;
use crate::containerd::{BlobWriter, Client, Code};
use crate::error::{Error, Kind, Result};
use crate::image::progress::{Event, LayerState, Progress};
use crate::registry::{BlobStream, Cause, Failure, Reference, Registry};

/// Bytes handed to containerd at a time: few calls, little memory.
const PART: usize = 1 << 20;
/// Bytes written into a file at a time: what is in memory is lost when this process is killed.
const FILE_PART: usize = 64 << 10;
/// Tries without a single new byte.
const ATTEMPTS: u32 = 6;

/// Blobs smaller than this are handed to containerd: finding the file costs more than it saves.
const WORTH_A_FILE: u64 = 512 << 10;

/// Where blobs come from and go to.
#[derive(Clone, Copy)]
pub(super) struct Download<'a> {
    /// Under a lease.
    pub(super) client: &'a Client,
    pub(super) registry: &'a Registry,
    pub(super) reference: &'a Reference,
    pub(super) progress: &'a dyn Progress,
    /// containerd's files, where they are ours too.
    pub(super) local: Option<&'a Local>,
    /// How many blobs are fetched side by side. More may be on their way into the store: containerd waits for the
    /// disk there, for several not longer than for one.
    pub(super) slots: &'a Semaphore,
}

/// How an attempt to bring a whole blob has ended.
enum Brought {
    /// containerd has it.
    Stored,
    /// Other bytes than those that were asked for.
    Wrong(String),
}

/// An open ingest, and who follows it.
struct Ingest {
    writer: BlobWriter,
    /// Its file, when this process writes it: containerd's own writer stays open meanwhile, so that nobody else's is.
    own: Option<Own>,
    offset: u64,
}

struct Own {
    growing: Arc<Growing>,
    file: File,
}

/// How one request has ended.
enum Filled {
    /// Everything is here.
    Whole,
    /// More came than belongs to the blob.
    TooMuch,
    /// It failed, or broke off.
    Broken(Failure),
}

impl Drop for Own {
    fn drop(&mut self) {
        // A reader must not wait for bytes that will not come.
        self.growing.give_up();
    }
}

impl Ingest {
    /// Its file, for those who follow it.
    fn growing(&self) -> Option<Arc<Growing>> {
        self.own.as_ref().map(|own| Arc::clone(&own.growing))
    }

    async fn write(&mut self, part: Vec<u8>) -> Result<()> {
        let length = part.len() as u64;
        match &self.own {
            Some(own) => {
                own.file.write_all_at(&part, self.offset).map_err(|cause| failed("write", cause))?;
                own.growing.grow(self.offset + length);
            }
            None => self.writer.write(part).await?,
        }
        self.offset += length;
        Ok(())
    }

    async fn close(self) {
        drop(self.own);
        self.writer.close().await;
    }

    async fn truncate(&mut self) -> Result<()> {
        match &self.own {
            Some(own) => {
                own.file.set_len(0).map_err(|cause| failed("truncate", cause))?;
                let file = own.file.try_clone().map_err(|cause| failed("open", cause))?;
                let again = file.try_clone().map_err(|cause| failed("open", cause))?;
                // Whoever has read of the old one must begin anew.
                self.own = Some(Own { growing: Growing::new(again, 0), file });
            }
            None => self.writer.truncate().await?,
        }
        self.offset = 0;
        Ok(())
    }
}

fn failed(act: &str, cause: std::io::Error) -> Error {
    Error::io(act, "containerd's content store", cause)
}

impl Download<'_> {
    /// Bring the blob of `descriptor`; true when it was there before. Tells `arriving` how far it is.
    pub(super) async fn blob(
        &self,
        descriptor: &Descriptor,
        labels: HashMap<String, String>,
        arriving: &watch::Sender<Arriving>,
    ) -> Result<bool> {
        let digest = descriptor.digest().as_ref();
        let reference = format!("layer-{digest}");
        let Some(mut ingest) = self.open(&reference, descriptor).await? else {
            self.note_source(digest, labels).await?;
            arriving.send_replace(Arriving::Stored);
            return Ok(true);
        };
        if ingest.offset > descriptor.size() {
            ingest.truncate().await?;
        }
        // Bytes that an earlier try has left may be wrong, whoever sends the rest.
        let mut is_resumed = ingest.offset > 0;
        loop {
            let mut hosts = Vec::new();
            let wrong = match self.bring(&mut ingest, descriptor, (arriving, &mut hosts)).await? {
                Brought::Wrong(why) => {
                    ingest.close().await;
                    why
                }
                Brought::Stored => {
                    let growing = ingest.growing();
                    match self.commit(ingest, descriptor, labels.clone()).await? {
                        Brought::Stored => break,
                        Brought::Wrong(why) => {
                            // Whoever follows it must begin anew.
                            growing.iter().for_each(|growing| growing.stop());
                            why
                        }
                    }
                }
            };
            // Wrong bytes must not be taken up again.
            let _ = self.client.abort_ingest(&reference).await;
            let from = hosts.join(" and ");
            if !is_resumed && !self.registry.distrust(&hosts) {
                return Err(Error::failed(format!(
                    "verification failed for digest {digest}: {from} sent {wrong}"
                ))
                .hint("the registry or something on the way to it is faulty: try again, or another mirror"));
            }
            if !is_resumed {
                self.progress.report(Event::Distrusted { digest, hosts: &from });
            }
            is_resumed = false;
            match self.open(&reference, descriptor).await? {
                Some(again) => ingest = again,
                None => break,
            }
        }
        arriving.send_replace(Arriving::Stored);
        Ok(false)
    }

    /// Fetch what is missing, trying again where the connection breaks. Tells which hosts have sent it.
    async fn bring(
        &self,
        ingest: &mut Ingest,
        descriptor: &Descriptor,
        (arriving, hosts): (&watch::Sender<Arriving>, &mut Vec<String>),
    ) -> Result<Brought> {
        let digest = descriptor.digest().as_ref();
        let _slot = self.slots.acquire().await.map_err(|_| Error::failed("the pull has ended"))?;
        let announce = |ingest: &Ingest| {
            if let Some(growing) = ingest.growing() {
                arriving.send_replace(Arriving::Growing(growing));
            }
        };
        announce(ingest);
        let mut attempt = 0;
        while ingest.offset < descriptor.size() {
            let before = ingest.offset;
            let failure = match self.fill(ingest, descriptor, hosts).await? {
                Filled::Whole => break,
                Filled::TooMuch => {
                    return Ok(Brought::Wrong(format!("more than its {} bytes", descriptor.size())));
                }
                Filled::Broken(failure) => failure,
            };
            if ingest.offset > before {
                attempt = 0;
            }
            let is_last = attempt + 1 >= ATTEMPTS;
            // A server that cannot go on in the middle is asked for the whole.
            let wait = match failure.cause {
                Cause::Range if ingest.offset > 0 => {
                    ingest.truncate().await?;
                    hosts.clear();
                    announce(ingest);
                    Some(Duration::ZERO)
                }
                _ => failure.back_off(attempt),
            };
            let Some(wait) = wait.filter(|_| !is_last) else {
                return Err(failure.error.context(format!("failed to fetch {digest}")));
            };
            self.progress.layer(digest, LayerState::Retrying(wait));
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
        self.progress.layer(digest, LayerState::Verifying);
        Ok(Brought::Stored)
    }

    /// One request: write what arrives. The error is containerd's.
    async fn fill(
        &self,
        ingest: &mut Ingest,
        descriptor: &Descriptor,
        hosts: &mut Vec<String>,
    ) -> Result<Filled> {
        let (digest, total) = (descriptor.digest().as_ref(), descriptor.size());
        self.progress.layer(digest, LayerState::Downloading { done: ingest.offset, total });
        let mut stream: BlobStream = match self.registry.blob(descriptor, ingest.offset).await {
            Ok(stream) => stream,
            Err(failure) => return Ok(Filled::Broken(failure)),
        };
        if !hosts.iter().any(|host| host == stream.host()) {
            hosts.push(stream.host().to_owned());
        }
        loop {
            let size = if ingest.own.is_some() { FILE_PART } else { PART };
            let mut part = Vec::with_capacity(size + (64 << 10));
            let more = stream.read(&mut part, size).await;
            if ingest.offset + part.len() as u64 > total {
                return Ok(Filled::TooMuch);
            }
            ingest.write(part).await?;
            self.progress.layer(digest, LayerState::Downloading { done: ingest.offset, total });
            match more {
                Err(failure) => {
                    if failure.cause == Cause::Silent {
                        self.registry.ask_last(stream.host());
                    }
                    return Ok(Filled::Broken(failure));
                }
                Ok(true) => {}
                Ok(false) if ingest.offset == total => return Ok(Filled::Whole),
                Ok(false) => {
                    let (host, done) = (stream.host(), ingest.offset);
                    let error = Error::new(
                        Kind::Unavailable,
                        format!("{host} ended the connection after {done} of {total} bytes"),
                    );
                    return Ok(Filled::Broken(Failure { cause: Cause::Transient(None), error }));
                }
            }
        }
    }

    /// Open the ingest; None when the blob is there. Another process that writes it is waited for.
    async fn open(&self, reference: &str, descriptor: &Descriptor) -> Result<Option<Ingest>> {
        let digest = descriptor.digest().as_ref();
        let writer = match self.client.await_writer(reference, descriptor.size(), digest).await {
            Ok(writer) => writer,
            Err(error) if error.code == Code::AlreadyExists => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let offset = writer.offset();
        let is_large = descriptor.size() >= WORTH_A_FILE;
        let file = self.local.filter(|_| is_large).and_then(|local| local.ingest(self.client, reference));
        let own =
            file.and_then(|file| Some(Own { growing: Growing::new(file.try_clone().ok()?, offset), file }));
        Ok(Some(Ingest { writer, own, offset }))
    }

    async fn commit(
        &self,
        Ingest { writer, own, .. }: Ingest,
        descriptor: &Descriptor,
        mut labels: HashMap<String, String>,
    ) -> Result<Brought> {
        let digest = descriptor.digest().as_ref();
        let reference = format!("layer-{digest}");
        let writer = match own {
            None => writer,
            Some(own) => {
                own.growing.complete();
                writer.close().await;
                // Opened again, containerd hashes what it finds.
                match self.client.await_writer(&reference, descriptor.size(), digest).await {
                    Ok(writer) => writer,
                    Err(error) if error.code == Code::AlreadyExists => return Ok(Brought::Stored),
                    Err(error) => return Err(error.into()),
                }
            }
        };
        labels.extend([self.source()]);
        match writer.commit(digest, labels).await {
            Ok(()) => Ok(Brought::Stored),
            Err(error) if error.code == Code::AlreadyExists => Ok(Brought::Stored),
            Err(error) if error.code == Code::FailedPrecondition => {
                Ok(Brought::Wrong(format!("other bytes: {error}")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// containerd's label on where a blob can be had again, which pushes use to mount instead of upload.
    fn source(&self) -> (String, String) {
        (super::source::key(self.reference), self.reference.path().to_owned())
    }

    async fn note_source(&self, digest: &str, mut labels: HashMap<String, String>) -> Result<()> {
        let known = self.client.blob(digest).await?.labels;
        labels.extend(super::source::label(&known, self.reference));
        labels.retain(|key, value| known.get(key) != Some(value));
        if !labels.is_empty() {
            self.client.label_blob(digest, labels).await?;
        }
        Ok(())
    }

    /// Store a manifest that came already, with where it came from.
    pub(super) async fn keep(
        &self,
        descriptor: &Descriptor,
        bytes: &[u8],
        mut labels: HashMap<String, String>,
    ) -> Result<()> {
        labels.extend([self.source()]);
        self.client.write_blob(descriptor.digest().as_ref(), bytes, labels).await?;
        Ok(())
    }
}
