//! Finding an image by what a user wrote, and reading what a container needs of it.

use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use crate::containerd::{Client, Image};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::image::digest::chain_ids;
use crate::image::media::LARGEST_MANIFEST;
use crate::image::platform::Platform;
use crate::registry::{Reference, is_id_prefix};

use super::content::{Target, check, parse, read_target};
use super::name::is_dangling;

/// An image for one platform, read from the store.
#[derive(Debug, Clone)]
pub struct ResolvedImage {
    /// containerd's name: `docker.io/library/busybox:latest`.
    pub name: String,
    /// What the name points at; its digest is the image id.
    pub target: Descriptor,
    /// The platform's manifest: the target itself, or one entry of the index.
    pub manifest_descriptor: Descriptor,
    /// The manifest.
    pub manifest: ImageManifest,
    /// The configuration.
    pub config: ImageConfiguration,
    /// The configuration as JSON, with docker's fields (Healthcheck, Shell, OnBuild) that OCI has not.
    pub config_json: serde_json::Value,
    /// The snapshot that containers stand on; empty for an image without layers.
    pub chain_id: String,
}

impl ResolvedImage {
    /// What stands for the image of a container whose root file system is a directory: no name, no layers, no
    /// settings.
    pub fn of_directory() -> Result<Self> {
        let host = Platform::host();
        let config_json = serde_json::json!({
            "architecture": host.architecture,
            "os": host.os,
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": [] },
        });
        let bytes = config_json.to_string().into_bytes();
        let digest = crate::image::digest::sha256(&bytes);
        let config: ImageConfiguration = parse(&bytes, digest.as_ref())?;
        let media_type = oci_spec::image::MediaType::ImageConfig;
        let descriptor = Descriptor::new(media_type, bytes.len() as u64, digest);
        let manifest = serde_json::json!({ "schemaVersion": 2, "config": descriptor, "layers": [] });
        let manifest: ImageManifest = parse(manifest.to_string().as_bytes(), "of no image")?;
        Ok(Self {
            name: String::new(),
            target: descriptor.clone(),
            manifest_descriptor: descriptor,
            manifest,
            config,
            config_json,
            chain_id: String::new(),
        })
    }

    /// The image id, as docker with containerd's store shows it: the target's digest.
    pub fn id(&self) -> &str {
        self.target.digest().as_ref()
    }
}

/// The image that `text` means (name, name@digest, id or its beginning), for `platform` or, without one, for
/// this machine or else whatever is there. [`Kind::NotFound`] when there is none.
pub async fn resolve(engine: &Engine, text: &str, platform: Option<&Platform>) -> Result<ResolvedImage> {
    let image = find(engine, text).await?;
    read(&engine.containerd, &image, platform).await
}

/// Every image that can be read, for this machine's platform or whatever is there.
pub async fn every(engine: &Engine) -> Result<Vec<ResolvedImage>> {
    let mut images = Vec::new();
    for image in engine.containerd.images(&[]).await? {
        images.extend(read(&engine.containerd, &image, None).await.ok());
    }
    Ok(images)
}

/// What a user wrote after `--platform`.
pub fn platform(text: &str) -> Result<Platform> {
    Platform::parse(text)
}

