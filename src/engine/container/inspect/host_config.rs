//! The section `HostConfig`: what a container was made with that concerns the host.

use std::collections::BTreeMap;
use std::net::IpAddr;

use oci_spec::runtime::{LinuxNamespaceType, Spec};
use serde::Serialize;

use super::asked_mounts::{self, Mount};
use super::network_settings::PortBinding;
use super::{Facts, foreign};
use crate::engine::container::network::DEFAULT_NETWORK;
use crate::oci::request::{
    ContainerRequest, MountKind, MountRequest, NamedDevices, NetworkMode, NetworkRequest, Resources,
    RestartPolicy,
};

/// docker's size of /dev/shm.
const SHM_SIZE: u64 = 64 << 20;
/// containerd's name of the runtime that docker calls `runc`.
const RUNC: &str = "io.containerd.runc.v2";

/// docker's HostConfig.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct HostConfig {
    /// `-v` with a source.
    pub binds: Option<Vec<String>>,
    /// `--cidfile`.
    #[serde(rename = "ContainerIDFile")]
    pub container_id_file: String,
    /// The log driver.
    pub log_config: LogConfig,
    /// `bridge`, `host`, `none`, `container:ID` or the first network's name.
    pub network_mode: String,
    /// What was asked to be published.
    pub port_bindings: BTreeMap<String, Vec<PortBinding>>,
    /// When to start it again.
    pub restart_policy: Restart,
    /// It is removed when it ends.
    pub auto_remove: bool,
    /// Driver of volumes without one.
    pub volume_driver: String,
    /// `--volumes-from`.
    pub volumes_from: Option<Vec<String>>,
    /// Height and width of the terminal at creation: not kept.
    pub console_size: [u16; 2],
    /// OCI annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Capabilities added.
    pub cap_add: Option<Vec<String>>,
    /// Capabilities dropped.
    pub cap_drop: Option<Vec<String>>,
    /// `private` or `host`.
    pub cgroupns_mode: String,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Options of the resolver.
    pub dns_options: Vec<String>,
    /// Search domains.
    pub dns_search: Vec<String>,
    /// `name:address`.
    pub extra_hosts: Option<Vec<String>>,
    /// Groups added.
    pub group_add: Option<Vec<String>>,
    /// `private`, `shareable`, `host`, `none`, `container:ID`.
    pub ipc_mode: String,
    /// Not used by docker any more.
    pub cgroup: String,
    /// docker's old links.
    pub links: Option<Vec<String>>,
    /// -1000 to 1000.
    pub oom_score_adj: i32,
    /// `host` or `container:ID`; empty for one of its own.
    pub pid_mode: String,
    /// Every capability and device.
    pub privileged: bool,
    /// `-P`.
    pub publish_all_ports: bool,
    /// The root is read-only.
    pub readonly_rootfs: bool,
    /// `--security-opt`.
    pub security_opt: Option<Vec<String>>,
    /// File systems in memory, by their place.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tmpfs: BTreeMap<String, String>,
    /// `host`; empty for one of its own.
    #[serde(rename = "UTSMode")]
    pub uts_mode: String,
    /// `host`; empty for the engine's default.
    pub userns_mode: String,
    /// Bytes of /dev/shm.
    pub shm_size: u64,
    /// Kernel settings of its namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// The runtime.
    pub runtime: String,
    /// Windows' own.
    pub isolation: String,
    /// Limits.
    #[serde(flatten)]
    pub limits: Limits,
    /// `--mount`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Paths that are hidden.
    pub masked_paths: Option<Vec<String>>,
    /// Paths that cannot be written.
    pub readonly_paths: Option<Vec<String>>,
    /// An init process runs first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<bool>,
}

/// The log driver and its options.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogConfig {
    /// The driver.
    pub r#type: String,
    /// Its options.
    pub config: BTreeMap<String, String>,
}

/// When to start it again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Restart {
    /// `no`, `always`, `on-failure`, `unless-stopped`.
    pub name: &'static str,
    /// At most this often; 0 is without limit.
    pub maximum_retry_count: u32,
}

