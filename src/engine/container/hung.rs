//! A shim that does not answer: containerd would wait for it for ever, and everybody for containerd.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::model::Container;
use crate::containerd::Code;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::store::read_bounded;
use crate::sys::process;

/// How long containerd may take to clean up after a shim that was killed: it runs the runtime for that.
const CLEANING_UP: Duration = Duration::from_secs(20);
const EVERY: Duration = Duration::from_millis(50);

/// What whoever needs the shim is told.
pub(super) fn error(container: &Container) -> Error {
    Error::new(Kind::Conflict, format!("container {}: its shim does not answer", container.name))
        .hint(format!("`wharfie rm -f {}` ends the shim and the container", container.name))
}

/// End the container by ending its shim: containerd then kills what the shim has left, and forgets the task.
pub(super) async fn end(engine: &Engine, container: &Container) -> Result<()> {
    let Some(shim) = shim(&container.namespace, &container.id) else { return Err(error(container)) };
    let _ = kill_process(shim, Signal::KILL);
    let mut patience = CLEANING_UP.as_millis() / EVERY.as_millis();
    while patience > 0 {
        // Refused until containerd is done with what the shim has left.
        match engine.containerd.delete_task(&container.id).await {
            Ok(_) => return Ok(()),
            Err(error) if error.code == Code::NotFound => return Ok(()),
            Err(_) => tokio::time::sleep(EVERY).await,
        }
        patience -= 1;
    }
    Err(Error::failed(format!("container {}: containerd did not clean up after its shim", container.name))
        .hint("restart containerd (its containers keep running), then try again"))
}

/// How long to look for the shim of a start that was killed, and how long it may take to go by itself.
const LOOKED_FOR: u32 = 6;
const GOING: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// End the shim of a start whose caller was killed in the middle, where containerd has no task of it any more: it
/// gives up a creation that nobody waits for, and its shim may have come too late to be told.
pub(super) async fn end_stray(engine: &Engine, id: &str) {
    let (mut absent, mut present) = (0, 0);
    while absent < LOOKED_FOR {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(shim) = shim(engine.containerd.namespace(), id) else {
            absent += 1;
            continue;
        };
        (absent, present) = (0, present + 1);
        if present < GOING {
            continue;
        }
        match engine.containerd.task(id, Some(CLEANING_UP)).await {
            Err(error) if error.code == Code::NotFound => drop(kill_process(shim, Signal::KILL)),
            // It is somebody's.
            _ => return,
        }
    }
}

/// The first process of a container whose shim does not answer, as the shim has noted it.
pub(super) fn pid(container: &Container) -> Option<u32> {
    // The bundles of a namespace lie side by side, and each shim works in one of them.
    let bundle = |pid: u32| {
        of_shim(pid, &container.namespace)?;
        let beside = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        Some(beside.parent()?.join(&container.id))
    };
    let noted = process::all().into_iter().filter_map(bundle).find_map(|bundle| {
        let text = read_bounded(&bundle.join("init.pid"), 64).ok()?;
        String::from_utf8(text).ok()?.trim().parse().ok()
    })?;
    // A number can be another process's by now: the container's is a child of a shim.
    let parent = process::Process::read(noted)?.ppid;
    of_shim(parent, &container.namespace).map(|_| noted)
}

/// The command line of a shim that serves this namespace of containerd; None for every other process.
fn of_shim(pid: u32, namespace: &str) -> Option<Vec<String>> {
    let line = process::command_line(pid);
    let is_shim = line.first().is_some_and(|program| program.contains("containerd-shim"));
    (is_shim && has(&line, "-namespace", namespace)).then_some(line)
}

fn has(line: &[String], flag: &str, value: &str) -> bool {
    line.windows(2).any(|pair| pair[0] == flag && pair[1] == value)
}

/// The shim that was started for this container alone. One that serves a pod has the pod's id.
fn shim(namespace: &str, id: &str) -> Option<Pid> {
    let pid = process::all()
        .into_iter()
        .find(|pid| of_shim(*pid, namespace).is_some_and(|line| has(&line, "-id", id)))?;
    Pid::from_raw(i32::try_from(pid).ok()?)
}
