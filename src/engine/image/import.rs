//! Import: the tar of a root file system becomes an image of one layer.

use std::collections::HashMap;
use std::io::Read;

use jiff::Timestamp;
use oci_spec::image::{Descriptor, Digest, ImageConfiguration, ImageManifestBuilder, SCHEMA_VERSION};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::containerd::Client;
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::image::archive::{Compression, RootfsTar, decompressed, read_rootfs};
use crate::image::digest::Hasher;
use crate::image::platform::Platform;
use crate::image::progress::Progress;
use crate::image::{change, media};
use crate::registry::{BlobStream, Reference};

use super::content::{parse, store};
use super::deposit::{Deposit, Store};
use super::lease::Lease;
use super::local::Local;
use super::name;
use super::unpack::{Job, unpack};

const PART: usize = 1 << 20;
/// Where the tar comes from.
pub enum Source {
    /// A file, a pipe.
    Reader(Box<dyn Read + Send>),
    /// http or https.
    Url(String),
}

/// What to import, and as what.
pub struct ImportRequest {
    /// The tar, or tar in gzip, zstd or xz.
    pub source: Source,
    /// The image's name; none makes a nameless image.
    pub reference: Option<Reference>,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// The comment in the image's history.
    pub message: String,
    /// What the files were built for; None for this machine.
    pub platform: Option<Platform>,
}

/// Make the image; returns its id. Nothing stays when it fails.
pub async fn import(engine: &Engine, request: ImportRequest, progress: &dyn Progress) -> Result<String> {
    // What is wrong on the command line is said before anything is read.
    let mut settings = Map::new();
    for instruction in &request.changes {
        change::apply(&mut settings, instruction)?;
    }
    let url = match &request.source {
        Source::Url(url) => Some(BlobStream::open_url(url).await?),
        Source::Reader(_) => None,
    };
    let lease = Lease::begin(engine, "import").await?;
    let result = make(engine, &lease.client, (request, url, settings), progress).await;
    lease.end(result.is_err()).await;
    result
}

async fn make(
    engine: &Engine,
    client: &Client,
    (request, url, settings): (ImportRequest, Option<BlobStream>, Map<String, Value>),
    progress: &dyn Progress,
) -> Result<String> {
    let (layer, tar) = match (request.source, url) {
        (Source::Reader(reader), _) => store_layer(client, reader).await?,
        (Source::Url(_), Some(stream)) => {
            let (sender, receiver) = mpsc::channel(4);
            let reader = Incoming { receiver, part: Vec::new(), at: 0 };
            let (stored, ()) = tokio::join!(store_layer(client, Box::new(reader)), feed(stream, sender));
            stored?
        }
        (Source::Url(url), None) => return Err(Error::failed(format!("{url} was not opened"))),
    };
    let media_type = media::layer_type(tar.compression);
    let layer = Descriptor::new(media_type.into(), layer.1, layer.0);
    let platform = request.platform.unwrap_or_else(Platform::host);
    let json = configuration(&platform, settings, &tar.diff_id, &request.message).to_string();
    let keep = HashMap::new();
    let config_descriptor = store(client, media::OCI_CONFIG, json.as_bytes(), keep).await?;
    let config: ImageConfiguration = parse(json.as_bytes(), config_descriptor.digest().as_ref())?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(media::OCI_MANIFEST)
        .config(config_descriptor)
        .layers(vec![layer])
        .build()
        .map_err(|cause| Error::failed(format!("cannot make a manifest: {cause}")))?;
    let bytes = serde_json::to_vec(&manifest)
        .map_err(|cause| Error::failed(format!("cannot make a manifest: {cause}")))?;
    let target = store(client, media::OCI_MANIFEST, &bytes, media::manifest_labels(&manifest)).await?;
    unpack(&Job::new(client, &engine.config.snapshotter, &manifest, &config), progress).await?;
    let name = match &request.reference {
        Some(reference) => reference.canonical(),
        None => name::dangling(&target),
    };
    name::put(client, &name, &target).await?;
    let told =
        request.reference.as_ref().map_or_else(|| target.digest().to_string(), |named| named.familiar());
    engine.note(&[event::of_image("import", target.digest().as_ref(), &told)]);
    Ok(target.digest().to_string())
}

fn configuration(
    platform: &Platform,
    settings: Map<String, Value>,
    diff_id: &Digest,
    message: &str,
) -> Value {
    let now = Timestamp::now().to_string();
    let mut config = json!({ "created": now, "architecture": platform.architecture });
    if let Some(map) = config.as_object_mut() {
        if !platform.variant.is_empty() {
            map.insert("variant".into(), json!(platform.variant));
        }
        map.insert("os".into(), json!(platform.os));
        map.insert("config".into(), Value::Object(settings));
        map.insert("rootfs".into(), json!({ "type": "layers", "diff_ids": [diff_id.to_string()] }));
        map.insert("history".into(), json!([{ "created": now, "comment": message }]));
    }
    config
}

