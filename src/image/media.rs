//! Media types of images, docker's and OCI's alike, and the labels that keep what a manifest refers to.

use std::collections::HashMap;

use oci_spec::image::{Descriptor, Digest, DigestAlgorithm, ImageIndex, ImageManifest, MediaType};

use super::archive::Compression;

/// Manifests, indexes and configurations are small; more bytes are an attack.
pub const LARGEST_MANIFEST: u64 = 8 << 20;
/// Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's layer as a plain tar.
pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
/// Docker's layer, compressed.
pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// OCI's index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// OCI's manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI's image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// OCI's layer as a plain tar.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// OCI's layer, compressed with gzip.
pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// OCI's layer, compressed with zstd.
pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// containerd's label that keeps an image's configuration.
pub const CONFIG_LABEL: &str = "containerd.io/gc.ref.content.config";
/// Marks a manifest in an index as what a builder attests, not an image.
const ATTESTATION: &str = "vnd.docker.reference.type";
/// The annotation of an attestation that names the digest of its image.
pub const ATTESTED: &str = "vnd.docker.reference.digest";

/// What a registry is asked for.
pub const MANIFESTS: [&str; 4] = [DOCKER_MANIFEST, DOCKER_INDEX, OCI_MANIFEST, OCI_INDEX];

/// Whether `media_type` is a list of manifests.
pub fn is_index(media_type: &MediaType) -> bool {
    matches!(media_type.as_ref(), DOCKER_INDEX | OCI_INDEX)
}

/// Whether `media_type` is the manifest of one image.
pub fn is_manifest(media_type: &MediaType) -> bool {
    matches!(media_type.as_ref(), DOCKER_MANIFEST | OCI_MANIFEST)
}

/// Whether the text is a manifest's or an index's media type.
pub fn is_known_manifest(media_type: &str) -> bool {
    MANIFESTS.contains(&media_type)
}

/// Whether a digest can be computed here; containerd knows others, nobody uses them.
pub fn is_sha256(digest: &Digest) -> bool {
    *digest.algorithm() == DigestAlgorithm::Sha256
}

/// Whether an index's entry is an attestation.
pub fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.annotations().as_ref().is_some_and(|annotations| annotations.contains_key(ATTESTATION))
}

/// The digest of the image that an attestation is about; None for what is none.
pub fn attested(descriptor: &Descriptor) -> Option<&str> {
    let annotations = descriptor.annotations().as_ref().filter(|_| is_attestation(descriptor))?;
    annotations.get(ATTESTED).map(String::as_str)
}

/// The media type that a manifest's own content shows.
pub fn sniff(bytes: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    if let Some(named) = value.get("mediaType").and_then(|named| named.as_str()) {
        return is_known_manifest(named).then(|| named.to_owned());
    }
    if value.get("manifests").is_some_and(serde_json::Value::is_array) {
        return Some(OCI_INDEX.to_owned());
    }
    let image = value.get("config").is_some() && value.get("layers").is_some_and(serde_json::Value::is_array);
    image.then(|| OCI_MANIFEST.to_owned())
}

/// OCI's media type of a layer that is so compressed; one that was in xz is stored plain.
pub fn layer_type(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => OCI_LAYER_GZIP,
        Compression::Zstd => OCI_LAYER_ZSTD,
        Compression::Plain | Compression::Xz => OCI_LAYER,
    }
}

/// containerd's labels that keep everything an index refers to.
pub fn index_labels(index: &ImageIndex) -> HashMap<String, String> {
    index
        .manifests()
        .iter()
        .enumerate()
        .map(|(n, child)| (format!("containerd.io/gc.ref.content.m.{n}"), child.digest().to_string()))
        .collect()
}

/// containerd's labels that keep an image's configuration and layers.
pub fn manifest_labels(manifest: &ImageManifest) -> HashMap<String, String> {
    let config = (CONFIG_LABEL.to_owned(), manifest.config().digest().to_string());
    let layers = manifest
        .layers()
        .iter()
        .enumerate()
        .map(|(n, layer)| (format!("containerd.io/gc.ref.content.l.{n}"), layer.digest().to_string()));
    layers.chain([config]).collect()
}

/// containerd's label that keeps the snapshot of an image, on its configuration.
pub fn snapshot_label(snapshotter: &str) -> String {
    format!("containerd.io/gc.ref.snapshot.{snapshotter}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifests_are_recognised_by_content() {
        let cases = [
            (r#"{"schemaVersion":2,"manifests":[]}"#, Some(OCI_INDEX)),
            (r#"{"schemaVersion":2,"config":{},"layers":[]}"#, Some(OCI_MANIFEST)),
            (
                r#"{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#,
                Some(DOCKER_MANIFEST),
            ),
            (r#"{"mediaType":"text/html","manifests":[]}"#, None),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
            ("<html>", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(sniff(bytes.as_bytes()).as_deref(), expected, "{bytes}");
        }
    }
}
