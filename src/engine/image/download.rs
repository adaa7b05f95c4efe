//! One blob from a registry into the content store: resumed where it stopped, tried again when it breaks.

use std::collections::HashMap;

use oci_spec::image::Descriptor;

use crate::containerd::{BlobWriter, Client, Code};
use crate::error::{Error, Result};
use crate::image::progress::{LayerState, Progress};
use crate::registry::{BlobStream, Cause, Failure, Reference, Registry};

/// Bytes handed to containerd at a time: few calls, little memory.
const PART: usize = 1 << 20;
/// Tries without a single new byte.
const ATTEMPTS: u32 = 6;

/// Where blobs come from and go to.
pub(super) struct Download<'a> {
    /// Under a lease.
    pub(super) client: &'a Client,
    pub(super) registry: &'a Registry,
    pub(super) reference: &'a Reference,
    pub(super) progress: &'a dyn Progress,
}

impl Download<'_> {
    /// Bring the blob of `descriptor`; true when it was there before.
    pub(super) async fn blob(
        &self,
        descriptor: &Descriptor,
        labels: HashMap<String, String>,
    ) -> Result<bool> {
        let digest = descriptor.digest().as_ref();
        let reference = format!("layer-{digest}");
        let Some(mut writer) = self.open(&reference, descriptor).await? else {
            self.note_source(digest, labels).await?;
            return Ok(true);
        };
        if writer.offset() > descriptor.size() {
            writer.truncate().await?;
        }
        let mut attempt = 0;
        while writer.offset() < descriptor.size() {
            let before = writer.offset();
            let Err(failure) = self.fill(&mut writer, descriptor).await? else { break };
            if writer.offset() > before {
                attempt = 0;
            }
            let wait = failure.back_off(attempt).filter(|_| attempt + 1 < ATTEMPTS);
            let Some(wait) = wait else {
                return Err(failure.error.context(format!("failed to fetch {digest}")));
            };
            if failure.cause == Cause::Range {
                writer.truncate().await?;
            }
            self.progress.layer(digest, LayerState::Retrying(wait));
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
        self.progress.layer(digest, LayerState::Verifying);
        self.commit(writer, &reference, digest, labels).await?;
        Ok(false)
    }

    /// One request: write what arrives. The outer error is containerd's, the inner one the registry's.
    async fn fill(&self, writer: &mut BlobWriter, descriptor: &Descriptor) -> Result<Result<(), Failure>> {
        let (digest, total) = (descriptor.digest().as_ref(), descriptor.size());
        self.progress.layer(digest, LayerState::Downloading { done: writer.offset(), total });
        let mut stream: BlobStream = match self.registry.blob(descriptor, writer.offset()).await {
            Ok(stream) => stream,
            Err(failure) => return Ok(Err(failure)),
        };
        loop {
            let mut part = Vec::with_capacity(PART + (64 << 10));
            let more = stream.read(&mut part, PART).await;
            if writer.offset() + part.len() as u64 > total {
                return Err(Error::failed(format!(
                    "blob {digest} is larger than the {total} bytes announced"
                ))
                .hint("the registry or something on the way to it is faulty: try again, or another mirror"));
            }
            writer.write(part).await?;
            self.progress.layer(digest, LayerState::Downloading { done: writer.offset(), total });
            match more {
                Err(failure) => return Ok(Err(failure)),
                Ok(true) => {}
                Ok(false) if writer.offset() == total => return Ok(Ok(())),
                Ok(false) => {
                    let error = Error::failed(format!(
                        "the connection ended after {} of {total} bytes",
                        writer.offset()
                    ));
                    return Ok(Err(Failure { cause: Cause::Transient(None), error }));
                }
            }
        }
    }

    /// Open the ingest; None when the blob is there. Another process that writes it is waited for.
    async fn open(&self, reference: &str, descriptor: &Descriptor) -> Result<Option<BlobWriter>> {
        let digest = descriptor.digest().as_ref();
        match self.client.await_writer(reference, descriptor.size(), digest).await {
            Ok(writer) => Ok(Some(writer)),
            Err(error) if error.code == Code::AlreadyExists => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn commit(
        &self,
        writer: BlobWriter,
        reference: &str,
        digest: &str,
        mut labels: HashMap<String, String>,
    ) -> Result<()> {
        labels.extend([self.source()]);
        match writer.commit(digest, labels).await {
            Ok(()) => Ok(()),
            Err(error) if error.code == Code::AlreadyExists => Ok(()),
            Err(error) if error.code == Code::FailedPrecondition => {
                // Wrong bytes must not be taken up again.
                let _ = self.client.abort_ingest(reference).await;
                Err(Error::failed(format!("verification failed for digest {digest}: {error}")).hint(
                    "the registry or something on the way to it is faulty: try again, or another mirror",
                ))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// containerd's label on where a blob can be had again, which pushes use to mount instead of upload.
    fn source(&self) -> (String, String) {
        let key = format!("containerd.io/distribution.source.{}", self.reference.domain());
        (key, self.reference.path().to_owned())
    }

    async fn note_source(&self, digest: &str, mut labels: HashMap<String, String>) -> Result<()> {
        let known = self.client.blob(digest).await?.labels;
        let (key, path) = self.source();
        let value = match known.get(&key) {
            None => path,
            Some(value) if value.split(',').any(|known| known == path) => value.clone(),
            Some(value) => format!("{value},{path}"),
        };
        labels.insert(key, value);
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