/// docker's Resources.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Limits {
    /// Weight.
    pub cpu_shares: u64,
    /// Bytes.
    pub memory: i64,
    /// Billionths of a CPU.
    pub nano_cpus: i64,
    /// The control group above.
    pub cgroup_parent: String,
    /// 10 to 1000.
    pub blkio_weight: u16,
    /// By device.
    pub blkio_weight_device: Vec<Weight>,
    /// By device.
    pub blkio_device_read_bps: Vec<Rate>,
    /// By device.
    pub blkio_device_write_bps: Vec<Rate>,
    /// By device.
    #[serde(rename = "BlkioDeviceReadIOps")]
    pub blkio_device_read_iops: Vec<Rate>,
    /// By device.
    #[serde(rename = "BlkioDeviceWriteIOps")]
    pub blkio_device_write_iops: Vec<Rate>,
    /// Microseconds.
    pub cpu_period: u64,
    /// Microseconds.
    pub cpu_quota: i64,
    /// Microseconds.
    pub cpu_realtime_period: u64,
    /// Microseconds.
    pub cpu_realtime_runtime: i64,
    /// `0-2`.
    pub cpuset_cpus: String,
    /// `0,1`.
    pub cpuset_mems: String,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Rules as written.
    pub device_cgroup_rules: Option<Vec<String>>,
    /// GPUs and their like.
    pub device_requests: Option<Vec<DeviceRequest>>,
    /// Bytes.
    pub memory_reservation: i64,
    /// Bytes of memory and swap together.
    pub memory_swap: i64,
    /// 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// The kernel does not kill it for want of memory.
    pub oom_kill_disable: Option<bool>,
    /// Processes.
    pub pids_limit: Option<i64>,
    /// Limits of processes.
    pub ulimits: Vec<Ulimit>,
    /// Windows' own.
    pub cpu_count: i64,
    /// Windows' own.
    pub cpu_percent: i64,
    /// Windows' own.
    #[serde(rename = "IOMaximumIOps")]
    pub io_maximum_iops: u64,
    /// Windows' own.
    #[serde(rename = "IOMaximumBandwidth")]
    pub io_maximum_bandwidth: u64,
}

/// A device's weight.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Weight {
    /// The device.
    pub path: String,
    /// Its weight.
    pub weight: u16,
}

/// A device's limit.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rate {
    /// The device.
    pub path: String,
    /// A second.
    pub rate: u64,
}

/// A device of the host.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    /// There.
    pub path_on_host: String,
    /// Here.
    pub path_in_container: String,
    /// Some of `rwm`.
    pub cgroup_permissions: String,
}

/// Devices by name.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceRequest {
    /// Who finds them.
    pub driver: String,
    /// How many; -1 is all.
    pub count: i64,
    /// Their names.
    #[serde(rename = "DeviceIDs")]
    pub device_ids: Option<Vec<String>>,
    /// What they must be able to do.
    pub capabilities: Option<Vec<Vec<String>>>,
    /// The driver's own.
    pub options: Option<BTreeMap<String, String>>,
}

/// A limit of processes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ulimit {
    /// `nofile`.
    pub name: String,
    /// What it can be raised to.
    pub hard: i64,
    /// What holds.
    pub soft: i64,
}

