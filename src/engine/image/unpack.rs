//! Layers into snapshots. One function, `unpack`, behind which the way of unpacking may change.

use std::collections::HashMap;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};
use tokio::sync::oneshot;

use crate::containerd::{Client, Code};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::digest::chain_ids;
use crate::image::media;
use crate::image::progress::{LayerState, Progress};

use super::lease::Lease;
use super::resolve::ResolvedImage;

/// containerd's label by which a snapshot is known before it is committed.
const SNAPSHOT_REF: &str = "containerd.io/snapshot.ref";

/// The layers of one image on their way into a snapshotter.
pub(super) struct Job<'a> {
    /// Under a lease.
    pub(super) client: &'a Client,
    pub(super) snapshotter: &'a str,
    pub(super) layers: &'a [Descriptor],
    pub(super) diff_ids: &'a [String],
    /// The configuration's digest, which keeps the snapshot afterwards.
    pub(super) config: &'a str,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        client: &'a Client,
        snapshotter: &'a str,
        manifest: &'a ImageManifest,
        config: &'a ImageConfiguration,
    ) -> Self {
        Self {
            client,
            snapshotter,
            layers: manifest.layers(),
            diff_ids: config.rootfs().diff_ids(),
            config: manifest.config().digest().as_ref(),
        }
    }
}

/// Unpack what is not there yet, each layer once its `ready` comes (all are ready when there are none).
/// Returns the chain id of the whole: the snapshot that containers stand on.
pub(super) async fn unpack(
    job: &Job<'_>,
    ready: Vec<oneshot::Receiver<()>>,
    progress: &dyn Progress,
) -> Result<String> {
    let chain = chain_ids(job.diff_ids);
    let there = unpacked(job, &chain).await?;
    let mut ready = ready.into_iter();
    for (index, (layer, diff_id)) in job.layers.iter().zip(job.diff_ids).enumerate() {
        if let Some(arrival) = ready.next() {
            arrival.await.map_err(|_| Error::failed(format!("layer {} did not arrive", layer.digest())))?;
        }
        let digest = layer.digest().as_ref();
        if index >= there {
            progress.layer(digest, LayerState::Extracting);
            let parent = index.checked_sub(1).and_then(|below| chain.get(below)).map_or("", String::as_str);
            let Some(name) = chain.get(index) else { break };
            apply(job, layer, diff_id, (parent, name)).await?;
        }
        progress.layer(digest, if index >= there { LayerState::Done } else { LayerState::Exists });
    }
    let Some(top) = chain.last() else { return Ok(String::new()) };
    let keep = HashMap::from([(media::snapshot_label(job.snapshotter), top.clone())]);
    job.client.label_blob(job.config, keep).await?;
    Ok(top.clone())
}

/// How many layers from below are snapshots already.
async fn unpacked(job: &Job<'_>, chain: &[String]) -> Result<usize> {
    for (index, name) in chain.iter().enumerate().rev() {
        match job.client.snapshot(job.snapshotter, name).await {
            Ok(_) => return Ok(index + 1),
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                return Err(crate::Error::from(error).context(format!("snapshotter {}", job.snapshotter)));
            }
        }
    }
    Ok(0)
}

async fn apply(job: &Job<'_>, layer: &Descriptor, diff_id: &str, (parent, name): (&str, &str)) -> Result<()> {
    let labels = HashMap::from([(SNAPSHOT_REF.to_owned(), name.to_owned())]);
    let key = format!("extract-{}-{}", std::process::id(), name);
    let prepared = job.client.prepare_snapshot(job.snapshotter, &key, parent, labels.clone()).await;
    let mounts = match prepared {
        Ok(mounts) => mounts,
        // A pull beside us finished it, or the snapshotter brings it by itself.
        Err(error) if error.code == Code::AlreadyExists => {
            match job.client.snapshot(job.snapshotter, name).await {
                Ok(_) => return Ok(()),
                // An earlier try of a process with our id.
                Err(_) => job.client.snapshot_mounts(job.snapshotter, &key).await?,
            }
        }
        Err(error) => return Err(error.into()),
    };
    let written = write(job, layer, diff_id, &mounts).await;
    let committed = match written {
        Ok(()) => job.client.commit_snapshot(job.snapshotter, name, &key, labels).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    if let Err(error) = committed {
        let _ = job.client.remove_snapshot(job.snapshotter, &key).await;
        return match job.client.snapshot(job.snapshotter, name).await {
            Ok(_) => Ok(()),
            Err(_) => Err(error),
        };
    }
    Ok(())
}

/// Let containerd's differ write the layer, and compare what it wrote with what the image promises.
async fn write(
    job: &Job<'_>,
    layer: &Descriptor,
    diff_id: &str,
    mounts: &[crate::containerd::Mount],
) -> Result<()> {
    let digest = layer.digest();
    let applied = job.client.apply_layer(layer, mounts).await.map_err(|error| {
        Error::from(error)
            .context(format!("failed to extract layer {digest}"))
            .hint("the layer is damaged, the disk is full, or its compression is unknown to this containerd")
    })?;
    if applied.digest().as_ref() != diff_id {
        return Err(Error::failed(format!(
            "wrong diff id: layer {digest} unpacks to {}, the image's configuration says {diff_id}",
            applied.digest()
        )));
    }
    let label = HashMap::from([("containerd.io/uncompressed".to_owned(), diff_id.to_owned())]);
    job.client.label_blob(digest.as_ref(), label).await?;
    Ok(())
}

/// Make sure that the image's snapshot is there: one call when it is. For images that other clients pulled
/// without unpacking, or for another snapshotter.
pub async fn ensure_unpacked(engine: &Engine, image: &ResolvedImage, progress: &dyn Progress) -> Result<()> {
    let snapshotter = &engine.config.snapshotter;
    if image.chain_id.is_empty() || engine.containerd.snapshot(snapshotter, &image.chain_id).await.is_ok() {
        return Ok(());
    }
    let lease = Lease::begin(engine, &image.chain_id).await?;
    let job = Job::new(&lease.client, snapshotter, &image.manifest, &image.config);
    let result = unpack(&job, vec![], progress).await;
    lease.end(result.is_err()).await;
    result.map(|_| ())
}
