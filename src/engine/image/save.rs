//! Save: images into an archive that docker, podman, skopeo and ctr load.

use std::io::Write;

use oci_spec::image::{Descriptor, ImageManifest, SCHEMA_VERSION};
use serde_json::{Value, json};

use crate::containerd::Client;
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::image::archive::ArchiveWriter;
use crate::image::media;
use crate::image::platform::Platform;
use crate::registry::{Reference, is_id_prefix};

use super::content::{Target, read_target};
use super::name::is_dangling;
use super::resolve::{ResolvedImage, find, read};

/// One image to save.
#[derive(Debug, Clone)]
pub struct Selected {
    image: ResolvedImage,
    /// What is saved: the index, or the manifest of the one platform asked for.
    target: Descriptor,
    /// Its names in the archive; none when it was asked for by id.
    names: Vec<Reference>,
}

/// The images that `names` mean: a repository without tag means all its tags. Fails before anything is
/// written.
pub async fn select(engine: &Engine, names: &[String], platform: Option<&Platform>) -> Result<Vec<Selected>> {
    let mut selected: Vec<Selected> = Vec::new();
    for name in names {
        for (image, reference) in meant(engine, name).await? {
            let image = read(&engine.containerd, &image, platform).await?;
            let target =
                if platform.is_some() { image.manifest_descriptor.clone() } else { image.target.clone() };
            let known = selected.iter_mut().find(|known| known.target.digest() == target.digest());
            match known {
                Some(known) => known.names.extend(reference.filter(|name| !known.names.contains(name))),
                None => selected.push(Selected { image, target, names: reference.into_iter().collect() }),
            }
        }
    }
    Ok(selected)
}

async fn meant(engine: &Engine, name: &str) -> Result<Vec<(crate::containerd::Image, Option<Reference>)>> {
    if let Ok(reference) = Reference::parse(name)
        && reference.tag().is_none()
        && reference.digest().is_none()
    {
        let images = engine.containerd.images(&[]).await?;
        let tagged = images.into_iter().filter_map(|image| {
            let named = Reference::parse(&image.name).ok()?;
            let same = named.name() == reference.name() && named.tag().is_some() && !is_dangling(&image.name);
            same.then_some((image, Some(named)))
        });
        let tagged: Vec<_> = tagged.collect();
        if !tagged.is_empty() {
            return Ok(tagged);
        }
    }
    let image = find(engine, name).await?;
    let hex = name.strip_prefix("sha256:").unwrap_or(name);
    let by_id = is_id_prefix(name) && image.target.digest().digest().starts_with(hex);
    let reference = Reference::parse(name).ok().filter(|reference| !by_id && reference.digest().is_none());
    Ok(vec![(image, reference.map(Reference::with_default_tag))])
}

/// Write the archive into `output`.
pub async fn save(engine: &Engine, selected: &[Selected], output: &mut (dyn Write + Send)) -> Result<()> {
    let client = &engine.containerd;
    let mut archive = ArchiveWriter::new(output);
    archive.directory("blobs/")?;
    archive.directory("blobs/sha256/")?;
    for Selected { image, target, .. } in selected {
        blobs(client, &mut archive, target, image).await?;
    }
    let mut listed = Vec::new();
    for one in selected {
        listed.extend(entries(one)?);
    }
    let index = json!({
        "schemaVersion": SCHEMA_VERSION,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": listed,
    });
    archive.file("index.json", index.to_string().as_bytes())?;
    let docker: Vec<Value> = selected.iter().map(docker_entry).collect();
    archive.file("manifest.json", json!(docker).to_string().as_bytes())?;
    archive.file("oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string().as_bytes())?;
    archive.finish()?;
    for one in selected {
        let id = one.target.digest().as_ref();
        engine.note(&[event::of_image("save", id, id)]);
    }
    Ok(())
}

/// The image's entries in index.json: one a name. Built so that the same images give the same bytes.
fn entries(selected: &Selected) -> Result<Vec<Value>> {
    let mut bare = selected.target.clone();
    bare.set_annotations(None);
    let bare = serde_json::to_value(bare)
        .map_err(|cause| Error::failed(format!("cannot write the archive: {cause}")))?;
    if selected.names.is_empty() {
        return Ok(vec![bare]);
    }
    let named = selected.names.iter().map(|name| {
        let mut entry = bare.clone();
        if let Some(fields) = entry.as_object_mut() {
            let annotations = json!({
                "io.containerd.image.name": name.canonical(),
                "org.opencontainers.image.ref.name": name.identifier(),
            });
            fields.insert("annotations".into(), annotations);
        }
        entry
    });
    Ok(named.collect())
}

fn docker_entry(selected: &Selected) -> Value {
    let manifest = &selected.image.manifest;
    let layers: Vec<String> = manifest.layers().iter().map(path).collect();
    let tags: Vec<String> = selected.names.iter().map(Reference::familiar).collect();
    json!({ "Config": path(manifest.config()), "RepoTags": tags, "Layers": layers })
}

fn path(descriptor: &Descriptor) -> String {
    format!("blobs/{}/{}", descriptor.digest().algorithm(), descriptor.digest().digest())
}

async fn blobs<W: Write>(
    client: &Client,
    archive: &mut ArchiveWriter<W>,
    target: &Descriptor,
    image: &ResolvedImage,
) -> Result<()> {
    blob(client, archive, target).await?;
    if target.digest() == image.manifest_descriptor.digest() {
        return parts(client, archive, &image.manifest).await;
    }
    let Target::Index(index) = read_target(client, target).await? else { return Ok(()) };
    for entry in index.manifests() {
        let manifest = match read_target(client, entry).await {
            Ok(Target::Manifest(manifest)) => manifest,
            Ok(Target::Index(_)) => continue,
            // Other platforms are usually not here.
            Err(error) if error.kind == Kind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let complete =
            entry.digest() == image.manifest_descriptor.digest() || all_there(client, &manifest).await?;
        if complete {
            blob(client, archive, entry).await?;
            parts(client, archive, &manifest).await?;
        }
    }
    Ok(())
}

async fn all_there(client: &Client, manifest: &ImageManifest) -> Result<bool> {
    for part in manifest.layers().iter().chain([manifest.config()]) {
        match client.blob(part.digest().as_ref()).await {
            Ok(_) => {}
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

async fn parts<W: Write>(
    client: &Client,
    archive: &mut ArchiveWriter<W>,
    manifest: &ImageManifest,
) -> Result<()> {
    blob(client, archive, manifest.config()).await?;
    for layer in manifest.layers() {
        let foreign = layer.media_type().as_ref().contains("foreign")
            || layer.media_type().as_ref().contains("nondistributable");
        match blob(client, archive, layer).await {
            Err(error) if foreign && error.kind == Kind::NotFound => {}
            result => result?,
        }
    }
    Ok(())
}

async fn blob<W: Write>(
    client: &Client,
    archive: &mut ArchiveWriter<W>,
    descriptor: &Descriptor,
) -> Result<()> {
    let digest = descriptor.digest();
    if !media::is_sha256(digest) {
        return Err(Error::failed(format!("{digest}: only SHA-256 digests can be saved")));
    }
    let info = client.blob(digest.as_ref()).await.map_err(|error| match error.is_not_found() {
        true => Error::not_found(format!("content {digest} is not in containerd's store"))
            .hint("the image is incomplete: pull it again"),
        false => error.into(),
    })?;
    if archive.begin(&path(descriptor), info.size)? {
        client.stream_blob(digest.as_ref(), 0, |part| archive.data(&part)).await?;
        archive.end()?;
    }
    Ok(())
}
