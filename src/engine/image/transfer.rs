//! Transfer: an image from one containerd to another, as far as the other lacks it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::TryStreamExt as _;
use oci_spec::image::{Descriptor, ImageManifest};

use crate::containerd::{Client, Code};
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::image::media;
use crate::image::platform::Platform;
use crate::image::progress::{LayerState, Progress};

use super::content::{Target, read_target};
use super::kubernetes::{KUBERNETES, register};
use super::lease::Lease;
use super::name;
use super::resolve::{ResolvedImage, find, read};
use super::unpack::{Job, unpack};

/// Blobs sent side by side.
const SIDE_BY_SIDE: usize = 3;

/// What was transferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// The name over there, in full.
    pub name: String,
    /// What it points at.
    pub target: Descriptor,
    /// Blobs of the image.
    pub blobs: u64,
    /// Those that were missing over there.
    pub sent: u64,
    /// Bytes that went over.
    pub bytes: u64,
}

/// Bring the image `name` of `source` to `target` (with the manifest of `platform` alone, where one is given): only
/// blobs that are missing there, verified there, unpacked and named. What a broken connection leaves is taken up by the
/// next try.
///
/// # Errors
/// [`Kind::NotFound`] when there is no such image; an image that is not whole here; what the other side refuses.
pub async fn transfer(
    source: &Engine,
    target: &Engine,
    name: &str,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Transferred> {
    let record = find(source, name).await?;
    if name::is_dangling(&record.name) {
        return Err(Error::failed(format!("{name} has no name to be known by over there"))
            .hint("give it one: `wharfie tag ID NAME`"));
    }
    let image = read(&source.containerd, &record, platform).await?;
    let tree = tree(&source.containerd, &image, platform.is_some()).await?;
    // The process ids of two machines say nothing of one another.
    let lease = Lease::begin(target, &format!("transfer {} from {}", record.name, machine())).await?;
    let transfer =
        Transfer { source: &source.containerd, target: &lease.client, progress, bytes: AtomicU64::new(0) };
    let result = transfer.run(&image, &tree, &target.config.snapshotter).await;
    let bytes = transfer.bytes.into_inner();
    let unfinished = matches!(&result, Err(error) if error.kind == Kind::Unavailable);
    if !unfinished {
        // Otherwise the parts that are there stay until the lease expires, for the next try.
        lease.end(result.is_err()).await;
    }
    let sent = result.map_err(|error| match error.kind {
        Kind::Unavailable => error.hint("push again: it goes on where it stopped"),
        _ => error,
    })?;
    source.note(&[event::of_image("push", &record.name, &record.name)]);
    Ok(Transferred {
        name: record.name,
        target: image.target,
        blobs: (tree.blobs.len() + tree.manifests.len()) as u64,
        sent,
        bytes,
    })
}

/// Everything that an image consists of and that is here.
struct Tree {
    /// Layers and configurations.
    blobs: Vec<Descriptor>,
    /// Manifests and then the index, with the labels that keep what they refer to.
    manifests: Vec<(Descriptor, HashMap<String, String>)>,
}

/// The tree of `image`: of an index every manifest that is whole here, or only the chosen one.
async fn tree(client: &Client, image: &ResolvedImage, only_chosen: bool) -> Result<Tree> {
    let mut tree = Tree { blobs: Vec::new(), manifests: Vec::new() };
    let Target::Index(index) = read_target(client, &image.target).await? else {
        tree.add(&image.target, &image.manifest);
        require(client, &image.manifest, &image.name).await?;
        return Ok(tree);
    };
    for entry in index.manifests() {
        let is_chosen = entry.digest() == image.manifest_descriptor.digest();
        if only_chosen && !is_chosen {
            continue;
        }
        // Of the platforms that nobody asked for, some or none are here.
        let Ok(Target::Manifest(manifest)) = read_target(client, entry).await else { continue };
        match require(client, &manifest, &image.name).await {
            Ok(()) => tree.add(entry, &manifest),
            Err(error) if is_chosen => return Err(error),
            Err(_) => {}
        }
    }
    tree.manifests.push((image.target.clone(), media::index_labels(&index)));
    Ok(tree)
}

impl Tree {
    fn add(&mut self, descriptor: &Descriptor, manifest: &ImageManifest) {
        for blob in manifest.layers().iter().chain([manifest.config()]) {
            if self.blobs.iter().all(|known| known.digest() != blob.digest()) {
                self.blobs.push(blob.clone());
            }
        }
        self.manifests.push((descriptor.clone(), media::manifest_labels(manifest)));
    }
}

/// Fails where a blob of the manifest is not here: nothing is sent that could not be used.
async fn require(client: &Client, manifest: &ImageManifest, name: &str) -> Result<()> {
    for blob in manifest.layers().iter().chain([manifest.config()]) {
        match client.blob(blob.digest().as_ref()).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => {
                return Err(Error::failed(format!(
                    "{name}: content {} is not in containerd's store",
                    blob.digest()
                ))
                .hint("the image is incomplete here: pull it again"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

struct Transfer<'a> {
    source: &'a Client,
    /// Under a lease.
    target: &'a Client,
    progress: &'a dyn Progress,
    bytes: AtomicU64,
}

impl Transfer<'_> {
    /// How many blobs went over.
    async fn run(&self, image: &ResolvedImage, tree: &Tree, snapshotter: &str) -> Result<u64> {
        for layer in image.manifest.layers() {
            self.progress.layer(layer.digest().as_ref(), LayerState::Waiting);
        }
        let mut sent = futures_util::stream::iter(tree.blobs.iter().map(Ok::<_, Error>))
            .map_ok(|blob| async move { Ok::<u64, Error>(u64::from(self.blob(blob).await?)) })
            .try_buffer_unordered(SIDE_BY_SIDE)
            .try_fold(0, |sum, one| async move { Ok(sum + one) })
            .await?;
        // Whoever refers to a blob comes after it, with the label that keeps it.
        for (descriptor, labels) in &tree.manifests {
            sent += u64::from(self.blob(descriptor).await?);
            self.target.label_blob(descriptor.digest().as_ref(), labels.clone()).await?;
        }
        let job = Job::new(self.target, snapshotter, &image.manifest, &image.config);
        unpack(&job, self.progress).await?;
        self.name(image).await?;
        Ok(sent)
    }

    /// Send a blob; false when it is there.
    async fn blob(&self, descriptor: &Descriptor) -> Result<bool> {
        let (digest, total) = (descriptor.digest().as_ref(), descriptor.size());
        // A pull's reference: what either has brought already counts for the other.
        let reference = format!("layer-{digest}");
        let mut writer = match self.target.await_writer(&reference, total, digest).await {
            Ok(writer) => writer,
            Err(error) if error.code == Code::AlreadyExists => {
                self.progress.layer(digest, LayerState::Exists);
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        if writer.offset() > total {
            writer.truncate().await?;
        }
        if writer.offset() < total {
            let mut reader = self.source.blob_reader(digest, writer.offset()).await?;
            while let Some(part) = reader.part().await? {
                self.progress.layer(digest, LayerState::Downloading { done: writer.offset(), total });
                self.bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
                writer.write(part).await?;
            }
        }
        self.progress.layer(digest, LayerState::Verifying);
        match writer.commit(digest, HashMap::new()).await {
            Ok(()) => Ok(true),
            Err(error) if error.code == Code::AlreadyExists => Ok(true),
            Err(error) if error.code == Code::FailedPrecondition => {
                // Wrong bytes must not be taken up again.
                let _ = self.target.abort_ingest(&reference).await;
                Err(Error::failed(format!("verification failed for digest {digest}: {error}"))
                    .hint("push again; if it stays, the content here is damaged: pull the image again"))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Name the image. Kubernetes knows it by its id and its digest as well, and each by a label.
    async fn name(&self, image: &ResolvedImage) -> Result<()> {
        if self.target.namespace() != KUBERNETES {
            return name::put(self.target, &image.name, &image.target).await;
        }
        register(self.target, image, &[&image.name], false).await.map(drop)
    }
}

/// What tells this machine from others until its next boot.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{name} {}", boot.trim())
}
