//! What happens once a container's process has ended: the exit is recorded, the shim goes, addresses and
//! ports are free. Every step may have been done already by another process, so every step may be repeated.

use std::time::Duration;

use jiff::Timestamp;

use super::find::no_such;
use super::hold::hold;
use super::model::{Container, Origin, STATE_EXTENSION, State, state_extension};
use super::{hung, network};
use crate::containerd::{Code, TaskStatus};
use crate::engine::{Engine, event, volume};
use crate::error::{Error, Kind, Result};
use crate::net::Connection;

/// What a process's exit status is when nobody knows it: its shim was killed and took it along.
const UNKNOWN_EXIT: u32 = 255;

/// How long a shim may take to tell of its process.
const ANSWER: Duration = Duration::from_secs(5);

/// Record the end of a container whose process has ended, and free what it used. Returns the exit status, 0
/// for one that never ran. A container that runs is left alone (None).
pub async fn finish(engine: &Engine, container: &mut Container) -> Result<Option<u32>> {
    let _held = hold(&engine.paths.container(&container.id)).await?;
    finish_held(engine, container).await
}

/// The same, for a caller that holds the container still.
pub(super) async fn finish_held(engine: &Engine, container: &mut Container) -> Result<Option<u32>> {
    let task = match engine.containerd.task(&container.id, Some(ANSWER)).await {
        Ok(task) => Some(task),
        Err(error) if error.is_not_found() => None,
        Err(error) if error.code == Code::DeadlineExceeded => return Err(hung::error(container)),
        Err(error) => return Err(error.into()),
    };
    let exit = match &task {
        None => None,
        Some(task) if task.status == TaskStatus::Stopped => Some((task.exit_status, task.exited_at)),
        // A start was killed before the process ran: that is no end of anything.
        Some(task) if task.status == TaskStatus::Created => None,
        Some(_) => return Ok(None),
    };
    // Recorded first: whoever finds no task any more finds the exit status.
    let known = record_end(engine, container, exit).await?;
    // A kubelet's CRI does it itself, and takes one that has gone already for a failure.
    if task.is_some() && container.origin != Origin::Cri {
        match engine.containerd.delete_task(&container.id).await {
            Err(error) if error.code == Code::DeadlineExceeded => return Err(hung::error(container)),
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    container.set_task(None);
    Ok(Some(known.unwrap_or_default()))
}

/// Keep the exit status, and free the network.
async fn record_end(
    engine: &Engine,
    container: &mut Container,
    exit: Option<(u32, Option<Timestamp>)>,
) -> Result<Option<u32>> {
    let mut state = match read_state(engine, &container.id).await {
        Ok(state) => state,
        // Somebody has removed it: nothing is left to be recorded.
        Err(error) if error.kind == Kind::NotFound => {
            network::end(engine, container, container.state.connection.as_ref()).await?;
            return Ok(exit.map(|(status, _)| status).or(container.state.exit_code));
        }
        Err(error) => return Err(error),
    };
    network::end(engine, container, state.connection.as_ref()).await?;
    let connection = state.connection.take();
    let mut changed = connection.is_some();
    let ran = state.is_open();
    super::sharing::unmount(&engine.paths.container_run(&container.id))?;
    volume::release(engine, &container.id).await;
    if let Some((status, at)) = exit.filter(|_| state.exit_code.is_none() || state.finished_at.is_none()) {
        state.exit_code = Some(status);
        state.oom_killed = super::oom::killed(container);
        state.finished_at = Some(at.unwrap_or_else(Timestamp::now));
        changed = true;
    } else if state.is_open() {
        state.exit_code = Some(UNKNOWN_EXIT);
        state.finished_at = Some(Timestamp::now());
        changed = true;
    }
    if ran {
        note_end(engine, container, &state, connection.as_ref());
    }
    if changed {
        write_state(engine, container, state).await?;
    } else if container.record.is_some() {
        container.state = state;
    }
    Ok(exit.map(|(status, _)| status).or(container.state.exit_code))
}

/// docker's order: the process, its networks, its volumes.
pub(super) fn note_end(
    engine: &Engine,
    container: &Container,
    state: &State,
    connection: Option<&Connection>,
) {
    let code = state.exit_code.unwrap_or(UNKNOWN_EXIT);
    let mut died = event::of_container(container, "die").with("exitCode", code.to_string());
    if let (Some(started), Some(finished)) = (state.started_at, state.finished_at) {
        let seconds = finished.duration_since(started).as_secs().max(0);
        died = died.with("execDuration", seconds.to_string());
    }
    if let Some(finished) = state.finished_at {
        died = died.at(finished);
    }
    let mut events = vec![died];
    events.extend(
        connection.iter().flat_map(|connection| event::of_networks(&container.id, connection, "disconnect")),
    );
    events.extend(event::of_mounts(container, false));
    engine.note(&events);
}

/// The state as it is kept at this moment.
pub(super) async fn read_state(engine: &Engine, id: &str) -> Result<State> {
    let raw = engine.containerd.container(id).await.map_err(|error| match error.is_not_found() {
        true => no_such(id),
        false => error.into(),
    })?;
    let kept = raw.extensions.get(STATE_EXTENSION).and_then(|kept| serde_json::from_slice(&kept.value).ok());
    Ok(kept.unwrap_or_default())
}

/// Keep `state`; containers of other clients have nowhere to keep one.
pub(super) async fn write_state(engine: &Engine, container: &mut Container, state: State) -> Result<()> {
    if container.record.is_some() {
        let extension = state_extension(&state)?;
        container.raw.extensions.insert(STATE_EXTENSION.into(), extension);
        let field = format!("extensions.{STATE_EXTENSION}");
        engine.containerd.update_container(&container.raw, &[&field]).await.map_err(|error| {
            Error::from(error).context(format!("record the state of container {}", container.name))
        })?;
    }
    container.state = state;
    Ok(())
}
