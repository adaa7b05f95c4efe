//! Removing every container that does not run, but for those that somebody else looks after.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::list::list;
use super::model::{Container, Origin, Status};
use super::recover::is_being_made;
use super::remove::{RemoveOptions, remove};
use crate::engine::Engine;
use crate::engine::prune::PruneFilters;
use crate::error::{Kind, Result};

/// A record of nerdctl's without a task may be one that nerdctl is about to start.
const FRESH: Duration = Duration::from_secs(60);

/// A container that would go, and the bytes of its own layer.
#[derive(Debug)]
pub struct Prunable {
    /// The container.
    pub container: Container,
    /// Bytes that are free afterwards.
    pub bytes: u64,
}

/// The containers that a prune removes, newest first: ours and nerdctl's that do not run and match. A
/// kubelet's are its own affair, and of ctr's and others' nobody knows whether they are still wanted.
pub async fn prunable(engine: &Engine, filters: &PruneFilters) -> Result<Vec<Prunable>> {
    let mut containers = list(engine).await?;
    let now = Timestamp::now();
    containers.retain(|container| {
        let ended = matches!(container.status, Status::Created | Status::Exited | Status::Dead);
        let ours = match container.origin {
            Origin::Wharfie => !is_being_made(engine, &container.id),
            Origin::Nerdctl => container
                .created_at
                .is_none_or(|made| Duration::try_from(now.duration_since(made)).is_ok_and(|age| age > FRESH)),
            Origin::Cri | Origin::Other => false,
        };
        ended && ours && filters.matches(&container.labels, container.created_at)
    });
    Ok(join_all(containers.into_iter().map(async |container| {
        let (snapshotter, key) = (&container.raw.snapshotter, &container.raw.snapshot_key);
        let bytes = engine.containerd.snapshot_usage(snapshotter, key).await.unwrap_or_default();
        Prunable { container, bytes }
    }))
    .await)
}

/// Remove one of them. False when it runs by now, or another command was faster.
pub async fn prune(engine: &Engine, prunable: &Prunable) -> Result<bool> {
    match remove(engine, &prunable.container, RemoveOptions::default()).await {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}