/// The record that `text` means.
pub async fn find(engine: &Engine, text: &str) -> Result<Image> {
    let client = &engine.containerd;
    let reference = Reference::parse(text);
    if let Ok(reference) = &reference {
        match client.image(&reference.canonical()).await {
            Ok(image) => return Ok(image),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(digest) = reference.digest() {
            let found = client.images(&[format!("target.digest=={digest}")]).await?;
            let same = |image: &Image| {
                Reference::parse(&image.name).is_ok_and(|named| named.name() == reference.name())
            };
            return found.into_iter().find(same).ok_or_else(|| no_such(text));
        }
    }
    if is_id_prefix(text) {
        return by_id(client, text).await;
    }
    match reference {
        Err(error) => Err(error),
        Ok(_) => Err(no_such(text)),
    }
}

/// The platforms that an index or a manifest serves, as far as that can be read.
pub async fn platforms(client: &Client, target: &Descriptor) -> Result<Vec<Platform>> {
    let of_config = async |manifest: &ImageManifest| -> Result<Platform> {
        let config: ImageConfiguration = super::content::read_json(client, manifest.config()).await?;
        let variant = config.variant().as_deref().unwrap_or_default();
        Ok(Platform::normalised(&config.os().to_string(), &config.architecture().to_string(), variant))
    };
    match read_target(client, target).await? {
        Target::Manifest(manifest) => Ok(vec![of_config(&manifest).await?]),
        Target::Index(index) => {
            let mut platforms = Vec::new();
            for entry in index.manifests() {
                match Platform::of(entry) {
                    // What a builder attests serves no machine.
                    Some(platform) if platform.os == "unknown" => {}
                    Some(platform) => platforms.push(platform),
                    None => {
                        if let Ok(Target::Manifest(manifest)) = read_target(client, entry).await {
                            platforms.extend(of_config(&manifest).await.ok());
                        }
                    }
                }
            }
            Ok(platforms)
        }
    }
}

/// `No such image: x`, with what to do.
fn no_such(text: &str) -> Error {
    let name = match Reference::parse(text) {
        Ok(reference) => reference.with_default_tag().familiar(),
        Err(_) => text.to_owned(),
    };
    Error::not_found(format!("No such image: {name}"))
        .hint("`wharfie images` lists what is here, `wharfie pull` brings it")
}

async fn by_id(client: &Client, text: &str) -> Result<Image> {
    let prefix = text.strip_prefix("sha256:").unwrap_or(text);
    let images = client.images(&[]).await?;
    let fits = |digest: &str| digest.strip_prefix("sha256:").is_some_and(|hex| hex.starts_with(prefix));
    let mut found: Vec<Image> =
        images.iter().filter(|image| fits(image.target.digest().as_ref())).cloned().collect();
    if found.is_empty() {
        // The id of docker's older stores, and of the kubelet: the configuration's digest.
        found = images.iter().filter(|image| fits(&image.name)).cloned().collect();
    }
    if found.is_empty() {
        for image in &images {
            if configurations(client, image).await.iter().any(|digest| fits(digest)) {
                found.push(image.clone());
            }
        }
    }
    let first = found.iter().find(|image| !is_dangling(&image.name)).or(found.first());
    let Some(first) = first else { return Err(no_such(text)) };
    if found.iter().any(|other| other.target.digest() != first.target.digest()) {
        return Err(Error::new(
            Kind::Conflict,
            format!("ambiguous image id {text}: several images begin with it"),
        )
        .hint("write more of the id"));
    }
    // A name says more than an id.
    let named = found.iter().find(|image| !is_dangling(&image.name) && !image.name.starts_with("sha256:"));
    Ok(named.unwrap_or(first).clone())
}

/// The configurations' digests of the manifests that are here.
async fn configurations(client: &Client, image: &Image) -> Vec<String> {
    let manifests = match read_target(client, &image.target).await {
        Ok(Target::Manifest(manifest)) => vec![manifest],
        Ok(Target::Index(index)) => {
            let mut manifests = Vec::new();
            for entry in index.manifests() {
                if let Ok(Target::Manifest(manifest)) = read_target(client, entry).await {
                    manifests.push(manifest);
                }
            }
            manifests
        }
        Err(_) => vec![],
    };
    manifests.iter().map(|manifest| manifest.config().digest().to_string()).collect()
}

/// Read the image behind a record for a platform.
pub async fn read(client: &Client, image: &Image, platform: Option<&Platform>) -> Result<ResolvedImage> {
    let (manifest_descriptor, manifest) = choose(client, image, platform).await?;
    let digest = manifest.config().digest().as_ref();
    let bytes =
        client.read_blob(digest, LARGEST_MANIFEST).await.map_err(|error| match error.is_not_found() {
            true => incomplete(image, digest),
            false => error.into(),
        })?;
    let config_json: serde_json::Value = parse(&bytes, digest)?;
    let config: ImageConfiguration = parse(&bytes, digest)?;
    check(&manifest, &config)?;
    if let Some(wanted) = platform {
        let variant = config.variant().as_deref().unwrap_or_default();
        let offered =
            Platform::normalised(&config.os().to_string(), &config.architecture().to_string(), variant);
        if wanted.fit(&offered).is_none() {
            return Err(other_platform(image, wanted));
        }
    }
    let chain_id = chain_ids(config.rootfs().diff_ids()).pop().unwrap_or_default();
    Ok(ResolvedImage {
        name: image.name.clone(),
        target: image.target.clone(),
        manifest_descriptor,
        manifest,
        config,
        config_json,
        chain_id,
    })
}

async fn choose(
    client: &Client,
    image: &Image,
    platform: Option<&Platform>,
) -> Result<(Descriptor, ImageManifest)> {
    let index = match read_target(client, &image.target).await.map_err(|error| blame(image, error))? {
        Target::Manifest(manifest) => return Ok((image.target.clone(), *manifest)),
        Target::Index(index) => index,
    };
    let host = Platform::host();
    let entries = flat(client, &index).await?;
    let mut candidates = platform.unwrap_or(&host).pick(&entries);
    if platform.is_none() {
        let others = entries.iter().filter(|entry| !crate::image::media::is_attestation(entry));
        let others: Vec<_> = others.filter(|entry| !candidates.contains(entry)).collect();
        candidates.extend(others);
    }
    let mut missing = None;
    for candidate in candidates {
        match read_target(client, candidate).await {
            Ok(Target::Manifest(manifest)) => return Ok((candidate.clone(), *manifest)),
            Ok(Target::Index(_)) => {}
            Err(error) if error.kind == Kind::NotFound => missing = Some(candidate.digest().to_string()),
            Err(error) => return Err(error),
        }
    }
    Err(match (platform, missing) {
        (Some(wanted), _) => other_platform(image, wanted),
        (None, Some(digest)) => incomplete(image, &digest),
        (None, None) => Error::failed(format!("{} has no manifest for any platform", image.name)),
    })
}

/// The manifests of an index, and of the indexes in it that are here.
async fn flat(client: &Client, index: &ImageIndex) -> Result<Vec<Descriptor>> {
    let mut entries = Vec::new();
    let mut pending: Vec<Descriptor> = index.manifests().iter().rev().cloned().collect();
    while let Some(entry) = pending.pop() {
        if !crate::image::media::is_index(entry.media_type()) {
            entries.push(entry);
            continue;
        }
        match read_target(client, &entry).await {
            Ok(Target::Index(inner)) => pending.extend(inner.manifests().iter().rev().cloned()),
            Err(error) if error.kind != Kind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(entries)
}

fn blame(image: &Image, error: Error) -> Error {
    if error.kind == Kind::NotFound { incomplete(image, image.target.digest().as_ref()) } else { error }
}

fn incomplete(image: &Image, digest: &str) -> Error {
    Error::failed(format!("{}: content {digest} is not in containerd's store", image.name))
        .hint("the image is incomplete: pull it again")
}

/// Not found, so that `run --platform` pulls it.
pub(super) fn other_platform(image: &Image, wanted: &Platform) -> Error {
    Error::not_found(format!(
        "image with reference {} was found but does not provide the specified platform ({wanted})",
        image.name
    ))
    .hint(format!("bring it with `wharfie pull --platform {wanted}`"))
}
