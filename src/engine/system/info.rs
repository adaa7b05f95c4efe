//! What this machine's containerd has and can do, in docker's fields.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use serde::Serialize;
use serde_json::{Value, json};

use super::runtime::{self, program};
use super::version::Identity;
use crate::engine::Engine;
use crate::engine::container::{self, Status};
use crate::error::Result;
use crate::store::read_bounded;
use crate::sys::host::{CgroupVersion, Controllers, Host};
use crate::sys::process::Clock;

const SNAPSHOTTER: &str = "io.containerd.snapshotter.v1";
const RUNC: &str = "io.containerd.runc.v2";

/// docker's Info.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are docker's own, named and documented by its API")]
pub struct Info {
    #[serde(rename = "ID")]
    pub id: String,
    pub containers: usize,
    pub containers_running: usize,
    pub containers_paused: usize,
    pub containers_stopped: usize,
    pub images: usize,
    pub driver: String,
    pub driver_status: Vec<[String; 2]>,
    pub plugins: Plugins,
    pub memory_limit: bool,
    pub swap_limit: bool,
    pub cpu_cfs_period: bool,
    pub cpu_cfs_quota: bool,
    #[serde(rename = "CPUShares")]
    pub cpu_shares: bool,
    #[serde(rename = "CPUSet")]
    pub cpu_set: bool,
    pub pids_limit: bool,
    #[serde(rename = "IPv4Forwarding")]
    pub ipv4_forwarding: bool,
    pub debug: bool,
    #[serde(rename = "NFd")]
    pub n_fd: usize,
    pub oom_kill_disable: bool,
    #[serde(rename = "NGoroutines")]
    pub n_goroutines: usize,
    pub system_time: String,
    pub logging_driver: String,
    pub cgroup_driver: String,
    pub cgroup_version: String,
    #[serde(rename = "NEventsListener")]
    pub n_events_listener: usize,
    pub kernel_version: String,
    pub operating_system: String,
    #[serde(rename = "OSVersion")]
    pub os_version: String,
    #[serde(rename = "OSType")]
    pub os_type: String,
    pub architecture: String,
    pub index_server_address: String,
    pub registry_config: Value,
    #[serde(rename = "NCPU")]
    pub ncpu: u32,
    pub mem_total: u64,
    pub generic_resources: Option<Vec<String>>,
    pub docker_root_dir: String,
    pub http_proxy: String,
    pub https_proxy: String,
    pub no_proxy: String,
    pub name: String,
    pub labels: Vec<String>,
    pub experimental_build: bool,
    pub server_version: String,
    pub runtimes: BTreeMap<String, Value>,
    pub default_runtime: String,
    pub swarm: Value,
    pub live_restore_enabled: bool,
    pub isolation: String,
    pub init_binary: String,
    pub containerd_commit: Commit,
    pub runc_commit: Commit,
    pub init_commit: Commit,
    pub security_options: Vec<String>,
    pub firewall_backend: Value,
    #[serde(rename = "CDISpecDirs")]
    pub cdi_spec_dirs: Vec<String>,
    pub containerd: Value,
    pub warnings: Option<Vec<String>>,
}

/// What can be plugged in.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Plugins {
    /// Drivers of volumes.
    pub volume: Vec<String>,
    /// Drivers of networks.
    pub network: Vec<String>,
    /// Authorization: docker's daemon has such, this has none.
    pub authorization: Option<Vec<String>>,
    /// Log drivers.
    pub log: Vec<String>,
    /// containerd's snapshotters that work.
    pub storage: Vec<String>,
}

/// A source's revision.
#[derive(Debug, Serialize)]
pub struct Commit {
    /// The revision.
    #[serde(rename = "ID")]
    pub id: String,
}

