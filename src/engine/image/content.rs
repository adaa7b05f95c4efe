//! Manifests and configurations out of the content store, and small blobs into it.

use std::collections::HashMap;

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use crate::containerd::Client;
use crate::error::{Error, Result};
use crate::image::media::{self, LARGEST_MANIFEST};

/// Read a blob of JSON.
pub(super) async fn read_json<T: DeserializeOwned>(client: &Client, descriptor: &Descriptor) -> Result<T> {
    let digest = descriptor.digest().as_ref();
    let bytes = client.read_blob(digest, LARGEST_MANIFEST).await.map_err(|error| missing(error, digest))?;
    parse(&bytes, digest)
}

/// Parse JSON that has this digest.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], digest: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|cause| Error::failed(format!("blob {digest} is damaged: {cause}")))
}

fn missing(error: crate::containerd::Error, digest: &str) -> Error {
    if error.is_not_found() {
        return Error::not_found(format!("content {digest} is not in containerd's store"))
            .hint("the image is incomplete: pull it again");
    }
    error.into()
}

/// An index or a manifest.
#[derive(Debug)]
pub(super) enum Target {
    /// Manifests for several platforms.
    Index(Box<ImageIndex>),
    /// One image.
    Manifest(Box<ImageManifest>),
}

/// Read what `bytes` of the media type of `descriptor` are.
pub(super) fn parse_target(descriptor: &Descriptor, bytes: &[u8]) -> Result<Target> {
    let digest = descriptor.digest().as_ref();
    if media::is_index(descriptor.media_type()) {
        return Ok(Target::Index(Box::new(parse(bytes, digest)?)));
    }
    if media::is_manifest(descriptor.media_type()) {
        return Ok(Target::Manifest(Box::new(parse(bytes, digest)?)));
    }
    Err(Error::failed(format!("{digest} is no image: unsupported media type {}", descriptor.media_type())))
}

/// Read the index or manifest of `descriptor`.
pub(super) async fn read_target(client: &Client, descriptor: &Descriptor) -> Result<Target> {
    let digest = descriptor.digest().as_ref();
    let bytes = client.read_blob(digest, LARGEST_MANIFEST).await.map_err(|error| missing(error, digest))?;
    parse_target(descriptor, &bytes)
}

/// Refuse what is no container image, and layers that do not match the configuration.
pub(super) fn check(manifest: &ImageManifest, config: &ImageConfiguration) -> Result<()> {
    let (layers, diff_ids) = (manifest.layers().len(), config.rootfs().diff_ids().len());
    if layers != diff_ids {
        return Err(Error::failed(format!(
            "mismatched image rootfs and manifest layers: {} has {diff_ids} diff ids for {layers} layers",
            manifest.config().digest()
        )));
    }
    let valid = |id: &String| id.parse::<oci_spec::image::Digest>().is_ok_and(|id| media::is_sha256(&id));
    match config.rootfs().diff_ids().iter().find(|id| !valid(id)) {
        Some(id) => Err(Error::failed(format!("{}: invalid diff id {id:?}", manifest.config().digest()))),
        None => Ok(()),
    }
}

/// Store small bytes under their digest.
pub(super) async fn store(
    client: &Client,
    media_type: &str,
    bytes: &[u8],
    labels: HashMap<String, String>,
) -> Result<Descriptor> {
    let digest = crate::image::digest::sha256(bytes);
    client.write_blob(digest.as_ref(), bytes, labels).await?;
    Ok(Descriptor::new(media_type.into(), bytes.len() as u64, digest))
}

#[cfg(test)]
mod tests;
