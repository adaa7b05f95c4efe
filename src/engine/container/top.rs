//! The processes of a container, whoever made it: containerd knows their ids, /proc knows the rest.

use std::time::Duration;

use super::model::{Container, Status};
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::sys::process::Process;

/// How long a shim may take to name its processes.
const SHIM_DEADLINE: Duration = Duration::from_secs(3);

/// The processes that run in `container`, in the order of their ids; those that end meanwhile are left out.
///
/// # Errors
/// A container that does not run has none: a conflict, in docker's words.
pub async fn processes(engine: &Engine, container: &Container) -> Result<Vec<Process>> {
    if container.status == Status::Restarting {
        return Err(Error::conflict(format!(
            "Container {} is restarting, wait until the container is running",
            container.id
        )));
    }
    if !container.status.is_alive() && container.status != Status::Unknown {
        return Err(not_running(container));
    }
    let mut pids = match tokio::time::timeout(SHIM_DEADLINE, engine.containerd.pids(&container.id)).await {
        Ok(Ok(pids)) => pids,
        Err(_) => return Err(late(container)),
        Ok(Err(error)) if error.is_not_found() => return Err(not_running(container)),
        Ok(Err(error)) => return Err(error.into()),
    };
    engine.note(&[event::of_container(container, "top")]);
    pids.sort_unstable();
    pids.dedup();
    Ok(pids.into_iter().filter_map(Process::read).collect())
}

fn not_running(container: &Container) -> Error {
    Error::conflict(format!("container {} is not running", container.id))
        .hint(format!("start it with `wharfie start {}`", container.name))
}

fn late(container: &Container) -> Error {
    let seconds = SHIM_DEADLINE.as_secs();
    Error::new(
        Kind::Unavailable,
        format!("the shim of container {} did not answer within {seconds} s", container.name),
    )
    .hint(format!("`wharfie rm -f {}` removes the container without it", container.name))
}
