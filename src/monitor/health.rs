//! When a container's health is checked. The check itself is a short-lived process of this program's, which
//! talks to containerd: here it is only started, awaited, and ended when it takes too long.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::HEALTH_ARGUMENT;
use crate::oci::request::HealthCheck;

/// A check's exit code: the container is healthy, unhealthy, or gone.
pub const SETTLED: u8 = 0;
/// A check's exit code: the container is still starting.
pub const STARTING: u8 = 10;
/// A check's exit code: nothing is known.
pub const FAILED: u8 = 1;

/// How much longer than the check's own timeout its process may take: containerd may be slow.
const SLACK: Duration = Duration::from_secs(60);

/// One container's checks.
#[derive(Debug)]
pub(super) struct Checks {
    check: Option<HealthCheck>,
    since: Option<Instant>,
    starting: bool,
    next: Option<Instant>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    watch: OwnedFd,
    kill: Instant,
}

impl Checks {
    /// None where nothing is checked.
    pub(super) fn new(check: Option<HealthCheck>) -> Self {
        let check = check.filter(HealthCheck::runs);
        Self { check, since: None, starting: true, next: None, running: None }
    }

    /// What becomes readable when [`Checks::look`] has something to do.
    pub(super) fn source(&self) -> Option<BorrowedFd<'_>> {
        self.running.as_ref().map(|running| running.watch.as_fd())
    }

    /// When to call [`Checks::advance`] again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.kill).or(self.next)
    }

    /// Start what is due. `since` is when the container was seen to run.
    pub(super) fn advance(&mut self, since: Option<Instant>, duty_path: &Path) {
        let Some(check) = &self.check else { return };
        if self.since.is_none() && since.is_some() {
            self.since = since;
            self.plan();
            return;
        }
        let now = Instant::now();
        if let Some(running) = &mut self.running {
            if running.kill <= now {
                // It is still our child: its number is its own. What is left in the container ends with it.
                let _ = running.child.kill();
                running.kill = now + SLACK;
            }
        } else if self.next.is_some_and(|next| next <= now) {
            self.next = None;
            match start(duty_path) {
                Ok((child, watch)) => {
                    self.running = Some(Running { child, watch, kill: now + check.timeout() + SLACK });
                }
                // No memory, or no process left: the next one may be luckier.
                Err(_) => self.plan(),
            }
        }
    }

    /// The check's process has ended.
    pub(super) fn look(&mut self) {
        let Some(running) = &mut self.running else { return };
        match running.child.try_wait() {
            Ok(None) => return,
            Ok(Some(status)) => match status.code() {
                Some(code) if code == i32::from(SETTLED) => self.starting = false,
                Some(code) if code == i32::from(STARTING) => self.starting = true,
                _ => {}
            },
            // Not our child any more, which happens after a fork: nothing is known of it.
            Err(_) => {}
        }
        self.running = None;
        self.plan();
    }

    /// docker's rule: the start interval while the container is starting, for as long as the start period is.
    fn plan(&mut self) {
        let (Some(check), Some(since)) = (&self.check, self.since) else { return };
        let early = self.starting && since.elapsed() < check.start_period();
        let interval = if early { check.start_interval() } else { check.interval() };
        self.next = Some(Instant::now() + interval);
    }

    /// The container has ended, or is to: nothing is checked any more.
    pub(super) fn end(&mut self) {
        self.check = None;
        self.next = None;
        if let Some(running) = &self.running {
            // It ends what it runs in the container.
            let _ = kill_process(Pid::from_child(&running.child), Signal::TERM);
        }
    }
}

fn start(duty_path: &Path) -> io::Result<(Child, OwnedFd)> {
    let mut child = Command::new("/proc/self/exe")
        .arg(HEALTH_ARGUMENT)
        .arg(duty_path)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
        Ok(watch) => Ok((child, watch)),
        Err(cause) => {
            // Without it nobody would notice its end.
            let _ = child.kill();
            let _ = child.wait();
            Err(cause.into())
        }
    }
}
