//! A container's changes as one more layer on its image.

use std::collections::HashMap;

use jiff::Timestamp;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifestBuilder, MediaType, SCHEMA_VERSION};
use serde_json::{Map, Value, json};

use super::content::{parse, store};
use super::lease::Lease;
use super::name;
use super::resolve::ResolvedImage;
use super::unpack::{Job, unpack};
use crate::containerd::Mount;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::media;
use crate::image::platform::Platform;
use crate::image::progress::Silent;
use crate::registry::Reference;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The tar without entries: such a layer is left out.
const EMPTY: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
/// What an image's configuration may say of the container that it was made from; nobody reads it any more.
const OF_CONTAINER: [&str; 5] = ["id", "parent", "container", "container_config", "docker_version"];

/// The words of which media types a manifest is written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// Docker's.
    #[default]
    Docker,
    /// OCI's.
    Oci,
}

/// What the new image says of itself.
#[derive(Debug, Default)]
pub struct Description {
    /// docker's `config`.
    pub config: Map<String, Value>,
    /// `-a`.
    pub author: String,
    /// `-m`.
    pub message: String,
    /// The command that made the changes.
    pub created_by: String,
    /// What the image is called; none makes a nameless image.
    pub reference: Option<Reference>,
    /// The manifest's words.
    pub format: Format,
}

/// A new layer.
#[derive(Debug)]
pub struct NewLayer {
    descriptor: Descriptor,
    diff_id: String,
}

/// An image in the making. Until it has its name, a lease keeps what belongs to it.
#[derive(Debug)]
pub struct Commit {
    lease: Lease,
}

impl Commit {
    /// Begin.
    pub async fn begin(engine: &Engine) -> Result<Self> {
        Ok(Self { lease: Lease::begin(engine, "commit").await? })
    }

    /// Have containerd write what `upper` adds to `lower`.
    pub async fn layer(&self, lower: &[Mount], upper: &[Mount]) -> Result<NewLayer> {
        let client = &self.lease.client;
        let reference = format!("wharfie-commit-{}-{}", std::process::id(), Timestamp::now().as_nanosecond());
        let layer = client
            .diff_layer(lower, upper, OCI_LAYER_GZIP, &reference)
            .await
            .map_err(|error| Error::from(error).context("write the changes as a layer"))?;
        let labels = client.blob(layer.digest().as_ref()).await?.labels;
        let diff_id = labels.get("containerd.io/uncompressed").cloned();
        let diff_id = diff_id.unwrap_or_else(|| layer.digest().to_string());
        Ok(NewLayer { descriptor: layer, diff_id })
    }

    /// Give it up.
    pub async fn abandon(self) {
        self.lease.end(true).await;
    }

    /// Make the image of `base` and the layer. Returns its id.
    pub async fn image(
        self,
        engine: &Engine,
        base: Option<&ResolvedImage>,
        layer: NewLayer,
        description: Description,
    ) -> Result<String> {
        let made = self.make(engine, base, layer, description).await;
        self.lease.end(made.is_err()).await;
        made
    }

    async fn make(
        &self,
        engine: &Engine,
        base: Option<&ResolvedImage>,
        layer: NewLayer,
        description: Description,
    ) -> Result<String> {
        let client = &self.lease.client;
        let format = description.format;
        let json = configuration(base, &layer.diff_id, &description).to_string();
        let config_type = if format == Format::Docker { media::DOCKER_CONFIG } else { OCI_CONFIG };
        let config_descriptor = store(client, config_type, json.as_bytes(), HashMap::new()).await?;
        let config: ImageConfiguration = parse(json.as_bytes(), config_descriptor.digest().as_ref())?;
        let mut layers: Vec<Descriptor> = base.map(|base| base.manifest.layers().clone()).unwrap_or_default();
        if layer.diff_id != EMPTY {
            layers.push(layer.descriptor);
        }
        let manifest_type = if format == Format::Docker { media::DOCKER_MANIFEST } else { OCI_MANIFEST };
        let failed = |cause: String| Error::failed(format!("cannot make a manifest: {cause}"));
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(manifest_type)
            .config(config_descriptor)
            .layers(layers.into_iter().map(|layer| in_words_of(format, layer)).collect::<Vec<_>>())
            .build()
            .map_err(|cause| failed(cause.to_string()))?;
        let bytes = serde_json::to_vec(&manifest).map_err(|cause| failed(cause.to_string()))?;
        let target = store(client, manifest_type, &bytes, media::manifest_labels(&manifest)).await?;
        unpack(&Job::new(client, &engine.config.snapshotter, &manifest, &config), &Silent).await?;
        let name = match &description.reference {
            Some(reference) => reference.canonical(),
            None => name::dangling(&target),
        };
        name::put(client, &name, &target).await?;
        Ok(target.digest().to_string())
    }
}

