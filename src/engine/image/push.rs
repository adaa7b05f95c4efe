//! Push: an image of the content store to a registry; what the registry has already is not sent again.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use oci_spec::image::{Descriptor, Digest, ImageIndex, ImageManifest};

use crate::containerd::Client;
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::image::media::{LARGEST_MANIFEST, is_attestation, is_known_manifest};
use crate::image::platform::Platform;
use crate::image::progress::{Event, LayerState, Progress, Silent};
use crate::registry::{Body, Delivery, Parcel, Receiver, Reference, Registry};

use super::content::{Target, parse_target};
use super::lease::Lease;
use super::{name, source};

/// Blobs sent side by side, as docker does.
const SIDE_BY_SIDE: usize = 5;
/// Indexes may name indexes; so deep ones are an attack.
const DEEPEST: u8 = 4;

/// What to push.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// The index or manifest.
    pub target: Descriptor,
    /// The name in the registry, with its tag or digest.
    pub reference: Reference,
    /// Also layers that their makers do not allow to be passed on.
    pub nondistributable: bool,
    /// Of an index that is not here whole, push the one image that is instead.
    pub else_one: bool,
}

/// What was pushed.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// What the name points at in the registry now.
    pub target: Descriptor,
    /// The index in whose place it was pushed, because not all of that is here.
    pub instead_of: Option<Descriptor>,
}

struct Push<'a> {
    client: &'a Client,
    receiver: Receiver<'a>,
    request: &'a PushRequest,
    progress: &'a dyn Progress,
}

/// What is to be sent, in this order.
#[derive(Default)]
struct Plan {
    /// Configurations and layers, each once.
    blobs: Vec<Descriptor>,
    /// Manifests and indexes with their bytes; whatever names another one comes after it.
    manifests: Vec<(Descriptor, Vec<u8>)>,
    /// The first thing that is neither here nor there.
    missing: Option<String>,
}

/// Every name here of the repository of `reference`, in order.
pub async fn names_of(engine: &Engine, reference: &Reference) -> Result<Vec<Reference>> {
    let images = engine.containerd.images(&[]).await?;
    let named = images.iter().filter(|image| !name::is_dangling(&image.name));
    let parsed = named.filter_map(|image| Reference::parse(&image.name).ok());
    let mut found: Vec<Reference> =
        parsed.filter(|one| one.name() == reference.name() && one.digest().is_none()).collect();
    found.sort_by(|one, other| one.tag().cmp(&other.tag()));
    Ok(found)
}

/// Push an image. Whatever a manifest names goes before it, so that a push that breaks leaves no broken image.
///
/// # Errors
/// What is neither here nor in the registry; what the registry says.
pub async fn push(engine: &Engine, request: &PushRequest, progress: &dyn Progress) -> Result<Pushed> {
    let registry = Registry::open(&engine.config, &request.reference)?;
    let lease = Lease::begin(engine, &format!("push {}", request.reference.canonical())).await?;
    let result = async {
        // Whoever removes the image meanwhile does not take it from under us.
        lease.keep(request.target.digest().as_ref()).await?;
        let receiver = registry.receiver(&request.target).await?;
        Push { client: &lease.client, receiver, request, progress }.run().await
    };
    let result = result.await;
    lease.end(false).await;
    let pushed = result?;
    let familiar = request.reference.familiar();
    engine.note(&[event::of_image("push", &familiar, &familiar)]);
    Ok(pushed)
}

/// Push one blob of the store, or a manifest of this media type, whatever names it.
pub async fn push_object(engine: &Engine, reference: &Reference, digest: &str, kind: &str) -> Result<()> {
    let size = engine.containerd.blob(digest).await?.size;
    let parsed = digest.parse::<Digest>().map_err(|_| Error::failed("invalid checksum digest format"))?;
    let target = Descriptor::new(kind.into(), size, parsed);
    let registry = Registry::open(&engine.config, reference)?;
    let request = PushRequest {
        target: target.clone(),
        reference: reference.clone(),
        nondistributable: true,
        else_one: false,
    };
    let receiver = registry.receiver(&target).await?;
    let push = Push { client: &engine.containerd, receiver, request: &request, progress: &Silent };
    if !is_known_manifest(kind) {
        return push.blob(&target).await;
    }
    let bytes = push.read(&target).await?;
    push.manifest(&target, &bytes, &reference.identifier()).await
}

