//! Layers into snapshots, while they still arrive. Where containerd's files are ours too, layers are written side by
//! side: one whose parent is not finished goes into a snapshot of its own, and its directory is moved into the real
//! one afterwards. Everywhere else, and for what `image::archive` does not know, containerd's differ unpacks.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::StreamExt as _;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};
use tokio::sync::oneshot;

use crate::containerd::{Client, Code, Mount};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::archive::{Applied, apply_layer};
use crate::image::digest::chain_ids;
use crate::image::media;
use crate::image::progress::{LayerState, Progress};
use crate::sys::layer::{LayerTree, adopt, settle};

use super::arrival::{Arrival, Arriving, Growing};
use super::lease::Lease;
use super::local::Local;
use super::resolve::ResolvedImage;

/// containerd's label by which a snapshot is known before it is committed.
const SNAPSHOT_REF: &str = "containerd.io/snapshot.ref";
/// The snapshotter whose directories are written into as they are.
const OVERLAYFS: &str = "overlayfs";
/// Layers that are written side by side.
const SIDE_BY_SIDE: usize = 3;

/// The layers of one image on their way into a snapshotter.
pub(super) struct Job<'a> {
    /// Under a lease.
    pub(super) client: &'a Client,
    pub(super) snapshotter: &'a str,
    pub(super) layers: &'a [Descriptor],
    pub(super) diff_ids: &'a [String],
    /// The configuration's digest, which keeps the snapshot afterwards.
    pub(super) config: &'a str,
}

impl<'a> Job<'a> {
    pub(super) fn new(
        client: &'a Client,
        snapshotter: &'a str,
        manifest: &'a ImageManifest,
        config: &'a ImageConfiguration,
    ) -> Self {
        Self {
            client,
            snapshotter,
            layers: manifest.layers(),
            diff_ids: config.rootfs().diff_ids(),
            config: manifest.config().digest().as_ref(),
        }
    }
}

/// Unpack what is stored and not unpacked yet. Returns the chain id of the whole: the snapshot that containers stand on.
pub(super) async fn unpack(job: &Job<'_>, progress: &dyn Progress) -> Result<String> {
    let local = Local::of(job.client).await;
    let arrivals = job.layers.iter().map(|_| Arrival::stored()).collect();
    unpack_arriving(job, arrivals, local.as_ref(), progress).await
}

/// The same while the layers still arrive.
pub(super) async fn unpack_arriving(
    job: &Job<'_>,
    arrivals: Vec<Arrival>,
    local: Option<&Local>,
    progress: &dyn Progress,
) -> Result<String> {
    let chain = chain_ids(job.diff_ids);
    let there = unpacked(job, &chain).await?;
    let finished = Cell::new(there);
    let unpacking = Unpacking {
        job,
        chain: &chain,
        local: local.filter(|_| job.snapshotter == OVERLAYFS),
        finished: &finished,
    };
    let layers = arrivals.into_iter().enumerate();
    let mut written = futures_util::stream::iter(layers)
        .map(|(index, mut arrival)| {
            let unpacking = &unpacking;
            async move {
                let written = match index < there {
                    true => Written::Nothing,
                    false => unpacking.write(index, &mut arrival).await?,
                };
                Ok::<_, Error>((index, arrival, written))
            }
        })
        .buffered(SIDE_BY_SIDE);
    while let Some(next) = written.next().await {
        let (index, mut arrival, written) = next?;
        arrival.is_stored().await?;
        let Some(layer) = job.layers.get(index) else { break };
        let digest = layer.digest().as_ref();
        if index >= there {
            progress.layer(digest, LayerState::Extracting);
            unpacking.finish(index, written).await?;
            finished.set(index + 1);
        }
        progress.layer(digest, if index >= there { LayerState::Done } else { LayerState::Exists });
    }
    let Some(top) = chain.last() else { return Ok(String::new()) };
    let keep = HashMap::from([(media::snapshot_label(job.snapshotter), top.clone())]);
    job.client.label_blob(job.config, keep).await?;
    Ok(top.clone())
}

/// How many layers from below are snapshots already.
async fn unpacked(job: &Job<'_>, chain: &[String]) -> Result<usize> {
    for (index, name) in chain.iter().enumerate().rev() {
        match job.client.snapshot(job.snapshotter, name).await {
            Ok(_) => return Ok(index + 1),
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                return Err(crate::Error::from(error).context(format!("snapshotter {}", job.snapshotter)));
            }
        }
    }
    Ok(0)
}

/// What was written of a layer before its turn came.
enum Written {
    /// Nothing: it is unpacked when its turn comes.
    Nothing,
    /// Its files, into the directory `upper` of the snapshot `key`.
    Files { key: String, is_in_place: bool, upper: PathBuf, lower: Vec<PathBuf>, applied: Applied },
}

