//! Freezing and thawing a container's processes, whoever made it.

use super::model::{Container, Status};
use super::{calm, hung};
use crate::containerd::Code;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Freeze every process of a running container.
pub async fn pause(engine: &Engine, container: &Container) -> Result<()> {
    match container.status {
        Status::Running => {}
        Status::Unknown => return Err(hung::error(container)),
        Status::Paused => {
            return Err(Error::conflict(format!("Container {} is already paused", container.id))
                .hint(format!("`wharfie unpause {}` lets it go on", container.name)));
        }
        Status::Restarting => {
            return Err(Error::conflict(format!(
                "Container {} is restarting, wait until the container is running",
                container.id
            )));
        }
        Status::Created | Status::Exited | Status::Dead => return Err(not_running(container)),
    }
    let _calm = calm::freezing(&engine.paths.container(&container.id)).await;
    match engine.containerd.pause(&container.id).await {
        Ok(()) => {
            engine.note_of_ours(container, "pause");
            Ok(())
        }
        // It ended before it froze.
        Err(error) if error.is_not_found() => Err(not_running(container)),
        Err(error) if error.code == Code::DeadlineExceeded => Err(hung::error(container)),
        Err(error) => Err(Error::from(error).context(format!("cannot pause container {}", container.id))),
    }
}

/// Let the processes of a paused container go on.
pub async fn unpause(engine: &Engine, container: &Container) -> Result<()> {
    match container.status {
        Status::Paused => {}
        Status::Unknown => return Err(hung::error(container)),
        _ => return Err(Error::conflict(format!("Container {} is not paused", container.id))),
    }
    match engine.containerd.resume(&container.id).await {
        Ok(()) => {
            engine.note_of_ours(container, "unpause");
            Ok(())
        }
        Err(error) if error.is_not_found() => {
            Err(Error::conflict(format!("Container {} is not paused", container.id)))
        }
        Err(error) if error.code == Code::DeadlineExceeded => Err(hung::error(container)),
        Err(error) => Err(Error::from(error).context(format!("Cannot unpause container {}", container.id))),
    }
}

fn not_running(container: &Container) -> Error {
    Error::conflict(format!("container {} is not running", container.id))
        .hint(format!("start it with `wharfie start {}`", container.name))
}
