//! What no image and no container needs any more and takes room all the same: blobs, snapshots, unfinished downloads.
//! It is found the way containerd's own collector looks: from what is named, along the labels by which one thing keeps
//! another. What is not kept by anything is taken by that collector, never deleted by hand: it looks once more under
//! its own lock, so nothing that came to be needed meanwhile is lost.

use std::collections::{HashMap, HashSet};

use futures_util::future::join_all;
use jiff::Timestamp;

use super::lease::Lease;
use super::usage::SNAPSHOT_REFERENCE;
use crate::containerd::{BlobInfo, Code, EXPIRY, Ingest, Snapshot};
use crate::engine::Engine;
use crate::engine::container::{is_being_made, random_id};
use crate::error::Result;

/// The kind of containerd's plugins that keep snapshots.
const SNAPSHOTTERS: &str = "io.containerd.snapshotter.v1";
/// A blob or snapshot with this label stays whoever needs it.
const ROOT: &str = "containerd.io/gc.root";
/// What the labels begin with by which one thing keeps a blob.
const CONTENT_REFERENCE: &str = "containerd.io/gc.ref.content";
/// A lease with this label keeps what it names, and nothing that this refers to.
const FLAT: &str = "containerd.io/gc.flat";

/// A thing of containerd's that something may need.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Thing {
    /// An unfinished download, by its reference.
    Ingest(String),
    /// A blob of the content store, by its digest.
    Blob(String),
    /// A snapshot, by snapshotter and key.
    Snapshot(String, String),
}

/// Why something that neither an image nor a container needs stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeper {
    /// The lease of this id, which may end by itself at that time.
    Lease(String, Option<Timestamp>),
    /// Its own label, or that of something that needs it.
    Label,
    /// It was written lately: somebody may be at it.
    Young,
    /// A command of ours is at it.
    Maker,
}

/// One thing that neither an image nor a container needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// What it is.
    pub thing: Thing,
    /// Bytes.
    pub bytes: u64,
    /// When it was made, or last written.
    pub since: Option<Timestamp>,
    /// What keeps it; None when it can go.
    pub keeper: Option<Keeper>,
}

/// Everything that neither an image nor a container needs. An unfinished download that was written after `until`
/// counts as somebody's.
pub async fn orphans(engine: &Engine, until: Timestamp) -> Result<Vec<Orphan>> {
    let client = &engine.containerd;
    // What keeps is asked for after what is kept: what comes in between would look like an orphan.
    let there = Inventory::read(engine).await?;
    let mut graph = Graph::default();
    for blob in there.blobs.values() {
        graph.labels(&Thing::Blob(blob.digest.clone()), &blob.labels);
    }
    for (thing, snapshot) in &there.snapshots {
        graph.labels(thing, &snapshot.labels);
        if let (Thing::Snapshot(snapshotter, _), false) = (thing, snapshot.parent.is_empty()) {
            graph.keeps(thing.clone(), Thing::Snapshot(snapshotter.clone(), snapshot.parent.clone()));
        }
    }
    let (leases, containers, images) =
        tokio::try_join!(client.leases(), client.containers(&[]), client.images(&[]))?;
    let mut roots = Vec::new();
    for image in &images {
        roots.push(Thing::Blob(image.target.digest().to_string()));
        roots.extend(references(&image.labels));
    }
    for container in &containers {
        roots.push(Thing::Snapshot(container.snapshotter.clone(), container.snapshot_key.clone()));
        roots.extend(references(&container.labels));
    }
    let needed = graph.reach(roots, &HashSet::new());
    let mut keepers: HashMap<Thing, Keeper> = HashMap::new();
    let labelled = there.labelled().filter(|thing| !needed.contains(*thing)).cloned();
    for thing in graph.reach(labelled, &needed) {
        keepers.insert(thing, Keeper::Label);
    }
    for lease in &leases {
        // One that has ended in the meantime keeps nothing.
        let resources = client.lease_resources(&lease.id).await.unwrap_or_default();
        let named: Vec<Thing> = resources.into_iter().filter_map(|(kind, id)| leased(&kind, id)).collect();
        let kept = if lease.labels.contains_key(FLAT) {
            named.into_iter().filter(|thing| !needed.contains(thing)).collect()
        } else {
            graph.reach(named, &needed)
        };
        let end = lease.labels.get(EXPIRY).and_then(|time| time.parse().ok());
        for thing in kept {
            keepers.entry(thing).or_insert_with(|| Keeper::Lease(lease.id.clone(), end));
        }
    }
    let mut orphans = there.without(&needed);
    for orphan in &mut orphans {
        orphan.keeper = keepers.remove(&orphan.thing).or_else(|| match &orphan.thing {
            Thing::Ingest(_) => orphan.since.is_none_or(|written| written > until).then_some(Keeper::Young),
            Thing::Snapshot(_, key) => is_being_made(engine, key).then_some(Keeper::Maker),
            Thing::Blob(_) => None,
        });
    }
    measure(engine, &mut orphans).await;
    orphans.sort_by(|a, b| a.thing.cmp(&b.thing));
    Ok(orphans)
}