/// The stream as a blob under the lease, and what the tar in it is. A thread reads, this side writes.
async fn store_layer(client: &Client, input: Box<dyn Read + Send>) -> Result<((Digest, u64), RootfsTar)> {
    let (parts, mut arriving) = mpsc::channel::<Vec<u8>>(4);
    let (result, finished) = oneshot::channel();
    std::thread::spawn(move || {
        // Nobody waits for it any more.
        let _ = result.send(copied(input, parts));
    });
    let local = Local::of(client).await;
    let reference = format!("wharfie-import-{}", std::process::id());
    let opened = Deposit::open(Store { client, local: local.as_ref() }, reference, 0, "").await?;
    let Some(mut deposit) = opened else {
        return Err(Error::failed("containerd takes an unknown layer for a known one"));
    };
    while let Some(part) = arriving.recv().await {
        deposit.write(part).await?;
    }
    match finished.await.map_err(|_| Error::failed("reading the archive was interrupted")).flatten() {
        Ok(((digest, size), tar)) => match deposit.commit(digest.as_ref()).await? {
            true => Ok(((digest, size), tar)),
            false => Err(Error::failed(format!("layer {digest} became another one while it was stored"))),
        },
        Err(error) => {
            deposit.abort().await;
            Err(error)
        }
    }
}

/// Hands the layer's bytes over while it is checked: as they come or, where no layer may be so compressed, plain.
fn copied(
    mut input: Box<dyn Read + Send>,
    parts: mpsc::Sender<Vec<u8>>,
) -> Result<((Digest, u64), RootfsTar)> {
    let mut head = Vec::new();
    let unreadable =
        |cause: std::io::Error| Error::failed(format!("read the archive: {}", crate::error::reason(&cause)));
    input.by_ref().take(8).read_to_end(&mut head).map_err(unreadable)?;
    let compression = Compression::of(&head);
    let whole = std::io::Cursor::new(head).chain(input);
    let input: Box<dyn Read> = match compression {
        Compression::Xz => decompressed(whole)?.0,
        _ => Box::new(whole),
    };
    let mut copying = Copying { input, parts, part: Vec::new(), hasher: Hasher::default(), size: 0 };
    let tar = read_rootfs(&mut copying)?;
    Ok((copying.finish()?, tar))
}

/// A reader whose bytes are copied, hashed and counted on their way.
struct Copying {
    input: Box<dyn Read>,
    parts: mpsc::Sender<Vec<u8>>,
    part: Vec<u8>,
    hasher: Hasher,
    size: u64,
}

impl Copying {
    fn send(&mut self) -> std::io::Result<()> {
        let part = std::mem::take(&mut self.part);
        self.parts.blocking_send(part).map_err(|_| std::io::Error::other("storing the layer was interrupted"))
    }

    /// What nobody wanted to read belongs to the blob too.
    fn finish(mut self) -> Result<(Digest, u64)> {
        let failed = |cause: std::io::Error| {
            Error::failed(format!("read the archive: {}", crate::error::reason(&cause)))
        };
        std::io::copy(&mut self, &mut std::io::sink()).map_err(failed)?;
        self.send().map_err(failed)?;
        Ok((self.hasher.finish(), self.size))
    }
}

impl Read for Copying {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        self.hasher.update(bytes);
        self.size += count as u64;
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART {
            self.send()?;
        }
        Ok(count)
    }
}

/// Bytes from the network for the reading thread.
struct Incoming {
    receiver: mpsc::Receiver<std::io::Result<Vec<u8>>>,
    part: Vec<u8>,
    at: usize,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.part.len() {
            match self.receiver.blocking_recv() {
                Some(part) => self.part = part?,
                None => return Ok(0),
            }
            self.at = 0;
        }
        let rest = self.part.get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.at += count;
        Ok(count)
    }
}

async fn feed(mut stream: BlobStream, sender: mpsc::Sender<std::io::Result<Vec<u8>>>) {
    loop {
        let mut part = Vec::new();
        let more = stream.read(&mut part, PART).await;
        let last = !matches!(more, Ok(true));
        let piece = more.map(|_| part).map_err(|failure| std::io::Error::other(failure.error.message));
        // Nobody listens any more: the reader has said why.
        if sender.send(piece).await.is_err() || last {
            return;
        }
    }
}
