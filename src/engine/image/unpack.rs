//! Layers into snapshots, while they still arrive. Where containerd's files are ours too, layers are written side by
//! side: those whose parents are not finished go into directories of one more snapshot, the stage, and are moved into
//! their own when their turn comes. Everywhere else, and for what `image::archive` does not know, containerd's differ
//! unpacks.

use std::cell::Cell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageManifest};
use tokio::sync::{OnceCell, mpsc, oneshot};

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
/// containerd's label on a blob: the digest of the tar in it.
const UNCOMPRESSED: &str = "containerd.io/uncompressed";
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
    let unpacking = Unpacking {
        job,
        chain: &chain,
        local: local.filter(|_| job.snapshotter == OVERLAYFS),
        there,
        finished: Cell::new(there),
        // No other process, also in another process namespace, has the same.
        own: format!("extract-{}-{}", std::process::id(), Timestamp::now().as_nanosecond()),
        tries: Cell::new(0),
        stage: OnceCell::new(),
    };
    let done = unpacking.run(arrivals, progress).await;
    if unpacking.stage.initialized() {
        unpacking.remove(&unpacking.stage_key()).await;
    }
    done?;
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
    /// Its files, in a directory.
    Files { place: Place, applied: Applied },
}

/// The directory that a layer is written into.
enum Place {
    /// The one of its own snapshot `key`, and those of the layers below.
    Own { key: String, upper: PathBuf, lower: Vec<PathBuf> },
    /// One on the stage.
    Staged(PathBuf),
}

impl Place {
    fn directory(&self) -> &Path {
        match self {
            Self::Own { upper, .. } => upper,
            Self::Staged(directory) => directory,
        }
    }
}

struct Unpacking<'a> {
    job: &'a Job<'a>,
    chain: &'a [String],
    local: Option<&'a Local>,
    /// Layers from below that were snapshots before.
    there: usize,
    /// Layers from below that are snapshots.
    finished: Cell<usize>,
    /// What the keys of this unpacking's snapshots begin with.
    own: String,
    tries: Cell<usize>,
    /// The directory of the stage, once it is needed; None where there can be none.
    stage: OnceCell<Option<PathBuf>>,
}