/// The layer under the media type that the manifest's family has for it.
fn in_words_of(format: Format, mut layer: Descriptor) -> Descriptor {
    let pairs = [(OCI_LAYER, media::DOCKER_LAYER), (OCI_LAYER_GZIP, media::DOCKER_LAYER_GZIP)];
    for (oci, docker) in pairs {
        let (from, to) = if format == Format::Docker { (oci, docker) } else { (docker, oci) };
        if layer.media_type().as_ref() == from {
            layer.set_media_type(MediaType::from(to));
        }
    }
    layer
}

fn configuration(base: Option<&ResolvedImage>, diff_id: &str, description: &Description) -> Value {
    let now = Timestamp::now().to_string();
    let mut config = match base.map(|base| &base.config_json) {
        Some(Value::Object(config)) => config.clone(),
        _ => {
            let host = Platform::host();
            Map::from_iter([("architecture".into(), json!(host.architecture)), ("os".into(), json!(host.os))])
        }
    };
    config.retain(|key, _| !OF_CONTAINER.contains(&key.as_str()));
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut history = list(config.get("history"));
    let mut diff_ids = list(config.get("rootfs").and_then(|rootfs| rootfs.get("diff_ids")));
    let mut step = Map::from_iter([("created".to_owned(), json!(now))]);
    for (key, text) in [
        ("created_by", &description.created_by),
        ("author", &description.author),
        ("comment", &description.message),
    ] {
        if !text.is_empty() {
            step.insert(key.into(), json!(text));
        }
    }
    if diff_id == EMPTY {
        step.insert("empty_layer".into(), json!(true));
    } else {
        diff_ids.push(json!(diff_id));
    }
    history.push(Value::Object(step));
    if description.author.is_empty() {
        config.remove("author");
    } else {
        config.insert("author".into(), json!(description.author));
    }
    config.insert("created".into(), json!(now));
    config.insert("config".into(), Value::Object(description.config.clone()));
    config.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": diff_ids }));
    config.insert("history".into(), Value::Array(history));
    Value::Object(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_grows_by_one_step() {
        let description = Description {
            author: "me".into(),
            message: "hello".into(),
            created_by: "sh -c x".into(),
            ..Description::default()
        };
        let made = configuration(None, "sha256:aa", &description);
        assert_eq!(made["rootfs"]["diff_ids"], json!(["sha256:aa"]));
        assert_eq!(made["author"], "me");
        let step = &made["history"][0];
        assert_eq!(
            (&step["created_by"], &step["author"], &step["comment"], step.get("empty_layer")),
            (&json!("sh -c x"), &json!("me"), &json!("hello"), None)
        );
        let empty = configuration(None, EMPTY, &Description::default());
        assert_eq!(empty["rootfs"]["diff_ids"], json!([]));
        assert_eq!(empty["history"][0]["empty_layer"], true);
        assert!(empty.get("author").is_none() && empty["history"][0].get("comment").is_none());
    }

    #[test]
    fn layers_speak_the_manifests_language() {
        let digest = crate::image::digest::sha256(b"x");
        let layer = |kind: &str| Descriptor::new(MediaType::from(kind), 1, digest.clone());
        let zstd = "application/vnd.oci.image.layer.v1.tar+zstd";
        for (format, given, expected) in [
            (Format::Docker, OCI_LAYER, media::DOCKER_LAYER),
            (Format::Docker, OCI_LAYER_GZIP, media::DOCKER_LAYER_GZIP),
            (Format::Oci, media::DOCKER_LAYER_GZIP, OCI_LAYER_GZIP),
            (Format::Oci, OCI_LAYER, OCI_LAYER),
            (Format::Docker, zstd, zstd),
        ] {
            assert_eq!(in_words_of(format, layer(given)).media_type().as_ref(), expected);
        }
    }
}
