//! What an image's parts are and how much room they take.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::future::join_all;
use jiff::Timestamp;
use oci_spec::image::{Descriptor, ImageManifest};
use serde::Deserialize;

use crate::containerd::{BlobInfo, Client, Image};
use crate::engine::Engine;
use crate::error::Result;
use crate::image::digest::chain_ids;
use crate::image::media;
use crate::image::platform::Platform;

use super::content::{Target, read_json, read_target};

/// Where a blob's labels name the snapshot that was unpacked from it: the snapshotter follows.
pub(super) const SNAPSHOT_REFERENCE: &str = "containerd.io/gc.ref.snapshot.";

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

/// Blobs and snapshots with their bytes, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    /// Blobs of the content store by digest.
    blobs: HashMap<String, u64>,
    /// Unpacked layers by snapshotter and chain id.
    snapshots: HashMap<String, u64>,
}

impl Pieces {
    /// Bytes in the content store.
    pub fn content(&self) -> u64 {
        self.blobs.values().sum()
    }

    /// Bytes of the unpacked layers.
    pub fn unpacked(&self) -> u64 {
        self.snapshots.values().sum()
    }

    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.content() + self.unpacked()
    }

    /// Those of the other as well.
    pub(super) fn extend(&mut self, other: &Self) {
        self.blobs.extend(other.blobs.iter().map(|(name, bytes)| (name.clone(), *bytes)));
        self.snapshots.extend(other.snapshots.iter().map(|(name, bytes)| (name.clone(), *bytes)));
    }

    /// Each piece with its bytes. A layer without a parent has the same digest as its content: two pieces all the
    /// same.
    pub(super) fn iter(&self) -> impl Iterator<Item = ((bool, &str), u64)> {
        let blobs = self.blobs.iter().map(|(name, bytes)| ((true, name.as_str()), *bytes));
        blobs.chain(self.snapshots.iter().map(|(name, bytes)| ((false, name.as_str()), *bytes)))
    }

    #[cfg(test)]
    pub(super) fn of_blobs(blobs: &[(&str, u64)]) -> Self {
        let blobs = blobs.iter().map(|(name, bytes)| ((*name).to_owned(), *bytes)).collect();
        Self { blobs, snapshots: HashMap::new() }
    }
}

/// One platform of an image that is here.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) descriptor: Descriptor,
    pub(super) manifest: ImageManifest,
    pub(super) brief: Brief,
    pub(super) chain: Vec<String>,
    /// What it takes.
    pub(super) pieces: Pieces,
}

/// An image, whatever it is called.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// Its records: all have the same target.
    pub(super) records: Vec<Image>,
    /// The platforms that are here.
    pub(super) parts: Vec<Part>,
    /// The manifests that the index names and that are not here.
    pub(super) absent: Vec<Descriptor>,
    /// What all of it takes.
    pub(super) pieces: Pieces,
}

impl Group {
    pub(super) fn names(&self) -> Vec<String> {
        self.records.iter().map(|image| image.name.clone()).collect()
    }

    /// The part for this machine, or else whatever is there.
    pub(super) fn best(&self) -> Option<&Part> {
        let host = Platform::host();
        self.parts.iter().min_by_key(|part| host.fit(&part.brief.platform()).unwrap_or(u8::MAX))
    }
}

/// Every image with what it takes, in the order of containerd's names.
pub(super) async fn groups(engine: &Engine) -> Result<Vec<Group>> {
    let client = &engine.containerd;
    let (images, blobs) = tokio::try_join!(client.images(&[]), client.blobs(&[]))?;
    let blobs: HashMap<String, BlobInfo> =
        blobs.into_iter().map(|blob| (blob.digest.clone(), blob)).collect();
    let mut grouped: Vec<Vec<Image>> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for image in images {
        let place = *places.entry(image.target.digest().to_string()).or_insert(grouped.len());
        match grouped.get_mut(place) {
            Some(group) => group.push(image),
            None => grouped.push(vec![image]),
        }
    }
    let read = grouped.into_iter().map(async |records| {
        let (parts, absent) = match records.first() {
            // An image whose content is gone is one all the same: it is to be removed.
            Some(first) => parts(client, &first.target, &blobs).await.unwrap_or_default(),
            None => Default::default(),
        };
        Group { records, parts, absent, pieces: Pieces::default() }
    });
    let mut groups: Vec<Group> = join_all(read).await;
    let wanted: HashSet<(&str, &str)> = groups
        .iter()
        .flat_map(|group| &group.parts)
        .flat_map(|part| snapshots_of(part, &engine.config.snapshotter, &blobs))
        .collect();
    let sizes = snapshot_sizes(client, wanted).await;
    for group in &mut groups {
        for part in &mut group.parts {
            part.pieces = pieces(part, &engine.config.snapshotter, &blobs, &sizes);
            group.pieces.extend(&part.pieces);
        }
        if let Some(blob) = group.records.first().and_then(|first| blobs.get(first.target.digest().as_ref()))
        {
            group.pieces.blobs.insert(blob.digest.clone(), blob.size);
        }
    }
    Ok(groups)
}

