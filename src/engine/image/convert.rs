//! Convert: an image once more, its layers compressed otherwise or its manifests in OCI's words.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use futures_util::{StreamExt as _, TryStreamExt as _};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::containerd::{BlobReader, Client, Code};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::image::digest::Hasher;
use crate::image::media;
use crate::image::platform::Platform;
use crate::image::progress::{LayerState, Progress};
use crate::image::recompress::{Form, recompress};
use crate::registry::Reference;

use super::content::{Target, check, read_json, read_target, store};
use super::lease::Lease;
use super::name;
use super::resolve::find;

/// Layers converted side by side.
const SIDE_BY_SIDE: usize = 2;
const PART: usize = 1 << 20;
/// containerd's label on the digest of what is compressed in a blob.
const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// What to make of an image.
#[derive(Debug, Clone)]
pub struct ConvertRequest {
    /// How layers are to be compressed; None leaves them.
    pub layers: Option<Form>,
    /// OCI's media types in place of docker's. zstd has no other ones.
    pub oci: bool,
    /// The platforms to keep of an index, each with its best match. None: this machine's.
    pub platforms: Vec<Platform>,
    /// Keep every platform.
    pub all_platforms: bool,
}

/// Convert the image `source` and name the result `target`. What the name stood for before stays without a name. Tells
/// of layers that are compressed anew.
///
/// # Errors
/// No such image; a platform that it does not have or that is not here whole; a damaged layer.
pub async fn convert(
    engine: &Engine,
    source: &str,
    target: &Reference,
    request: &ConvertRequest,
    progress: &dyn Progress,
) -> Result<Descriptor> {
    let record = find(engine, source).await?;
    let lease = Lease::begin(engine, &format!("convert {}", target.canonical())).await?;
    let converted = async {
        lease.keep(record.target.digest().as_ref()).await?;
        let convert = Convert { client: &lease.client, request, progress };
        let made = convert.top(&record.target).await?;
        name::put(&lease.client, &target.canonical(), &made).await?;
        Ok::<_, Error>(made)
    }
    .await;
    lease.end(converted.is_err()).await;
    let made = converted?;
    engine.note(&[event::of_image("tag", made.digest().as_ref(), &target.familiar())]);
    Ok(made)
}

struct Convert<'a> {
    client: &'a Client,
    request: &'a ConvertRequest,
    progress: &'a dyn Progress,
}

