//! What the records of other clients tell, in the shape of ours: everything that inspect shows of a container
//! which nerdctl, a kubelet or ctr made comes from its runtime specification and its labels.

use std::collections::{BTreeMap, HashMap};

use oci_spec::runtime::{LinuxNamespaceType, LinuxResources, Mount, Process, Spec};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::mounts::MountPoint;
use crate::engine::container::model::{Container, Origin, Record, ResolvedMount};
use crate::oci::request::{
    ContainerRequest, EndpointRequest, LogConfig, MountKind, Namespaces, NetworkMode, NetworkRequest,
    Resources, RestartPolicy, Security,
};

/// Files that clients bind into every container.
const SURROUNDINGS: [&str; 3] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"];

/// A record as if the container were ours, with what can be known.
pub(super) fn record(container: &Container, spec: &Spec) -> Record {
    let labels = &container.raw.labels;
    let process = spec.process().as_ref();
    let linux = spec.linux().as_ref();
    let resources = linux.and_then(|linux| linux.resources().as_ref()).map(resources).unwrap_or_default();
    let request = ContainerRequest {
        image: container.image.clone(),
        name: container.name.clone(),
        command: Some(container.command.clone()),
        env: process.and_then(|process| process.env().clone()).unwrap_or_default(),
        working_dir: process.map(|process| process.cwd().display().to_string()),
        user: process.and_then(user),
        hostname: spec.hostname().clone(),
        domainname: spec.domainname().clone(),
        annotations: annotations(spec),
        tty: container.tty,
        detach: true,
        stop_timeout: labels.get("nerdctl/stop-timeout").and_then(|seconds| seconds.parse().ok()),
        restart: labels.get("containerd.io/restart.policy").map(|policy| restart(policy)).unwrap_or_default(),
        auto_remove: labels.get("nerdctl/auto-remove").is_some_and(|text| text == "true"),
        log: log(container),
        read_only: spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or_default(),
        network: NetworkRequest {
            mode: network_mode(spec),
            endpoints: endpoints(labels),
            ..NetworkRequest::default()
        },
        resources: Resources {
            oom_score_adj: process.and_then(|process| process.oom_score_adj()),
            ulimits: process.map(ulimits).unwrap_or_default(),
            ..resources
        },
        security: Security {
            no_new_privileges: process.and_then(|process| process.no_new_privileges()).unwrap_or_default(),
            apparmor: process.and_then(|process| process.apparmor_profile().clone()),
            ..Security::default()
        },
        namespaces: namespaces(spec),
        sysctls: linux.and_then(|linux| linux.sysctl().clone()).unwrap_or_default().into_iter().collect(),
        ..ContainerRequest::default()
    };
    Record {
        request,
        image_name: container.raw.image.clone(),
        mounts: mounts(container, spec),
        ..Record::default()
    }
}

/// Whether the container has a namespace of that kind that is not the host's.
pub(super) fn has_namespace(spec: &Spec, kind: LinuxNamespaceType) -> bool {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    namespaces.is_some_and(|namespaces| namespaces.iter().any(|namespace| namespace.typ() == kind))
}