/// Bytes of each snapshot by snapshotter and chain id.
type Sizes = BTreeMap<(String, String), u64>;

/// The snapshots that an image's layers may be unpacked into: those of our snapshotter, and of the others that its
/// configuration is labelled with.
fn snapshots_of<'a>(
    part: &'a Part,
    snapshotter: &'a str,
    blobs: &'a HashMap<String, BlobInfo>,
) -> Vec<(&'a str, &'a str)> {
    let labels = blobs.get(part.manifest.config().digest().as_ref()).map(|blob| &blob.labels);
    // A label may go on after the snapshotter's name.
    let labelled = labels
        .into_iter()
        .flatten()
        .filter_map(|(key, _)| key.strip_prefix(SNAPSHOT_REFERENCE)?.split('/').next());
    let snapshotters: HashSet<&str> = labelled.chain([snapshotter]).collect();
    let of = |name: &'a str| part.chain.iter().map(move |chain| (name, chain.as_str()));
    snapshotters.into_iter().flat_map(of).collect()
}

fn pieces(part: &Part, snapshotter: &str, blobs: &HashMap<String, BlobInfo>, sizes: &Sizes) -> Pieces {
    let named = [&part.descriptor, part.manifest.config()].into_iter().chain(part.manifest.layers());
    // A blob need not be there: CRI may discard layers once they are unpacked.
    let present = named.filter_map(|blob| blobs.get(blob.digest().as_ref()));
    let unpacked = snapshots_of(part, snapshotter, blobs).into_iter().filter_map(|(snapshotter, chain)| {
        let bytes = sizes.get(&(snapshotter.to_owned(), chain.to_owned()))?;
        Some((format!("{snapshotter}/{chain}"), *bytes))
    });
    Pieces {
        blobs: present.map(|blob| (blob.digest.clone(), blob.size)).collect(),
        snapshots: unpacked.collect(),
    }
}

/// The platforms of `target` that are here, and the manifests that are not. `present` are the blobs of the namespace,
/// which saves asking for those that are not.
async fn parts(
    client: &Client,
    target: &Descriptor,
    present: &HashMap<String, BlobInfo>,
) -> Result<(Vec<Part>, Vec<Descriptor>)> {
    let mut absent = Vec::new();
    let entries = match read_target(client, target).await? {
        Target::Manifest(manifest) => vec![(target.clone(), Some(*manifest))],
        Target::Index(index) => {
            let images = index
                .manifests()
                .iter()
                .filter(|entry| media::is_manifest(entry.media_type()) && !media::is_attestation(entry));
            let (here, away): (Vec<&Descriptor>, Vec<&Descriptor>) =
                images.partition(|entry| present.contains_key(entry.digest().as_ref()));
            absent.extend(away.into_iter().cloned());
            here.into_iter().map(|entry| (entry.clone(), None)).collect()
        }
    };
    let read = entries.into_iter().map(async |(descriptor, manifest)| {
        let manifest = match manifest {
            Some(manifest) => manifest,
            None => read_json(client, &descriptor).await.ok()?,
        };
        let brief: Brief = read_json(client, manifest.config()).await.ok()?;
        let chain = chain_ids(brief.rootfs.diff_ids.as_deref().unwrap_or_default());
        Some(Part { descriptor, manifest, brief, chain, pieces: Pieces::default() })
    });
    Ok((join_all(read).await.into_iter().flatten().collect(), absent))
}

/// Bytes of each snapshot that is there.
async fn snapshot_sizes(client: &Client, wanted: HashSet<(&str, &str)>) -> Sizes {
    let sizes = wanted.into_iter().map(async |(snapshotter, chain)| {
        let bytes = client.snapshot_usage(snapshotter, chain).await.ok()?;
        Some(((snapshotter.to_owned(), chain.to_owned()), bytes))
    });
    join_all(sizes).await.into_iter().flatten().collect()
}
