//! Removing a container in whatever state it is, with everything that was made for it.

use std::path::Path;
use std::time::Duration;

use super::create::Journal;
use super::end::{note_end, read_state};
use super::hold::hold;
use super::model::{Container, Origin, State, Status};
use super::{hung, image_mounts, network};
use crate::containerd::{Code, Exit};
use crate::engine::{Engine, event, volume};
use crate::error::{Error, Kind, Result};
use crate::store::Pending;

/// How long containerd may take to clean up after a shim that has died.
const CLEANING_UP: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(50);

/// What killing leaves where no shim is left to tell.
const KILLED: u32 = 137;

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Kill what runs.
    pub force: bool,
    /// Remove the anonymous volumes too.
    pub volumes: bool,
}

/// Remove the container: its task, its record, its snapshot, its addresses and its files.
pub async fn remove(engine: &Engine, container: &Container, options: RemoveOptions) -> Result<()> {
    if !options.force && (container.status.is_alive() || container.status == Status::Restarting) {
        let why = match container.status {
            Status::Paused => "container is paused and must be unpaused first".to_owned(),
            status => {
                let state = status.word();
                format!("container is {state}: stop the container before removing or force remove")
            }
        };
        return Err(Error::conflict(format!(
            "cannot remove container {:?}: {why}",
            format!("/{}", container.name)
        )));
    }
    if container.status.is_alive() {
        engine.note(&[event::of_container(container, "kill").with("signal", "9")]);
        // Before the lock: a command that holds it may wait for this end.
        match kill_and_wait(engine, &container.id).await {
            Err(error) if error.kind != Kind::Unavailable => return Err(error),
            // One that does not answer is ended below, without its shim.
            _ => {}
        }
    }
    let directory = engine.paths.container(&container.id);
    // A command that hangs must not keep what is to be removed by force.
    let held = hold(&directory).await;
    let _held = if options.force { held.unwrap_or_default() } else { held? };
    // Who connected it may have said so only after the caller looked.
    let state = match read_state(engine, &container.id).await {
        Ok(state) => Some(state),
        Err(error) if error.kind == Kind::NotFound => None,
        Err(error) => return Err(error),
    };
    let connection = state.as_ref().and_then(|state| state.connection.clone());
    let connection = connection.or_else(|| container.state.connection.clone());
    let exit = end_task(engine, container, options.force).await?;
    let ours = state.filter(|_| container.origin == Origin::Wharfie);
    if let Some(state) = ours.clone().filter(State::is_open) {
        let exit = exit.unwrap_or(Exit { status: KILLED, at: None });
        note_end(engine, container, &state.ended(exit), connection.as_ref());
    }
    let journal = journal(engine, container, options);
    let (record, snapshot, network) = tokio::join!(
        delete_record(engine, container),
        delete_snapshot(engine, container),
        network::end(engine, container, connection.as_ref())
    );
    // Each is done whatever becomes of the others: a second attempt would not know what is left.
    let mut outcomes = vec![record, snapshot, network];
    if container.origin == Origin::Wharfie {
        outcomes.push(remove_directory(&directory));
        outcomes.push(remove_directory(&engine.paths.container_run(&container.id)));
    }
    for mount in container.record.iter().flat_map(|record| &record.mounts) {
        if !mount.snapshot.is_empty() {
            outcomes
                .push(image_mounts::release_one(engine, &container.raw.snapshotter, &mount.snapshot).await);
        }
    }
    volume::release(engine, &container.id).await;
    if options.volumes {
        let mounts = container.record.iter().flat_map(|record| &record.mounts);
        // Another container may have it, and takes it along when it goes.
        for mount in mounts.filter(|mount| mount.anonymous) {
            outcomes.push(volume::remove_unused(engine, &mount.name).await.map(drop));
        }
    }
    let removed: Result<()> = outcomes.into_iter().collect();
    if ours.is_some() && removed.is_ok() {
        engine.note(&[event::of_container(container, "destroy")]);
    }
    match journal {
        Some(journal) if removed.is_ok() => journal.finish(),
        // What could not be removed now is removed by the next command.
        _ => removed,
    }
}