impl Push<'_> {
    async fn run(&self) -> Result<Pushed> {
        let (wanted, mut instead_of) = (&self.request.target, None);
        let mut target = wanted.clone();
        let mut plan = Plan::default();
        self.plan(wanted, &mut plan, DEEPEST).await?;
        if let Some(digest) = &plan.missing {
            target = match self.request.else_one {
                true => self.only_image(wanted, digest).await?,
                false => return Err(missing(digest)),
            };
            instead_of = Some(wanted.clone());
            plan = Plan::default();
            self.plan(&target, &mut plan, 0).await?;
        }
        for (_, bytes) in &plan.manifests {
            // Only layers are shown, as in a pull.
            if let Ok(manifest) = serde_json::from_slice::<ImageManifest>(bytes) {
                for layer in manifest.layers() {
                    self.progress.layer(layer.digest().as_ref(), LayerState::Waiting);
                }
            }
        }
        futures_util::stream::iter(plan.blobs.iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(SIDE_BY_SIDE, |blob| self.blob(blob))
            .await?;
        let name = self.request.reference.identifier();
        for (descriptor, bytes) in &plan.manifests {
            let is_top = descriptor.digest() == target.digest();
            // An image that is pushed in place of an index cannot have the index's digest for a name.
            let by_name = is_top && (self.request.reference.digest().is_none());
            let name = if by_name { &name } else { descriptor.digest().as_ref() };
            self.manifest(descriptor, bytes, name).await?;
        }
        Ok(Pushed { target, instead_of })
    }

    /// Everything that goes with `target`. Of an index's manifests, those that are not here may be there.
    async fn plan(&self, target: &Descriptor, plan: &mut Plan, depth: u8) -> Result<()> {
        let bytes = self.read(target).await?;
        match parse_target(target, &bytes)? {
            Target::Manifest(manifest) => plan.blobs.extend(self.parts(&manifest).cloned()),
            Target::Index(_) if depth == 0 => {
                return Err(Error::failed(format!("{}: indexes inside of indexes", target.digest())));
            }
            Target::Index(index) => {
                for entry in index.manifests() {
                    if self.is_here(entry).await? {
                        Box::pin(self.plan(entry, plan, depth - 1)).await?;
                    } else if !self.is_there(entry).await? {
                        plan.missing.get_or_insert(entry.digest().to_string());
                    }
                }
            }
        }
        let mut known = HashSet::new();
        plan.blobs.retain(|blob| known.insert(blob.digest().to_string()));
        if plan.manifests.iter().all(|(planned, _)| planned.digest() != target.digest()) {
            plan.manifests.push((target.clone(), bytes));
        }
        Ok(())
    }

    /// Layers and configuration, as far as they may be passed on.
    fn parts<'m>(&self, manifest: &'m ImageManifest) -> impl Iterator<Item = &'m Descriptor> {
        let all = self.request.nondistributable;
        manifest.layers().iter().chain([manifest.config()]).filter(move |part| {
            let kind = part.media_type().to_string();
            all || !(kind.contains("foreign") || kind.contains("nondistributable"))
        })
    }

    /// Whether a manifest is here with all its parts; of an index, itself.
    async fn is_here(&self, entry: &Descriptor) -> Result<bool> {
        let bytes = match self.client.read_blob(entry.digest().as_ref(), LARGEST_MANIFEST).await {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        let Target::Manifest(manifest) = parse_target(entry, &bytes)? else { return Ok(true) };
        for part in self.parts(&manifest) {
            match self.client.blob(part.digest().as_ref()).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    async fn is_there(&self, entry: &Descriptor) -> Result<bool> {
        let asked = self.receiver.has_manifest(entry, entry.digest().as_ref()).await;
        asked.map_err(|failure| self.receiver.refused(failure))
    }

    /// The image to push in place of an index that is not here whole: the only one that is here, or this machine's.
    async fn only_image(&self, index: &Descriptor, absent: &str) -> Result<Descriptor> {
        let Target::Index(index) = parse_target(index, &self.read(index).await?)? else {
            return Err(missing(absent));
        };
        let here = self.images_here(&index).await?;
        match here.as_slice() {
            [] => Err(missing(absent)),
            [one] => Ok(one.clone()),
            several => Platform::host().pick(several).first().copied().cloned().ok_or_else(|| {
                Error::conflict("multiple matching manifests found but no specific platform requested")
                    .hint("push one of them with --platform")
            }),
        }
    }

    async fn images_here(&self, index: &ImageIndex) -> Result<Vec<Descriptor>> {
        let mut here = Vec::new();
        for entry in index.manifests().iter().filter(|entry| !is_attestation(entry)) {
            let is_image = crate::image::media::is_manifest(entry.media_type());
            if is_image && self.is_here(entry).await? {
                here.push(entry.clone());
            }
        }
        Ok(here)
    }

    async fn manifest(&self, descriptor: &Descriptor, bytes: &[u8], name: &str) -> Result<()> {
        let sent = self.receiver.put_manifest(descriptor, bytes, name).await;
        sent.map_err(|failure| self.failed(failure, descriptor))?;
        self.note_source(descriptor).await
    }

    async fn blob(&self, blob: &Descriptor) -> Result<()> {
        let digest = blob.digest().as_ref();
        let labels = match self.client.blob(digest).await {
            Ok(known) => known.labels,
            // It may be there all the same.
            Err(error) if error.is_not_found() => HashMap::new(),
            Err(error) => return Err(error.into()),
        };
        let known_in = source::other(&labels, &self.request.reference);
        let total = blob.size();
        let parcel = Parcel {
            blob,
            known_in: known_in.as_deref(),
            open: &|offset, size| open(self.client.clone(), digest.to_owned(), offset, size),
            gone: &|done| self.progress.layer(digest, LayerState::Downloading { done, total }),
            waits: &|wait: Duration| self.progress.layer(digest, LayerState::Retrying(wait)),
        };
        let delivered = self.receiver.put_blob(&parcel).await;
        match delivered.map_err(|failure| self.failed(failure, blob))? {
            Delivery::Existed => self.progress.layer(digest, LayerState::Exists),
            Delivery::Mounted(from) => self.progress.report(Event::Mounted { digest, from: &from }),
            Delivery::Sent => self.progress.layer(digest, LayerState::Verifying),
        }
        self.note_source(blob).await
    }

    /// Note that the repository has it now, for a push to its neighbour.
    async fn note_source(&self, blob: &Descriptor) -> Result<()> {
        let digest = blob.digest().as_ref();
        match self.client.blob(digest).await {
            Ok(known) => Ok(source::note(self.client, digest, &known.labels, &self.request.reference).await?),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn failed(&self, failure: crate::registry::Failure, what: &Descriptor) -> Error {
        let error = self.receiver.refused(failure);
        let digest = what.digest().as_ref();
        match error.message.contains(digest) {
            true => error,
            false => Error { message: format!("{}: failed to push {digest}", error.message), ..error },
        }
    }

    async fn read(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = descriptor.digest().as_ref();
        let read = self.client.read_blob(digest, LARGEST_MANIFEST).await;
        read.map_err(|error| of_read(error, digest))
    }
}

/// Bytes of a blob, asked for when they are wanted.
fn open(client: Client, digest: String, offset: u64, size: u64) -> Body {
    let begin = async move {
        let reader =
            client.blob_range(&digest, offset, size).await.map_err(|error| of_read(error, &digest))?;
        Ok::<_, Error>(futures_util::stream::try_unfold(reader, async |mut reader| {
            Ok(reader.part().await?.map(|part| (part, reader)))
        }))
    };
    futures_util::stream::once(begin).try_flatten().boxed()
}

fn of_read(error: crate::containerd::Error, digest: &str) -> Error {
    if error.is_not_found() { missing(digest) } else { error.into() }
}

fn missing(digest: &str) -> Error {
    Error::new(Kind::NotFound, format!("content {digest} is not in containerd's store"))
        .hint("the image is incomplete, often because other platforms were not pulled: push one platform with --platform")
}
