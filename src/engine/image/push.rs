//! Push: an image of the content store to a registry; what the registry has already is not sent again.

use futures_util::StreamExt as _;
use oci_spec::image::{Descriptor, Digest, ImageManifest};

use crate::containerd::Client;
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::image::media::{LARGEST_MANIFEST, is_known_manifest};
use crate::image::progress::{LayerState, Progress, Silent};
use crate::registry::{Reference, Registry};

use super::content::{Target, parse_target};

/// What to push.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// The index or manifest.
    pub target: Descriptor,
    /// The name in the registry, with its tag or digest.
    pub reference: Reference,
    /// Also layers that their makers do not allow to be passed on.
    pub nondistributable: bool,
}

/// What was pushed.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// What the name points at in the registry now.
    pub target: Descriptor,
    /// Blobs that were sent.
    pub sent: usize,
}

struct Push<'a> {
    client: &'a Client,
    registry: Registry,
    request: &'a PushRequest,
    progress: &'a dyn Progress,
    sent: usize,
}

/// Push an image. Whatever a manifest names goes before it, so that a push that breaks leaves no broken image.
/// An index goes with those of its manifests that are here whole; that some are not is an error, because the
/// registry would refuse it.
pub async fn push(engine: &Engine, request: &PushRequest, progress: &dyn Progress) -> Result<Pushed> {
    let registry = Registry::open(&engine.config, &request.reference)?;
    let mut push = Push { client: &engine.containerd, registry, request, progress, sent: 0 };
    let name = match request.reference.digest() {
        Some(digest) => digest.to_string(),
        None => request.reference.identifier(),
    };
    push.tree(&request.target, &name).await?;
    let familiar = request.reference.familiar();
    engine.note(&[event::of_image("push", &familiar, &familiar)]);
    Ok(Pushed { target: request.target.clone(), sent: push.sent })
}

/// Push one blob of the store, or a manifest of this media type, whatever names it.
pub async fn push_object(engine: &Engine, reference: &Reference, digest: &str, kind: &str) -> Result<()> {
    let size = engine.containerd.blob(digest).await?.size;
    let parsed = digest.parse::<Digest>().map_err(|_| Error::failed("invalid checksum digest format"))?;
    let target = Descriptor::new(kind.into(), size, parsed);
    let registry = Registry::open(&engine.config, reference)?;
    let request =
        PushRequest { target: target.clone(), reference: reference.clone(), nondistributable: true };
    let mut push =
        Push { client: &engine.containerd, registry, request: &request, progress: &Silent, sent: 0 };
    if !is_known_manifest(kind) {
        return push.blob(&target).await;
    }
    let bytes = push.read(&target).await?;
    push.registry.push_manifest(&target, bytes, &reference.identifier()).await
}

impl Push<'_> {
    async fn tree(&mut self, target: &Descriptor, name: &str) -> Result<()> {
        let bytes = self.read(target).await?;
        match parse_target(target, &bytes)? {
            Target::Manifest(manifest) => self.parts(&manifest).await?,
            Target::Index(index) => {
                for entry in index.manifests() {
                    let bytes = self.read(entry).await?;
                    let Target::Manifest(manifest) = parse_target(entry, &bytes)? else {
                        return Err(Error::failed(format!(
                            "{}: an index inside of an index",
                            target.digest()
                        )));
                    };
                    self.parts(&manifest).await?;
                    self.registry.push_manifest(entry, bytes, entry.digest().as_ref()).await?;
                }
            }
        }
        self.registry.push_manifest(target, bytes, name).await
    }

    async fn parts(&mut self, manifest: &ImageManifest) -> Result<()> {
        for part in manifest.layers().iter().chain([manifest.config()]) {
            let kind = part.media_type().to_string();
            let foreign = kind.contains("foreign") || kind.contains("nondistributable");
            if !foreign || self.request.nondistributable {
                self.blob(part).await?;
            }
        }
        Ok(())
    }

    async fn blob(&mut self, blob: &Descriptor) -> Result<()> {
        let digest = blob.digest().to_string();
        self.progress.layer(&digest, LayerState::Waiting);
        let client = self.client;
        let sent = self
            .registry
            .push_blob(blob, async || {
                let reader =
                    client.blob_reader(&digest, 0).await.map_err(|error| missing(error.into(), &digest))?;
                let parts = futures_util::stream::try_unfold(reader, async |mut reader| {
                    Ok(reader.part().await?.map(|part| (part, reader)))
                });
                Ok(parts.boxed())
            })
            .await?;
        self.sent += usize::from(sent);
        self.progress.layer(&digest, if sent { LayerState::Done } else { LayerState::Exists });
        Ok(())
    }

    async fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = descriptor.digest().as_ref();
        let read = self.client.read_blob(digest, LARGEST_MANIFEST).await;
        read.map_err(|error| missing(error.into(), digest))
    }
}

fn missing(error: Error, digest: &str) -> Error {
    match error.kind {
        Kind::NotFound => Error::not_found(format!("content {digest} is not in containerd's store"))
            .hint("the image is incomplete, often because other platforms were not pulled: push one platform with --platform"),
        _ => error,
    }
}