/// What there is, for an engine called `identity`.
pub async fn info(engine: &Engine, identity: &Identity) -> Result<Info> {
    let filter = [format!("type=={SNAPSHOTTER}")];
    let (id, containerd, containers, images, snapshotters, runtime) = tokio::join!(
        engine.containerd.server_id(),
        engine.containerd.version(),
        container::list(engine),
        engine.containerd.images(&[]),
        engine.containerd.plugins(&filter),
        runtime::version(engine),
    );
    let (containers, images) = (containers?, images?);
    let count = |wanted: &dyn Fn(Status) -> bool| {
        containers.iter().filter(|container| wanted(container.status)).count()
    };
    let (running, paused) =
        (count(&|status| status == Status::Running), count(&|status| status == Status::Paused));
    let host = Host::gather();
    let uname = rustix::system::uname();
    let release = release();
    let config = &engine.config;
    let default_runtime = if config.runtime == RUNC { "runc" } else { &config.runtime };
    let targets: HashSet<String> = images.iter().map(|image| image.target.digest().to_string()).collect();
    Ok(Info {
        id: id?,
        containers: containers.len(),
        containers_running: running,
        containers_paused: paused,
        containers_stopped: containers.len() - running - paused,
        images: targets.len(),
        driver: config.snapshotter.clone(),
        driver_status: vec![["driver-type".into(), SNAPSHOTTER.into()]],
        plugins: Plugins {
            volume: words(&["local"]),
            network: words(&["bridge", "host", "none"]),
            authorization: None,
            log: words(&["json-file", "local", "none"]),
            storage: snapshotters?
                .into_iter()
                .filter(|plugin| plugin.error.is_none())
                .map(|plugin| plugin.id)
                .collect(),
        },
        memory_limit: host.controllers.memory,
        swap_limit: host.controllers.swap,
        cpu_cfs_period: host.controllers.cpu,
        cpu_cfs_quota: host.controllers.cpu,
        cpu_shares: host.controllers.cpu,
        cpu_set: host.controllers.cpuset,
        pids_limit: host.controllers.pids,
        ipv4_forwarding: setting("net/ipv4/ip_forward") == "1",
        debug: config.debug,
        n_fd: 0,
        oom_kill_disable: host.controllers.oom_kill_disable,
        n_goroutines: 0,
        system_time: jiff::Timestamp::now().to_string(),
        logging_driver: "json-file".into(),
        cgroup_driver: "cgroupfs".into(),
        cgroup_version: if host.cgroup == CgroupVersion::V2 { "2".into() } else { "1".into() },
        n_events_listener: 0,
        kernel_version: uname.release().to_string_lossy().into_owned(),
        operating_system: release.name,
        os_version: release.version,
        os_type: "linux".into(),
        architecture: uname.machine().to_string_lossy().into_owned(),
        index_server_address: "https://index.docker.io/v1/".into(),
        registry_config: registries(),
        ncpu: host.cpus,
        mem_total: Clock::read().map(|clock| clock.memory_kib * 1024).unwrap_or_default(),
        generic_resources: None,
        docker_root_dir: config.data_root.display().to_string(),
        http_proxy: String::new(),
        https_proxy: String::new(),
        no_proxy: String::new(),
        name: host.hostname.clone(),
        labels: Vec::new(),
        experimental_build: false,
        server_version: identity.version.clone(),
        runtimes: runtimes(&config.runtime),
        default_runtime: default_runtime.to_owned(),
        swarm: json!({ "NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": false, "Error": "", "RemoteManagers": null }),
        live_restore_enabled: true,
        isolation: String::new(),
        init_binary: "docker-init".into(),
        containerd_commit: Commit { id: containerd?.revision },
        runc_commit: Commit { id: runtime.commit },
        init_commit: Commit { id: String::new() },
        security_options: security(&host),
        firewall_backend: json!({ "Driver": "nftables" }),
        cdi_spec_dirs: config.cdi_spec_dirs.iter().map(|path| path.display().to_string()).collect(),
        containerd: json!({
            "Address": engine.containerd.socket().display().to_string(),
            "Namespaces": { "Containers": engine.containerd.namespace(), "Plugins": "" },
        }),
        warnings: warnings(&host.controllers),
    })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A kernel setting.
fn setting(name: &str) -> String {
    let bytes = read_bounded(&Path::new("/proc/sys").join(name), 1 << 10).unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim().to_owned()
}

/// Registries of this machine are spoken to without TLS, as docker does.
fn registries() -> Value {
    json!({
        "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
        "IndexConfigs": { "docker.io": { "Name": "docker.io", "Mirrors": [], "Secure": true, "Official": true } },
        "Mirrors": null,
    })
}

fn runtimes(configured: &str) -> BTreeMap<String, Value> {
    let mut runtimes = BTreeMap::from([
        (RUNC.to_owned(), json!({ "path": "runc" })),
        ("runc".to_owned(), json!({ "path": "runc" })),
    ]);
    let program = program(configured);
    if program != "runc" {
        let value = if program.is_empty() {
            json!({ "runtimeType": configured })
        } else {
            json!({ "path": program })
        };
        runtimes.insert(configured.to_owned(), value);
    }
    runtimes
}

fn security(host: &Host) -> Vec<String> {
    let seccomp = Path::new("/proc/sys/kernel/seccomp").exists();
    [
        (host.apparmor, "name=apparmor"),
        (seccomp, "name=seccomp,profile=builtin"),
        (host.selinux, "name=selinux"),
        (host.user_namespace, "name=rootless"),
        (host.cgroup == CgroupVersion::V2, "name=cgroupns"),
    ]
    .into_iter()
    .filter(|(has, _)| *has)
    .map(|(_, option)| option.to_owned())
    .collect()
}

/// What this machine cannot limit, in docker's words.
fn warnings(controllers: &Controllers) -> Option<Vec<String>> {
    let missing = [
        (controllers.memory, "WARNING: No memory limit support"),
        (controllers.swap, "WARNING: No swap limit support"),
        (controllers.cpu, "WARNING: No cpu cfs quota support"),
        (controllers.cpu, "WARNING: No cpu cfs period support"),
        (controllers.cpu, "WARNING: No cpu shares support"),
        (controllers.cpuset, "WARNING: No cpuset support"),
        (controllers.pids, "WARNING: No pids limit support"),
        (controllers.blkio, "WARNING: No io.max support"),
    ];
    let warnings: Vec<String> =
        missing.into_iter().filter(|(has, _)| !has).map(|(_, warning)| warning.to_owned()).collect();
    (!warnings.is_empty()).then_some(warnings)
}

/// The distribution.
#[derive(Debug, Default, PartialEq, Eq)]
struct Release {
    name: String,
    version: String,
}

fn release() -> Release {
    let read = |path: &str| read_bounded(Path::new(path), 64 << 10).ok();
    let bytes = read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default();
    parse_release(&String::from_utf8_lossy(&bytes))
}

fn parse_release(text: &str) -> Release {
    let value = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    Release {
        name: value("PRETTY_NAME").or_else(|| value("NAME")).unwrap_or_else(|| "Linux".into()),
        version: value("VERSION_ID").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_are_named() {
        let release = parse_release("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\n");
        assert_eq!(
            (release.name.as_str(), release.version.as_str()),
            ("Debian GNU/Linux 12 (bookworm)", "12")
        );
        assert_eq!(parse_release("").name, "Linux");
    }

    #[test]
    fn what_cannot_be_limited_is_a_warning() {
        assert_eq!(warnings(&Controllers::default()).unwrap().len(), 8);
        let all = Controllers {
            memory: true,
            swap: true,
            cpu: true,
            cpuset: true,
            pids: true,
            blkio: true,
            ..Controllers::default()
        };
        assert_eq!(warnings(&all), None);
    }

    #[test]
    fn runtimes_with_a_shim_of_their_own_are_listed() {
        assert_eq!(
            runtimes("io.containerd.kata.v2")["io.containerd.kata.v2"],
            json!({ "runtimeType": "io.containerd.kata.v2" })
        );
        assert_eq!(runtimes(RUNC).len(), 2);
    }
}