/// Have what nothing keeps removed: what has gone by it. An unfinished download that somebody writes at this moment
/// stays.
pub async fn sweep(engine: &Engine, until: Timestamp) -> Result<Vec<Orphan>> {
    let client = &engine.containerd;
    let before = orphans(engine, until).await?;
    let lease = Lease::begin(engine, "sweep").await?;
    let swept = async {
        for orphan in before.iter().filter(|orphan| orphan.keeper.is_none()) {
            if let Thing::Ingest(reference) = &orphan.thing {
                // One that can be opened is nobody's: containerd lets one writer in.
                match client.open_writer(reference, 0, "").await {
                    Ok(writer) => writer.close().await,
                    Err(error) if error.code == Code::Unavailable => continue,
                    Err(_) => {}
                }
                match client.abort_ingest(reference).await {
                    Err(error) if !error.is_not_found() => return Err(error.into()),
                    _ => {}
                }
            }
        }
        // A snapshotter is cleaned, its directories too, when the collector has taken a snapshot of it.
        let snapshotter = &engine.config.snapshotter;
        let key = format!("wharfie-sweep-{}", random_id()?);
        lease.client.prepare_snapshot(snapshotter, &key, "", HashMap::new()).await?;
        Ok(client.remove_snapshot(snapshotter, &key).await?)
    };
    let swept: Result<()> = swept.await;
    // Ending a lease makes the collector run, and waits for it.
    lease.end(true).await;
    swept?;
    let left: HashSet<Thing> = orphans(engine, until).await?.into_iter().map(|orphan| orphan.thing).collect();
    Ok(before.into_iter().filter(|orphan| orphan.keeper.is_none() && !left.contains(&orphan.thing)).collect())
}

/// Everything that could be an orphan.
struct Inventory {
    blobs: HashMap<String, BlobInfo>,
    snapshots: HashMap<Thing, Snapshot>,
    ingests: Vec<Ingest>,
    /// Blobs and snapshots with the label that keeps them.
    labelled: Vec<Thing>,
}

impl Inventory {
    async fn read(engine: &Engine) -> Result<Self> {
        let client = &engine.containerd;
        let plugins = client.plugins(&[format!("type=={SNAPSHOTTERS}")]).await?;
        let names: Vec<String> =
            plugins.into_iter().filter(|plugin| plugin.error.is_none()).map(|plugin| plugin.id).collect();
        let listed = join_all(names.iter().map(|name| client.snapshots(name))).await;
        let mut snapshots = HashMap::new();
        for (name, listed) in names.iter().zip(listed) {
            for snapshot in listed? {
                snapshots.insert(Thing::Snapshot(name.clone(), snapshot.name.clone()), snapshot);
            }
        }
        let (blobs, ingests) = tokio::try_join!(client.blobs(&[]), client.ingests())?;
        let blobs: HashMap<String, BlobInfo> =
            blobs.into_iter().map(|blob| (blob.digest.clone(), blob)).collect();
        let of_blobs = blobs.values().filter(|blob| blob.labels.contains_key(ROOT));
        let of_snapshots = snapshots.iter().filter(|(_, snapshot)| snapshot.labels.contains_key(ROOT));
        let labelled = of_blobs
            .map(|blob| Thing::Blob(blob.digest.clone()))
            .chain(of_snapshots.map(|(thing, _)| thing.clone()))
            .collect();
        Ok(Self { blobs, snapshots, ingests, labelled })
    }

    fn labelled(&self) -> impl Iterator<Item = &Thing> {
        self.labelled.iter()
    }

    /// What is not `needed`.
    fn without(&self, needed: &HashSet<Thing>) -> Vec<Orphan> {
        let orphan = |thing, bytes, since| Orphan { thing, bytes, since, keeper: None };
        let blobs = self.blobs.values();
        let blobs = blobs.map(|blob| orphan(Thing::Blob(blob.digest.clone()), blob.size, blob.created_at));
        let snapshots = self.snapshots.iter();
        let snapshots = snapshots.map(|(thing, snapshot)| orphan(thing.clone(), 0, snapshot.created_at));
        let ingests = self
            .ingests
            .iter()
            .map(|ingest| orphan(Thing::Ingest(ingest.reference.clone()), ingest.offset, ingest.updated_at));
        blobs.chain(snapshots).chain(ingests).filter(|orphan| !needed.contains(&orphan.thing)).collect()
    }
}