struct Unpacking<'a> {
    job: &'a Job<'a>,
    chain: &'a [String],
    local: Option<&'a Local>,
    /// Layers from below that are snapshots.
    finished: &'a Cell<usize>,
}

impl Unpacking<'_> {
    /// The snapshot that layer `index` stands on, and the one that it becomes.
    fn names(&self, index: usize) -> (&str, &str) {
        let name = |index: usize| self.chain.get(index).map_or("", String::as_str);
        (index.checked_sub(1).map_or("", name), name(index))
    }

    fn key(&self, name: &str) -> String {
        format!("extract-{}-{name}", std::process::id())
    }

    /// Writes a layer as it arrives, where that can be done.
    async fn write(&self, index: usize, arrival: &mut Arrival) -> Result<Written> {
        let begun = arrival.begun().await?;
        let (Some(local), Some(layer)) = (self.local, self.job.layers.get(index)) else {
            return Ok(Written::Nothing);
        };
        let growing = match begun {
            Arriving::Growing(growing) => Some(growing),
            _ => local.blob(layer.digest().as_ref()).and_then(|file| Growing::whole(file).ok()),
        };
        let Some(growing) = growing else { return Ok(Written::Nothing) };
        let (parent, name) = self.names(index);
        let is_in_place = self.finished.get() == index;
        let (key, parent, labels) = match is_in_place {
            true => (self.key(name), parent, labels(name)),
            false => (format!("{}-early", self.key(name)), "", HashMap::new()),
        };
        let mounts = match self.job.client.prepare_snapshot(self.job.snapshotter, &key, parent, labels).await
        {
            Ok(mounts) => mounts,
            // Somebody else's, or finished by somebody else: to be found out when its turn comes.
            Err(error) if error.code == Code::AlreadyExists => return Ok(Written::Nothing),
            Err(error) => return Err(error.into()),
        };
        let Some((upper, lower)) = local.upper(&mounts) else {
            self.remove(&key).await;
            return Ok(Written::Nothing);
        };
        let applying = Applying::begin(Arc::clone(&growing), upper.clone(), index == 0);
        match applying.end().await {
            Ok(Some(applied)) => Ok(Written::Files { key, is_in_place, upper, lower, applied }),
            Ok(None) => {
                self.remove(&key).await;
                Ok(Written::Nothing)
            }
            // It was begun anew: what is stored in the end is unpacked.
            Err(_) if growing.is_void() => {
                self.remove(&key).await;
                Ok(Written::Nothing)
            }
            Err(error) => {
                self.remove(&key).await;
                Err(error.context(format!("failed to extract layer {}", layer.digest())))
            }
        }
    }

    /// Makes a layer a snapshot, once all below are.
    async fn finish(&self, index: usize, written: Written) -> Result<()> {
        let (Some(layer), Some(diff_id)) = (self.job.layers.get(index), self.job.diff_ids.get(index)) else {
            return Ok(());
        };
        let Written::Files { key, is_in_place, upper, lower, applied } = written else {
            return self.by_differ(layer, diff_id, self.names(index)).await;
        };
        let done = match matches(layer, diff_id, applied.diff_id.as_ref()) {
            Ok(()) if is_in_place => self.commit(index, &key, (&upper, &lower), &applied).await,
            Ok(()) => self.move_up(index, &upper, &applied).await,
            Err(error) => Err(error),
        };
        if !is_in_place || done.is_err() {
            self.remove(&key).await;
        }
        if let Err(error) = done {
            return self.unless_there(self.names(index).1, error).await;
        }
        let label = HashMap::from([("containerd.io/uncompressed".to_owned(), diff_id.clone())]);
        self.job.client.label_blob(layer.digest().as_ref(), label).await?;
        Ok(())
    }

    /// From a snapshot of its own into the one that stands on its parent.
    async fn move_up(&self, index: usize, staged: &std::path::Path, applied: &Applied) -> Result<()> {
        let (parent, name) = self.names(index);
        let key = self.key(name);
        let (client, snapshotter) = (self.job.client, self.job.snapshotter);
        let mounts = client.prepare_snapshot(snapshotter, &key, parent, labels(name)).await?;
        let moved = async {
            let place = self.local.and_then(|local| local.upper(&mounts));
            let (upper, lower) = place.ok_or_else(|| Error::failed("containerd's directories are gone"))?;
            settle(staged, &upper)?;
            self.commit(index, &key, (&upper, &lower), applied).await
        };
        let moved = moved.await;
        if moved.is_err() {
            self.remove(&key).await;
        }
        moved
    }

    async fn commit(
        &self,
        index: usize,
        key: &str,
        (upper, lower): (&std::path::Path, &[PathBuf]),
        applied: &Applied,
    ) -> Result<()> {
        adopt(upper, lower, &applied.implied)?;
        let (_, name) = self.names(index);
        self.job.client.commit_snapshot(self.job.snapshotter, name, key, labels(name)).await?;
        Ok(())
    }

    /// Lets containerd unpack what is in its store.
    async fn by_differ(&self, layer: &Descriptor, diff_id: &str, (parent, name): (&str, &str)) -> Result<()> {
        let (client, snapshotter) = (self.job.client, self.job.snapshotter);
        let key = self.key(name);
        let mounts = match client.prepare_snapshot(snapshotter, &key, parent, labels(name)).await {
            Ok(mounts) => mounts,
            // A pull beside us finished it, or the snapshotter brings it by itself.
            Err(error) if error.code == Code::AlreadyExists => match client.snapshot(snapshotter, name).await
            {
                Ok(_) => return Ok(()),
                // An earlier try of a process with our id.
                Err(_) => client.snapshot_mounts(snapshotter, &key).await?,
            },
            Err(error) => return Err(error.into()),
        };
        let committed = match differ(client, layer, diff_id, &mounts).await {
            Ok(()) => {
                client.commit_snapshot(snapshotter, name, &key, labels(name)).await.map_err(Error::from)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = committed {
            self.remove(&key).await;
            return self.unless_there(name, error).await;
        }
        Ok(())
    }

    /// Somebody else may have finished the same layer meanwhile.
    async fn unless_there(&self, name: &str, error: Error) -> Result<()> {
        match self.job.client.snapshot(self.job.snapshotter, name).await {
            Ok(_) => Ok(()),
            Err(_) => Err(error),
        }
    }

    /// What cannot be removed now goes with the lease.
    async fn remove(&self, key: &str) {
        let _ = self.job.client.remove_snapshot(self.job.snapshotter, key).await;
    }
}

fn labels(name: &str) -> HashMap<String, String> {
    HashMap::from([(SNAPSHOT_REF.to_owned(), name.to_owned())])
}

/// A thread that writes a layer. Nobody removes the directory from under it: dropped, it waits for the thread's end.
struct Applying {
    growing: Arc<Growing>,
    result: oneshot::Receiver<Result<Option<Applied>>>,
    has_ended: bool,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Applying {
    fn begin(growing: Arc<Growing>, upper: PathBuf, is_lowest: bool) -> Self {
        let (sender, result) = oneshot::channel();
        let reader = growing.reader();
        let thread = std::thread::spawn(move || {
            let applied = LayerTree::new(&upper, is_lowest).and_then(|tree| apply_layer(reader, tree));
            // Nobody waits for it any more.
            let _ = sender.send(applied);
        });
        Self { growing, result, has_ended: false, thread: Some(thread) }
    }

    async fn end(mut self) -> Result<Option<Applied>> {
        let result = (&mut self.result).await;
        self.has_ended = true;
        result.map_err(|_| Error::failed("unpacking was interrupted")).flatten()
    }
}

impl Drop for Applying {
    fn drop(&mut self) {
        if !self.has_ended {
            self.growing.stop();
        }
        if let Some(thread) = self.thread.take() {
            // Its panic has been told by the runtime of threads.
            let _ = thread.join();
        }
    }
}

/// Let containerd's differ write the layer, and compare what it wrote with what the image promises.
async fn differ(client: &Client, layer: &Descriptor, diff_id: &str, mounts: &[Mount]) -> Result<()> {
    let digest = layer.digest();
    let applied = client.apply_layer(layer, mounts).await.map_err(|error| {
        Error::from(error)
            .context(format!("failed to extract layer {digest}"))
            .hint("the layer is damaged, the disk is full, or its compression is unknown to this containerd")
    })?;
    matches(layer, diff_id, applied.digest().as_ref())?;
    let label = HashMap::from([("containerd.io/uncompressed".to_owned(), diff_id.to_owned())]);
    client.label_blob(digest.as_ref(), label).await?;
    Ok(())
}

fn matches(layer: &Descriptor, promised: &str, applied: &str) -> Result<()> {
    if promised == applied {
        return Ok(());
    }
    Err(Error::failed(format!(
        "wrong diff id: layer {} unpacks to {applied}, the image's configuration says {promised}",
        layer.digest()
    )))
}

/// Make sure that the image's snapshot is there: one call when it is. For images that other clients pulled
/// without unpacking, or for another snapshotter.
pub async fn ensure_unpacked(engine: &Engine, image: &ResolvedImage, progress: &dyn Progress) -> Result<()> {
    let snapshotter = &engine.config.snapshotter;
    if image.chain_id.is_empty() || engine.containerd.snapshot(snapshotter, &image.chain_id).await.is_ok() {
        return Ok(());
    }
    let lease = Lease::begin(engine, &image.chain_id).await?;
    let job = Job::new(&lease.client, snapshotter, &image.manifest, &image.config);
    let result = unpack(&job, progress).await;
    lease.end(result.is_err()).await;
    result.map(|_| ())
}
