//! Pods are put together from one list of containerd's records and the states of all tasks, asked for at once.

use std::collections::HashMap;

use super::model::{Member, Pod};
use super::record;
use crate::engine::Engine;
use crate::engine::container::{self, Container, is_sandbox};
use crate::error::Result;

/// CRI's label for what it made.
const KIND: &str = "io.cri-containerd.kind";
/// The labels by which CRI and a kubelet say what a record is.
const POD_NAME: &str = "io.kubernetes.pod.name";
const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_UID: &str = "io.kubernetes.pod.uid";
const CONTAINER_NAME: &str = "io.kubernetes.container.name";

/// Every pod of the engine's namespace, newest first.
pub async fn list(engine: &Engine) -> Result<Vec<Pod>> {
    let filters = [format!("labels.\"{KIND}\"==sandbox"), format!("labels.\"{KIND}\"==container")];
    let containers = container::records(engine, &filters).await?;
    let mut pods = of_containers(container::with_states(engine, containers).await);
    pods.iter_mut().for_each(look_up_addresses);
    Ok(pods)
}

/// Every pod of the engine's namespace, newest first, its tasks not looked at.
pub(super) async fn records(engine: &Engine) -> Result<Vec<Pod>> {
    let filters = [format!("labels.\"{KIND}\"==sandbox"), format!("labels.\"{KIND}\"==container")];
    Ok(of_containers(container::records(engine, &filters).await?))
}

/// Where a record tells no address, its network namespace does.
fn look_up_addresses(pod: &mut Pod) {
    if !pod.addresses.is_empty() || pod.pid == 0 {
        return;
    }
    pod.addresses = if pod.host_network { Vec::new() } else { crate::sys::addresses::of_process(pod.pid) };
}

/// The pods that these containers make up, newest first. What belongs to no pod is left out.
pub fn of_containers(containers: Vec<Container>) -> Vec<Pod> {
    let (sandboxes, others): (Vec<_>, Vec<_>) = containers.into_iter().partition(is_sandbox);
    let mut members: HashMap<String, Vec<Member>> = HashMap::new();
    for container in others {
        if let Some((sandbox, member)) = member(container) {
            members.entry(sandbox).or_default().push(member);
        }
    }
    with_members(sandboxes.into_iter().map(pod).collect(), members)
}

/// The pods, newest first, each with its containers of `members`, which go by the sandbox's id.
pub(super) fn with_members(mut pods: Vec<Pod>, mut members: HashMap<String, Vec<Member>>) -> Vec<Pod> {
    pods.sort_by(|a, b| b.created_at.cmp(&a.created_at).then_with(|| a.id.cmp(&b.id)));
    for pod in &mut pods {
        pod.containers = members.remove(&pod.id).unwrap_or_default();
        pod.containers.sort_by_key(|member| member.container.created_at);
    }
    pods
}

/// A container of a pod, with its sandbox's id.
fn member(container: Container) -> Option<(String, Member)> {
    let kept = record::Container::read(&container.raw);
    if kept.sandbox.is_empty() {
        return None;
    }
    let metadata = kept.config.and_then(|config| config.metadata).unwrap_or_default();
    let name = label(&container, CONTAINER_NAME).unwrap_or(metadata.name);
    Some((kept.sandbox, Member { name, attempt: metadata.attempt, container }))
}

fn pod(sandbox: Container) -> Pod {
    let kept = record::Sandbox::read(&sandbox.raw);
    let (addresses, host_network) = (kept.addresses(), kept.is_on_host_network());
    let config = kept.config.unwrap_or_default();
    let metadata = config.metadata.unwrap_or_default();
    let known = |value: String, key: &str| {
        if value.is_empty() { label(&sandbox, key).unwrap_or_default() } else { value }
    };
    Pod {
        id: sandbox.id.clone(),
        namespace: known(metadata.namespace, POD_NAMESPACE),
        name: known(metadata.name, POD_NAME),
        uid: known(metadata.uid, POD_UID),
        attempt: metadata.attempt,
        labels: config.labels.unwrap_or_default(),
        annotations: config.annotations.unwrap_or_default(),
        created_at: sandbox.created_at,
        status: sandbox.status,
        pid: sandbox.pid,
        addresses,
        host_network,
        network_namespace: kept.network_namespace,
        log_directory: config.log_directory,
        runtime_handler: kept.runtime_handler,
        containers: Vec::new(),
        sandbox,
    }
}

fn label(container: &Container, key: &str) -> Option<String> {
    container.raw.labels.get(key).filter(|value| !value.is_empty()).cloned()
}