pub(super) fn host_config(facts: &Facts<'_>) -> HostConfig {
    let request = &facts.record.request;
    let linux = facts.spec.linux().as_ref();
    let (binds, rest): (Vec<&MountRequest>, Vec<&MountRequest>) =
        request.mounts.iter().partition(|mount| is_bind(mount));
    let named = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
    HostConfig {
        binds: some(binds.into_iter().map(bind).collect()),
        container_id_file: request.special.cidfile.clone(),
        log_config: LogConfig { r#type: request.log.driver.clone(), config: request.log.options.clone() },
        network_mode: network_mode(&request.network),
        port_bindings: port_bindings(&request.network),
        restart_policy: restart(request.restart),
        auto_remove: request.auto_remove,
        volume_driver: String::new(),
        volumes_from: some(request.volumes_from.clone()),
        console_size: [0, 0],
        annotations: request.annotations.clone(),
        cap_add: some(capabilities(&request.security.cap_add)),
        cap_drop: some(capabilities(&request.security.cap_drop)),
        cgroupns_mode: named(&request.namespaces.cgroup, cgroup_namespace(&facts.spec)),
        dns: request.network.dns.clone(),
        dns_options: request.network.dns_options.clone(),
        dns_search: request.network.dns_search.clone(),
        extra_hosts: some(
            request.network.extra_hosts.iter().map(|(name, address)| format!("{name}:{address}")).collect(),
        ),
        group_add: some(request.group_add.clone()),
        ipc_mode: named(&request.namespaces.ipc, "private"),
        cgroup: String::new(),
        links: some(
            request
                .links
                .iter()
                .map(|link| format!("/{}:/{}/{}", link.name, request.name, link.alias))
                .collect(),
        ),
        oom_score_adj: request.resources.oom_score_adj.unwrap_or_default(),
        pid_mode: named(&request.namespaces.pid, ""),
        privileged: request.security.privileged,
        publish_all_ports: request.network.publish_all,
        readonly_rootfs: request.read_only,
        security_opt: some(request.security.options.clone()),
        tmpfs: rest
            .iter()
            .filter(|mount| mount.kind == MountKind::Tmpfs && !mount.by_mount)
            .map(|mount| tmpfs(mount))
            .collect(),
        uts_mode: named(&request.namespaces.uts, ""),
        userns_mode: named(&request.namespaces.user, ""),
        shm_size: request.resources.shm_size.unwrap_or(SHM_SIZE),
        sysctls: request.sysctls.clone(),
        runtime: runtime(facts, request),
        isolation: String::new(),
        limits: limits(request),
        mounts: rest.into_iter().filter(|mount| mount.by_mount).map(asked_mounts::mount).collect(),
        masked_paths: linux.and_then(|linux| linux.masked_paths().clone()),
        readonly_paths: linux.and_then(|linux| linux.readonly_paths().clone()),
        init: request.init.then_some(true),
    }
}

/// docker's spelling, in its order: `CAP_NET_ADMIN`, and `ALL`.
fn capabilities(names: &[String]) -> Vec<String> {
    let mut spelled: Vec<String> = names
        .iter()
        .map(|name| name.to_ascii_uppercase())
        .map(|name| if name == "ALL" || name.starts_with("CAP_") { name } else { format!("CAP_{name}") })
        .collect();
    spelled.sort_unstable();
    spelled.dedup();
    spelled
}

fn device_request(request: &NamedDevices) -> DeviceRequest {
    // docker's command writes what it was asked with lists and maps, its own name for the driver with none.
    let plain = request.driver == "cdi";
    DeviceRequest {
        driver: request.driver.clone(),
        count: request.count,
        device_ids: some(request.ids.clone()),
        capabilities: (!plain).then(|| request.capabilities.clone()),
        options: (!plain).then(|| request.options.clone()),
    }
}

/// What came of the default, which depends on the machine's control groups.
fn cgroup_namespace(spec: &Spec) -> &'static str {
    if foreign::has_namespace(spec, LinuxNamespaceType::Cgroup) { "private" } else { "host" }
}

/// Where docker has null for an empty list.
fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// docker's word for how a container is connected.
pub(super) fn network_mode(network: &NetworkRequest) -> String {
    match &network.mode {
        NetworkMode::Host => "host".into(),
        NetworkMode::None => "none".into(),
        NetworkMode::Container(id) => format!("container:{id}"),
        NetworkMode::Bridge => match network.endpoints.first() {
            Some(endpoint) if endpoint.network != "default" => endpoint.network.clone(),
            _ => DEFAULT_NETWORK.into(),
        },
    }
}

fn port_bindings(network: &NetworkRequest) -> BTreeMap<String, Vec<PortBinding>> {
    let mut bindings: BTreeMap<String, Vec<PortBinding>> = BTreeMap::new();
    for port in &network.ports {
        bindings.entry(format!("{}/{}", port.container_port, port.protocol.name())).or_default().push(
            PortBinding {
                host_ip: port.host_ip.map(|address| address.to_string()).unwrap_or_default(),
                host_port: port.host_port.map(|port| port.to_string()).unwrap_or_default(),
            },
        );
    }
    bindings
}

fn restart(policy: RestartPolicy) -> Restart {
    let (name, maximum_retry_count) = match policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
        RestartPolicy::OnFailure(most) => ("on-failure", most),
    };
    Restart { name, maximum_retry_count }
}

