//! Waiting until a container is ready: healthy, or just running where nothing checks it.

use std::path::Path;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::Receiver;

use super::{Health, HealthStatus, of};
use crate::engine::Engine;
use crate::engine::container::model::{Container, Status};
use crate::error::{Error, Result};

/// How often to look at the container itself: its end is seen at once, its removal and a hung shim by this.
const LOOK: Duration = Duration::from_secs(1);

/// How a container is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Its check has succeeded.
    Healthy,
    /// It runs, and nothing checks it.
    Running,
}

/// Wait until the container with `id` is ready.
///
/// # Errors
/// [`crate::Kind::Failed`] when it is unhealthy, or ends and no policy starts it again.
pub async fn until_ready(engine: &Engine, id: &str) -> Result<Ready> {
    let directory = engine.paths.container(id);
    // Watched before the first look, so that no change is missed.
    let mut changes = watch(&directory);
    let mut bytes = [0; 4096];
    loop {
        let container = crate::engine::container::find(engine, id).await?;
        if let Some(ready) = judge(&container)? {
            return Ok(ready);
        }
        let changed = async {
            match &mut changes {
                Some(changes) => drop(changes.read(&mut bytes).await),
                None => std::future::pending().await,
            }
        };
        // An end that is not the last one, or a shim without an answer, must not make this a busy loop.
        let ended = async {
            if container.status != Status::Running || engine.containerd.wait(id, "").await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = changed => {}
            () = ended => tokio::time::sleep(Duration::from_millis(20)).await,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn judge(container: &Container) -> Result<Option<Ready>> {
    let name = &container.name;
    match container.status {
        Status::Running => {}
        Status::Paused | Status::Unknown | Status::Restarting => return Ok(None),
        Status::Created => {
            return Err(Error::failed(format!("container {name} is not running"))
                .hint(format!("`wharfie start {name}` starts it")));
        }
        Status::Exited | Status::Dead => {
            let code = container.state.exit_code.unwrap_or_default();
            return Err(Error::failed(format!("container {name} exited ({code})"))
                .hint(format!("`wharfie logs {name}` shows what it said")));
        }
    }
    if of(container).is_none() {
        return Ok(Some(Ready::Running));
    }
    let Some(health) = &container.health else { return Ok(None) };
    match health.status {
        HealthStatus::Starting => Ok(None),
        HealthStatus::Healthy => Ok(Some(Ready::Healthy)),
        HealthStatus::Unhealthy => Err(unhealthy(name, health)),
    }
}

fn unhealthy(name: &str, health: &Health) -> Error {
    let error = Error::failed(format!("container {name} is unhealthy"));
    match health.log.last() {
        Some(last) => {
            let said = last.output.trim();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            error.hint(format!("its last check ended with {}{said}", last.exit_code))
        }
        None => error,
    }
}

/// The container's directory: what is kept comes into it by rename. Without a watch there is the clock.
fn watch(directory: &Path) -> Option<Receiver> {
    let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
    inotify::add_watch(&watch, directory, WatchFlags::MOVED_TO).ok()?;
    Receiver::from_owned_fd_unchecked(watch).ok()
}
