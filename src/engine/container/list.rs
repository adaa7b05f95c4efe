//! Lists are two steps: the records in one call, then every task at once under our own deadline, because one
//! hung shim must not hide the others.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::cri_state::Kept;
use super::model::{Container, Status};
use super::origin::adapt;
use crate::containerd::Code;
use crate::engine::Engine;
use crate::error::Result;

/// How long a shim may take to tell its state before its row says `Unknown`.
const SHIM_DEADLINE: Duration = Duration::from_millis(800);

/// Every container of the namespace with its state, newest first.
pub async fn list(engine: &Engine) -> Result<Vec<Container>> {
    let mut containers = with_states(engine, records(engine, &[]).await?).await;
    containers.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    Ok(containers)
}

/// The containers that match one of containerd's `filters` (none: all), their tasks not looked at.
pub(in crate::engine) async fn records(engine: &Engine, filters: &[String]) -> Result<Vec<Container>> {
    let raw = engine.containerd.containers(filters).await?;
    let namespace = engine.containerd.namespace();
    Ok(raw.into_iter().map(|raw| adapt(raw, &engine.paths, namespace)).collect())
}

/// The same containers with the state of their tasks; those whose shim is late are `Unknown`.
pub(in crate::engine) async fn with_states(engine: &Engine, containers: Vec<Container>) -> Vec<Container> {
    let kubelets = Kept::open(engine, &containers).await;
    let kubelets = &kubelets;
    let mut asked: FuturesUnordered<_> = containers
        .into_iter()
        .map(|mut container| async move {
            kubelets.recall(&mut container);
            let answer = engine.containerd.task(&container.id, Some(SHIM_DEADLINE));
            match tokio::time::timeout(SHIM_DEADLINE, answer).await {
                Ok(Ok(task)) => container.set_task(Some(task)),
                Ok(Err(error)) if error.code == Code::NotFound => container.set_task(None),
                Ok(Err(_)) | Err(_) => container.status = Status::Unknown,
            }
            container
        })
        .collect();
    let mut known = Vec::with_capacity(asked.len());
    while let Some(container) = asked.next().await {
        known.push(container);
    }
    known
}
