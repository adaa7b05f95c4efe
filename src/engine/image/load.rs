//! Load: an archive of images into the content store, verified, unpacked and named.

use std::collections::HashMap;
use std::io::Read;

use oci_spec::image::{
    Descriptor, Digest, ImageConfiguration, ImageManifest, ImageManifestBuilder, SCHEMA_VERSION,
};
use tokio::sync::{mpsc, oneshot};

use crate::containerd::{BlobWriter, Client, Code};
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::image::archive::{Contents, DockerImage, Layout, NamedTarget, Sink, interpret, read_images};
use crate::image::media;
use crate::image::platform::Platform;
use crate::image::progress::Progress;
use crate::registry::Reference;

use super::content::{Target, check, read_json, read_target, store};
use super::lease::Lease;
use super::name;
use super::unpack::{Job, unpack};

/// One image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// As a user writes it; None for an image without a name.
    pub name: Option<String>,
    /// The image id.
    pub id: String,
}

/// Load every image of the archive `input` (tar, or tar in gzip; docker's form or an OCI layout). Nothing
/// stays when it fails. Without `platform`, images for other machines are loaded and not unpacked.
pub async fn load(
    engine: &Engine,
    input: Box<dyn Read + Send>,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>> {
    let lease = Lease::begin(engine, "load").await?;
    let load = Load { client: &lease.client, snapshotter: &engine.config.snapshotter, platform, progress };
    let result = load.run(input).await;
    lease.end(result.is_err()).await;
    for image in result.iter().flatten() {
        let name = image.name.as_deref().unwrap_or(&image.id);
        engine.note(&[event::of_image("load", &image.id, name)]);
    }
    result
}

struct Load<'a> {
    client: &'a Client,
    snapshotter: &'a str,
    platform: Option<&'a Platform>,
    progress: &'a dyn Progress,
}