impl Unpacking<'_> {
    /// Three things at once: layers are written, finished one after the other, and labelled.
    async fn run(&self, arrivals: Vec<Arrival>, progress: &dyn Progress) -> Result<()> {
        let (to_finish, mut written) = mpsc::unbounded_channel();
        let (to_label, mut finished) = mpsc::unbounded_channel();
        let writing = async move {
            let mut layers = futures_util::stream::iter(arrivals.into_iter().enumerate())
                .map(async |(index, mut arrival)| {
                    let written = match index < self.there {
                        true => Written::Nothing,
                        false => self.write(index, &mut arrival).await?,
                    };
                    Ok::<_, Error>((index, arrival, written))
                })
                .buffered(SIDE_BY_SIDE);
            while let Some(layer) = layers.next().await {
                // Nobody takes it any more when finishing has failed, which is told by that.
                let _ = to_finish.send(layer?);
            }
            Ok::<_, Error>(())
        };
        let finishing = async move {
            while let Some((index, mut arrival, written)) = written.recv().await {
                let Some(layer) = self.job.layers.get(index) else { break };
                if index >= self.there {
                    progress.layer(layer.digest().as_ref(), LayerState::Extracting);
                    self.finish(index, &mut arrival, written).await?;
                    self.finished.set(index + 1);
                }
                let _ = to_label.send((index, arrival));
            }
            Ok(())
        };
        let labelling = async move {
            while let Some((index, mut arrival)) = finished.recv().await {
                arrival.is_stored().await?;
                let (Some(layer), Some(diff_id)) = (self.job.layers.get(index), self.job.diff_ids.get(index))
                else {
                    break;
                };
                if index >= self.there {
                    let label = HashMap::from([(UNCOMPRESSED.to_owned(), diff_id.clone())]);
                    self.job.client.label_blob(layer.digest().as_ref(), label).await?;
                }
                let state = if index >= self.there { LayerState::Done } else { LayerState::Exists };
                progress.layer(layer.digest().as_ref(), state);
            }
            Ok(())
        };
        tokio::try_join!(writing, finishing, labelling).map(drop)
    }

    /// The snapshot that layer `index` stands on, and the one that it becomes.
    fn names(&self, index: usize) -> (&str, &str) {
        let name = |index: usize| self.chain.get(index).map_or("", String::as_str);
        (index.checked_sub(1).map_or("", name), name(index))
    }

    fn next_try(&self) -> usize {
        self.tries.set(self.tries.get() + 1);
        self.tries.get()
    }

    fn key(&self, name: &str) -> String {
        format!("{}-{} {name}", self.own, self.next_try())
    }

    fn stage_key(&self) -> String {
        format!("{}-stage", self.own)
    }

    /// Writes a layer as it arrives, where that can be done.
    async fn write(&self, index: usize, arrival: &mut Arrival) -> Result<Written> {
        let (Some(local), Some(layer), Some(diff_id)) =
            (self.local, self.job.layers.get(index), self.job.diff_ids.get(index))
        else {
            return Ok(Written::Nothing);
        };
        loop {
            let growing = match arrival.begun().await? {
                Arriving::Growing(growing) => Some(growing),
                _ => local.blob(layer.digest().as_ref()).and_then(|file| Growing::whole(file).ok()),
            };
            let Some(growing) = growing else { return Ok(Written::Nothing) };
            let Some(place) = self.place(local, index).await? else { return Ok(Written::Nothing) };
            let applying = Applying::begin(Arc::clone(&growing), place.directory().to_path_buf(), index == 0);
            let failed = match applying.end().await {
                Ok(Some(applied)) => match matches(layer, diff_id, applied.diff_id.as_ref()) {
                    Ok(()) => return Ok(Written::Files { place, applied }),
                    Err(error) => Some(error),
                },
                Ok(None) => None,
                Err(error) => Some(error.context(format!("failed to extract layer {}", layer.digest()))),
            };
            // What lies on the stage goes with it.
            if let Place::Own { key, .. } = &place {
                self.remove(key).await;
            }
            let Some(error) = failed else { return Ok(Written::Nothing) };
            // Wrong bytes of a registry are no fault of the layer: then others come, or the download's own error.
            if arrival.was(&growing).await? {
                return Err(error);
            }
        }
    }

    /// An empty directory for a layer. None where only containerd's differ can write one.
    async fn place(&self, local: &Local, index: usize) -> Result<Option<Place>> {
        let (parent, name) = self.names(index);
        let (client, snapshotter) = (self.job.client, self.job.snapshotter);
        if self.finished.get() == index {
            let key = self.key(name);
            let mounts = match client.prepare_snapshot(snapshotter, &key, parent, labels(name)).await {
                Ok(mounts) => mounts,
                // Finished by somebody else: to be found out when its turn comes.
                Err(error) if error.code == Code::AlreadyExists => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let Some((upper, lower)) = local.upper(&mounts) else {
                self.remove(&key).await;
                return Ok(None);
            };
            return Ok(Some(Place::Own { key, upper, lower }));
        }
        let stage = self.stage.get_or_try_init(async || {
            let key = self.stage_key();
            let mounts = client.prepare_snapshot(snapshotter, &key, "", HashMap::new()).await?;
            Ok::<_, Error>(local.upper(&mounts).map(|(upper, _)| upper))
        });
        let Some(stage) = stage.await? else { return Ok(None) };
        let directory = stage.join(self.next_try().to_string());
        std::fs::create_dir(&directory).map_err(|cause| Error::io("create", &directory, cause))?;
        Ok(Some(Place::Staged(directory)))
    }

    /// Makes a layer a snapshot, once all below are. That its bytes are those of the image its diff id says, so nothing
    /// waits for the blob to be stored unless it is unpacked from there.
    async fn finish(&self, index: usize, arrival: &mut Arrival, written: Written) -> Result<()> {
        let (Some(layer), Some(diff_id)) = (self.job.layers.get(index), self.job.diff_ids.get(index)) else {
            return Ok(());
        };
        let done = match written {
            Written::Nothing => {
                arrival.is_stored().await?;
                return self.by_differ(layer, diff_id, self.names(index)).await;
            }
            Written::Files { place: Place::Own { key, upper, lower }, applied } => {
                let done = self.commit(index, &key, (&upper, &lower), &applied).await;
                if done.is_err() {
                    self.remove(&key).await;
                }
                done
            }
            Written::Files { place: Place::Staged(directory), applied } => {
                self.move_up(index, &directory, &applied).await
            }
        };
        match done {
            Ok(()) => Ok(()),
            Err(error) => self.unless_there(self.names(index).1, error).await,
        }
    }

    /// From the stage into the snapshot that stands on its parent.
    async fn move_up(&self, index: usize, staged: &Path, applied: &Applied) -> Result<()> {
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
        (upper, lower): (&Path, &[PathBuf]),
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
            Err(error) if error.code == Code::AlreadyExists => {
                return self.unless_there(name, error.into()).await;
            }
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
    matches(layer, diff_id, applied.digest().as_ref())
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