/// A JSON value that nerdctl keeps in a label.
pub(super) fn label<T: DeserializeOwned + Default>(labels: &HashMap<String, String>, name: &str) -> T {
    labels.get(name).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

fn user(process: &Process) -> Option<String> {
    match (process.user().uid(), process.user().gid()) {
        (0, 0) => None,
        (uid, gid) => Some(format!("{uid}:{gid}")),
    }
}

/// Clients repeat their own labels as annotations: those are theirs, not the user's.
fn annotations(spec: &Spec) -> BTreeMap<String, String> {
    let all = spec.annotations().iter().flatten();
    all.filter(|(key, _)| !key.starts_with("nerdctl/"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn restart(policy: &str) -> RestartPolicy {
    match policy.split_once(':').unwrap_or((policy, "")) {
        ("always", _) => RestartPolicy::Always,
        ("unless-stopped", _) => RestartPolicy::UnlessStopped,
        ("on-failure", most) => RestartPolicy::OnFailure(most.parse().unwrap_or_default()),
        _ => RestartPolicy::No,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NerdctlLog {
    driver: String,
    opts: BTreeMap<String, String>,
}

fn log(container: &Container) -> LogConfig {
    let kept: NerdctlLog = label(&container.raw.labels, "nerdctl/log-config");
    let driver = match (kept.driver.is_empty(), container.origin) {
        (false, _) => kept.driver,
        (true, Origin::Nerdctl) => "json-file".into(),
        (true, Origin::Cri) => "cri".into(),
        (true, _) => "none".into(),
    };
    LogConfig { driver, options: kept.opts }
}

fn network_mode(spec: &Spec) -> NetworkMode {
    let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_ref());
    let network = namespaces
        .and_then(|all| all.iter().find(|namespace| namespace.typ() == LinuxNamespaceType::Network));
    match network {
        // One that was there before joins a network somebody else made; a new one has only its loopback, unless
        // a hook connects it, which is nerdctl's way.
        Some(namespace) if namespace.path().is_some() || spec.hooks().is_some() => NetworkMode::Bridge,
        Some(_) => NetworkMode::None,
        None => NetworkMode::Host,
    }
}

fn endpoints(labels: &HashMap<String, String>) -> Vec<EndpointRequest> {
    let networks: Vec<String> = label(labels, "nerdctl/networks");
    let named = networks.into_iter().map(|network| EndpointRequest { network, ..EndpointRequest::default() });
    let mut endpoints: Vec<EndpointRequest> = named.collect();
    if endpoints.is_empty() {
        // CRI and ctr do not say which one it is.
        endpoints.push(EndpointRequest { network: "unknown".into(), ..EndpointRequest::default() });
    }
    endpoints
}

fn namespaces(spec: &Spec) -> Namespaces {
    let host = |kind| (!has_namespace(spec, kind)).then(|| "host".to_owned());
    Namespaces {
        pid: host(LinuxNamespaceType::Pid),
        ipc: host(LinuxNamespaceType::Ipc),
        uts: host(LinuxNamespaceType::Uts),
        cgroup: host(LinuxNamespaceType::Cgroup),
        user: None,
    }
}

fn resources(limits: &LinuxResources) -> Resources {
    let (memory, cpu) = (limits.memory().as_ref(), limits.cpu().as_ref());
    Resources {
        memory: memory.and_then(|memory| memory.limit()),
        memory_swap: memory.and_then(|memory| memory.swap()),
        memory_reservation: memory.and_then(|memory| memory.reservation()),
        memory_swappiness: memory.and_then(|memory| memory.swappiness()),
        oom_kill_disable: memory.and_then(|memory| memory.disable_oom_killer()).unwrap_or_default(),
        cpu_shares: cpu.and_then(|cpu| cpu.shares()),
        cpu_period: cpu.and_then(|cpu| cpu.period()),
        cpu_quota: cpu.and_then(|cpu| cpu.quota()),
        cpu_rt_period: cpu.and_then(|cpu| cpu.realtime_period()),
        cpu_rt_runtime: cpu.and_then(|cpu| cpu.realtime_runtime()),
        cpuset_cpus: cpu.and_then(|cpu| cpu.cpus().clone()),
        cpuset_mems: cpu.and_then(|cpu| cpu.mems().clone()),
        pids_limit: limits.pids().as_ref().map(|pids| pids.limit()),
        blkio_weight: limits.block_io().as_ref().and_then(|block_io| block_io.weight()),
        ..Resources::default()
    }
}

fn ulimits(process: &Process) -> Vec<(String, i64, i64)> {
    let signed = |limit: u64| i64::try_from(limit).unwrap_or(-1);
    let limits = process.rlimits().iter().flatten();
    limits
        .map(|limit| {
            let name = limit.typ().to_string().trim_start_matches("RLIMIT_").to_ascii_lowercase();
            (name, signed(limit.soft()), signed(limit.hard()))
        })
        .collect()
}

/// What the user mounted: nerdctl keeps it in a label, of others the binds of the specification tell.
fn mounts(container: &Container, spec: &Spec) -> Vec<ResolvedMount> {
    let kept: Vec<MountPoint> = label(&container.raw.labels, "nerdctl/mounts");
    if !kept.is_empty() {
        return kept.into_iter().map(kept_mount).collect();
    }
    spec.mounts().iter().flatten().filter_map(bound).collect()
}

fn kept_mount(mount: MountPoint) -> ResolvedMount {
    let kind = match mount.r#type.as_str() {
        "volume" => MountKind::Volume,
        "tmpfs" => MountKind::Tmpfs,
        "image" => MountKind::Image,
        _ => MountKind::Bind,
    };
    ResolvedMount {
        kind,
        name: mount.name,
        source: mount.source.into(),
        target: mount.destination,
        read_only: !mount.rw,
        mode: mount.mode,
        propagation: mount.propagation,
        ..ResolvedMount::default()
    }
}

fn bound(mount: &Mount) -> Option<ResolvedMount> {
    let options = mount.options().as_deref().unwrap_or_default();
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    let is_bind = mount.typ().as_deref() == Some("bind") || has("bind") || has("rbind");
    let target = mount.destination().display().to_string();
    if !is_bind || SURROUNDINGS.contains(&target.as_str()) || target == "/dev/shm" {
        return None;
    }
    const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];
    Some(ResolvedMount {
        kind: MountKind::Bind,
        source: mount.source().clone().unwrap_or_default(),
        target,
        read_only: has("ro"),
        propagation: options
            .iter()
            .find(|option| PROPAGATIONS.contains(&option.as_str()))
            .cloned()
            .unwrap_or_default(),
        ..ResolvedMount::default()
    })
}