impl Load<'_> {
    async fn run(&self, input: Box<dyn Read + Send>) -> Result<Vec<Loaded>> {
        let contents = self.store_files(input).await?;
        let targets = match interpret(&contents)? {
            Layout::Oci(targets) => targets,
            Layout::Docker(images) => {
                let mut targets = Vec::new();
                for image in &images {
                    targets.extend(self.docker_image(image).await?);
                }
                targets
            }
        };
        for target in &targets {
            self.adopt(&target.target).await?;
            self.unpack(target).await?;
        }
        // Names come last: a name is given only to an image that is whole.
        let mut loaded: Vec<Loaded> = Vec::new();
        for NamedTarget { target, name } in targets {
            let reference =
                name.and_then(|name| Reference::parse(&name).ok()).map(Reference::with_default_tag);
            let record = match &reference {
                Some(reference) => reference.canonical(),
                None if name::same_target(self.client, &target).await?.is_empty() => name::dangling(&target),
                None => String::new(),
            };
            if !record.is_empty() {
                name::put(self.client, &record, &target).await?;
            }
            loaded.push(Loaded {
                name: reference.map(|reference| reference.familiar()),
                id: target.digest().to_string(),
            });
        }
        Ok(loaded)
    }

    /// Every file of the archive becomes a blob under the lease. A thread reads, this side writes.
    async fn store_files(&self, input: Box<dyn Read + Send>) -> Result<Contents> {
        let (pieces, mut arriving) = mpsc::channel(4);
        let (result, finished) = oneshot::channel();
        // A thread of its own and not the runtime's: one that waits for input must not hold up the exit.
        std::thread::spawn(move || {
            let _ = result.send(read_images(input, &mut Channel(pieces)));
        });
        let mut number = 0;
        let mut current: Option<Ingest> = None;
        let written: Result<()> = async {
            while let Some(piece) = arriving.recv().await {
                match piece {
                    Piece::Begin { size, promised } => {
                        number += 1;
                        let reference = format!("wharfie-load-{}-{number}", std::process::id());
                        current = Some(Ingest::open(self.client, reference, size, promised.as_ref()).await?);
                    }
                    Piece::Data(bytes) => {
                        if let Some(ingest) = &mut current {
                            ingest.write(bytes).await?;
                        }
                    }
                    Piece::End(digest) => {
                        if let Some(ingest) = current.take() {
                            ingest.commit(&digest).await?;
                        }
                    }
                }
            }
            Ok(())
        }
        .await;
        drop(arriving);
        let read = match written {
            // The reader only knows that nobody listens any more.
            Err(error) => Err(error),
            Ok(()) => {
                finished.await.map_err(|_| Error::failed("reading the archive was interrupted")).flatten()
            }
        };
        if read.is_err()
            && let Some(ingest) = current
        {
            ingest.abort(self.client).await;
        }
        read
    }

    /// Docker's form has no manifests: make one.
    async fn docker_image(&self, image: &DockerImage) -> Result<Vec<NamedTarget>> {
        let config_descriptor =
            Descriptor::new(media::DOCKER_CONFIG.into(), image.config.size, image.config.digest.clone());
        if image.config.size > media::LARGEST_MANIFEST {
            return Err(Error::failed(format!("{}: the configuration is too large", image.config.digest)));
        }
        let config: ImageConfiguration = read_json(self.client, &config_descriptor).await?;
        let layers: Vec<Descriptor> = image
            .layers
            .iter()
            .map(|blob| Descriptor::new(media::layer_type(&blob.head).into(), blob.size, blob.digest.clone()))
            .collect();
        for (layer, diff_id) in layers.iter().zip(config.rootfs().diff_ids()) {
            let plain = layer.media_type().as_ref() == media::DOCKER_LAYER;
            if plain && layer.digest().as_ref() != diff_id {
                return Err(Error::failed(format!(
                    "wrong diff id: layer {} is not the {diff_id} of the image's configuration",
                    layer.digest()
                )));
            }
        }
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(media::DOCKER_MANIFEST)
            .config(config_descriptor)
            .layers(layers)
            .build()
            .map_err(|cause| Error::failed(format!("cannot make a manifest: {cause}")))?;
        check(&manifest, &config)?;
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|cause| Error::failed(format!("cannot make a manifest: {cause}")))?;
        let labels = media::manifest_labels(&manifest);
        let target = store(self.client, media::DOCKER_MANIFEST, &bytes, labels).await?;
        if image.tags.is_empty() {
            return Ok(vec![NamedTarget { target, name: None }]);
        }
        Ok(image
            .tags
            .iter()
            .map(|tag| NamedTarget { target: target.clone(), name: Some(tag.clone()) })
            .collect())
    }

    /// Label indexes and manifests so that what they refer to stays.
    async fn adopt(&self, target: &Descriptor) -> Result<()> {
        let digest = target.digest().as_ref();
        match read_target(self.client, target).await? {
            Target::Manifest(manifest) => {
                self.client.label_blob(digest, media::manifest_labels(&manifest)).await?;
            }
            Target::Index(index) => {
                self.client.label_blob(digest, media::index_labels(&index)).await?;
                for entry in index.manifests() {
                    match read_target(self.client, entry).await {
                        Ok(Target::Manifest(manifest)) => {
                            let labels = media::manifest_labels(&manifest);
                            self.client.label_blob(entry.digest().as_ref(), labels).await?;
                        }
                        // Archives of one platform keep the index of all.
                        Err(error) if error.kind == Kind::NotFound => {}
                        Ok(Target::Index(_)) => {
                            return Err(Error::failed(format!("{digest}: an index inside of an index")));
                        }
                        Err(error) if media::is_manifest(entry.media_type()) => return Err(error),
                        Err(_) => {}
                    }
                }
            }
        }
        Ok(())
    }

    async fn unpack(&self, target: &NamedTarget) -> Result<()> {
        let Some(manifest) = self.choose(&target.target).await? else { return Ok(()) };
        let config: ImageConfiguration = read_json(self.client, manifest.config()).await?;
        check(&manifest, &config)?;
        let variant = config.variant().as_deref().unwrap_or_default();
        let offered =
            Platform::normalised(&config.os().to_string(), &config.architecture().to_string(), variant);
        match self.platform {
            Some(wanted) if wanted.fit(&offered).is_none() => return Err(self.not_provided(wanted, target)),
            None if Platform::host().fit(&offered).is_none() => return Ok(()),
            _ => {}
        }
        for layer in manifest.layers() {
            if let Err(error) = self.client.blob(layer.digest().as_ref()).await {
                return Err(match error.is_not_found() {
                    true => Error::failed(format!("the archive lacks the layer {}", layer.digest()))
                        .hint("the archive is incomplete: write it again"),
                    false => error.into(),
                });
            }
        }
        unpack(&Job::new(self.client, self.snapshotter, &manifest, &config), self.progress).await?;
        Ok(())
    }

    /// The manifest for the wanted platform or this machine's, when it is there.
    async fn choose(&self, target: &Descriptor) -> Result<Option<ImageManifest>> {
        let index = match read_target(self.client, target).await? {
            Target::Manifest(manifest) => return Ok(Some(*manifest)),
            Target::Index(index) => index,
        };
        let host = Platform::host();
        for entry in self.platform.unwrap_or(&host).pick(index.manifests()) {
            if let Ok(Target::Manifest(manifest)) = read_target(self.client, entry).await {
                return Ok(Some(*manifest));
            }
        }
        match self.platform {
            Some(wanted) => {
                Err(Error::not_found(format!("requested platform ({wanted}) not found in the archive")))
            }
            None => Ok(None),
        }
    }

    fn not_provided(&self, wanted: &Platform, target: &NamedTarget) -> Error {
        let name = target.name.clone().unwrap_or_else(|| target.target.digest().to_string());
        Error::not_found(format!("image {name} doesn't provide the requested platform ({wanted})"))
    }
}

