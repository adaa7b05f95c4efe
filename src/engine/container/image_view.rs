//! A look at an image's files: a read-only snapshot that nothing runs on. While it is there, the image's layers
//! cannot be removed. A lease keeps it from being collected, so that containerd takes it by itself in the end;
//! a journal names it, so that the next command takes what a killed one has left.

use std::collections::HashMap;

use jiff::SignedDuration;

use super::create::Journal;
use super::names::random_id;
use crate::containerd::{Client, Mount};
use crate::engine::Engine;
use crate::engine::image::{ResolvedImage, ensure_unpacked};
use crate::error::{Error, Result};
use crate::image::progress::Silent;
use crate::store::Pending;

/// Longer than any copy, short enough that what nobody comes back for does not stay.
const LIFE: SignedDuration = SignedDuration::from_hours(24);

/// An open look. It is ended explicitly: ending takes calls.
#[derive(Debug)]
pub(in crate::engine) struct ImageView {
    /// How to mount it.
    pub(in crate::engine) mounts: Vec<Mount>,
    containerd: Client,
    snapshotter: String,
    id: String,
    journal: Pending,
}

impl ImageView {
    /// A look at the files of `image`, unpacked first where they are not.
    pub(in crate::engine) async fn open(engine: &Engine, image: &ResolvedImage) -> Result<Self> {
        super::settle(engine).await?;
        ensure_unpacked(engine, image, &Silent).await?;
        Self::of_snapshot(engine, &engine.config.snapshotter, &image.chain_id).await
    }

    /// A look at the committed snapshot `parent`; an empty name is an empty file system.
    pub(super) async fn of_snapshot(engine: &Engine, snapshotter: &str, parent: &str) -> Result<Self> {
        let id = random_id()?;
        let journal =
            Journal { id: id.clone(), snapshotter: snapshotter.into(), removing: false, volumes: false };
        let content = serde_json::to_vec(&journal)
            .map_err(|cause| Error::failed(format!("write the journal: {cause}")))?;
        // No container has a name like this.
        let journal = Pending::begin(&engine.paths.pending(), &format!("-{id}"), &content)?
            .ok_or_else(|| Error::failed("a random name was there already"))?;
        let containerd = engine.containerd.clone();
        let made = async {
            containerd.create_lease(&lease(&id), LIFE).await?;
            containerd.with_lease(&lease(&id))?.view_snapshot(snapshotter, &id, parent, HashMap::new()).await
        };
        match made.await {
            Ok(mounts) => Ok(Self { mounts, containerd, snapshotter: snapshotter.into(), id, journal }),
            Err(error) => {
                let _ = containerd.delete_lease(&lease(&id), false).await;
                journal.finish()?;
                Err(Error::from(error).context("look into the image"))
            }
        }
    }

    /// End it. What cannot be removed now is removed by the next command.
    pub(in crate::engine) async fn close(self) {
        let removed = self.containerd.remove_snapshot(&self.snapshotter, &self.id).await;
        let ended = self.containerd.delete_lease(&lease(&self.id), false).await;
        if removed.is_ok() && ended.is_ok() {
            let _ = self.journal.finish();
        }
    }
}

/// Remove the lease of a look whose maker was killed; there is none for anything else.
pub(super) async fn remove_lease(engine: &Engine, id: &str) -> Result<()> {
    match engine.containerd.delete_lease(&lease(id), false).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

fn lease(id: &str) -> String {
    format!("wharfie-view-{id}")
}
