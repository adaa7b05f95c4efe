//! What is wrong with this node, and what to do about it. Everything is read, nothing is changed: the only thing made
//! is the container that shows that the runtime works, in a namespace of its own, and it is gone at the end.
//!
//! Each check looks at one part and gives findings. All of them run side by side, each within a deadline, so that one
//! thing that hangs never hides the others.

pub mod bundle;
mod cgroup;
mod clock;
mod cni;
mod containerd;
mod cri;
mod daemon;
mod disk;
mod facts;
mod finding;
mod images;
mod kernel;
mod kubelet;
mod leftovers;
mod node;
mod pressure;
mod probe;
mod registry;
mod runtime;
mod settings;
pub(in crate::engine) mod shims;
mod snapshots;
mod tasks;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use facts::Facts;
pub use finding::{Finding, Severity};
pub use node::Node;

use crate::config::Config;

/// When everything must have an answer.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    start: Instant,
    limit: Duration,
}

impl Budget {
    /// From now on.
    pub fn new(limit: Duration) -> Self {
        Self { start: Instant::now(), limit }
    }

    /// A part of the whole, in percent: how long one answer may take.
    pub(super) fn part(&self, percent: u32) -> Duration {
        self.limit * percent / 100
    }

    /// The moment when so much of the whole has gone.
    pub(super) fn until(&self, percent: u32) -> tokio::time::Instant {
        (self.start + self.part(percent)).into()
    }
}

/// What was found, and what it was found in.
#[derive(Debug)]
pub struct Report {
    /// What each check said: at least one finding a check.
    pub findings: Vec<Finding>,
    /// What was gathered for the checks.
    pub facts: Arc<Facts>,
}

impl Report {
    /// The worst there is.
    pub fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }
}

/// A check that asks nobody: it looks at what was gathered and at files.
type Local = fn(&Facts) -> Vec<Finding>;

const LOCAL: [(&str, Local); 11] = [
    ("containerd", containerd::check),
    ("plugins", containerd::plugins),
    ("config", containerd::configuration),
    ("cri", cri::check),
    ("cgroup", cgroup::check),
    ("cni", cni::check),
    ("disk", disk::check),
    ("pressure", pressure::check),
    ("clock", clock::check),
    ("kernel", kernel::check),
    ("kubelet", kubelet::check),
];

/// Look at everything within `limit`.
pub async fn examine(config: Arc<Config>, node: Node, limit: Duration) -> Report {
    let budget = Budget::new(limit);
    let facts = Arc::new(Facts::gather(config, node, budget).await);
    let local = LOCAL.map(|(name, check)| within(name, Arc::clone(&facts), check, budget));
    let (local, runtime, registries, images, tasks, snapshots, leftovers) = tokio::join!(
        futures_util::future::join_all(local),
        runtime::check(&facts, budget),
        registry::check(&facts, budget),
        within("images", Arc::clone(&facts), images::check, budget),
        tasks::check(&facts, budget),
        snapshots::check(&facts, budget),
        leftovers::check(&facts, budget),
    );
    let mut findings: Vec<Finding> = local.into_iter().flatten().collect();
    findings.extend([runtime, registries, images, tasks, snapshots, leftovers].into_iter().flatten());
    Report { findings, facts }
}

/// Run a check on a thread of its own: a file or a mount that hangs holds only that one.
async fn within(name: &'static str, facts: Arc<Facts>, check: Local, budget: Budget) -> Vec<Finding> {
    let asked = tokio::task::spawn_blocking(move || check(&facts));
    match tokio::time::timeout_at(budget.until(93), asked).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(_)) => vec![Finding::error(name, "the check failed badly: this is a fault of wharfie")],
        Err(_) => vec![
            Finding::error(name, "no answer in time: a file or a mount that this check reads hangs")
                .next("findmnt -t nfs,nfs4,cifs,fuse; ps -eo pid,stat,wchan:30,args | awk '$2 ~ /D/'"),
        ],
    }
}
