//! The section `State`.

use jiff::Timestamp;
use serde::Serialize;

use crate::engine::container::health::{self, Health};
use crate::engine::container::model::{Container, Status};
use crate::engine::container::oom;

/// What Go prints for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// How a container is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct State {
    /// docker's word; `unknown` where a shim does not answer.
    pub status: &'static str,
    /// Processes are there, or will be again by the restart policy.
    pub running: bool,
    /// Frozen.
    pub paused: bool,
    /// Ended, to be started again.
    pub restarting: bool,
    /// The kernel ended a process of it for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Half removed.
    pub dead: bool,
    /// Process id on the host; 0 when it does not run.
    pub pid: u32,
    /// The last exit status; 0 while it runs.
    pub exit_code: u32,
    /// Why the last start failed.
    pub error: String,
    /// The last start, RFC 3339.
    pub started_at: String,
    /// The last end, RFC 3339.
    pub finished_at: String,
    /// What its checks say, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

pub(super) fn state(container: &Container) -> State {
    let status = container.status;
    let alive = status.is_alive();
    State {
        status: status.word(),
        running: alive || status == Status::Restarting,
        paused: status == Status::Paused,
        restarting: status == Status::Restarting,
        oom_killed: container.state.oom_killed || (alive && oom::killed(container)),
        dead: status == Status::Dead,
        pid: container.pid,
        exit_code: if alive { 0 } else { container.state.exit_code.unwrap_or_default() },
        error: container.state.error.clone(),
        started_at: time(container.state.started_at.or_else(|| started(container.pid))),
        finished_at: time(container.state.finished_at),
        health: health::shown(container),
    }
}

/// RFC 3339 in UTC with as many digits as it needs, as Go writes it.
pub(super) fn time(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |time| time.to_string())
}

/// When a process began: for containers whose client keeps no record of it.
fn started(pid: u32) -> Option<Timestamp> {
    crate::sys::process::Process::read(pid)?.started_at(&crate::sys::process::Clock::read()?)
}
