//! A pod that somebody asks for, and what CRI is told to make it.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use crate::cri::api;

/// Marks pods made by `pod run`; a kubelet's have no such label.
pub const OWN_LABEL: &str = "wharfie/pod";

/// A pod to make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodRequest {
    /// Kubernetes' namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Its hostname; None is the name. One on the host's network has the host's.
    pub hostname: Option<String>,
    /// Labels of the pod.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the pod.
    pub annotations: BTreeMap<String, String>,
    /// It is on the host's network.
    pub host_network: bool,
    /// It sees the host's processes.
    pub host_pid: bool,
    /// It shares the host's memory segments.
    pub host_ipc: bool,
    /// The runtime's handler; None is the default one.
    pub runtime_handler: Option<String>,
    /// Ports of this machine that lead to it.
    pub ports: Vec<PodPort>,
    /// Its containers; never none.
    pub containers: Vec<ContainerRequest>,
}

/// A port of this machine that leads to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodPort {
    /// On this machine; 0 leads nowhere.
    pub host: u16,
    /// This machine's address; empty is any.
    pub host_ip: String,
    /// In the pod.
    pub container: u16,
    /// TCP, UDP or SCTP.
    pub protocol: api::Protocol,
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContainerRequest {
    /// Its name in the pod.
    pub name: String,
    /// The image.
    pub image: String,
    /// Instead of the image's entrypoint; empty leaves it.
    pub command: Vec<String>,
    /// Instead of the image's command; empty leaves it.
    pub args: Vec<String>,
    /// Its directory; None is the image's.
    pub working_dir: Option<String>,
    /// Variables, in their order.
    pub env: Vec<(String, String)>,
    /// What is mounted.
    pub mounts: Vec<Mounted>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub stdin: bool,
    /// All capabilities and devices.
    pub privileged: bool,
    /// The numeric user; None is the image's.
    pub user: Option<i64>,
    /// Its root cannot be written to.
    pub read_only: bool,
    /// A limit in bytes; 0 is none.
    pub memory: i64,
    /// A limit in thousandths of a processor; 0 is none.
    pub millicpus: i64,
}

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where it comes from.
    pub source: Source,
    /// Where it is in the container.
    pub target: String,
    /// It cannot be written to there.
    pub read_only: bool,
}

/// Where a mount comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A path of this machine.
    Host(PathBuf),
    /// The pod's own directory of this name, which ends with it; and a path in there.
    Own(String, PathBuf),
}

