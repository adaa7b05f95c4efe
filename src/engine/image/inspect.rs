//! Everything about one image, in docker's fields.

use std::collections::BTreeMap;

use oci_spec::image::Descriptor;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::engine::Engine;
use crate::error::Result;
use crate::image::platform::Platform;

use super::content::{Target, read_target};
use super::name::{same_target, tags_and_digests};
use super::resolve::{ResolvedImage, find, read};

/// The fields of docker's image configuration, in its order.
const CONFIG_FIELDS: [&str; 13] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
    "Healthcheck",
    "OnBuild",
    "Shell",
];

/// What `image inspect` shows.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectedImage {
    /// The target's digest; with a platform asked for, its manifest's.
    pub id: String,
    /// `busybox:latest`.
    pub repo_tags: Vec<String>,
    /// `busybox@sha256:…`.
    pub repo_digests: Vec<String>,
    /// Of the newest entry of the history.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created: String,
    /// Who made it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// What containers get from it.
    pub config: Map<String, Value>,
    /// `amd64`.
    pub architecture: String,
    /// `v8`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// `linux`.
    pub os: String,
    /// Of Windows images.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Bytes in the content store.
    pub size: u64,
    /// What its layers are unpacked by; None of an image that only a registry has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph_driver: Option<GraphDriver>,
    /// Its layers.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
    /// What is known here and not part of the image.
    pub metadata: Metadata,
    /// What the name points at.
    pub descriptor: Descriptor,
}

/// What an image's layers are unpacked by.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct GraphDriver {
    /// Nothing: containerd's snapshotters tell no directories here.
    pub data: Option<Map<String, Value>>,
    /// `overlayfs`.
    pub name: String,
}

/// The layers of an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootFs {
    /// `layers`.
    pub r#type: String,
    /// Digests of the plain tars.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

/// What is known here and not part of the image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Metadata {
    /// When a name was last given.
    pub last_tag_time: String,
}

/// Everything about the image that `text` means.
pub async fn inspect(engine: &Engine, text: &str, platform: Option<&Platform>) -> Result<InspectedImage> {
    let client = &engine.containerd;
    let record = find(engine, text).await?;
    let (image, all) =
        tokio::try_join!(read(client, &record, platform), same_target(client, &record.target))?;
    let names: Vec<String> = all.iter().map(|image| image.name.clone()).collect();
    let tagged = all.iter().filter_map(|image| image.updated_at).max();
    let tagged = tagged.map(|time| time.to_string()).unwrap_or_default();
    let graph_driver = Some(GraphDriver { data: None, name: engine.config.snapshotter.clone() });
    Ok(InspectedImage { graph_driver, ..described(&image, &names, tagged, platform.is_some()) })
}

/// docker's fields of an image that has these names and lies nowhere. `one_platform`: it is shown as that platform's
/// manifest.
pub(super) fn described(
    image: &ResolvedImage,
    names: &[String],
    last_tag_time: String,
    one_platform: bool,
) -> InspectedImage {
    let (repo_tags, repo_digests) = tags_and_digests(names, &image.target);
    let layers: u64 = image.manifest.layers().iter().map(Descriptor::size).sum();
    let above = if image.target == image.manifest_descriptor { 0 } else { image.target.size() };
    let size = above + image.manifest_descriptor.size() + image.manifest.config().size() + layers;
    let descriptor = if one_platform { &image.manifest_descriptor } else { &image.target };
    let config = &image.config;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    InspectedImage {
        id: descriptor.digest().to_string(),
        repo_tags,
        repo_digests,
        comment: config
            .history()
            .as_ref()
            .and_then(|history| history.last()?.comment().clone())
            .unwrap_or_default(),
        created: text(config.created()),
        author: text(config.author()),
        config: container_config(&image.config_json),
        architecture: config.architecture().to_string(),
        variant: text(config.variant()),
        os: config.os().to_string(),
        os_version: text(config.os_version()),
        size,
        graph_driver: None,
        root_fs: RootFs { r#type: config.rootfs().typ().clone(), layers: config.rootfs().diff_ids().clone() },
        metadata: Metadata { last_tag_time },
        descriptor: descriptor.clone(),
    }
}

/// containerd's own record of the image that `text` means, with the index, manifest and configuration it leads to:
/// nerdctl's native mode.
pub async fn native(engine: &Engine, text: &str, platform: Option<&Platform>) -> Result<Value> {
    let record = find(engine, text).await?;
    let image = read(&engine.containerd, &record, platform).await?;
    let time = |time: Option<jiff::Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let mut native = json!({
        "Image": {
            "Name": record.name,
            "Labels": BTreeMap::from_iter(&record.labels),
            "Target": record.target,
            "CreatedAt": time(record.created_at),
            "UpdatedAt": time(record.updated_at),
        },
        "ManifestDesc": image.manifest_descriptor,
        "Manifest": image.manifest,
        "ImageConfigDesc": image.manifest.config(),
        "ImageConfig": image.config_json,
    });
    if let Target::Index(index) = read_target(&engine.containerd, &record.target).await?
        && let Some(fields) = native.as_object_mut()
    {
        fields.insert("IndexDesc".into(), json!(record.target));
        fields.insert("Index".into(), json!(index));
    }
    Ok(native)
}

fn container_config(json: &Value) -> Map<String, Value> {
    let Some(config) = json.get("config").and_then(Value::as_object) else { return Map::new() };
    CONFIG_FIELDS
        .iter()
        .filter_map(|field| {
            Some(((*field).to_owned(), config.get(*field).filter(|value| !is_empty(value))?.clone()))
        })
        .collect()
}

/// What docker leaves out.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}
