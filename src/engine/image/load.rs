//! Load: an archive of images into the content store, verified, unpacked and named. Of a plain file only what is wanted
//! is read, and layers are unpacked while they are stored; a stream is stored first.

use std::fs::File;
use std::io::{Read, Seek as _};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use oci_spec::image::{
    Descriptor, Digest, ImageConfiguration, ImageIndex, ImageManifest, ImageManifestBuilder, SCHEMA_VERSION,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::image::archive::{
    Blob, CONTAINERD_NAME, Compression, Contents, DockerImage, Layout, NamedTarget, Sink, index_images,
    interpret, read_images,
};
use crate::image::media;
use crate::image::platform::Platform;
use crate::image::progress::{LayerState, Progress};
use crate::registry::Reference;

use super::arrival::{Arrival, Arriving};
use super::content::{check, parse, store};
use super::deposit::{Deposit, Store};
use super::lease::Lease;
use super::loading::{Parts, Tree, damaged, lacking};
use super::local::Local;
use super::name;
use super::unpack::{Job, unpack_arriving};

/// Blobs stored side by side.
const SIDE_BY_SIDE: usize = 3;

/// One image that was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// As a user writes it; None for an image without a name.
    pub name: Option<String>,
    /// The image id.
    pub id: String,
}

/// How to load.
#[derive(Debug, Clone, Default)]
pub struct LoadRequest {
    /// The platforms to load and unpack; none for all that are there, of which this machine's is unpacked.
    pub platforms: Vec<Platform>,
    /// Unpack nothing.
    pub no_unpack: bool,
    /// Keep no layers of what is unpacked: its snapshots are enough to run it, not to send it anywhere.
    pub discard_layers: bool,
    /// A name for the list of all images of the archive.
    pub index_name: Option<Reference>,
}

/// Where an archive comes from.
pub enum Archive {
    /// A file, from its beginning. It need not be a regular one.
    File(File),
    /// A pipe.
    Stream(Box<dyn Read + Send>),
}

/// Load every image of the archive (tar, or tar in gzip, zstd or xz; docker's form or an OCI layout). Nothing stays when it
/// fails.
pub async fn load(
    engine: &Engine,
    archive: Archive,
    request: &LoadRequest,
    progress: &dyn Progress,
) -> Result<Vec<Loaded>> {
    let lease = Lease::begin(engine, "load").await?;
    let local = Local::of(&lease.client).await;
    let load = Load {
        store: Store { client: &lease.client, local: local.as_ref() },
        snapshotter: &engine.config.snapshotter,
        request,
        progress,
    };
    let result = load.run(archive).await;
    // Layers that nobody keeps go at once.
    lease.end(result.is_err() || request.discard_layers).await;
    for image in result.iter().flatten() {
        let name = image.name.as_deref().unwrap_or(&image.id);
        engine.note(&[event::of_image("load", &image.id, name)]);
    }
    result
}

struct Load<'a> {
    store: Store<'a>,
    snapshotter: &'a str,
    request: &'a LoadRequest,
    progress: &'a dyn Progress,
}

