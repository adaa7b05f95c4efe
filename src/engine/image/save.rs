//! Save: images into an archive that docker, podman, skopeo and ctr load.

use std::io::{Read as _, Write};

use oci_spec::image::{Descriptor, Digest, ImageManifest, SCHEMA_VERSION};
use serde_json::{Value, json};

use crate::containerd::Client;
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::image::archive::ArchiveWriter;
use crate::image::media;
use crate::image::platform::Platform;
use crate::registry::{Reference, is_id_prefix};

use super::content::{Target, read_target};
use super::lease::Lease;
use super::local::Local;
use super::name::is_dangling;
use super::resolve::{ResolvedImage, find, read};

/// Bytes read at a time.
const PART: usize = 1 << 20;

/// One image to save.
#[derive(Debug, Clone)]
pub struct Selected {
    image: ResolvedImage,
    /// What is saved: the index, or the manifest of the one platform asked for.
    target: Descriptor,
    /// The manifests of the platforms asked for, where an index is saved for some; none for all that are here.
    only: Vec<Digest>,
    /// Its names in the archive; none when it was asked for by id.
    names: Vec<Reference>,
}

/// The images that `names` mean: a repository without tag means all its tags. `platforms` alone are saved of them; none
/// means everything that is here. Fails before anything is written.
pub async fn select(engine: &Engine, names: &[String], platforms: &[Platform]) -> Result<Vec<Selected>> {
    let mut selected: Vec<Selected> = Vec::new();
    for name in names {
        for (image, reference) in meant(engine, name).await? {
            let record = image;
            let image = read(&engine.containerd, &record, platforms.first()).await?;
            let mut only = Vec::new();
            for platform in platforms {
                let digest = match platforms {
                    [_] => image.manifest_descriptor.digest().clone(),
                    _ => {
                        let found = read(&engine.containerd, &record, Some(platform)).await?;
                        found.manifest_descriptor.digest().clone()
                    }
                };
                if !only.contains(&digest) {
                    only.push(digest);
                }
            }
            let target = match only.len() {
                1 => image.manifest_descriptor.clone(),
                _ => image.target.clone(),
            };
            let known = selected.iter_mut().find(|known| known.target.digest() == target.digest());
            match known {
                Some(known) => known.names.extend(reference.filter(|name| !known.names.contains(name))),
                None => {
                    selected.push(Selected { image, target, only, names: reference.into_iter().collect() })
                }
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

/// What the archive tells of its images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// OCI's list and docker's.
    Both,
    /// OCI's alone: nothing for a docker older than 25.
    Oci,
}

/// Write the archive into `output`.
pub async fn save(
    engine: &Engine,
    selected: &[Selected],
    lists: Lists,
    output: &mut (dyn Write + Send),
) -> Result<()> {
    // What is removed meanwhile stays until it is written.
    let lease = Lease::begin(engine, "save").await?;
    let local = Local::of(&lease.client).await;
    let result = write((&lease, local.as_ref()), selected, lists, output).await;
    lease.end(false).await;
    result?;
    for one in selected {
        let id = one.target.digest().as_ref();
        engine.note(&[event::of_image("save", id, id)]);
    }
    Ok(())
}

async fn write(
    (lease, local): (&Lease, Option<&Local>),
    selected: &[Selected],
    lists: Lists,
    output: &mut (dyn Write + Send),
) -> Result<()> {
    for one in selected {
        lease.keep(one.target.digest().as_ref()).await?;
    }
    let mut saving = Saving { client: &lease.client, local, archive: ArchiveWriter::new(output) };
    saving.archive.directory("blobs/")?;
    saving.archive.directory("blobs/sha256/")?;
    for one in selected {
        saving.image(one).await?;
    }
    let mut archive = saving.archive;
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
    if lists == Lists::Both {
        let docker: Vec<Value> = selected.iter().map(docker_entry).collect();
        archive.file("manifest.json", json!(docker).to_string().as_bytes())?;
    }
    archive.file("oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string().as_bytes())?;
    archive.finish()?;
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

struct Saving<'a, W> {
    client: &'a Client,
    local: Option<&'a Local>,
    archive: ArchiveWriter<W>,
}

impl<W: Write> Saving<'_, W> {
    async fn image(&mut self, Selected { image, target, only, .. }: &Selected) -> Result<()> {
        self.blob(target).await?;
        if target.digest() == image.manifest_descriptor.digest() {
            return self.parts(&image.manifest).await;
        }
        let Target::Index(index) = read_target(self.client, target).await? else { return Ok(()) };
        let mut pending: Vec<Descriptor> = index.manifests().iter().rev().cloned().collect();
        while let Some(entry) = pending.pop() {
            let is_inner = media::is_index(entry.media_type());
            if !is_inner && !only.is_empty() && !only.contains(entry.digest()) {
                continue;
            }
            let manifest = match read_target(self.client, &entry).await {
                Ok(Target::Manifest(manifest)) => manifest,
                Ok(Target::Index(inner)) => {
                    self.blob(&entry).await?;
                    pending.extend(inner.manifests().iter().rev().cloned());
                    continue;
                }
                // Other platforms are usually not here.
                Err(error) if error.kind == Kind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let complete = !only.is_empty()
                || entry.digest() == image.manifest_descriptor.digest()
                || self.all_there(&manifest).await?;
            if complete {
                self.blob(&entry).await?;
                self.parts(&manifest).await?;
            }
        }
        Ok(())
    }

    async fn all_there(&self, manifest: &ImageManifest) -> Result<bool> {
        for part in manifest.layers().iter().chain([manifest.config()]) {
            match self.client.blob(part.digest().as_ref()).await {
                Ok(_) => {}
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    async fn parts(&mut self, manifest: &ImageManifest) -> Result<()> {
        self.blob(manifest.config()).await?;
        for layer in manifest.layers() {
            let foreign = layer.media_type().as_ref().contains("foreign")
                || layer.media_type().as_ref().contains("nondistributable");
            match self.blob(layer).await {
                Err(error) if foreign && error.kind == Kind::NotFound => {}
                result => result?,
            }
        }
        Ok(())
    }

    async fn blob(&mut self, descriptor: &Descriptor) -> Result<()> {
        let digest = descriptor.digest();
        if !media::is_sha256(digest) {
            return Err(Error::failed(format!("{digest}: only SHA-256 digests can be saved")));
        }
        let info = self.client.blob(digest.as_ref()).await.map_err(|error| match error.is_not_found() {
            true => Error::not_found(format!("content {digest} is not in containerd's store"))
                .hint("the image is incomplete: pull it again"),
            false => error.into(),
        })?;
        if !self.archive.begin(&path(descriptor), info.size)? {
            return Ok(());
        }
        // containerd's own file, where it is ours too, costs half of what being handed its bytes does.
        let file = self.local.and_then(|local| local.blob(digest.as_ref()));
        match file.filter(|file| file.metadata().is_ok_and(|data| data.len() == info.size)) {
            Some(mut file) => {
                let mut part = vec![0; PART];
                loop {
                    let failed = |cause| Error::io("read", "containerd's content store", cause);
                    match file.read(&mut part).map_err(failed)? {
                        0 => break,
                        count => self.archive.data(part.get(..count).unwrap_or_default())?,
                    }
                }
            }
            None => {
                let archive = &mut self.archive;
                self.client.stream_blob(digest.as_ref(), 0, |part| archive.data(&part)).await?;
            }
        }
        self.archive.end()
    }
}