impl Convert<'_> {
    async fn top(&self, target: &Descriptor) -> Result<Descriptor> {
        let index = match read_target(self.client, target).await? {
            Target::Manifest(manifest) => return self.manifest(target, *manifest).await,
            Target::Index(index) => index,
        };
        let mut entries = self.chosen(&index)?;
        let mut converted = Vec::new();
        for entry in &entries {
            let Target::Manifest(manifest) = read_target(self.client, entry).await? else {
                return Err(Error::failed(format!("{}: an index inside of an index", target.digest())));
            };
            converted.push(self.manifest(entry, *manifest).await?);
        }
        if let ([one], false) = (converted.as_slice(), self.request.all_platforms) {
            return Ok(one.clone());
        }
        // What a builder attests is about the image as it was, and stays with what has come of it.
        let become_of: HashMap<String, String> = entries.iter().zip(&converted).map(by_digest).collect();
        for attestation in index.manifests().iter().filter(|entry| media::is_attestation(entry)) {
            let is_here = self.client.blob(attestation.digest().as_ref()).await.is_ok();
            if is_here && media::attested(attestation).is_some_and(|image| become_of.contains_key(image)) {
                entries.push(attestation.clone());
                converted.push(attestation.clone());
            }
        }
        let kind = match self.is_oci() || target.media_type().as_ref() == media::OCI_INDEX {
            true => media::OCI_INDEX,
            false => media::DOCKER_INDEX,
        };
        // As JSON, so that what nobody here knows stays.
        let mut json: Value = read_json(self.client, target).await?;
        let described = json["manifests"].as_array().cloned().unwrap_or_default();
        let renewed = entries.iter().zip(&converted).filter_map(|(entry, made)| {
            let digest = entry.digest().as_ref();
            let mut item = described.iter().find(|item| item["digest"] == digest)?.clone();
            item["mediaType"] = made.media_type().to_string().into();
            item["digest"] = made.digest().to_string().into();
            item["size"] = made.size().into();
            if let Some(now) = media::attested(entry).and_then(|image| become_of.get(image)) {
                item["annotations"][media::ATTESTED] = now.as_str().into();
            }
            Some(item)
        });
        json["manifests"] = Value::Array(renewed.collect());
        json["mediaType"] = kind.into();
        let mut index = *index;
        index.set_manifests(converted);
        store(self.client, kind, json.to_string().as_bytes(), media::index_labels(&index)).await
    }

    /// The images to keep.
    fn chosen(&self, index: &ImageIndex) -> Result<Vec<Descriptor>> {
        let images = index.manifests().iter().filter(|entry| !media::is_attestation(entry));
        if self.request.all_platforms {
            return Ok(images.cloned().collect());
        }
        let host = [Platform::host()];
        let wanted = if self.request.platforms.is_empty() { &host[..] } else { &self.request.platforms };
        let mut chosen: Vec<Descriptor> = Vec::new();
        for platform in wanted {
            let best = platform.pick(index.manifests()).first().copied().cloned().ok_or_else(|| {
                Error::not_found(format!("the image has no manifest for {platform}"))
                    .hint("name another with --platform, or take them all with --all-platforms")
            })?;
            if chosen.iter().all(|known| known.digest() != best.digest()) {
                chosen.push(best);
            }
        }
        Ok(chosen)
    }

    fn is_oci(&self) -> bool {
        self.request.oci || matches!(self.request.layers, Some(Form::Zstd(_)))
    }

    async fn manifest(&self, descriptor: &Descriptor, mut manifest: ImageManifest) -> Result<Descriptor> {
        let config: ImageConfiguration = read_json(self.client, manifest.config()).await?;
        check(&manifest, &config)?;
        let was_oci = descriptor.media_type().as_ref() == media::OCI_MANIFEST;
        let is_oci = self.is_oci() || was_oci;
        let pairs = manifest.layers().iter().zip(config.rootfs().diff_ids());
        for layer in manifest.layers().iter().filter(|_| self.request.layers.is_some()) {
            self.progress.layer(layer.digest().as_ref(), LayerState::Waiting);
        }
        let layers: Vec<Descriptor> = futures_util::stream::iter(pairs)
            .map(async |(layer, diff_id)| {
                let mut made = match self.request.layers {
                    Some(to) => self.layer(layer, diff_id, to, is_oci).await?,
                    None => layer.clone(),
                };
                if is_oci {
                    let kind = in_oci_s_words(made.media_type());
                    made.set_media_type(kind);
                }
                Ok::<_, Error>(made)
            })
            .buffered(SIDE_BY_SIDE)
            .try_collect()
            .await?;
        manifest.set_layers(layers);
        if is_oci && !was_oci {
            let mut config = manifest.config().clone();
            config.set_media_type(MediaType::from(media::OCI_CONFIG));
            manifest.set_config(config);
        }
        let kind = if is_oci { media::OCI_MANIFEST } else { media::DOCKER_MANIFEST };
        manifest.set_media_type(Some(MediaType::from(kind)));
        let labels = media::manifest_labels(&manifest);
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|cause| Error::failed(format!("cannot make a manifest: {cause}")))?;
        store(self.client, kind, &bytes, labels).await
    }

    /// The layer compressed anew; itself where it is that already.
    async fn layer(&self, layer: &Descriptor, diff_id: &str, to: Form, is_oci: bool) -> Result<Descriptor> {
        let digest = layer.digest().as_ref();
        if to == Form::Plain && digest == diff_id {
            self.progress.layer(digest, LayerState::Exists);
            return Ok(layer.clone());
        }
        let kind = match (to, is_oci) {
            (Form::Zstd(_), _) => media::OCI_LAYER_ZSTD,
            (Form::Plain, true) => media::OCI_LAYER,
            (Form::Plain, false) => media::DOCKER_LAYER,
        };
        let made = self.write(layer, to).await.map_err(|error| error.context(digest))?;
        if made.tar != diff_id {
            return Err(Error::failed(format!(
                "{digest} is damaged: what is in it has the digest {}, not {diff_id}",
                made.tar
            ))
            .hint("pull the image again"));
        }
        let mut converted = layer.clone();
        converted.set_media_type(MediaType::from(kind));
        converted.set_digest(made.digest);
        converted.set_size(made.size);
        self.progress.layer(digest, LayerState::Done);
        Ok(converted)
    }

    /// Write the new blob: one thread compresses, this side brings it its input and takes its output.
    async fn write(&self, layer: &Descriptor, to: Form) -> Result<Made> {
        let (digest, total) = (layer.digest().as_ref(), layer.size());
        let reader = self.client.blob_reader(digest, 0).await?;
        let (sender, input) = mpsc::channel(2);
        let (output, mut parts) = mpsc::channel::<Vec<u8>>(2);
        let (result, finished) = oneshot::channel();
        std::thread::spawn(move || {
            let mut outgoing =
                Outgoing { parts: output, part: Vec::new(), hasher: Hasher::default(), size: 0 };
            let read = recompress(Incoming { receiver: input, part: Vec::new(), at: 0 }, &mut outgoing, to);
            let made = read.map(|tar| Made {
                tar: tar.to_string(),
                digest: outgoing.hasher.clone().finish(),
                size: outgoing.size,
            });
            // The last part's channel closes with this thread: what was made of it comes first.
            let _ = result.send(made);
        });
        let reference = format!("wharfie-convert-{digest}-{to:?}");
        let mut writer = self.client.await_writer(&reference, 0, "").await?;
        let write = async {
            if writer.offset() > 0 {
                writer.truncate().await?;
            }
            while let Some(part) = parts.recv().await {
                writer.write(part).await?;
            }
            let interrupted = || Error::failed("compressing the layer was interrupted");
            finished.await.map_err(|_| interrupted())?
        };
        let taken = |done| self.progress.layer(digest, LayerState::Downloading { done, total });
        let made = tokio::join!(feed(reader, sender, taken), write).1;
        match made {
            Ok(made) => {
                let labels = HashMap::from([(UNCOMPRESSED.to_owned(), made.tar.clone())]);
                match writer.commit(made.digest.as_ref(), labels).await {
                    Err(error) if error.code != Code::AlreadyExists => Err(error.into()),
                    _ => Ok(made),
                }
            }
            Err(error) => {
                drop(writer);
                let _ = self.client.abort_ingest(&reference).await;
                Err(error)
            }
        }
    }
}