async fn measure(engine: &Engine, orphans: &mut [Orphan]) {
    let sizes = orphans.iter().map(async |orphan| match &orphan.thing {
        Thing::Snapshot(snapshotter, key) => {
            engine.containerd.snapshot_usage(snapshotter, key).await.unwrap_or_default()
        }
        _ => orphan.bytes,
    });
    let sizes = join_all(sizes).await;
    for (orphan, bytes) in orphans.iter_mut().zip(sizes) {
        orphan.bytes = bytes;
    }
}

/// What keeps what.
#[derive(Debug, Default)]
struct Graph(HashMap<Thing, Vec<Thing>>);

impl Graph {
    fn keeps(&mut self, keeper: Thing, kept: Thing) {
        self.0.entry(keeper).or_default().push(kept);
    }

    /// What a thing keeps by its labels, and what keeps it by its own word.
    fn labels(&mut self, thing: &Thing, labels: &HashMap<String, String>) {
        for kept in references(labels) {
            self.keeps(thing.clone(), kept);
        }
        for keeper in back_references(labels) {
            self.keeps(keeper, thing.clone());
        }
    }

    /// Everything that `roots` keep, themselves too, as far as it is not `known`.
    fn reach(&self, roots: impl IntoIterator<Item = Thing>, known: &HashSet<Thing>) -> HashSet<Thing> {
        let mut waiting: Vec<Thing> = roots.into_iter().collect();
        let mut reached = HashSet::new();
        while let Some(thing) = waiting.pop() {
            if !known.contains(&thing) && reached.insert(thing.clone()) {
                waiting.extend(self.0.get(&thing).into_iter().flatten().cloned());
            }
        }
        reached
    }
}

/// What labels keep: `containerd.io/gc.ref.content[.x]` a blob, `containerd.io/gc.ref.snapshot.NAME[/x]` a snapshot.
fn references(labels: &HashMap<String, String>) -> impl Iterator<Item = Thing> + '_ {
    labels.iter().filter_map(|(key, value)| named(key, value, (CONTENT_REFERENCE, SNAPSHOT_REFERENCE)))
}

/// What keeps the thing with these labels, by its own word.
fn back_references(labels: &HashMap<String, String>) -> impl Iterator<Item = Thing> + '_ {
    let prefixes = ("containerd.io/gc.bref.content", "containerd.io/gc.bref.snapshot.");
    labels.iter().filter_map(move |(key, value)| named(key, value, prefixes))
}

fn named(key: &str, value: &str, (content, snapshot): (&str, &str)) -> Option<Thing> {
    if let Some(rest) = key.strip_prefix(content) {
        return (rest.is_empty() || rest.starts_with(['.', '/'])).then(|| Thing::Blob(value.to_owned()));
    }
    let snapshotter = key.strip_prefix(snapshot)?.split('/').next()?;
    Some(Thing::Snapshot(snapshotter.to_owned(), value.to_owned()))
}

/// What a lease names.
fn leased(kind: &str, id: String) -> Option<Thing> {
    match kind {
        "content" => Some(Thing::Blob(id)),
        "ingests" => Some(Thing::Ingest(id)),
        _ => Some(Thing::Snapshot(kind.strip_prefix("snapshots/")?.to_owned(), id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: &str) -> Thing {
        Thing::Blob(name.into())
    }

    #[test]
    fn things_are_kept_along_labels() {
        let labels = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let mut graph = Graph::default();
        graph.labels(&blob("index"), &labels(&[("containerd.io/gc.ref.content.m.0", "manifest")]));
        graph.labels(
            &blob("manifest"),
            &labels(&[
                ("containerd.io/gc.ref.content.config", "config"),
                ("containerd.io/gc.ref.content", "plain"),
                ("containerd.io/gc.ref.contents", "no label of containerd's"),
                ("other", "nothing"),
            ]),
        );
        graph.labels(&blob("config"), &labels(&[("containerd.io/gc.ref.snapshot.overlayfs/2", "top")]));
        graph.labels(&blob("signature"), &labels(&[("containerd.io/gc.bref.content.of", "manifest")]));
        let snapshot = |key: &str| Thing::Snapshot("overlayfs".into(), key.into());
        graph.keeps(snapshot("top"), snapshot("low"));
        graph.keeps(snapshot("low"), snapshot("low"));
        let reached = graph.reach([blob("index")], &HashSet::from([blob("plain")]));
        let expected = [
            blob("index"),
            blob("manifest"),
            blob("config"),
            blob("signature"),
            snapshot("top"),
            snapshot("low"),
        ];
        assert_eq!(reached, HashSet::from(expected));
    }

    #[test]
    fn leases_name_things() {
        assert_eq!(leased("content", "x".into()), Some(blob("x")));
        assert_eq!(leased("ingests", "x".into()), Some(Thing::Ingest("x".into())));
        assert_eq!(leased("snapshots/a", "x".into()), Some(Thing::Snapshot("a".into(), "x".into())));
        assert_eq!(leased("images", "x".into()), None);
    }
}
