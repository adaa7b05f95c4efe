//! What was asked for: every setting of one container, as docker's Config and HostConfig together know it,
//! with defaults settled and texts parsed. The cli makes it from flags, the engine keeps it as JSON in the
//! container's record, `oci::spec` turns it into a runtime specification.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::beside::{Beside, Tools};
pub use super::health::HealthCheck;

/// One container's settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerRequest {
    /// The image as the user wrote it (`busybox`), kept for `ps` and `inspect`.
    pub image: String,
    /// `--rootfs`: `image` is the absolute path of a directory of this machine, which is the root file system.
    pub rootfs: bool,
    /// `os/arch[/variant]` when the user chose one.
    pub platform: Option<String>,
    /// The name without a slash; made up when the user gave none.
    pub name: String,
    /// Arguments after the image; None leaves the image's CMD.
    pub command: Option<Vec<String>>,
    /// `--entrypoint`: None leaves the image's, an empty list resets it.
    pub entrypoint: Option<Vec<String>>,
    /// `KEY=value` in order; a later one wins. `KEY` alone takes the image's value away.
    pub env: Vec<String>,
    /// `-w`.
    pub working_dir: Option<String>,
    /// `-u`: `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// `--group-add`.
    pub group_add: Vec<String>,
    /// `-h`; None means the first twelve characters of the id.
    pub hostname: Option<String>,
    /// `--domainname`.
    pub domainname: Option<String>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// OCI annotations.
    pub annotations: BTreeMap<String, String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub open_stdin: bool,
    /// `-d`, for `inspect`.
    pub detach: bool,
    /// `--stop-signal`, as written.
    pub stop_signal: Option<String>,
    /// `--stop-timeout`, seconds; -1 waits for ever.
    pub stop_timeout: Option<i64>,
    /// `--restart`.
    pub restart: RestartPolicy,
    /// `--rm`.
    pub auto_remove: bool,
    /// `--log-driver` and `--log-opt`.
    pub log: LogConfig,
    /// `--init`.
    pub init: bool,
    /// `-v`, `--mount` and `--tmpfs`, in order.
    pub mounts: Vec<MountRequest>,
    /// `--volumes-from`, as written.
    pub volumes_from: Vec<String>,
    /// `--read-only`.
    pub read_only: bool,
    /// Everything about the network.
    pub network: NetworkRequest,
    /// Limits and devices.
    pub resources: Resources,
    /// Capabilities, seccomp and their kin.
    pub security: Security,
    /// Namespaces shared with the host or other containers.
    pub namespaces: Namespaces,
    /// `--sysctl`.
    pub sysctls: BTreeMap<String, String>,
    /// `--runtime`: a containerd runtime name or a path of an OCI runtime.
    pub runtime: Option<String>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
    /// `--detach-keys`, as written.
    pub detach_keys: Option<String>,
    /// `--health-*`; from its creation on, completed with what the image says.
    pub health: Option<HealthCheck>,
    /// `--link`, as written; the container's name an id once created.
    pub links: Vec<Link>,
    /// What only nerdctl has a flag for.
    pub special: Special,
    /// `debug`: the container stands beside another one, and goes with the command that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
}

/// `--link CONTAINER[:ALIAS]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The other container: as the user named it, its id once created.
    pub container: String,
    /// Its name, without a slash: known once created.
    pub name: String,
    /// The name by which this container knows it.
    pub alias: String,
}

/// Settings that docker has no flag for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Special {
    /// `--umask`: mode bits that new files do not get.
    pub umask: Option<u32>,
    /// `--init-binary`: a path, or a name on PATH.
    pub init_binary: Option<String>,
    /// `--rdt-class`: the class of service for Intel's resource director.
    pub rdt_class: Option<String>,
    /// `--cgroup-conf`: files of the unified hierarchy and what is written into them.
    pub unified: BTreeMap<String, String>,
    /// `--systemd`.
    pub systemd: Systemd,
    /// `--pidfile`: written at each start.
    pub pidfile: Option<PathBuf>,
    /// `--cidfile`, as written, for `inspect`.
    pub cidfile: String,
}

/// Whether a container is made for systemd as its first process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Systemd {
    /// No.
    #[default]
    Never,
    /// Where its command is systemd or an init.
    Detect,
    /// Whatever its command is.
    Always,
}

/// docker's `--restart`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "name", content = "max")]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// After a non-zero exit, at most this often (0: without limit).
    OnFailure(u32),
    /// Whenever it ends, and after a reboot.
    Always,
    /// As `Always`, but not after a reboot when the user had stopped it.
    UnlessStopped,
}

/// A log driver and its options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// `json-file` by default.
    pub driver: String,
    /// `max-size=10m` and so on.
    pub options: BTreeMap<String, String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { driver: "json-file".into(), options: BTreeMap::new() }
    }
}

