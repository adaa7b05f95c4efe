//! What is loaded of an archive: which manifests, configurations and layers a target consists of, as far as the archive
//! has them and the wanted platforms need them. The archive is believed in nothing that is not compared.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use oci_spec::image::{Descriptor, Digest, ImageConfiguration, ImageIndex, ImageManifest};

use super::content::{Target, check, parse, parse_target};
use crate::containerd::Client;
use crate::error::{Error, Result};
use crate::image::archive::{Blob, Contents};
use crate::image::digest::{Hasher, sha256};
use crate::image::media::{self, LARGEST_MANIFEST};
use crate::image::platform::Platform;

/// Manifests and indexes of one target.
const MOST_MANIFESTS: usize = 10_000;
/// Indexes inside of indexes.
const DEEPEST: usize = 4;

/// Where the parts of an archive's images are to be had.
pub(super) struct Parts<'a> {
    /// Under a lease.
    pub(super) client: &'a Client,
    pub(super) contents: &'a Contents,
    /// The archive, when its files lie in it and are not stored yet.
    pub(super) file: Option<Arc<File>>,
    /// Files without a digest in their name, by the one that they must have.
    pub(super) named: HashMap<Digest, Blob>,
}

/// What a target consists of.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Indexes and manifests, with the labels that keep what they refer to.
    pub(super) manifests: Vec<(Descriptor, Vec<u8>, HashMap<String, String>)>,
    /// Configurations.
    pub(super) configs: Vec<Descriptor>,
    /// Layers that are here or in the store.
    pub(super) layers: Vec<Descriptor>,
    /// What is unpacked.
    pub(super) chosen: Vec<(ImageManifest, ImageConfiguration)>,
}

