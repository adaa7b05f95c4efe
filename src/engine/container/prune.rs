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
        is_nobodys(container, now)
            && filters.matches(&container.labels, container.created_at)
            && !is_being_made(engine, &container.id)
    });
    Ok(join_all(containers.into_iter().map(async |container| {
        let (snapshotter, key) = (&container.raw.snapshotter, &container.raw.snapshot_key);
        let bytes = engine.containerd.snapshot_usage(snapshotter, key).await.unwrap_or_default();
        Prunable { container, bytes }
    }))
    .await)
}

fn is_nobodys(container: &Container, now: Timestamp) -> bool {
    let ended = matches!(container.status, Status::Created | Status::Exited | Status::Dead);
    let is_old = |made| Duration::try_from(now.duration_since(made)).is_ok_and(|age| age > FRESH);
    ended
        && match container.origin {
            Origin::Wharfie => true,
            Origin::Nerdctl => container.created_at.is_none_or(is_old),
            Origin::Cri | Origin::Other => false,
        }
}

/// Remove one of them. False when it runs by now, or another command was faster.
pub async fn prune(engine: &Engine, prunable: &Prunable) -> Result<bool> {
    match remove(engine, &prunable.container, RemoveOptions::default()).await {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::engine::container::State;

    #[test]
    fn what_runs_and_what_others_look_after_stays() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let container = |origin, status, age: i64| Container {
            id: "id".into(),
            name: "name".into(),
            namespace: "default".into(),
            origin,
            image: String::new(),
            command: Vec::new(),
            labels: BTreeMap::new(),
            created_at: Timestamp::from_second(1_000_000 - age).ok(),
            tty: false,
            status,
            pid: 0,
            state: State::default(),
            record: None,
            health: Default::default(),
            log: None,
            raw: Default::default(),
        };
        for (origin, status, age, expected) in [
            (Origin::Wharfie, Status::Exited, 0, true),
            (Origin::Wharfie, Status::Created, 0, true),
            (Origin::Wharfie, Status::Dead, 0, true),
            (Origin::Wharfie, Status::Running, 1000, false),
            (Origin::Wharfie, Status::Paused, 1000, false),
            (Origin::Wharfie, Status::Restarting, 1000, false),
            (Origin::Wharfie, Status::Unknown, 1000, false),
            (Origin::Nerdctl, Status::Created, 61, true),
            (Origin::Nerdctl, Status::Exited, 10, false),
            (Origin::Nerdctl, Status::Running, 61, false),
            (Origin::Cri, Status::Exited, 1000, false),
            (Origin::Other, Status::Exited, 1000, false),
        ] {
            assert_eq!(
                is_nobodys(&container(origin, status, age), now),
                expected,
                "{origin:?} {status:?} {age}"
            );
        }
    }
}
