//! The whole runtime specification of a container, from everything that was looked up beforehand.

use std::collections::HashMap;
use std::path::Path;

use oci_spec::image::Config;
use oci_spec::runtime::{Linux, LinuxBuilder, RootBuilder, Spec, SpecBuilder};

use super::devices::GrantedDevice;
use super::mounts::{Files, ResolvedMount};
use super::namespaces::{self, NamespacePaths, Share};
use super::request::{ContainerRequest, NetworkMode};
use super::resources::BlockDevices;
use super::user::ResolvedUser;
use super::{built, capabilities, devices, mounts, process, resources, seccomp};
use crate::Result;
use crate::sys::host::{Device, Host};

/// The version of the specification that is written: runc 1.1 and everything after it knows it.
const VERSION: &str = "1.1.0";
/// How much of an id serves as host name.
const SHORT_ID: usize = 12;

/// Everything a specification is made from. All of it was looked up: making one reads nothing.
#[derive(Debug, Clone, Copy)]
pub struct SpecInput<'a> {
    /// The container's id.
    pub id: &'a str,
    /// What was asked for.
    pub request: &'a ContainerRequest,
    /// The image's part; None for an image without one.
    pub image: Option<&'a Config>,
    /// Who runs, see [`super::user::resolve`].
    pub user: &'a ResolvedUser,
    /// The machine.
    pub host: &'a Host,
    /// The root file system's path, relative to the bundle (`rootfs`) or absolute.
    pub rootfs: &'a Path,
    /// Namespaces that exist already.
    pub namespaces: &'a NamespacePaths,
    /// hosts, hostname and resolv.conf.
    pub files: &'a Files,
    /// The request's mounts, their sources looked up.
    pub mounts: &'a [ResolvedMount],
    /// The devices of `--device`, looked up.
    pub devices: &'a [GrantedDevice],
    /// Every device of the host, for `--privileged`.
    pub host_devices: &'a [Device],
    /// Numbers of the block devices that limits name.
    pub block_devices: &'a BlockDevices,
    /// The control group, see [`super::cgroups::path`].
    pub cgroups_path: &'a str,
    /// The program of `--init` on the host.
    pub init: Option<&'a Path>,
    /// A host directory for /dev/shm, where another container's is shared.
    pub shm: Option<&'a Path>,
    /// The terminal's width and height.
    pub console_size: Option<(u16, u16)>,
    /// Whether the runtime knows the mount option `rro` (runc from 1.1, crun).
    pub recursive_read_only: bool,
}

impl SpecInput<'_> {
    /// The container's host name: as asked, the host's where its network or name is shared, else the id's
    /// first twelve characters.
    pub fn hostname(&self) -> &str {
        let request = self.request;
        if let Some(name) = request.hostname.as_deref().filter(|name| !name.is_empty()) {
            return name;
        }
        if request.network.mode == NetworkMode::Host || request.namespaces.uts.as_deref() == Some("host") {
            return &self.host.hostname;
        }
        self.id.get(..SHORT_ID).unwrap_or(self.id)
    }
}

/// Makes the specification. Fails, in docker's words, where the request contradicts itself or asks for what
/// does not exist.
pub fn spec(input: &SpecInput) -> Result<Spec> {
    let request = input.request;
    let granted = capabilities::granted(&request.security, input.host.capabilities)?;
    let root = RootBuilder::default().path(input.rootfs).readonly(request.read_only);
    let mut spec = built(
        SpecBuilder::default()
            .version(VERSION)
            .root(built(root.build())?)
            .mounts(mounts::mounts(input)?)
            .process(process::process(input, granted)?)
            .linux(linux(input, granted)?)
            .build(),
    )?;
    // A host name can only be set in a namespace of the container's own.
    let own_name = namespaces::uts(request)? == Share::Private;
    spec.set_hostname(own_name.then(|| input.hostname().to_owned()));
    let annotations: HashMap<_, _> = request.annotations.clone().into_iter().collect();
    spec.set_annotations((!annotations.is_empty()).then_some(annotations));
    Ok(spec)
}

fn linux(input: &SpecInput, granted: u64) -> Result<Linux> {
    let request = input.request;
    let (nodes, rules) = devices::devices(input)?;
    let (limits, _) = resources::settle(&request.resources, input.host)?;
    let (masked, read_only) = mounts::hidden_paths(input);
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces::namespaces(request, input.namespaces, input.host)?)
        .resources(resources::in_spec(&limits, input.block_devices, rules)?)
        .cgroups_path(input.cgroups_path)
        .devices(nodes)
        .sysctl(sysctls(input))
        .masked_paths(masked)
        .readonly_paths(read_only);
    if let Some(user) = &input.namespaces.user {
        let (uids, gids) = (namespaces::id_mappings(&user.uids)?, namespaces::id_mappings(&user.gids)?);
        linux = linux.uid_mappings(uids).gid_mappings(gids);
    }
    if let Some(filter) = seccomp::filter(&request.security, granted, input.host)? {
        linux = linux.seccomp(filter);
    }
    if let Some(propagation) = mounts::root_propagation(input) {
        linux = linux.rootfs_propagation(propagation);
    }
    built(linux.build())
}