/// What is mounted where.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountRequest {
    /// Bind, volume, tmpfs or image.
    pub kind: MountKind,
    /// A host path, a volume's name (empty: anonymous), or an image; empty for tmpfs.
    pub source: String,
    /// The absolute path in the container.
    pub target: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// Written as `--mount`, not as `-v` or `--tmpfs`.
    pub by_mount: bool,
    /// Whether a missing bind source is made (`-v`) or is an error (`--mount`).
    pub create_source: bool,
    /// `rprivate`, `rshared`, …
    pub propagation: Option<String>,
    /// A plain `bind` in place of `rbind`.
    pub non_recursive: bool,
    /// A read-only bind: whether the mounts below it must be read-only too (`bind-recursive=readonly`, an
    /// error where the kernel cannot) or stay writable (`writable`); None is read-only where the kernel can.
    pub recursive_read_only: Option<bool>,
    /// A volume's content is not copied from the image.
    pub no_copy: bool,
    /// Only this directory of the volume or image.
    pub subpath: Option<String>,
    /// Labels of a volume made for this mount.
    pub volume_labels: BTreeMap<String, String>,
    /// Driver of a volume made for this mount.
    pub volume_driver: Option<String>,
    /// Options of that driver.
    pub volume_options: BTreeMap<String, String>,
    /// tmpfs: size in bytes.
    pub tmpfs_size: Option<u64>,
    /// tmpfs: mode bits.
    pub tmpfs_mode: Option<u32>,
    /// tmpfs: further options (`exec`, `uid=1`).
    pub tmpfs_options: Vec<String>,
    /// `z` or `Z`, where there is SELinux.
    pub selinux: Option<char>,
    /// The image declared it; the user did not ask.
    pub from_image: bool,
}

/// The kinds of mount that docker knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A directory or file of the host.
    #[default]
    Bind,
    /// A volume.
    Volume,
    /// A file system in memory.
    Tmpfs,
    /// An image's content.
    Image,
}

/// How the container is connected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkRequest {
    /// Where the network namespace comes from.
    pub mode: NetworkMode,
    /// The networks to join, the first one first; empty means the default bridge. [`NetworkRequest::joined`]
    /// names that too.
    pub endpoints: Vec<EndpointRequest>,
    /// Taken off its last network: empty means none.
    pub disconnected: bool,
    /// `-p`, expanded: one entry a container port.
    pub ports: Vec<PortRequest>,
    /// `-P`.
    pub publish_all: bool,
    /// `--expose`: `80/tcp`, ranges expanded.
    pub expose: Vec<String>,
    /// `--dns`.
    pub dns: Vec<IpAddr>,
    /// `--dns-search`.
    pub dns_search: Vec<String>,
    /// `--dns-option`.
    pub dns_options: Vec<String>,
    /// `--add-host`: name and address, or name and `host-gateway`.
    pub extra_hosts: Vec<(String, String)>,
}

/// docker's name of the network that a container joins when none is named.
pub const DEFAULT_NETWORK: &str = "bridge";

impl NetworkRequest {
    /// The networks that it is on, the default one by its name; none where it has no networks of its own.
    pub fn joined(&self) -> Vec<EndpointRequest> {
        if self.mode != NetworkMode::Bridge {
            return Vec::new();
        }
        if self.endpoints.is_empty() && !self.disconnected {
            return vec![EndpointRequest { network: DEFAULT_NETWORK.into(), ..EndpointRequest::default() }];
        }
        let mut joined = self.endpoints.clone();
        for endpoint in joined.iter_mut().filter(|endpoint| endpoint.network == "default") {
            endpoint.network = DEFAULT_NETWORK.into();
        }
        joined
    }
}

/// Where the network namespace comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "mode", content = "of")]
pub enum NetworkMode {
    /// One of its own, joined to `endpoints`.
    #[default]
    Bridge,
    /// The host's.
    Host,
    /// One of its own with only a loopback.
    None,
    /// Another container's (as the user named it; an id once created).
    Container(String),
}

/// One network to join.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointRequest {
    /// The network's name.
    pub network: String,
    /// A fixed IPv4 address.
    pub ipv4: Option<IpAddr>,
    /// A fixed IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// `aa:bb:…`.
    pub mac: Option<String>,
    /// `--network-alias`.
    pub aliases: Vec<String>,
    /// Further addresses that hold on this link alone.
    pub link_local: Vec<IpAddr>,
    /// The interface's name in the container; None is `eth` and a number.
    pub interface: Option<String>,
    /// `net.ipv4.conf.IFNAME.x=1`: settings of the interface, docker's endpoint.sysctls.
    pub sysctls: Vec<String>,
    /// The network of the highest number has the default route.
    pub gateway_priority: i64,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    /// The host's address; None means every one.
    pub host_ip: Option<IpAddr>,
    /// The host's port; None means a free one.
    pub host_port: Option<u16>,
    /// The last one of a range that begins with `host_port`, of which a free one is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port_last: Option<u16>,
    /// The port in the container.
    pub container_port: u16,
    /// tcp, udp or sctp.
    pub protocol: Protocol,
}