impl PodRequest {
    /// What CRI is told of the pod. `cgroup_parent` is empty where CRI chooses.
    pub(super) fn sandbox(&self, uid: &str, cgroup_parent: &str) -> api::PodSandboxConfig {
        let mut labels: HashMap<String, String> =
            self.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        labels.extend([
            ("io.kubernetes.pod.name".to_owned(), self.name.clone()),
            ("io.kubernetes.pod.namespace".to_owned(), self.namespace.clone()),
            ("io.kubernetes.pod.uid".to_owned(), uid.to_owned()),
            (OWN_LABEL.to_owned(), "true".to_owned()),
        ]);
        let mode = |host| if host { api::NamespaceMode::Node } else { api::NamespaceMode::Pod }.into();
        let namespaces = api::NamespaceOption {
            network: mode(self.host_network),
            // As Kubernetes: each container sees its own processes.
            pid: if self.host_pid { api::NamespaceMode::Node } else { api::NamespaceMode::Container }.into(),
            ipc: mode(self.host_ipc),
            ..Default::default()
        };
        let hostname = match &self.hostname {
            _ if self.host_network => String::new(),
            Some(hostname) => hostname.clone(),
            None => self.name.clone(),
        };
        let privileged = self.containers.iter().any(|container| container.privileged);
        api::PodSandboxConfig {
            metadata: Some(api::PodSandboxMetadata {
                name: self.name.clone(),
                uid: uid.to_owned(),
                namespace: self.namespace.clone(),
                attempt: 0,
            }),
            hostname,
            log_directory: self.log_directory(uid).display().to_string(),
            port_mappings: self
                .ports
                .iter()
                .map(|port| api::PortMapping {
                    protocol: port.protocol.into(),
                    container_port: i32::from(port.container),
                    host_port: i32::from(port.host),
                    host_ip: port.host_ip.clone(),
                })
                .collect(),
            labels,
            annotations: self.annotations.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            linux: Some(api::LinuxPodSandboxConfig {
                cgroup_parent: cgroup_parent.to_owned(),
                security_context: Some(api::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces),
                    privileged,
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    /// Where a kubelet would have this pod's logs.
    pub(super) fn log_directory(&self, uid: &str) -> PathBuf {
        log_directory(&self.namespace, &self.name, uid)
    }
}

/// Where a kubelet has a pod's logs.
pub(super) fn log_directory(namespace: &str, name: &str, uid: &str) -> PathBuf {
    Path::new("/var/log/pods").join(format!("{namespace}_{name}_{uid}"))
}

impl ContainerRequest {
    /// What CRI is told of the container; `own` is where the pod's own directories are.
    pub(super) fn config(&self, sandbox: &api::PodSandboxConfig, own: &Path) -> api::ContainerConfig {
        let pod = |key: &str| (key.to_owned(), sandbox.labels.get(key).cloned().unwrap_or_default());
        let mut security = api::LinuxContainerSecurityContext {
            privileged: self.privileged,
            readonly_rootfs: self.read_only,
            run_as_user: self.user.map(|value| api::Int64Value { value }),
            namespace_options: sandbox
                .linux
                .as_ref()
                .and_then(|linux| linux.security_context.as_ref()?.namespace_options.clone()),
            ..Default::default()
        };
        if !self.privileged {
            security.masked_paths = MASKED.map(str::to_owned).to_vec();
            security.readonly_paths = READ_ONLY.map(str::to_owned).to_vec();
        }
        let mut resources =
            api::LinuxContainerResources { memory_limit_in_bytes: self.memory, ..Default::default() };
        if self.millicpus > 0 {
            resources.cpu_period = 100_000;
            resources.cpu_quota = self.millicpus * 100;
            resources.cpu_shares = (self.millicpus * 1024 / 1000).max(2);
        }
        let mounts = self.mounts.iter().map(|mount| api::Mount {
            host_path: match &mount.source {
                Source::Host(path) => path.display().to_string(),
                Source::Own(name, below) => own.join(name).join(below).display().to_string(),
            },
            container_path: mount.target.clone(),
            readonly: mount.read_only,
            ..Default::default()
        });
        api::ContainerConfig {
            metadata: Some(api::ContainerMetadata { name: self.name.clone(), attempt: 0 }),
            image: Some(api::ImageSpec {
                image: self.image.clone(),
                user_specified_image: self.image.clone(),
                ..Default::default()
            }),
            command: self.command.clone(),
            args: self.args.clone(),
            working_dir: self.working_dir.clone().unwrap_or_default(),
            envs: self
                .env
                .iter()
                .map(|(key, value)| api::KeyValue { key: key.clone(), value: value.clone() })
                .collect(),
            mounts: mounts.collect(),
            labels: HashMap::from([
                pod("io.kubernetes.pod.name"),
                pod("io.kubernetes.pod.namespace"),
                pod("io.kubernetes.pod.uid"),
                pod(OWN_LABEL),
                ("io.kubernetes.container.name".to_owned(), self.name.clone()),
            ]),
            log_path: format!("{}/0.log", self.name),
            stdin: self.stdin,
            tty: self.tty,
            linux: Some(api::LinuxContainerConfig {
                resources: Some(resources),
                security_context: Some(security),
            }),
            ..Default::default()
        }
    }
}

/// What Kubernetes hides from containers of the machine.
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/sys/firmware",
];

/// What Kubernetes lets containers only read of the machine.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> PodRequest {
        PodRequest {
            namespace: "shop".into(),
            name: "web".into(),
            containers: vec![ContainerRequest {
                name: "app".into(),
                image: "busybox".into(),
                millicpus: 500,
                mounts: vec![Mounted {
                    source: Source::Own("cache".into(), PathBuf::new()),
                    target: "/cache".into(),
                    read_only: false,
                }],
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    #[test]
    fn a_pod_is_labelled_as_a_kubelets_and_as_ours() {
        let sandbox = request().sandbox("u1", "");
        assert_eq!(sandbox.log_directory, "/var/log/pods/shop_web_u1");
        assert_eq!(sandbox.hostname, "web");
        assert_eq!(sandbox.labels["io.kubernetes.pod.uid"], "u1");
        assert_eq!(sandbox.labels[OWN_LABEL], "true");
        let on_host = PodRequest { host_network: true, ..request() }.sandbox("u1", "");
        let namespaces = on_host.linux.unwrap().security_context.unwrap().namespace_options.unwrap();
        assert_eq!((namespaces.network, on_host.hostname.as_str()), (api::NamespaceMode::Node.into(), ""));
    }

    #[test]
    fn a_container_has_its_limits_and_mounts() {
        let request = request();
        let container = request.containers[0].config(&request.sandbox("u1", ""), Path::new("/own"));
        assert_eq!(container.mounts[0].host_path, "/own/cache/");
        assert_eq!(container.log_path, "app/0.log");
        assert_eq!(container.labels["io.kubernetes.container.name"], "app");
        let linux = container.linux.unwrap();
        let resources = linux.resources.unwrap();
        assert_eq!((resources.cpu_quota, resources.cpu_shares), (50_000, 512));
        assert_eq!(linux.security_context.unwrap().masked_paths.len(), 10);
        let privileged = ContainerRequest { privileged: true, ..request.containers[0].clone() };
        let context =
            privileged.config(&request.sandbox("u1", ""), Path::new("/own")).linux.unwrap().security_context;
        assert!(context.unwrap().masked_paths.is_empty());
    }
}
