//! containerd's own default specification, as `ctr` starts from it: less than docker's, no filter of system calls,
//! the host's limits. Written as JSON in the order of Go's structures, so that it prints the same.

use std::collections::BTreeMap;

use oci_spec::image::Config;
use serde_json::{Map, Value, json};

use super::capabilities;
use super::process::merge_environment;
use super::user::ResolvedUser;
use crate::{Error, Result};

/// Where programs are, for an image that does not say.
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// A scheduling period in microseconds.
const PERIOD: u64 = 100_000;
/// The namespaces of every container.
const NAMESPACES: [&str; 5] = ["pid", "ipc", "uts", "mount", "network"];
/// null, random, full, tty, zero, urandom, console, the terminals and ptmx.
const DEVICES: [(u32, Option<u32>); 9] = [
    (1, Some(3)),
    (1, Some(8)),
    (1, Some(7)),
    (5, Some(0)),
    (1, Some(5)),
    (1, Some(9)),
    (5, Some(1)),
    (136, None),
    (5, Some(2)),
];
/// Capabilities in containerd's order.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// What `ctr`'s flags say about a container, parsed.
#[derive(Debug, Clone, Default)]
pub struct PlainRequest {
    /// The command; empty for the image's.
    pub command: Vec<String>,
    /// `KEY=value`, a later one wins.
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// A terminal.
    pub tty: bool,
    /// The root file system is read-only.
    pub read_only: bool,
    /// Every capability, device and path.
    pub privileged: bool,
    /// Privileged, without the host's devices.
    pub without_devices: bool,
    /// The host's network, with its hosts and resolv.conf.
    pub host_network: bool,
    /// The process may gain privileges.
    pub new_privileges: bool,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Mounts.
    pub mounts: Vec<PlainMount>,
    /// Namespaces that exist already: kind and path.
    pub namespaces: Vec<(String, String)>,
    /// Capabilities more.
    pub cap_add: Vec<String>,
    /// Capabilities less.
    pub cap_drop: Vec<String>,
    /// The control group; None for containerd's own place, empty for none.
    pub cgroup: Option<String>,
    /// Bytes of memory; 0 for no limit.
    pub memory: u64,
    /// CPUs; 0 for no limit.
    pub cpus: f64,
    /// CPU shares; None says nothing.
    pub cpu_shares: Option<u64>,
    /// Microseconds of CPU in a period; below 0 for no limit.
    pub cpu_quota: i64,
    /// That period; 0 for the kernel's.
    pub cpu_period: u64,
    /// The CPUs to run on.
    pub cpuset_cpus: Option<String>,
    /// The memory nodes to use.
    pub cpuset_mems: Option<String>,
    /// Open files: soft and hard.
    pub nofile: Option<(u64, u64)>,
    /// An AppArmor profile that is loaded.
    pub apparmor: Option<String>,
    /// The class for cache and memory bandwidth.
    pub rdt_class: Option<String>,
    /// How mounts of the root propagate.
    pub root_propagation: Option<String>,
}

/// One mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainMount {
    /// `bind`, `tmpfs`, …
    pub kind: String,
    /// What is mounted.
    pub source: String,
    /// Where in the container.
    pub destination: String,
    /// Options as for mount(8).
    pub options: Vec<String>,
}

/// What this machine and the image add.
#[derive(Debug, Default)]
pub struct PlainInput<'a> {
    /// The container's id.
    pub id: &'a str,
    /// containerd's namespace.
    pub namespace: &'a str,
    /// The image's part; None for a root file system that is a directory.
    pub image: Option<&'a Config>,
    /// Who runs.
    pub user: Option<&'a ResolvedUser>,
    /// The root file system's path, absolute or below the bundle.
    pub rootfs: &'a str,
    /// The machine's host name.
    pub host_name: &'a str,
    /// The machine's capabilities as a mask.
    pub host_capabilities: u64,
    /// Devices of the machine to hand on.
    pub devices: &'a [crate::sys::host::Device],
}

