//! Everything that is known of a pod, as one value.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Serialize;

use super::model::{Member, Pod};
use crate::engine::Engine;
use crate::engine::container::inspect::{self, MountPoint, State};
use crate::error::Result;

/// A pod with its containers.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    /// The sandbox's id.
    pub id: String,
    /// The pod's name.
    pub name: String,
    /// Kubernetes' namespace.
    pub namespace: String,
    /// Kubernetes' id of the pod.
    pub uid: String,
    /// How many sandboxes the pod has had before.
    pub attempt: u32,
    /// When the sandbox was made, RFC 3339.
    pub created: String,
    /// Whether the sandbox runs.
    pub ready: bool,
    /// The sandbox's process, its image and its state.
    pub sandbox: Sandbox,
    /// Its addresses, the first one first.
    pub addresses: Vec<IpAddr>,
    /// Whether it is on the host's network.
    pub host_network: bool,
    /// The path of its network namespace.
    pub network_namespace: PathBuf,
    /// The handler that runs it; empty for the default one.
    pub runtime_handler: String,
    /// Where the logs of its containers are.
    pub log_directory: PathBuf,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    pub annotations: BTreeMap<String, String>,
    /// Its containers, former attempts among them.
    pub containers: Vec<InspectedMember>,
}

/// What holds the pod's namespaces.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Sandbox {
    /// `running`, `exited`, …
    pub status: &'static str,
    /// Its process on this machine; 0 when it does not run.
    pub pid: u32,
    /// Its image.
    pub image: String,
    /// containerd's name of its runtime.
    pub runtime: String,
}

/// A container of the pod.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct InspectedMember {
    /// Its name in the pod.
    pub name: String,
    /// Its id.
    pub id: String,
    /// How often it was made anew before.
    pub attempt: u32,
    /// When it was made, RFC 3339.
    pub created: String,
    /// The image as it was named.
    pub image: String,
    /// The command line.
    pub command: Vec<String>,
    /// How it is.
    pub state: State,
    /// Where its log is.
    pub log_path: String,
    /// What is mounted in it.
    pub mounts: Vec<MountPoint>,
}

/// The pod with its containers.
pub async fn inspect(engine: &Engine, pod: Pod) -> Result<Inspect> {
    let members = pod.containers.iter().map(|member| inspect_member(engine, member));
    let containers = futures_util::future::try_join_all(members).await?;
    Ok(Inspect {
        created: pod.created_at.map(|time| time.to_string()).unwrap_or_default(),
        ready: pod.is_ready(),
        sandbox: Sandbox {
            status: pod.status.word(),
            pid: pod.pid,
            image: pod.sandbox.image.clone(),
            runtime: pod.sandbox.raw.runtime.clone(),
        },
        id: pod.id,
        name: pod.name,
        namespace: pod.namespace,
        uid: pod.uid,
        attempt: pod.attempt,
        addresses: pod.addresses,
        host_network: pod.host_network,
        network_namespace: pod.network_namespace,
        runtime_handler: pod.runtime_handler,
        log_directory: pod.log_directory,
        labels: pod.labels,
        annotations: pod.annotations,
        containers,
    })
}

async fn inspect_member(engine: &Engine, member: &Member) -> Result<InspectedMember> {
    let container = &member.container;
    let known = inspect::inspect(engine, container, false).await?;
    Ok(InspectedMember {
        name: member.name.clone(),
        id: container.id.clone(),
        attempt: member.attempt,
        created: known.created,
        image: container.image.clone(),
        command: container.command.clone(),
        state: known.state,
        log_path: container.log.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        mounts: known.mounts,
    })
}