enum Piece {
    Begin { size: u64, promised: Option<Digest> },
    Data(Vec<u8>),
    End(Digest),
}

/// Hands the archive's files from the reading thread over to the writing side.
struct Channel(mpsc::Sender<Piece>);

impl Channel {
    fn send(&self, piece: Piece) -> Result<()> {
        self.0.blocking_send(piece).map_err(|_| Error::failed("storing the archive was interrupted"))
    }
}

impl Sink for Channel {
    fn begin(&mut self, size: u64, promised: Option<&Digest>) -> Result<()> {
        self.send(Piece::Begin { size, promised: promised.cloned() })
    }

    fn data(&mut self, part: Vec<u8>) -> Result<()> {
        self.send(Piece::Data(part))
    }

    fn end(&mut self, digest: &Digest) -> Result<()> {
        self.send(Piece::End(digest.clone()))
    }
}

/// One file on its way into the store.
struct Ingest {
    reference: String,
    /// None when the blob is there and its bytes only pass by.
    writer: Option<BlobWriter>,
    /// All bytes are there already, from another namespace.
    whole: bool,
}

impl Ingest {
    async fn open(client: &Client, reference: String, size: u64, promised: Option<&Digest>) -> Result<Self> {
        let expected = promised.map(AsRef::as_ref).unwrap_or_default();
        let writer = match client.open_writer(&reference, size, expected).await {
            Ok(writer) => writer,
            Err(error) if error.code == Code::AlreadyExists => {
                return Ok(Self { reference, writer: None, whole: true });
            }
            Err(error) => return Err(error.into()),
        };
        let whole = promised.is_some() && size > 0 && writer.offset() == size;
        let mut ingest = Self { reference, writer: Some(writer), whole };
        if let Some(writer) = ingest.writer.as_mut().filter(|writer| !whole && writer.offset() > 0) {
            writer.truncate().await?;
        }
        Ok(ingest)
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        match &mut self.writer {
            Some(writer) if !self.whole => Ok(writer.write(bytes).await?),
            _ => Ok(()),
        }
    }

    async fn commit(self, digest: &Digest) -> Result<()> {
        let Some(writer) = self.writer else { return Ok(()) };
        match writer.commit(digest.as_ref(), HashMap::new()).await {
            Err(error) if error.code != Code::AlreadyExists => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn abort(self, client: &Client) {
        drop(self.writer);
        // The lease's end collects it otherwise.
        let _ = client.abort_ingest(&self.reference).await;
    }
}
