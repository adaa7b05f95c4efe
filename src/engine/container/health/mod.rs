//! A container's health: what docker's State.Health says, how it is kept, and how one check changes it.
//!
//! It is kept in `health.json` in the container's directory, written whole by whoever has run a check: the
//! process that a monitor starts for each, or `container healthcheck`.

mod probe;
mod process;
mod ready;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use process::run;
pub use ready::{Ready, until_ready};

use super::model::{Container, Status};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::oci::request::HealthCheck;
use crate::store::{Lock, read_bounded, write_atomic};

/// docker keeps so many results.
const RESULTS: usize = 5;
/// Five results with their output, escaped as badly as can be.
const LARGEST: u64 = 512 << 10;

/// docker's words for a container's health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No check has succeeded since the start, nor have enough failed.
    #[default]
    Starting,
    /// The last check that counted succeeded.
    Healthy,
    /// As many failed in a row as it takes.
    Unhealthy,
}

impl HealthStatus {
    /// docker's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// docker's State.Health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Health {
    /// How it is.
    pub status: HealthStatus,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The last five checks, oldest first.
    pub log: Vec<CheckResult>,
}

/// What one check gave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CheckResult {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// The command's exit code; -1 where it took too long or could not be started.
    pub exit_code: i64,
    /// What it wrote, at most 4096 bytes, or why there is nothing.
    pub output: String,
}

impl Health {
    /// Take one result in, as docker does. `running` is how long the container had run when the check began.
    fn take(&mut self, result: CheckResult, check: &HealthCheck, running: Duration) {
        if result.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if self.status != HealthStatus::Starting || running >= check.start_period() {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= check.retries() {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.log.push(result);
        let surplus = self.log.len().saturating_sub(RESULTS);
        self.log.drain(..surplus);
    }
}

/// `health.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    /// The start that this belongs to: a check that outlives it must not speak of the next.
    run: Option<Timestamp>,
    health: Health,
}

fn path(directory: &Path) -> PathBuf {
    directory.join("health.json")
}

/// Held while what is kept is changed.
fn lock(directory: &Path) -> Result<Lock> {
    Lock::file(&directory.join("health.lock"))
}

fn read_kept(directory: &Path) -> Option<Kept> {
    let json = read_bounded(&path(directory), LARGEST).ok()?;
    serde_json::from_slice(&json).ok()
}

fn write_kept(directory: &Path, kept: &Kept) -> Result<()> {
    let json = serde_json::to_vec(kept)
        .map_err(|cause| Error::failed(format!("write {}: {cause}", path(directory).display())))?;
    write_atomic(&path(directory), &json, 0o600)
}

/// What is kept of a container's health; None where nothing is: it was never started, or is not checked.
pub(super) fn read(directory: &Path) -> Option<Health> {
    read_kept(directory).map(|kept| kept.health)
}

/// The check that runs in this container, if any.
pub fn of(container: &Container) -> Option<&HealthCheck> {
    container.record.as_ref()?.request.health.as_ref().filter(|check| check.runs())
}

/// A container as `ps` and `inspect` show it. docker calls one that is not checked now, because it is frozen or
/// has ended, unhealthy.
pub fn shown(container: &Container) -> Option<Health> {
    let mut health = container.health.clone()?;
    if !matches!(container.status, Status::Running | Status::Unknown) {
        health.status = HealthStatus::Unhealthy;
    }
    Some(health)
}

/// The container is about to start: its health is not known, whatever it was.
pub(super) fn begin(engine: &Engine, container: &Container, started_at: Option<Timestamp>) -> Result<()> {
    if of(container).is_none() {
        return Ok(());
    }
    let directory = engine.paths.container(&container.id);
    let _lock = lock(&directory)?;
    let log = read_kept(&directory).map(|kept| kept.health.log).unwrap_or_default();
    write_kept(&directory, &Kept { run: started_at, health: Health { log, ..Health::default() } })
}

/// Run one check now and keep its result. The health before and after; None where there is nothing to check:
/// the container does not run, is frozen, or is being stopped, or all this happened meanwhile. `cancelled` ends
/// it, and what it runs.
pub async fn check(
    engine: &Engine,
    container: &Container,
    cancelled: impl Future<Output = ()>,
) -> Result<Option<(Health, Health)>> {
    let Some(check) = of(container).cloned() else { return Ok(None) };
    if !is_due(container) {
        return Ok(None);
    }
    let Some(result) = probe::probe(engine, container, &check, cancelled).await? else { return Ok(None) };
    let directory = engine.paths.container(&container.id);
    let now = super::find(engine, &container.id).await?;
    if !is_due(&now) || now.state.started_at != container.state.started_at {
        return Ok(None);
    }
    let _lock = lock(&directory)?;
    let mut kept = read_kept(&directory).unwrap_or_default();
    if kept.run != container.state.started_at {
        return Ok(None);
    }
    let before = kept.health.clone();
    let running = container.state.started_at.map(|started| result.start.duration_since(started));
    kept.health.take(result, &check, running.and_then(|time| time.try_into().ok()).unwrap_or_default());
    write_kept(&directory, &kept)?;
    if kept.health.status != before.status {
        let action = format!("health_status: {}", kept.health.status.word());
        engine.note(&[event::of_container(container, action)]);
    }
    Ok(Some((before, kept.health)))
}

fn is_due(container: &Container) -> bool {
    container.status == Status::Running && !container.state.stopped_by_user
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(exit_code: i64) -> CheckResult {
        let now = Timestamp::now();
        CheckResult { start: now, end: now, exit_code, output: String::new() }
    }

    #[test]
    fn streaks_and_the_start_period_by_table() {
        use HealthStatus::{Healthy, Starting, Unhealthy};
        let check = HealthCheck { retries: 2, start_period: 10_000_000_000, ..HealthCheck::default() };
        // Exit codes with the seconds that the container had run, and what comes of each.
        for steps in [
            &[(0, 0, Healthy, 0), (1, 1, Healthy, 1), (1, 2, Unhealthy, 2), (1, 3, Unhealthy, 3)][..],
            // Failures in the start period do not count, nor does one at its very end.
            &[(1, 0, Starting, 0), (1, 9, Starting, 0), (1, 10, Starting, 1), (-1, 11, Unhealthy, 2)],
            &[(1, 0, Starting, 0), (0, 1, Healthy, 0), (1, 2, Healthy, 1), (0, 3, Healthy, 0)],
            &[(2, 20, Starting, 1), (1, 21, Unhealthy, 2), (0, 22, Healthy, 0)],
        ] {
            let mut health = Health::default();
            for (code, seconds, status, streak) in steps {
                health.take(result(*code), &check, Duration::from_secs(*seconds));
                assert_eq!((health.status, health.failing_streak), (*status, *streak), "{steps:?}");
            }
        }
    }

    #[test]
    fn five_results_are_kept_and_come_back() {
        let temp = tempfile::tempdir().unwrap();
        assert!(read(temp.path()).is_none());
        let mut health = Health::default();
        for code in 0..9 {
            health.take(result(code), &HealthCheck::default(), Duration::ZERO);
        }
        let codes: Vec<i64> = health.log.iter().map(|result| result.exit_code).collect();
        assert_eq!(codes, [4, 5, 6, 7, 8]);
        write_kept(temp.path(), &Kept { run: None, health: health.clone() }).unwrap();
        assert_eq!(read(temp.path()), Some(health));
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(path(temp.path())).unwrap().mode() & 0o777, 0o600);
        std::fs::write(path(temp.path()), "{ half").unwrap();
        assert!(read(temp.path()).is_none());
    }
}