/// The specification that nothing was asked of: `ctr oci spec`.
pub fn default_spec(namespace: &str, id: &str) -> Value {
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": source, "options": options });
    let careful = ["nosuid", "noexec", "nodev"];
    let small = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    json!({
        "ociVersion": "1.2.1",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES,
                "effective": CAPABILITIES,
                "permitted": CAPABILITIES,
            },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs" },
        "mounts": [
            mount("/proc", "proc", "proc", &careful),
            mount("/dev", "tmpfs", "tmpfs", &small),
            mount(
                "/dev/pts",
                "devpts",
                "devpts",
                &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
            ),
            mount("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            mount("/dev/mqueue", "mqueue", "mqueue", &careful),
            mount("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
            mount("/run", "tmpfs", "tmpfs", &small),
        ],
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "cgroupsPath": cgroup(namespace, id),
            "namespaces": NAMESPACES.map(|kind| json!({ "type": kind })),
            "maskedPaths": [
                "/proc/acpi",
                "/proc/asound",
                "/proc/kcore",
                "/proc/keys",
                "/proc/latency_stats",
                "/proc/timer_list",
                "/proc/timer_stats",
                "/proc/sched_debug",
                "/sys/firmware",
                "/sys/devices/virtual/powercap",
                "/proc/scsi",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn cgroup(namespace: &str, id: &str) -> String {
    match id {
        "" => format!("/{namespace}"),
        id => format!("/{namespace}/{id}"),
    }
}

/// The specification of a container.
///
/// # Errors
/// A namespace of an unknown kind, a capability that nobody knows, limits that contradict each other, no command.
pub fn spec(request: &PlainRequest, input: &PlainInput<'_>) -> Result<Value> {
    let mut spec = default_spec(input.namespace, input.id);
    process(&mut spec["process"], request, input)?;
    capabilities(&mut spec["process"], request, input)?;
    spec["root"]["path"] = json!(input.rootfs);
    if request.read_only {
        spec["root"]["readonly"] = json!(true);
    }
    if let Some(hostname) = &request.hostname {
        spec["hostname"] = json!(hostname);
    }
    mounts(&mut spec, request);
    linux(&mut spec["linux"], request, input)?;
    if !request.annotations.is_empty() {
        spec["annotations"] = json!(request.annotations);
    }
    order(&mut spec["process"], PROCESS);
    order(&mut spec["linux"]["resources"], RESOURCES);
    order(&mut spec["linux"], LINUX);
    order(&mut spec, SPEC);
    Ok(spec)
}

const SPEC: &[&str] = &["ociVersion", "process", "root", "hostname", "mounts", "annotations", "linux"];
const PROCESS: &[&str] = &[
    "terminal",
    "user",
    "args",
    "env",
    "cwd",
    "capabilities",
    "rlimits",
    "noNewPrivileges",
    "apparmorProfile",
];
const RESOURCES: &[&str] = &["devices", "memory", "cpu"];
const LINUX: &[&str] = &[
    "resources",
    "cgroupsPath",
    "namespaces",
    "devices",
    "seccomp",
    "rootfsPropagation",
    "maskedPaths",
    "readonlyPaths",
    "intelRdt",
];

/// The fields in the order of Go's structures; what is not named comes last.
fn order(object: &mut Value, names: &[&str]) {
    let Some(fields) = object.as_object_mut() else { return };
    let mut rest = std::mem::take(fields);
    for name in names {
        if let Some(value) = rest.shift_remove(*name) {
            fields.insert((*name).to_owned(), value);
        }
    }
    fields.extend(rest);
}

fn process(process: &mut Value, request: &PlainRequest, input: &PlainInput<'_>) -> Result<()> {
    let mut env = vec![PATH.to_owned()];
    let mut args = request.command.clone();
    let mut cwd = None;
    if let Some(image) = input.image {
        merge_environment(&mut env, image.env().as_deref().unwrap_or_default());
        let entrypoint = image.entrypoint().clone().unwrap_or_default();
        if args.is_empty() {
            args = entrypoint.into_iter().chain(image.cmd().clone().unwrap_or_default()).collect();
        }
        cwd = image.working_dir().clone().filter(|directory| !directory.is_empty());
    }
    if request.tty {
        env.push("TERM=xterm".into());
        process["terminal"] = json!(true);
    }
    merge_environment(&mut env, &request.env);
    if request.host_network {
        merge_environment(&mut env, &[format!("HOSTNAME={}", input.host_name)]);
    }
    if args.is_empty() {
        return Err(Error::failed("no arguments specified")
            .hint("the image names no command: write one after the container's id"));
    }
    process["args"] = json!(args);
    process["env"] = json!(env);
    process["cwd"] = json!(request.cwd.clone().or(cwd).unwrap_or_else(|| "/".into()));
    if let Some(user) = input.user {
        process["user"] = json!({ "uid": user.uid, "gid": user.gid });
        if !user.additional_gids.is_empty() {
            process["user"]["additionalGids"] = json!(user.additional_gids);
        }
    }
    if request.new_privileges {
        process["noNewPrivileges"] = json!(false);
    }
    if let Some((soft, hard)) = request.nofile {
        process["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "hard": hard, "soft": soft }]);
    }
    if let Some(profile) = &request.apparmor {
        process["apparmorProfile"] = json!(profile);
    }
    Ok(())
}

fn capabilities(process: &mut Value, request: &PlainRequest, input: &PlainInput<'_>) -> Result<()> {
    let known = |name: &String| {
        let upper = name.to_ascii_uppercase();
        match capabilities::bit(&upper) {
            Some(_) if upper.starts_with("CAP_") => Ok(upper),
            _ => Err(Error::failed(format!("capabilities must be specified with 'CAP_' prefix: {name}"))),
        }
    };
    let mut granted: Vec<String> = CAPABILITIES.iter().map(|name| (*name).to_owned()).collect();
    if request.privileged {
        let has = |bit: usize| input.host_capabilities & (1 << bit) != 0;
        let all = capabilities::NAMES.iter().enumerate().filter(|(bit, _)| has(*bit));
        granted = all.map(|(_, name)| format!("CAP_{name}")).collect();
    }
    for name in &request.cap_add {
        let name = known(name)?;
        if !granted.contains(&name) {
            granted.push(name);
        }
    }
    for name in &request.cap_drop {
        let name = known(name)?;
        granted.retain(|granted| *granted != name);
    }
    for set in ["bounding", "effective", "permitted"] {
        process["capabilities"][set] = json!(granted);
    }
    Ok(())
}

fn mounts(spec: &mut Value, request: &PlainRequest) {
    let mut mounts = match spec["mounts"].take() {
        Value::Array(mounts) => mounts,
        _ => Vec::new(),
    };
    let bind = |path: &str| json!({ "destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"] });
    mounts.extend(request.mounts.iter().map(|mount| {
        let mut json = Map::new();
        json.insert("destination".into(), json!(mount.destination));
        if !mount.kind.is_empty() {
            json.insert("type".into(), json!(mount.kind));
        }
        json.insert("source".into(), json!(mount.source));
        json.insert("options".into(), json!(mount.options));
        Value::Object(json)
    }));
    if request.host_network {
        mounts.extend([bind("/etc/hosts"), bind("/etc/resolv.conf")]);
    }
    if request.privileged {
        // Privileged containers write to /sys and its control groups.
        for mount in mounts.iter_mut().filter(|mount| mount["type"] == "sysfs" || mount["type"] == "cgroup") {
            if let Some(options) = mount["options"].as_array_mut() {
                options.retain(|option| option != "ro");
                options.push(json!("rw"));
            }
        }
    }
    spec["mounts"] = Value::Array(mounts);
}

fn linux(linux: &mut Value, request: &PlainRequest, input: &PlainInput<'_>) -> Result<()> {
    match request.cgroup.as_deref() {
        Some("") => {
            if let Some(fields) = linux.as_object_mut() {
                fields.shift_remove("cgroupsPath");
            }
        }
        Some(path) => linux["cgroupsPath"] = json!(path),
        None => {}
    }
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        if request.host_network {
            namespaces.retain(|namespace| namespace["type"] != "network");
        }
        for (kind, path) in &request.namespaces {
            if !NAMESPACES.contains(&kind.as_str()) && !matches!(kind.as_str(), "user" | "cgroup" | "time") {
                return Err(Error::failed(format!(
                    "the Linux namespace type specified in --with-ns is not valid: {kind}"
                )));
            }
            namespaces.retain(|namespace| namespace["type"] != kind.as_str());
            namespaces.push(json!({ "type": kind, "path": path }));
        }
    }
    if request.privileged {
        linux["maskedPaths"] = json!([]);
        linux["readonlyPaths"] = json!([]);
    }
    if let Some(propagation) = &request.root_propagation {
        linux["rootfsPropagation"] = json!(propagation);
    }
    if let Some(class) = &request.rdt_class {
        linux["intelRdt"] = json!({ "closID": class });
    }
    resources(&mut linux["resources"], request)?;
    devices(linux, request, input);
    Ok(())
}

fn resources(resources: &mut Value, request: &PlainRequest) -> Result<()> {
    let mut cpu = Map::new();
    if let Some(shares) = request.cpu_shares {
        cpu.insert("shares".into(), json!(shares));
    }
    if request.cpus > 0.0 {
        if request.cpu_quota > 0 || request.cpu_period > 0 {
            return Err(Error::failed("cpus and quota/period should be used separately"));
        }
        cpu.insert("quota".into(), json!((request.cpus * PERIOD as f64) as i64));
        cpu.insert("period".into(), json!(PERIOD));
    }
    if request.cpu_quota != -1 {
        cpu.insert("quota".into(), json!(request.cpu_quota));
    }
    if request.cpu_period != 0 {
        cpu.insert("period".into(), json!(request.cpu_period));
    }
    for (name, set) in [("cpus", &request.cpuset_cpus), ("mems", &request.cpuset_mems)] {
        if let Some(set) = set {
            cpu.insert(name.into(), json!(set));
        }
    }
    if request.memory > 0 {
        resources["memory"] = json!({ "limit": request.memory });
    }
    if !cpu.is_empty() {
        resources["cpu"] = Value::Object(cpu);
    }
    Ok(())
}

fn devices(linux: &mut Value, request: &PlainRequest, input: &PlainInput<'_>) {
    let mut allowed = Vec::new();
    let nodes: Vec<Value> = input
        .devices
        .iter()
        .map(|device| {
            let kind = if device.block { "b" } else { "c" };
            allowed.push(json!({
                "allow": true, "type": kind, "major": device.major, "minor": device.minor, "access": "rwm",
            }));
            json!({
                "path": device.path, "type": kind, "major": device.major, "minor": device.minor,
                "fileMode": device.mode, "uid": device.uid, "gid": device.gid,
            })
        })
        .collect();
    if !nodes.is_empty() {
        linux["devices"] = Value::Array(nodes);
    }
    if request.privileged && !request.without_devices {
        linux["resources"]["devices"] = json!([{ "allow": true, "access": "rwm" }]);
    } else if let Some(rules) = linux["resources"]["devices"].as_array_mut() {
        rules.extend(DEVICES.iter().map(|(major, minor)| {
            let mut rule = json!({ "allow": true, "type": "c", "major": major });
            if let Some(minor) = minor {
                rule["minor"] = json!(minor);
            }
            rule["access"] = json!("rwm");
            rule
        }));
        rules.extend(allowed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> PlainInput<'static> {
        PlainInput {
            id: "x",
            namespace: "default",
            rootfs: "rootfs",
            host_name: "host",
            host_capabilities: u64::MAX,
            ..PlainInput::default()
        }
    }

    fn with(change: impl FnOnce(&mut PlainRequest)) -> Value {
        let mut request =
            PlainRequest { command: vec!["sh".into()], cpu_quota: -1, ..PlainRequest::default() };
        change(&mut request);
        spec(&request, &input()).unwrap()
    }

    #[test]
    fn flags_change_one_place_each() {
        let plain = with(|_| ());
        assert_eq!(plain["process"]["args"], json!(["sh"]));
        assert_eq!(plain["linux"]["cgroupsPath"], "/default/x");
        assert_eq!(with(|asked| asked.read_only = true)["root"]["readonly"], true);
        assert_eq!(with(|asked| asked.cgroup = Some("".into()))["linux"].get("cgroupsPath"), None);
        assert_eq!(with(|asked| asked.memory = 5)["linux"]["resources"]["memory"]["limit"], 5);
        let cpu = json!({ "quota": 150_000, "period": 100_000 });
        assert_eq!(with(|asked| asked.cpus = 1.5)["linux"]["resources"]["cpu"], cpu);
        assert_eq!(with(|asked| asked.new_privileges = true)["process"]["noNewPrivileges"], false);
        let joined = with(|asked| asked.namespaces = vec![("network".into(), "/proc/1/ns/net".into())]);
        let last = json!({ "type": "network", "path": "/proc/1/ns/net" });
        assert_eq!(joined["linux"]["namespaces"].as_array().unwrap().last(), Some(&last));
        let host = with(|asked| asked.host_network = true);
        assert!(!host["linux"]["namespaces"].to_string().contains("network"));
        assert_eq!(host["mounts"][7]["destination"], "/etc/hosts");
        let privileged = with(|asked| asked.privileged = true);
        assert_eq!(privileged["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 41);
        assert_eq!(privileged["linux"]["maskedPaths"], json!([]));
        let dropped = with(|asked| asked.cap_drop = vec!["CAP_CHOWN".into()]);
        assert_eq!(dropped["process"]["capabilities"]["bounding"].as_array().unwrap().len(), 13);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for request in [
            PlainRequest { command: vec![], ..PlainRequest::default() },
            PlainRequest {
                command: vec!["a".into()],
                cap_add: vec!["CHOWN".into()],
                ..PlainRequest::default()
            },
            PlainRequest { command: vec!["a".into()], cpus: 1.0, cpu_quota: 5, ..PlainRequest::default() },
            PlainRequest {
                command: vec!["a".into()],
                namespaces: vec![("nope".into(), "/x".into())],
                ..PlainRequest::default()
            },
        ] {
            assert!(spec(&request, &input()).is_err(), "{request:?}");
        }
    }
}