/// Written when nothing runs any more: who is killed from here on leaves what the next command takes down.
/// Without it, on a disk that is full or read-only, the container is removed all the same.
fn journal(engine: &Engine, container: &Container, options: RemoveOptions) -> Option<Pending> {
    if container.origin != Origin::Wharfie {
        return None;
    }
    let journal = Journal {
        id: container.id.clone(),
        snapshotter: container.raw.snapshotter.clone(),
        removing: true,
        volumes: options.volumes,
    };
    let content = serde_json::to_vec(&journal).ok()?;
    // No container has a name like this.
    Pending::begin(&engine.paths.pending(), &format!("-{}", container.id), &content).ok().flatten()
}

/// End and delete the task, and return its exit; one that was never there is fine.
pub(super) async fn end_task(engine: &Engine, container: &Container, force: bool) -> Result<Option<Exit>> {
    let id = &container.id;
    if force && container.status == Status::Unknown {
        hung::end(engine, container).await?;
    }
    let mut tries = CLEANING_UP.as_millis() / EVERY.as_millis();
    loop {
        match engine.containerd.delete_task(id).await {
            Ok(exit) => return Ok(Some(exit)),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.code == Code::Unavailable || tries == 0 => return Err(error.into()),
            Err(error) if error.code == Code::FailedPrecondition && force => {
                match kill_and_wait(engine, id).await {
                    Err(error) if error.kind == Kind::Unavailable => hung::end(engine, container).await?,
                    other => other?,
                }
            }
            Err(error) if error.code == Code::FailedPrecondition => {
                return Err(Error::conflict(format!(
                    "cannot remove container {:?}: its task is not stopped: {error}",
                    format!("/{}", container.name)
                ))
                .hint(format!("`wharfie rm -f {}` ends it first", container.name)));
            }
            Err(error) if error.code == Code::DeadlineExceeded && force => {
                hung::end(engine, container).await?
            }
            Err(error) if error.code == Code::DeadlineExceeded => return Err(hung::error(container)),
            // Its shim has died, and containerd is busy with what that has left.
            Err(_) => tokio::time::sleep(EVERY).await,
        }
        tries -= 1;
    }
}

async fn kill_and_wait(engine: &Engine, id: &str) -> Result<()> {
    let ended = engine.containerd.wait(id, "");
    tokio::pin!(ended);
    match engine.containerd.kill(id, "", 9, true).await {
        // A frozen process takes the signal when it thaws; one that does not run needs no thawing.
        Ok(()) => drop(engine.containerd.resume(id).await),
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    match tokio::time::timeout(Duration::from_secs(10), ended).await {
        Ok(Err(error)) if !error.is_not_found() => Err(error.into()),
        Ok(_) => Ok(()),
        Err(_) => Err(Error::failed(format!("container {id} did not end within 10 s of SIGKILL")).hint(
            "its process is held by the kernel, or its shim hangs: look at it with `ps -ef | grep containerd-shim`",
        )),
    }
}

async fn delete_record(engine: &Engine, container: &Container) -> Result<()> {
    match engine.containerd.delete_container(&container.id).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

async fn delete_snapshot(engine: &Engine, container: &Container) -> Result<()> {
    let (snapshotter, key) = (&container.raw.snapshotter, &container.raw.snapshot_key);
    if key.is_empty() {
        return Ok(());
    }
    match engine.containerd.remove_snapshot(snapshotter, key).await {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

/// Remove one of our directories; nothing there is fine.
pub(super) fn remove_directory(path: &Path) -> Result<()> {
    super::sharing::unmount(path)?;
    match std::fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, cause)),
        _ => Ok(()),
    }
}