impl Parts<'_> {
    /// The file of the archive that a digest means.
    pub(super) fn blob(&self, digest: &Digest) -> Option<&Blob> {
        self.named.get(digest).or_else(|| self.contents.blob(digest))
    }

    /// The small blob `digest` of `size` bytes; None when neither the archive nor the store has it.
    pub(super) async fn read(&self, digest: &Digest, size: u64) -> Result<Option<Vec<u8>>> {
        if !media::is_sha256(digest) {
            return Err(Error::failed(format!("{digest}: only SHA-256 digests can be loaded")));
        }
        if size > LARGEST_MANIFEST {
            return Err(Error::failed(format!("{digest}: larger than the {LARGEST_MANIFEST} bytes allowed")));
        }
        let bytes = match (&self.file, self.blob(digest)) {
            (Some(file), Some(blob)) => self.bytes(file, blob)?,
            _ => match self.client.read_blob(digest.as_ref(), LARGEST_MANIFEST).await {
                Ok(bytes) => bytes,
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error.into()),
            },
        };
        let found = sha256(&bytes);
        if found != *digest {
            return Err(damaged(digest, &format!("its digest is {found}")));
        }
        if bytes.len() as u64 != size {
            return Err(damaged(digest, &format!("it has {} bytes and not {size}", bytes.len())));
        }
        Ok(Some(bytes))
    }

    /// A small file of the archive.
    pub(super) fn bytes(&self, file: &File, blob: &Blob) -> Result<Vec<u8>> {
        if blob.size > LARGEST_MANIFEST {
            return Err(Error::failed(format!(
                "the archive has a list or configuration of {} bytes, more than the {LARGEST_MANIFEST} allowed",
                blob.size
            )));
        }
        let mut bytes = vec![0; usize::try_from(blob.size).unwrap_or_default()];
        let place = blob.place.unwrap_or_default();
        file.read_exact_at(&mut bytes, place).map_err(|cause| Error::io("read", "the archive", cause))?;
        Ok(bytes)
    }

    /// The digest of a file of the archive.
    pub(super) fn hash(&self, file: &File, blob: &Blob) -> Result<Digest> {
        let mut hasher = Hasher::default();
        let mut part = vec![0; 1 << 20];
        let (mut place, mut left) = (blob.place.unwrap_or_default(), blob.size);
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(part.len());
            let part = part.get_mut(..length).unwrap_or_default();
            file.read_exact_at(part, place).map_err(|cause| Error::io("read", "the archive", cause))?;
            hasher.update(part);
            place += length as u64;
            left -= length as u64;
        }
        Ok(hasher.finish())
    }

    /// Whether the archive or the store has the blob of `descriptor`, of the size that it says.
    async fn has(&self, descriptor: &Descriptor) -> Result<bool> {
        let digest = descriptor.digest();
        if !media::is_sha256(digest) {
            return Err(Error::failed(format!("{digest}: only SHA-256 digests can be loaded")));
        }
        let size = match self.blob(digest) {
            Some(blob) => blob.size,
            None => match self.client.blob(digest.as_ref()).await {
                Ok(blob) => blob.size,
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error.into()),
            },
        };
        if size != descriptor.size() {
            return Err(damaged(digest, &format!("it has {size} bytes and not {}", descriptor.size())));
        }
        Ok(true)
    }

    /// Everything of `target` that `wanted` needs (nothing wanted: that is there), and what of it is to be unpacked: for
    /// this machine, or for each of the wanted platforms.
    pub(super) async fn tree(&self, target: &Descriptor, wanted: &[Platform]) -> Result<Tree> {
        let mut tree = Tree::default();
        let mut images = Vec::new();
        let mut seen = HashSet::new();
        let mut pending = vec![(target.clone(), 0)];
        while let Some((descriptor, depth)) = pending.pop() {
            if !seen.insert(descriptor.digest().clone()) {
                continue;
            }
            if seen.len() > MOST_MANIFESTS {
                return Err(Error::failed(format!(
                    "{}: more than {MOST_MANIFESTS} manifests",
                    target.digest()
                )));
            }
            let is_known =
                media::is_index(descriptor.media_type()) || media::is_manifest(descriptor.media_type());
            if depth > 0 && !is_known {
                continue;
            }
            let Some(bytes) = self.read(descriptor.digest(), descriptor.size()).await? else {
                // Archives of one platform keep the index of all.
                if depth > 0 {
                    continue;
                }
                return Err(lacking("", descriptor.digest()));
            };
            let labels = match parse_target(&descriptor, &bytes)? {
                Target::Index(_) if depth >= DEEPEST => {
                    return Err(Error::failed(format!(
                        "{}: indexes inside of indexes, more than {DEEPEST} deep",
                        target.digest()
                    )));
                }
                Target::Index(index) => {
                    if index.manifests().len() > MOST_MANIFESTS {
                        return Err(Error::failed(format!(
                            "{}: an index of more than {MOST_MANIFESTS} manifests",
                            descriptor.digest()
                        )));
                    }
                    let children = self.children(&index, wanted).await?;
                    let mut labels = media::index_labels(&index);
                    labels.retain(|_, digest| children.iter().any(|child| child.digest().as_ref() == digest));
                    pending.extend(children.into_iter().map(|child| (child, depth + 1)));
                    labels
                }
                Target::Manifest(manifest) => {
                    self.parts(&manifest, &mut tree).await?;
                    let labels = media::manifest_labels(&manifest);
                    if !media::is_attestation(&descriptor) {
                        images.push((*manifest, depth == 0));
                    }
                    labels
                }
            };
            tree.manifests.push((descriptor, bytes, labels));
        }
        tree.chosen = self.chosen(images, wanted).await?;
        Ok(tree)
    }

    /// The entries of an index that the wanted platforms need.
    async fn children(&self, index: &ImageIndex, wanted: &[Platform]) -> Result<Vec<Descriptor>> {
        if wanted.is_empty() {
            return Ok(index.manifests().clone());
        }
        let mut children: Vec<Descriptor> = Vec::new();
        for platform in wanted {
            let mut found = None;
            for entry in platform.pick(index.manifests()) {
                if self.has(entry).await? {
                    found = Some(entry.clone());
                    break;
                }
            }
            let found = found.ok_or_else(|| {
                Error::not_found(format!("requested platform ({platform}) not found in the archive"))
            })?;
            if children.iter().all(|child| child.digest() != found.digest()) {
                children.push(found);
            }
        }
        Ok(children)
    }

    async fn parts(&self, manifest: &ImageManifest, tree: &mut Tree) -> Result<()> {
        let config = std::iter::once((manifest.config(), true));
        for (part, is_config) in config.chain(manifest.layers().iter().map(|layer| (layer, false))) {
            let list = if is_config { &mut tree.configs } else { &mut tree.layers };
            if list.iter().all(|known| known.digest() != part.digest()) && self.has(part).await? {
                list.push(part.clone());
            }
        }
        Ok(())
    }

    /// Of the manifests found those to unpack: the best for this machine, or for each platform of `wanted`.
    async fn chosen(
        &self,
        images: Vec<(ImageManifest, bool)>,
        wanted: &[Platform],
    ) -> Result<Vec<(ImageManifest, ImageConfiguration)>> {
        let mut offers = Vec::new();
        for (manifest, is_target) in images {
            let config = manifest.config();
            let Some(bytes) = self.read(config.digest(), config.size()).await? else {
                if is_target {
                    return Err(lacking("the configuration ", config.digest()));
                }
                continue;
            };
            match parse::<ImageConfiguration>(&bytes, config.digest().as_ref()) {
                Ok(config) => offers.push((platform_of(&config), manifest, config)),
                Err(error) if is_target => return Err(error),
                // What is listed beside images need not be one.
                Err(_) => {}
            }
        }
        let host = [Platform::host()];
        let mut chosen: Vec<(ImageManifest, ImageConfiguration)> = Vec::new();
        for platform in if wanted.is_empty() { &host } else { wanted } {
            let best = offers.iter().filter_map(|offer| Some((platform.fit(&offer.0)?, offer)));
            let Some((_, (_, manifest, config))) = best.min_by_key(|(fit, _)| *fit) else {
                if wanted.is_empty() {
                    continue;
                }
                return Err(Error::not_found(format!(
                    "image doesn't provide the requested platform ({platform})"
                )));
            };
            check(manifest, config)?;
            if let Some(layer) = self.first_lacking(manifest).await? {
                return Err(lacking("the layer ", layer.digest()));
            }
            if chosen.iter().all(|(known, _)| known != manifest) {
                chosen.push((manifest.clone(), config.clone()));
            }
        }
        Ok(chosen)
    }

    async fn first_lacking<'m>(&self, manifest: &'m ImageManifest) -> Result<Option<&'m Descriptor>> {
        for layer in manifest.layers() {
            if !self.has(layer).await? {
                return Ok(Some(layer));
            }
        }
        Ok(None)
    }
}

fn platform_of(config: &ImageConfiguration) -> Platform {
    let variant = config.variant().as_deref().unwrap_or_default();
    Platform::normalised(&config.os().to_string(), &config.architecture().to_string(), variant)
}

/// What the archive should have and does not.
pub(super) fn lacking(what: &str, digest: &Digest) -> Error {
    Error::failed(format!("the archive lacks {what}{digest}"))
        .hint("the archive is incomplete: write it again")
}

/// A file that is not what the archive says.
pub(super) fn damaged(digest: &Digest, why: &str) -> Error {
    Error::failed(format!("the archive is damaged: {digest} is not what it says, {why}"))
        .hint("copy or write the archive again")
}