fn runtime(facts: &Facts<'_>, request: &ContainerRequest) -> String {
    match (&request.runtime, facts.container.raw.runtime.as_str()) {
        (Some(runtime), _) => runtime.clone(),
        (None, RUNC) => "runc".into(),
        (None, other) => other.into(),
    }
}

/// What `-v` makes with a source.
fn is_bind(mount: &MountRequest) -> bool {
    !mount.by_mount && !mount.source.is_empty() && matches!(mount.kind, MountKind::Bind | MountKind::Volume)
}

fn bind(mount: &MountRequest) -> String {
    let mut options: Vec<String> = Vec::new();
    options.extend(mount.read_only.then(|| "ro".to_owned()));
    options.extend(mount.selinux.map(String::from));
    options.extend(mount.no_copy.then(|| "nocopy".to_owned()));
    options.extend(mount.propagation.clone());
    match options.is_empty() {
        true => format!("{}:{}", mount.source, mount.target),
        false => format!("{}:{}:{}", mount.source, mount.target, options.join(",")),
    }
}

fn tmpfs(mount: &MountRequest) -> (String, String) {
    let mut options = mount.tmpfs_options.clone();
    options.extend(mount.read_only.then(|| "ro".to_owned()));
    options.extend(mount.tmpfs_size.map(|size| format!("size={size}")));
    options.extend(mount.tmpfs_mode.map(|mode| format!("mode={mode:o}")));
    (mount.target.clone(), options.join(","))
}

fn limits(request: &ContainerRequest) -> Limits {
    let Resources { blkio_weight_device, ulimits, devices, .. } = &request.resources;
    let wanted = &request.resources;
    let rates = |rates: &[(String, u64)]| {
        rates.iter().map(|(path, rate)| Rate { path: path.clone(), rate: *rate }).collect()
    };
    Limits {
        cpu_shares: wanted.cpu_shares.unwrap_or_default(),
        memory: wanted.memory.unwrap_or_default(),
        nano_cpus: wanted.nano_cpus.unwrap_or_default(),
        cgroup_parent: request.cgroup_parent.clone().unwrap_or_default(),
        blkio_weight: wanted.blkio_weight.unwrap_or_default(),
        blkio_weight_device: blkio_weight_device
            .iter()
            .map(|(path, weight)| Weight { path: path.clone(), weight: *weight })
            .collect(),
        blkio_device_read_bps: rates(&wanted.device_read_bps),
        blkio_device_write_bps: rates(&wanted.device_write_bps),
        blkio_device_read_iops: rates(&wanted.device_read_iops),
        blkio_device_write_iops: rates(&wanted.device_write_iops),
        cpu_period: wanted.cpu_period.unwrap_or_default(),
        cpu_quota: wanted.cpu_quota.unwrap_or_default(),
        cpu_realtime_period: wanted.cpu_rt_period.unwrap_or_default(),
        cpu_realtime_runtime: wanted.cpu_rt_runtime.unwrap_or_default(),
        cpuset_cpus: wanted.cpuset_cpus.clone().unwrap_or_default(),
        cpuset_mems: wanted.cpuset_mems.clone().unwrap_or_default(),
        devices: devices
            .iter()
            .map(|device| Device {
                path_on_host: device.host.clone(),
                path_in_container: device.container.clone(),
                cgroup_permissions: device.permissions.clone(),
            })
            .collect(),
        device_cgroup_rules: some(wanted.device_cgroup_rules.clone()),
        device_requests: some(wanted.device_requests.iter().map(device_request).collect()),
        memory_reservation: wanted.memory_reservation.unwrap_or_default(),
        memory_swap: wanted.memory_swap.unwrap_or_default(),
        memory_swappiness: wanted.memory_swappiness,
        // docker has null where the kernel has no such switch.
        oom_kill_disable: crate::sys::host::Host::gather()
            .controllers
            .oom_kill_disable
            .then_some(wanted.oom_kill_disable),
        pids_limit: wanted.pids_limit,
        ulimits: ulimits
            .iter()
            .map(|(name, soft, hard)| Ulimit { name: name.clone(), hard: *hard, soft: *soft })
            .collect(),
        cpu_count: 0,
        cpu_percent: 0,
        io_maximum_iops: 0,
        io_maximum_bandwidth: 0,
    }
}