/// A transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// `tcp`, `udp`, `sctp`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

/// Limits and devices; None leaves the kernel's default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes.
    pub memory: Option<i64>,
    /// Bytes of memory and swap together; -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// Bytes.
    pub memory_reservation: Option<i64>,
    /// 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// `--cpus` in billionths.
    pub nano_cpus: Option<i64>,
    /// `--cpu-shares`.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds.
    pub cpu_quota: Option<i64>,
    /// Microseconds.
    pub cpu_rt_period: Option<u64>,
    /// Microseconds.
    pub cpu_rt_runtime: Option<i64>,
    /// `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// `0,1`.
    pub cpuset_mems: Option<String>,
    /// 0 or -1 is unlimited.
    pub pids_limit: Option<i64>,
    /// 10 to 1000.
    pub blkio_weight: Option<u16>,
    /// Device path and weight.
    pub blkio_weight_device: Vec<(String, u16)>,
    /// Device path and bytes a second.
    pub device_read_bps: Vec<(String, u64)>,
    /// Device path and bytes a second.
    pub device_write_bps: Vec<(String, u64)>,
    /// Device path and operations a second.
    pub device_read_iops: Vec<(String, u64)>,
    /// Device path and operations a second.
    pub device_write_iops: Vec<(String, u64)>,
    /// `--oom-kill-disable`.
    pub oom_kill_disable: bool,
    /// -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// `nofile`, soft, hard.
    pub ulimits: Vec<(String, i64, i64)>,
    /// `--device`.
    pub devices: Vec<DeviceRequest>,
    /// `--device-cgroup-rule`, as written (`c 13:* rwm`).
    pub device_cgroup_rules: Vec<String>,
    /// `--gpus` and `--device vendor.com/class=name`: devices by their names in the container device interface.
    pub device_requests: Vec<NamedDevices>,
}

/// docker's DeviceRequest: devices that a driver finds by name or by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamedDevices {
    /// `cdi`, `nvidia`, or empty for whichever can.
    pub driver: String,
    /// How many; -1 is all, 0 where they are named.
    pub count: i64,
    /// Their names.
    pub ids: Vec<String>,
    /// What they must be able to do: alternatives of sets.
    pub capabilities: Vec<Vec<String>>,
    /// The driver's own options.
    pub options: BTreeMap<String, String>,
}

/// `--device host[:container[:rwm]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Path on the host.
    pub host: String,
    /// Path in the container.
    pub container: String,
    /// Some of `rwm`.
    pub permissions: String,
}

/// Capabilities, seccomp and their kin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Security {
    /// `--privileged`.
    pub privileged: bool,
    /// Names as written, `ALL` included.
    pub cap_add: Vec<String>,
    /// Names as written, `ALL` included.
    pub cap_drop: Vec<String>,
    /// `--security-opt seccomp=…`.
    pub seccomp: Seccomp,
    /// `--security-opt apparmor=…`.
    pub apparmor: Option<String>,
    /// `--security-opt no-new-privileges`.
    pub no_new_privileges: bool,
    /// `--security-opt systempaths=unconfined`: nothing masked, nothing read-only.
    pub system_paths_unconfined: bool,
    /// `--security-opt writable-cgroups`: its own control groups can be changed from within.
    pub writable_cgroups: bool,
    /// Every `--security-opt` as written, for `inspect`.
    pub options: Vec<String>,
}

/// Which seccomp filter.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// docker's default profile.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile in docker's JSON form.
    Profile(serde_json::Value),
}

/// Namespaces other than the network's; None is docker's default for that kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespaces {
    /// `host` or `container:ID`.
    pub pid: Option<String>,
    /// `host`, `private`, `shareable`, `none` or `container:ID`.
    pub ipc: Option<String>,
    /// `host`, and for `debug` `container:ID`.
    pub uts: Option<String>,
    /// `host` or `private`.
    pub cgroup: Option<String>,
    /// `host`, and for `debug` `container:ID`.
    pub user: Option<String>,
}

/// One process to start in a running container: `exec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecRequest {
    /// The command and its arguments; never empty.
    pub args: Vec<String>,
    /// `KEY=value` on top of the container's environment; a later one wins.
    pub env: Vec<String>,
    /// `-u`: `user[:group]`; None is the container's.
    pub user: Option<String>,
    /// `-w`, absolute; None is the container's.
    pub working_dir: Option<String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub interactive: bool,
    /// `-d`.
    pub detach: bool,
    /// `--privileged`: every capability.
    pub privileged: bool,
    /// `--detach-keys`, as written.
    pub detach_keys: Option<String>,
}