fn by_digest((entry, made): (&Descriptor, &Descriptor)) -> (String, String) {
    (entry.digest().to_string(), made.digest().to_string())
}

/// A layer that was written.
struct Made {
    tar: String,
    digest: oci_spec::image::Digest,
    size: u64,
}

/// docker's media types in OCI's words.
fn in_oci_s_words(kind: &MediaType) -> MediaType {
    match kind.as_ref() {
        media::DOCKER_LAYER => MediaType::from(media::OCI_LAYER),
        media::DOCKER_LAYER_GZIP => MediaType::from(media::OCI_LAYER_GZIP),
        _ => kind.clone(),
    }
}

/// Tells `taken` how many bytes have been handed over.
async fn feed(mut reader: BlobReader, to: mpsc::Sender<io::Result<Vec<u8>>>, taken: impl Fn(u64)) {
    let mut done = 0;
    loop {
        taken(done);
        let (part, is_last) = match reader.part().await {
            Ok(Some(part)) => {
                done += part.len() as u64;
                (Ok(part), false)
            }
            Ok(None) => return,
            Err(error) => (Err(io::Error::other(Error::from(error).message)), true),
        };
        // Nobody listens any more: the other side has said why.
        if to.send(part).await.is_err() || is_last {
            return;
        }
    }
}

struct Incoming {
    receiver: mpsc::Receiver<io::Result<Vec<u8>>>,
    part: Vec<u8>,
    at: usize,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.part.len() {
            match self.receiver.blocking_recv() {
                Some(part) => self.part = part?,
                None => return Ok(0),
            }
            self.at = 0;
        }
        let count = self.part.get(self.at..).unwrap_or_default().read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

/// Bytes hashed and counted on their way to containerd.
struct Outgoing {
    parts: mpsc::Sender<Vec<u8>>,
    part: Vec<u8>,
    hasher: Hasher,
    size: u64,
}

impl Write for Outgoing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = std::mem::take(&mut self.part);
        self.parts.blocking_send(part).map_err(|_| io::Error::other("storing the layer was interrupted"))
    }
}