/// docker's sysctls of an own network (ping and low ports without capabilities), the domain name, and over
/// them the request's.
fn sysctls(input: &SpecInput) -> HashMap<String, String> {
    let request = input.request;
    let mut sysctls = HashMap::new();
    if namespaces::own_network(request) {
        for name in &input.host.sysctls {
            match *name {
                // In a user namespace the groups of the range do not exist.
                "net.ipv4.ping_group_range" if input.host.user_namespace => {}
                "net.ipv4.ping_group_range" => {
                    sysctls.insert((*name).to_owned(), "0 2147483647".to_owned());
                }
                "net.ipv4.ip_unprivileged_port_start" => {
                    sysctls.insert((*name).to_owned(), "0".to_owned());
                }
                _ => {}
            }
        }
    }
    if let Some(domain) = request.domainname.as_deref().filter(|domain| !domain.is_empty()) {
        sysctls.insert("kernel.domainname".into(), domain.into());
    }
    sysctls.extend(request.sysctls.clone());
    sysctls
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::PathBuf;

    use oci_spec::image::ConfigBuilder;
    use serde_json::{Value, json};

    use super::*;
    use crate::sys::host::{CgroupVersion, Controllers};

    /// A machine of today with everything.
    pub(in crate::oci) fn host() -> Host {
        Host {
            cgroup: CgroupVersion::V2,
            controllers: Controllers {
                memory: true,
                swap: true,
                swappiness: true,
                oom_kill_disable: true,
                cpu: true,
                cpuset: true,
                pids: true,
                blkio: true,
                blkio_weight: true,
            },
            kernel: (6, 18),
            architecture: "amd64",
            hostname: "machine".into(),
            capabilities: capabilities::KNOWN,
            apparmor: false,
            apparmor_profile: None,
            selinux: false,
            user_namespace: false,
            systemd: false,
            cpus: 4,
            cpuset_cpus: "0-3".into(),
            cpuset_mems: "0".into(),
            thermal_throttle: Vec::new(),
            sysctls: vec!["net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"],
        }
    }

    /// An input that tests change.
    pub(in crate::oci) struct Case {
        pub(in crate::oci) request: ContainerRequest,
        pub(in crate::oci) image: Config,
        pub(in crate::oci) user: ResolvedUser,
        pub(in crate::oci) host: Host,
        pub(in crate::oci) rootfs: PathBuf,
        pub(in crate::oci) namespaces: NamespacePaths,
        pub(in crate::oci) files: Files,
        pub(in crate::oci) mounts: Vec<ResolvedMount>,
        pub(in crate::oci) devices: Vec<GrantedDevice>,
        pub(in crate::oci) host_devices: Vec<Device>,
        pub(in crate::oci) block_devices: BlockDevices,
        pub(in crate::oci) init: Option<PathBuf>,
        pub(in crate::oci) shm: Option<PathBuf>,
        pub(in crate::oci) recursive_read_only: bool,
    }

    impl Case {
        pub(in crate::oci) fn new() -> Self {
            Self {
                request: ContainerRequest::default(),
                image: ConfigBuilder::default().cmd(vec!["sh".to_owned()]).build().unwrap(),
                user: super::super::user::resolve("", &[], None, None).unwrap(),
                host: host(),
                rootfs: "rootfs".into(),
                namespaces: NamespacePaths::default(),
                files: Files::default(),
                mounts: Vec::new(),
                devices: Vec::new(),
                host_devices: Vec::new(),
                block_devices: BlockDevices::new(),
                init: None,
                shm: None,
                recursive_read_only: false,
            }
        }

        pub(in crate::oci) fn input(&self) -> SpecInput<'_> {
            SpecInput {
                id: "0123456789abcdef",
                request: &self.request,
                image: Some(&self.image),
                user: &self.user,
                host: &self.host,
                rootfs: &self.rootfs,
                namespaces: &self.namespaces,
                files: &self.files,
                mounts: &self.mounts,
                devices: &self.devices,
                host_devices: &self.host_devices,
                block_devices: &self.block_devices,
                cgroups_path: "/wharfie/0123456789abcdef",
                init: self.init.as_deref(),
                shm: self.shm.as_deref(),
                console_size: Some((80, 24)),
                recursive_read_only: self.recursive_read_only,
            }
        }

        fn json(&self) -> Value {
            serde_json::to_value(spec(&self.input()).unwrap()).unwrap()
        }
    }

    #[test]
    fn the_default_specification() {
        let mut found = Case::new().json();
        // The parts with tests of their own.
        let linux = found["linux"].as_object_mut().unwrap();
        assert!(linux.remove("seccomp").unwrap()["syscalls"].as_array().unwrap().len() > 20);
        assert_eq!(linux.remove("maskedPaths").unwrap().as_array().unwrap().len(), 12);
        assert_eq!(linux["resources"].as_object_mut().unwrap().remove("devices").unwrap()[0]["allow"], false);
        assert_eq!(found.as_object_mut().unwrap().remove("mounts").unwrap().as_array().unwrap().len(), 7);
        let capabilities = found["process"].as_object_mut().unwrap().remove("capabilities").unwrap();
        for set in ["bounding", "effective", "permitted"] {
            assert_eq!(capabilities[set].as_array().unwrap().len(), 14, "{set}");
        }
        assert_eq!(
            found,
            json!({
                "ociVersion": "1.1.0",
                "root": {"path": "rootfs", "readonly": false},
                "process": {
                    "terminal": false,
                    "user": {"uid": 0, "gid": 0, "additionalGids": [0]},
                    "args": ["sh"],
                    "env": [
                        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                        "HOSTNAME=0123456789ab"
                    ],
                    "cwd": "/",
                    "rlimits": [],
                    "noNewPrivileges": false,
                    "oomScoreAdj": 0
                },
                "hostname": "0123456789ab",
                "linux": {
                    "sysctl": {
                        "net.ipv4.ping_group_range": "0 2147483647",
                        "net.ipv4.ip_unprivileged_port_start": "0"
                    },
                    "resources": {"memory": {}, "cpu": {}, "blockIO": {}},
                    "cgroupsPath": "/wharfie/0123456789abcdef",
                    "namespaces": [
                        {"type": "mount"}, {"type": "network"}, {"type": "uts"},
                        {"type": "pid"}, {"type": "ipc"}, {"type": "cgroup"}
                    ],
                    "devices": [],
                    "readonlyPaths": [
                        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"
                    ]
                }
            })
        );
    }

    #[test]
    fn a_privileged_container() {
        let mut case = Case::new();
        case.request.security.privileged = true;
        let found = case.json();
        assert_eq!(found["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 41);
        assert_eq!(found["linux"]["seccomp"], Value::Null);
        assert_eq!(found["linux"]["maskedPaths"], json!([]));
        assert_eq!(found["linux"]["readonlyPaths"], json!([]));
        assert_eq!(found["linux"]["resources"]["devices"], json!([{"allow": true, "access": "rwm"}]));
    }

    #[test]
    fn settings_of_the_process() {
        let mut case = Case::new();
        case.request.tty = true;
        case.request.read_only = true;
        case.request.security.no_new_privileges = true;
        case.request.domainname = Some("example.org".into());
        case.request.annotations.insert("a".into(), "b".into());
        case.request.sysctls.insert("net.ipv4.ip_unprivileged_port_start".into(), "1024".into());
        let found = case.json();
        assert_eq!(found["process"]["terminal"], true);
        assert_eq!(found["process"]["consoleSize"], json!({"height": 24, "width": 80}));
        assert_eq!(found["process"]["noNewPrivileges"], true);
        assert_eq!(found["root"]["readonly"], true);
        assert_eq!(found["annotations"], json!({"a": "b"}));
        assert_eq!(found["linux"]["sysctl"]["kernel.domainname"], "example.org");
        assert_eq!(found["linux"]["sysctl"]["net.ipv4.ip_unprivileged_port_start"], "1024");
    }

    #[test]
    fn host_names() {
        let mut case = Case::new();
        assert_eq!(case.input().hostname(), "0123456789ab");
        case.request.network.mode = NetworkMode::Host;
        assert_eq!(case.input().hostname(), "machine");
        assert_eq!(case.json()["hostname"], "machine");
        assert_eq!(case.json()["linux"]["sysctl"], json!({}));
        case.request.hostname = Some("mine".into());
        assert_eq!(case.json()["hostname"], "mine");
        case.request.namespaces.uts = Some("host".into());
        assert_eq!(case.json()["hostname"], Value::Null);
        let mut input = case.input();
        input.id = "short";
        assert_eq!(input.hostname(), "mine");
    }

    #[test]
    fn ping_is_not_opened_in_a_user_namespace() {
        let mut case = Case::new();
        case.host.user_namespace = true;
        assert_eq!(case.json()["linux"]["sysctl"], json!({"net.ipv4.ip_unprivileged_port_start": "0"}));
    }
}
