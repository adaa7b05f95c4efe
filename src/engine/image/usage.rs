//! What an image's parts are and how much room they take.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use jiff::Timestamp;
use oci_spec::image::{Descriptor, ImageManifest};
use serde::Deserialize;

use crate::containerd::Client;
use crate::error::Result;
use crate::image::digest::chain_ids;
use crate::image::media;
use crate::image::platform::Platform;

use super::content::{Target, read_json, read_target};

/// What lists show of a configuration; the rest is not read.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Brief {
    pub(super) created: Option<Timestamp>,
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    config: Option<BriefConfig>,
    #[serde(default)]
    rootfs: BriefRootfs,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct BriefConfig {
    #[serde(rename = "Labels")]
    labels: Option<HashMap<String, String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct BriefRootfs {
    diff_ids: Option<Vec<String>>,
}

impl Brief {
    pub(super) fn platform(&self) -> Platform {
        Platform::normalised(&self.os, &self.architecture, self.variant.as_deref().unwrap_or_default())
    }

    pub(super) fn labels(&self) -> impl Iterator<Item = (&String, &String)> {
        self.config.iter().filter_map(|config| config.labels.as_ref()).flatten()
    }
}

/// One platform of an image that is here.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) descriptor: Descriptor,
    pub(super) manifest: ImageManifest,
    pub(super) brief: Brief,
    pub(super) chain: Vec<String>,
}

impl Part {
    /// Bytes of manifest, configuration and layers in the content store.
    pub(super) fn content(&self) -> u64 {
        let layers: u64 = self.manifest.layers().iter().map(Descriptor::size).sum();
        self.descriptor.size() + self.manifest.config().size() + layers
    }
}

/// The platforms of `target` that are here. `present` are the blobs of the namespace, which saves asking for
/// those that are not.
pub(super) async fn parts(
    client: &Client,
    target: &Descriptor,
    present: &HashSet<String>,
) -> Result<Vec<Part>> {
    let entries = match read_target(client, target).await? {
        Target::Manifest(manifest) => vec![(target.clone(), Some(*manifest))],
        Target::Index(index) => index
            .manifests()
            .iter()
            .filter(|entry| media::is_manifest(entry.media_type()) && !media::is_attestation(entry))
            .filter(|entry| present.contains(entry.digest().as_ref()))
            .map(|entry| (entry.clone(), None))
            .collect(),
    };
    let read = entries.into_iter().map(async |(descriptor, manifest)| {
        let manifest = match manifest {
            Some(manifest) => manifest,
            None => read_json(client, &descriptor).await.ok()?,
        };
        let brief: Brief = read_json(client, manifest.config()).await.ok()?;
        let chain = chain_ids(brief.rootfs.diff_ids.as_deref().unwrap_or_default());
        Some(Part { descriptor, manifest, brief, chain })
    });
    Ok(join_all(read).await.into_iter().flatten().collect())
}

/// Bytes of each snapshot; those not unpacked have none.
pub(super) async fn snapshot_sizes(
    client: &Client,
    snapshotter: &str,
    chains: HashSet<&String>,
) -> HashMap<String, u64> {
    let sizes = chains.into_iter().map(async |chain| {
        (chain.clone(), client.snapshot_usage(snapshotter, chain).await.unwrap_or_default())
    });
    join_all(sizes).await.into_iter().collect()
}