impl Load<'_> {
    async fn run(&self, archive: Archive) -> Result<Vec<Loaded>> {
        let (contents, file) = match archive {
            Archive::Stream(input) => (self.store_files(input).await?, None),
            Archive::File(mut file) => match index_images(&file)? {
                Some(contents) => (contents, Some(Arc::new(file))),
                None => {
                    // A pipe has no other place to be read from.
                    let _ = file.rewind();
                    (self.store_files(Box::new(file)).await?, None)
                }
            },
        };
        let client = self.store.client;
        let mut parts = Parts { client, contents: &contents, file, named: Default::default() };
        let targets = match interpret(&contents)? {
            Layout::Oci(targets) => targets,
            Layout::Docker(images) => {
                let mut targets = Vec::new();
                for image in &images {
                    targets.extend(self.docker_image(image, &mut parts).await?);
                }
                targets
            }
        };
        // What is wrong with one of them is said before anything of the others is done.
        let mut trees = Vec::new();
        for NamedTarget { target, name } in &targets {
            let tree = parts.tree(target, &self.request.platforms).await;
            trees.push(tree.map_err(|error| match name {
                Some(name) => error.context(name),
                None => error,
            })?);
        }
        for tree in &trees {
            self.bring(&parts, tree).await?;
        }
        let index = match &self.request.index_name {
            Some(name) => {
                Some((name.canonical(), self.index(&targets, contents.index_json.as_deref()).await?))
            }
            None => None,
        };
        let mut loaded = self.name(targets).await?;
        if let Some((name, target)) = index {
            name::put(client, &name, &target).await?;
            loaded.insert(0, Loaded { name: Some(name), id: target.digest().to_string() });
        }
        Ok(loaded)
    }

    /// Store the list of all images: the archive's own, or where it has only docker's one that says the same.
    async fn index(&self, targets: &[NamedTarget], own: Option<&[u8]>) -> Result<Descriptor> {
        let bytes = match own {
            Some(own) => own.to_vec(),
            None => {
                let listed = targets.iter().map(|one| {
                    let mut target = one.target.clone();
                    let name = one.name.iter().map(|name| (CONTAINERD_NAME.to_owned(), name.clone()));
                    target.set_annotations(Some(name.collect()));
                    target
                });
                let listed: Vec<Descriptor> = listed.collect();
                let list = serde_json::json!({
                    "schemaVersion": SCHEMA_VERSION, "mediaType": media::OCI_INDEX, "manifests": listed,
                });
                list.to_string().into_bytes()
            }
        };
        let index: ImageIndex = parse(&bytes, "index.json")?;
        store(self.store.client, media::OCI_INDEX, &bytes, media::index_labels(&index)).await
    }

    /// Names come last: a name is given only to an image that is whole.
    async fn name(&self, targets: Vec<NamedTarget>) -> Result<Vec<Loaded>> {
        let client = self.store.client;
        let mut loaded: Vec<Loaded> = Vec::new();
        for NamedTarget { target, name } in targets {
            let reference =
                name.and_then(|name| Reference::parse(&name).ok()).map(Reference::with_default_tag);
            let record = match &reference {
                Some(reference) => reference.canonical(),
                None if name::same_target(client, &target).await?.is_empty() => name::dangling(&target),
                None => String::new(),
            };
            if !record.is_empty() {
                name::put(client, &record, &target).await?;
            }
            loaded.push(Loaded {
                name: reference.map(|reference| reference.familiar()),
                id: target.digest().to_string(),
            });
        }
        Ok(loaded)
    }

    /// Store a tree, and unpack of it what is to be.
    async fn bring(&self, parts: &Parts<'_>, tree: &Tree) -> Result<()> {
        let client = self.store.client;
        self.deposit_all(parts, &tree.configs).await?;
        for (descriptor, bytes, labels) in &tree.manifests {
            let mut labels = labels.clone();
            let is_unpacked = |(manifest, _): &(ImageManifest, ImageConfiguration)| {
                labels
                    .get(media::CONFIG_LABEL)
                    .is_some_and(|config| config == manifest.config().digest().as_ref())
            };
            if self.request.discard_layers && tree.chosen.iter().any(is_unpacked) {
                labels.retain(|label, _| label == media::CONFIG_LABEL);
            }
            client.write_blob(descriptor.digest().as_ref(), bytes, labels).await?;
        }
        for (manifest, config) in tree.chosen.iter().filter(|_| !self.request.no_unpack) {
            let layers = manifest.layers();
            let (senders, arrivals): (Vec<_>, Vec<_>) = layers.iter().map(|_| Arrival::pair()).unzip();
            let stored = futures_util::stream::iter(layers.iter().zip(senders).map(Ok::<_, Error>))
                .try_for_each_concurrent(SIDE_BY_SIDE, |(layer, arriving)| async move {
                    self.deposit(parts, layer, &arriving).await
                });
            let job = Job::new(client, self.snapshotter, manifest, config);
            tokio::try_join!(stored, unpack_arriving(&job, arrivals, self.store.local, self.progress))?;
        }
        // Those of other platforms; the others are there.
        self.deposit_all(parts, &tree.layers).await
    }

    async fn deposit_all(&self, parts: &Parts<'_>, blobs: &[Descriptor]) -> Result<()> {
        futures_util::stream::iter(blobs.iter().map(Ok::<_, Error>))
            .try_for_each_concurrent(SIDE_BY_SIDE, |blob| async move {
                self.deposit(parts, blob, &Arrival::pair().0).await
            })
            .await
    }

    /// A blob of the archive into the store, where it is not there.
    async fn deposit(
        &self,
        parts: &Parts<'_>,
        descriptor: &Descriptor,
        arriving: &watch::Sender<Arriving>,
    ) -> Result<()> {
        let (digest, size) = (descriptor.digest(), descriptor.size());
        // A pull's reference: whoever brings it first brings it for the other.
        let reference = format!("layer-{digest}");
        if let Some(mut deposit) = Deposit::open(self.store, reference, size, digest.as_ref()).await? {
            if let Some(growing) = deposit.growing() {
                arriving.send_replace(Arriving::Growing(growing));
            }
            if !deposit.is_whole() {
                let place = parts.blob(digest).and_then(|blob| blob.place);
                let (Some(file), Some(place)) = (&parts.file, place) else {
                    deposit.abort().await;
                    return Err(lacking("the layer ", digest));
                };
                if let Err(error) = deposit.copy_from(file, place).await {
                    deposit.abort().await;
                    return Err(error);
                }
            }
            self.progress.layer(digest.as_ref(), LayerState::Verifying);
            if !deposit.commit(digest.as_ref()).await? {
                return Err(damaged(digest, "its digest is another one"));
            }
        }
        arriving.send_replace(Arriving::Stored);
        Ok(())
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
        let mut current: Option<Deposit<'_>> = None;
        let written: Result<()> = async {
            while let Some(piece) = arriving.recv().await {
                match piece {
                    Piece::Begin { size, promised } => {
                        number += 1;
                        let reference = format!("wharfie-load-{}-{number}", std::process::id());
                        let promised = promised.as_ref().map(AsRef::as_ref).unwrap_or_default();
                        current = Deposit::open(self.store, reference, size, promised).await?;
                    }
                    Piece::Data(bytes) => {
                        if let Some(deposit) = &mut current {
                            deposit.write(bytes).await?;
                        }
                    }
                    Piece::End(digest) => {
                        if let Some(deposit) = current.take()
                            && !deposit.commit(digest.as_ref()).await?
                        {
                            return Err(damaged(&digest, "it became another one while it was stored"));
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
            && let Some(deposit) = current
        {
            deposit.abort().await;
        }
        read
    }

    /// Docker's form has no manifests: make one of OCI's kind, which everybody reads.
    async fn docker_image(&self, image: &DockerImage, parts: &mut Parts<'_>) -> Result<Vec<NamedTarget>> {
        let (digest, bytes) = match (&parts.file, &image.config.digest) {
            (Some(file), _) => {
                let bytes = parts.bytes(file, &image.config)?;
                (crate::image::digest::sha256(&bytes), Some(bytes))
            }
            (None, Some(digest)) => (digest.clone(), parts.read(digest, image.config.size).await?),
            (None, None) => return Err(Error::failed("a file of the archive has no digest")),
        };
        let bytes = bytes.ok_or_else(|| lacking("the configuration ", &digest))?;
        parts.named.insert(digest.clone(), image.config.clone());
        let config: ImageConfiguration = parse(&bytes, digest.as_ref())?;
        let mut layers = Vec::new();
        for (index, blob) in image.layers.iter().enumerate() {
            let diff_id = config.rootfs().diff_ids().get(index).map_or("", String::as_str);
            layers.push(docker_layer(blob, diff_id, parts)?);
        }
        let manifest = ImageManifestBuilder::default()
            .schema_version(SCHEMA_VERSION)
            .media_type(media::OCI_MANIFEST)
            .config(Descriptor::new(media::OCI_CONFIG.into(), image.config.size, digest))
            .layers(layers)
            .build()
            .map_err(|cause| Error::failed(format!("cannot make a manifest: {cause}")))?;
        check(&manifest, &config)?;
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|cause| Error::failed(format!("cannot make a manifest: {cause}")))?;
        let labels = media::manifest_labels(&manifest);
        let target = store(self.store.client, media::OCI_MANIFEST, &bytes, labels).await?;
        if image.tags.is_empty() {
            return Ok(vec![NamedTarget { target, name: None }]);
        }
        Ok(image
            .tags
            .iter()
            .map(|tag| NamedTarget { target: target.clone(), name: Some(tag.clone()) })
            .collect())
    }
}

/// A layer of docker's form. A plain one has to be what the configuration says, so that it need not be read for it.
fn docker_layer(blob: &Blob, diff_id: &str, parts: &mut Parts<'_>) -> Result<Descriptor> {
    let compression = Compression::of(&blob.head);
    let is_plain = match compression {
        Compression::Plain => true,
        Compression::Gzip | Compression::Zstd => false,
        Compression::Xz => {
            return Err(Error::failed(
                "a layer of the archive is compressed with xz, which no image may have",
            )
            .hint("write the archive with plain layers and compress it as a whole"));
        }
    };
    let digest = match (&blob.digest, &parts.file) {
        (Some(digest), _) => digest.clone(),
        (None, _) if is_plain => {
            let invalid = |_| Error::failed(format!("the configuration has an invalid diff id: {diff_id:?}"));
            diff_id.parse::<Digest>().map_err(invalid)?
        }
        (None, Some(file)) => parts.hash(file, blob)?,
        (None, None) => return Err(Error::failed("a file of the archive has no digest")),
    };
    if is_plain && digest.as_ref() != diff_id {
        return Err(Error::failed(format!(
            "wrong diff id: layer {digest} is not the {diff_id} of the image's configuration"
        )));
    }
    let media_type = media::layer_type(compression);
    let descriptor = Descriptor::new(media_type.into(), blob.size, digest.clone());
    parts.named.insert(digest, blob.clone());
    Ok(descriptor)
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
