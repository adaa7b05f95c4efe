//! The pods as CRI keeps them in memory, for lists: containerd's records hold each container's whole specification, and a
//! task's state wants a word with its shim. CRI knows what both would say, but not that a shim no longer answers: those
//! that do not run just now are asked themselves. Addresses are asked for one by one where libcni has not kept them.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::list::{list, with_members};
use super::model::{Member, NAMESPACE, Pod};
use crate::containerd;
use crate::cri::{Client, api};
use crate::engine::Engine;
use crate::engine::container::{Container, OOM_KILLED, Status};
use crate::engine::doctor::shims;
use crate::error::Result;
use crate::net::cached;

/// How long CRI may take before containerd's records are read instead: both together must stay below a second.
const DEADLINE: Duration = Duration::from_millis(150);
/// How long a shim that does not run may take to tell its state.
const SHIM_DEADLINE: Duration = Duration::from_millis(700);

/// Every pod, newest first, with what a table shows of it: from CRI where it answers at once, otherwise from containerd's
/// records. CRI tells nothing of the records' specifications, runtimes and processes: those are empty.
///
/// # Errors
/// Containerd does not answer.
pub async fn survey(engine: &Engine) -> Result<Vec<Pod>> {
    match from_cri(engine).await {
        Some(pods) => Ok(pods),
        None => list(engine).await,
    }
}

async fn from_cri(engine: &Engine) -> Option<Vec<Pod>> {
    if engine.containerd.namespace() != NAMESPACE {
        return None;
    }
    let cri = Client::new(&engine.containerd, Some(DEADLINE));
    let stalled = tokio::task::spawn_blocking(shims::stalled);
    let known = tokio::task::spawn_blocking(|| cached::addresses(Path::new(cached::RESULTS)));
    let (sandboxes, containers) = tokio::join!(
        cri.list_pod_sandbox(api::ListPodSandboxRequest::default()),
        cri.list_containers(api::ListContainersRequest::default())
    );
    let (sandboxes, containers) = (sandboxes.ok()?.items, containers.ok()?.containers);
    let known = known.await.ok()?;
    let (members, pods, silent) = tokio::join!(
        join_all(containers.into_iter().map(|one| member(&cri, one))),
        join_all(sandboxes.into_iter().map(|one| pod(&cri, one, &known))),
        async { Some(silent(engine, stalled.await.ok()?).await) }
    );
    let silent = silent?;
    let mut of: HashMap<String, Vec<Member>> = HashMap::new();
    for member in members {
        let (sandbox, mut member) = member?;
        if silent.contains(&sandbox) {
            member.container.status = Status::Unknown;
        }
        of.entry(sandbox).or_default().push(member);
    }
    let mut pods = pods.into_iter().collect::<Option<Vec<Pod>>>()?;
    for pod in pods.iter_mut().filter(|pod| silent.contains(&pod.id)) {
        (pod.status, pod.sandbox.status) = (Status::Unknown, Status::Unknown);
    }
    Some(with_members(pods, of))
}

/// Of the pods whose shim was seen not to run those whose shim does not answer either.
async fn silent(engine: &Engine, stalled: Vec<String>) -> HashSet<String> {
    let asked = stalled.into_iter().map(|id| async move {
        let answer = engine.containerd.task(&id, Some(SHIM_DEADLINE));
        match tokio::time::timeout(SHIM_DEADLINE, answer).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) if error.code == containerd::Code::NotFound => None,
            _ => Some(id),
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// A pod without its containers. None where CRI is late.
async fn pod(cri: &Client, sandbox: api::PodSandbox, known: &HashMap<String, Vec<IpAddr>>) -> Option<Pod> {
    let is_ready = sandbox.state() == api::PodSandboxState::SandboxReady;
    // An id is nobody else's: what was kept of it is true as long as the pod runs.
    let addresses = match known.get(&sandbox.id) {
        _ if !is_ready => Vec::new(),
        Some(addresses) => addresses.clone(),
        None => {
            let request = api::PodSandboxStatusRequest { pod_sandbox_id: sandbox.id.clone(), verbose: false };
            match cri.pod_sandbox_status(request).await {
                Ok(told) => addresses(told.status.and_then(|status| status.network).unwrap_or_default()),
                // Removed since it was listed.
                Err(error) if error.code == containerd::Code::NotFound => Vec::new(),
                Err(_) => return None,
            }
        }
    };
    let status = if is_ready { Status::Running } else { Status::Exited };
    let metadata = sandbox.metadata.unwrap_or_default();
    let created_at = time(sandbox.created_at);
    Some(Pod {
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        attempt: metadata.attempt,
        labels: sandbox.labels.into_iter().collect(),
        annotations: sandbox.annotations.into_iter().collect(),
        created_at,
        status,
        pid: 0,
        addresses,
        host_network: false,
        network_namespace: Default::default(),
        log_directory: Default::default(),
        runtime_handler: sandbox.runtime_handler,
        containers: Vec::new(),
        sandbox: record(sandbox.id.clone(), created_at, status),
        id: sandbox.id,
    })
}

/// A container with the id of its sandbox. None where CRI is late.
async fn member(cri: &Client, found: api::Container) -> Option<(String, Member)> {
    let status = match found.state() {
        api::ContainerState::ContainerCreated => Status::Created,
        api::ContainerState::ContainerRunning => Status::Running,
        api::ContainerState::ContainerExited => Status::Exited,
        api::ContainerState::ContainerUnknown => Status::Unknown,
    };
    let metadata = found.metadata.unwrap_or_default();
    let mut container = record(found.id.clone(), time(found.created_at), status);
    if status == Status::Exited {
        let request = api::ContainerStatusRequest { container_id: found.id, verbose: false };
        match cri.container_status(request).await {
            Ok(told) => {
                let told = told.status.unwrap_or_default();
                container.state.finished_at = time(told.finished_at);
                container.state.exit_code = u32::try_from(told.exit_code).ok();
                container.state.oom_killed = told.reason == OOM_KILLED;
            }
            Err(error) if error.code == containerd::Code::NotFound => {}
            Err(_) => return None,
        }
    }
    Some((found.pod_sandbox_id, Member { name: metadata.name, attempt: metadata.attempt, container }))
}

fn record(id: String, created_at: Option<Timestamp>, status: Status) -> Container {
    let raw = containerd::Container { id, created_at, ..Default::default() };
    Container { status, ..Container::bare(raw, NAMESPACE) }
}

fn addresses(network: api::PodSandboxNetworkStatus) -> Vec<IpAddr> {
    let more = network.additional_ips.into_iter().map(|more| more.ip);
    std::iter::once(network.ip).chain(more).filter_map(|text| text.parse().ok()).collect()
}

/// CRI's nanoseconds since 1970; 0 for what has not been.
fn time(nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(nanoseconds.into()).ok().filter(|_| nanoseconds > 0)
}
