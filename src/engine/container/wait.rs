//! Waiting for a container's end.

use std::time::Duration;

use super::model::{Container, Status};
use crate::engine::Engine;
use crate::error::Result;
use crate::store::Lock;

/// The exit status of the container, once it does not run. One that never ran gives 0, as docker's does.
pub async fn wait(engine: &Engine, container: &Container) -> Result<u32> {
    match engine.containerd.wait(&container.id, "").await {
        Ok(exit) => Ok(exit.status),
        // Its task has gone already: the end was recorded.
        Err(error) if error.is_not_found() => {
            let recorded = super::find(engine, &container.id).await;
            let state = recorded.map(|container| container.state).unwrap_or_else(|_| container.state.clone());
            Ok(state.exit_code.unwrap_or_default())
        }
        Err(error) => Err(error.into()),
    }
}

/// How long containerd may be away, or busy with what a dead shim has left, when a container has ended.
const PATIENCE: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(100);

/// The exit status of a container whose output has ended; None when its task is gone and somebody else has
/// recorded the end, or nobody knows it. A containerd that is being restarted is waited for.
pub async fn exit_status(engine: &Engine, id: &str) -> Result<Option<u32>> {
    let mut tries = PATIENCE.as_millis() / EVERY.as_millis();
    loop {
        match engine.containerd.wait(id, "").await {
            Ok(exit) => return Ok(Some(exit.status)),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if tries == 0 => return Err(error.into()),
            Err(_) => tokio::time::sleep(EVERY).await,
        }
        tries -= 1;
    }
}

/// Whether the container runs no more and no policy is about to start it again. False while it is not known.
pub async fn is_over(engine: &Engine, id: &str) -> bool {
    match super::find(engine, id).await {
        Ok(container) => matches!(container.status, Status::Exited | Status::Created | Status::Dead),
        Err(error) => error.kind == crate::Kind::NotFound,
    }
}

/// [`is_over`], and no command is at work on the container either: a `restart` goes on where it stops.
pub async fn is_over_for_good(engine: &Engine, id: &str) -> bool {
    // Held until the answer is there, so that no restart can come to its end in between.
    let held = Lock::try_directory(&engine.paths.container(id));
    !matches!(held, Ok(None)) && is_over(engine, id).await
}

/// How often to look at a container that has no task to wait for.
const LOOK: Duration = Duration::from_millis(100);

/// The exit status of the next end of the container, also where it does not run now.
///
/// # Errors
/// [`crate::Kind::NotFound`] when it is removed before it runs again.
pub async fn wait_for_next_exit(engine: &Engine, container: &Container) -> Result<u32> {
    let mut last = container.state.finished_at;
    let mut container = container.clone();
    loop {
        if container.status.is_alive() {
            return wait(engine, &container).await;
        }
        // It may have run and ended between two looks.
        if container.state.finished_at > last
            && let Some(status) = container.state.exit_code
        {
            return Ok(status);
        }
        last = container.state.finished_at;
        tokio::time::sleep(LOOK).await;
        container = super::find(engine, &container.id).await?;
    }
}

/// The exit status of the container once it is removed.
pub async fn wait_until_removed(engine: &Engine, container: &Container) -> Result<u32> {
    let mut status = container.state.exit_code.unwrap_or_default();
    let mut container = container.clone();
    loop {
        if container.status.is_alive() {
            status = wait(engine, &container).await?;
        }
        match super::find(engine, &container.id).await {
            Ok(found) => container = found,
            Err(error) if error.kind == crate::Kind::NotFound => return Ok(status),
            Err(error) => return Err(error),
        }
        if !container.status.is_alive() {
            status = container.state.exit_code.unwrap_or(status);
            tokio::time::sleep(LOOK).await;
        }
    }
}
