//! A pod as containerd's records tell it: its sandbox, and the containers that share it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::engine::container::{Container, Status};

/// containerd's namespace in which CRI keeps its records.
pub const NAMESPACE: &str = "k8s.io";

/// A pod: one sandbox, which one attempt to run the pod has made.
#[derive(Debug, Clone)]
pub struct Pod {
    /// The sandbox's id.
    pub id: String,
    /// Kubernetes' namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Kubernetes' id of the pod, the same for all its attempts.
    pub uid: String,
    /// How many sandboxes the pod has had before this one.
    pub attempt: u32,
    /// The pod's labels, a kubelet's own among them.
    pub labels: BTreeMap<String, String>,
    /// The pod's annotations.
    pub annotations: BTreeMap<String, String>,
    /// When the sandbox was made.
    pub created_at: Option<Timestamp>,
    /// The state of the sandbox: running is what CRI calls ready.
    pub status: Status,
    /// The sandbox's process on this machine; 0 when it does not run.
    pub pid: u32,
    /// Its addresses, the first one first; none in the host's network.
    pub addresses: Vec<IpAddr>,
    /// Whether it is on the host's network.
    pub host_network: bool,
    /// The path of its network namespace; empty on the host's network.
    pub network_namespace: PathBuf,
    /// Where the logs of its containers are.
    pub log_directory: PathBuf,
    /// The name of the handler that runs it; empty for the default one.
    pub runtime_handler: String,
    /// Its containers in the order they were made in, former attempts among them, the sandbox not.
    pub containers: Vec<Member>,
    /// The sandbox's own record, with its task's state.
    pub sandbox: Container,
}

/// A container of a pod.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name in the pod.
    pub name: String,
    /// How often it was made anew before.
    pub attempt: u32,
    /// The container.
    pub container: Container,
}

impl Pod {
    /// Whether its sandbox runs: CRI's `Ready`.
    pub fn is_ready(&self) -> bool {
        self.status == Status::Running
    }

    /// `namespace/name`.
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Each container once, in its last attempt.
    pub fn current(&self) -> Vec<&Member> {
        let mut current: Vec<&Member> = Vec::new();
        for member in &self.containers {
            match current.iter_mut().find(|known| known.name == member.name) {
                Some(known) if known.attempt <= member.attempt => *known = member,
                Some(_) => {}
                None => current.push(member),
            }
        }
        current
    }

    /// Each container that is not done with what the others had to wait for: a kubelet makes the others only after
    /// the last init container has ended well.
    pub fn main(&self) -> Vec<&Member> {
        let current = self.current();
        let is_over = |member: &Member| {
            let ended = member.container.state.finished_at;
            let well = member.container.status == Status::Exited
                && member.container.state.exit_code.unwrap_or_default() == 0;
            well && current.iter().any(|other| {
                other.name != member.name && ended.is_some() && other.container.created_at >= ended
            })
        };
        current.iter().filter(|member| !is_over(member)).copied().collect()
    }

    /// The address that others reach it at.
    pub fn address(&self) -> Option<IpAddr> {
        self.addresses.first().copied()
    }

    /// Its records: the sandbox, then the containers.
    pub fn into_containers(self) -> impl Iterator<Item = Container> {
        std::iter::once(self.sandbox).chain(self.containers.into_iter().map(|member| member.container))
    }
}
