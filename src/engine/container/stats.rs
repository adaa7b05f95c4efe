//! What containers use, sampled side by side: a shim that hangs leaves its own row empty and delays no other.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::model::{Container, Status};
use crate::containerd::Metrics;
use crate::engine::Engine;
use crate::sys::process::Clock;
use crate::sys::traffic::traffic;

/// How long a shim may take to read its control group.
const SHIM_DEADLINE: Duration = Duration::from_millis(800);

/// What a container uses at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Of one CPU, in percent, since the sample before; None in the first one.
    pub cpu: Option<f64>,
    /// Bytes of memory without files that nobody uses.
    pub memory: u64,
    /// The most bytes of memory: its limit, or the machine's.
    pub memory_limit: u64,
    /// Bytes received from the network.
    pub received: u64,
    /// Bytes sent to the network.
    pub sent: u64,
    /// Bytes read from block devices.
    pub read: u64,
    /// Bytes written to block devices.
    pub written: u64,
    /// Processes and threads.
    pub pids: u64,
}

impl Usage {
    /// How much of the memory's limit is used, in percent.
    pub fn memory_percent(&self) -> f64 {
        if self.memory_limit == 0 { 0.0 } else { self.memory as f64 / self.memory_limit as f64 * 100.0 }
    }
}

/// Takes samples, and remembers the last ones: a share of the CPU is a difference.
#[derive(Debug)]
pub struct Sampler {
    engine: Engine,
    machine_memory: u64,
    last: HashMap<String, Taken>,
}

/// A reading and when it came.
#[derive(Debug, Clone, Copy)]
struct Taken {
    metrics: Metrics,
    at: Instant,
}

impl Sampler {
    /// With nothing remembered.
    pub fn new(engine: &Engine) -> Self {
        let machine_memory = Clock::read().map(|clock| clock.memory_kib * 1024).unwrap_or_default();
        Self { engine: engine.clone(), machine_memory, last: HashMap::new() }
    }

    /// One sample of each container, in their order. None where nobody can tell: its shim is late, or its
    /// runtime counts nothing. What does not run uses nothing.
    pub async fn sample(&mut self, containers: &[Container]) -> Vec<Option<Usage>> {
        let engine = &self.engine;
        let readings = join_all(containers.iter().map(|container| read(engine, container))).await;
        let mut last = HashMap::with_capacity(containers.len());
        let mut usages = Vec::with_capacity(containers.len());
        for (container, reading) in containers.iter().zip(readings) {
            usages.push(match reading {
                Reading::Nothing => Some(Usage { cpu: Some(0.0), ..Usage::default() }),
                Reading::Unknown => None,
                Reading::Taken(taken) => {
                    let before = self.last.get(&container.id);
                    last.insert(container.id.clone(), taken);
                    let (received, sent) = traffic(container.pid).unwrap_or_default();
                    Some(Usage { received, sent, ..usage(before, &taken, self.machine_memory) })
                }
            });
        }
        self.last = last;
        usages
    }
}

enum Reading {
    Taken(Taken),
    /// It does not run.
    Nothing,
    /// Nobody can tell.
    Unknown,
}

async fn read(engine: &Engine, container: &Container) -> Reading {
    match container.status {
        Status::Running | Status::Paused => {}
        Status::Unknown => return Reading::Unknown,
        _ => return Reading::Nothing,
    }
    let Ok(containerd) = engine.containerd.with_namespace(&container.namespace) else {
        return Reading::Unknown;
    };
    let asked = containerd.metrics(&container.id, SHIM_DEADLINE);
    match tokio::time::timeout(SHIM_DEADLINE, asked).await {
        Ok(Ok(Some(metrics))) => Reading::Taken(Taken { metrics, at: Instant::now() }),
        Ok(Ok(None) | Err(_)) | Err(_) => Reading::Unknown,
    }
}

fn usage(before: Option<&Taken>, now: &Taken, machine_memory: u64) -> Usage {
    let metrics = &now.metrics;
    Usage {
        cpu: before.map(|before| cpu(before, now)),
        // docker's rule, for both versions of control groups.
        memory: match metrics.memory.checked_sub(metrics.inactive_file) {
            Some(used) if used > 0 => used,
            _ => metrics.memory,
        },
        memory_limit: match metrics.memory_limit {
            0 => machine_memory,
            limit if machine_memory > 0 => limit.min(machine_memory),
            limit => limit,
        },
        read: metrics.read,
        written: metrics.written,
        pids: metrics.pids,
        ..Usage::default()
    }
}

/// docker divides by the time of all CPUs and multiplies by their number: what is left is the time that passed,
/// taken here from the clock by which the samples were read, to the nanosecond.
fn cpu(before: &Taken, now: &Taken) -> f64 {
    let read = match (before.metrics.at, now.metrics.at) {
        (Some(before), Some(now)) => Duration::try_from(now.duration_since(before)).ok(),
        _ => None,
    };
    let passed = read.filter(|passed| !passed.is_zero()).unwrap_or(now.at.duration_since(before.at));
    let used = now.metrics.cpu.saturating_sub(before.metrics.cpu);
    if passed.is_zero() { 0.0 } else { used as f64 / passed.as_nanos() as f64 * 100.0 }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn taken(metrics: Metrics, milliseconds: i64) -> Taken {
        let at = Timestamp::from_millisecond(1_000_000 + milliseconds).ok();
        Taken { metrics: Metrics { at, ..metrics }, at: Instant::now() }
    }

    #[test]
    fn shares_are_dockers() {
        let before = taken(Metrics { cpu: 1_000_000_000, ..Metrics::default() }, 0);
        for (used, milliseconds, expected) in
            [(500_000_000, 500, 100.0), (1_000_000_000, 500, 200.0), (5_000_000, 1000, 0.5), (0, 1000, 0.0)]
        {
            let metrics = Metrics { cpu: before.metrics.cpu + used, ..Metrics::default() };
            let now = taken(metrics, milliseconds);
            assert_eq!(usage(Some(&before), &now, 0).cpu, Some(expected), "{used} in {milliseconds}");
        }
        // Started anew: its counter began again.
        let now = taken(Metrics { cpu: 5, ..Metrics::default() }, 1000);
        assert_eq!(usage(Some(&before), &now, 0).cpu, Some(0.0));
        assert_eq!(usage(None, &now, 0).cpu, None);
    }

    #[test]
    fn memory_is_told_without_cold_files_and_with_the_limit_that_holds() {
        const MB: u64 = 1 << 20;
        for (memory, inactive_file, limit, expected) in [
            (10 * MB, 4 * MB, 64 * MB, (6 * MB, 64 * MB)),
            (10 * MB, 11 * MB, 64 * MB, (10 * MB, 64 * MB)),
            // Version 2 says `max`, version 1 the largest number of pages.
            (10 * MB, 0, u64::MAX, (10 * MB, 100 * MB)),
            (10 * MB, 0, 9_223_372_036_854_771_712, (10 * MB, 100 * MB)),
            (0, 0, 0, (0, 100 * MB)),
        ] {
            let metrics = Metrics { memory, inactive_file, memory_limit: limit, ..Metrics::default() };
            let usage = usage(None, &taken(metrics, 0), 100 * MB);
            assert_eq!((usage.memory, usage.memory_limit), expected);
        }
        assert_eq!(Usage { memory: 1, memory_limit: 4, ..Usage::default() }.memory_percent(), 25.0);
        assert_eq!(Usage::default().memory_percent(), 0.0);
    }
}
