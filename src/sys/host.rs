//! What this machine is and can do, as far as a runtime specification depends on it: a few small reads,
//! done for each container that is made.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Files of the kernel are short; nothing longer is read.
const MAX_FILE: u64 = 64 * 1024;
/// A directory of devices is not followed deeper than this.
const MAX_DEPTH: usize = 8;
/// Directories of `/dev` whose content belongs to the host's own mounts.
const FOREIGN_DIRECTORIES: [&str; 7] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];
/// AppArmor profiles that another engine may have loaded, docker's first.
const APPARMOR_PROFILES: [&str; 3] = ["docker-default", "nerdctl-default", "cri-containerd.apparmor.d"];

/// The hierarchy of control groups that runtimes use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupVersion {
    /// One hierarchy a controller (and the hybrid form).
    V1,
    /// The unified one.
    V2,
}

/// What the control groups of this machine can limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Controllers {
    /// Memory.
    pub memory: bool,
    /// Memory and swap together.
    pub swap: bool,
    /// `memory.swappiness` (version 1 only).
    pub swappiness: bool,
    /// `memory.oom_control` (version 1 only).
    pub oom_kill_disable: bool,
    /// CPU time, in shares and by period and quota.
    pub cpu: bool,
    /// Sets of CPUs and memory nodes.
    pub cpuset: bool,
    /// The number of processes.
    pub pids: bool,
    /// Block devices, by rate.
    pub blkio: bool,
    /// Block devices, by weight.
    pub blkio_weight: bool,
}

/// The facts about this machine.
#[derive(Debug, Clone)]
pub struct Host {
    /// Which control groups.
    pub cgroup: CgroupVersion,
    /// What they can limit.
    pub controllers: Controllers,
    /// The kernel's major and minor version.
    pub kernel: (u32, u32),
    /// The machine's architecture in Go's words (`amd64`, `arm64`).
    pub architecture: &'static str,
    /// The machine's host name.
    pub hostname: String,
    /// The bounding set of this process.
    pub capabilities: u64,
    /// Whether AppArmor confines processes here.
    pub apparmor: bool,
    /// The first of the well-known container profiles that is loaded.
    pub apparmor_profile: Option<String>,
    /// Whether SELinux is on.
    pub selinux: bool,
    /// Whether this process is in a user namespace of its own.
    pub user_namespace: bool,
    /// Whether systemd is the machine's init.
    pub systemd: bool,
    /// How many CPUs this process may use.
    pub cpus: u32,
    /// The CPUs that containers may be bound to (`0-3`); empty when unknown.
    pub cpuset_cpus: String,
    /// The memory nodes that containers may be bound to; empty when unknown.
    pub cpuset_mems: String,
    /// CPUs with a `thermal_throttle` directory, which docker masks.
    pub thermal_throttle: Vec<u32>,
    /// Sysctls of a network namespace that exist here, of those that docker sets by default.
    pub sysctls: Vec<&'static str>,
}

/// One device node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its path in the container.
    pub path: PathBuf,
    /// A block device; a character device otherwise.
    pub block: bool,
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// Permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

impl Host {
    /// Reads the facts. Whatever cannot be read counts as absent.
    pub fn gather() -> Self {
        let uname = rustix::system::uname();
        let cgroup = cgroup_version();
        let (controllers, cpuset_cpus, cpuset_mems) = match cgroup {
            CgroupVersion::V1 => controllers_v1(),
            CgroupVersion::V2 => controllers_v2(Path::new("/sys/fs/cgroup"), &text("/proc/self/cgroup")),
        };
        let apparmor = Path::new("/sys/kernel/security/apparmor").exists()
            && text("/sys/module/apparmor/parameters/enabled").starts_with('Y');
        Self {
            cgroup,
            controllers,
            kernel: kernel_version(&uname.release().to_string_lossy()),
            architecture: go_architecture(std::env::consts::ARCH),
            hostname: uname.nodename().to_string_lossy().into_owned(),
            capabilities: bounding_set(&text("/proc/self/status")),
            apparmor,
            apparmor_profile: if apparmor { loaded_profile() } else { None },
            selinux: Path::new("/sys/fs/selinux/enforce").exists(),
            user_namespace: !is_initial_user_namespace(&text("/proc/self/uid_map")),
            systemd: Path::new("/run/systemd/system").is_dir(),
            cpus: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
            cpuset_cpus,
            cpuset_mems,
            thermal_throttle: thermal_throttle(),
            sysctls: ["net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start"]
                .into_iter()
                .filter(|name| Path::new("/proc/sys").join(name.replace('.', "/")).exists())
                .collect(),
        }
    }
}

/// Every device of the machine, for `--privileged`: those below `/dev`, without what the host's own mounts
/// there hold.
pub fn all_devices() -> Result<Vec<Device>> {
    let mut found = Vec::new();
    walk(Path::new("/dev"), Path::new("/dev"), MAX_DEPTH, &mut found)
        .map_err(|cause| Error::io("read", "/dev", cause))?;
    found.retain(|device| device.path != Path::new("/dev/console"));
    Ok(found)
}

/// The devices that `--device host:container` names: one, or all below a directory.
pub fn device_nodes(host: &Path, container: &Path) -> Result<Vec<Device>> {
    let gathering = |cause: std::io::Error| {
        Error::failed(format!(
            "error gathering device information while adding custom device {host:?}: {}",
            crate::error::reason(&cause)
        ))
        .hint("see `ls -l` of that path: it must be a device, or a directory with devices")
    };
    let real = fs::canonicalize(host).map_err(gathering)?;
    let meta = fs::symlink_metadata(&real).map_err(gathering)?;
    if let Some(device) = device(container, &meta) {
        return Ok(vec![device]);
    }
    let mut found = Vec::new();
    if meta.is_dir() {
        walk(&real, container, MAX_DEPTH, &mut found).map_err(gathering)?;
    }
    if found.is_empty() {
        return Err(gathering(std::io::Error::other("not a device node")));
    }
    Ok(found)
}

/// The major and minor number of the device at `path`.
pub fn device_number(path: &Path) -> Result<(u32, u32)> {
    let meta = fs::metadata(path).map_err(|cause| Error::io("stat", path, cause))?;
    let number = meta.rdev();
    Ok((rustix::fs::major(number), rustix::fs::minor(number)))
}

fn device(path: &Path, meta: &fs::Metadata) -> Option<Device> {
    let kind = meta.file_type();
    if !kind.is_block_device() && !kind.is_char_device() {
        return None;
    }
    Some(Device {
        path: path.to_path_buf(),
        block: kind.is_block_device(),
        major: rustix::fs::major(meta.rdev()),
        minor: rustix::fs::minor(meta.rdev()),
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
    })
}

fn walk(directory: &Path, shown: &Path, depth: usize, found: &mut Vec<Device>) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        // Devices come and go: one that is gone again is not an error.
        let Ok(meta) = entry.metadata() else { continue };
        let shown = shown.join(&name);
        if meta.is_dir() {
            let foreign = name.to_str().is_some_and(|name| FOREIGN_DIRECTORIES.contains(&name));
            if depth > 0 && !foreign {
                walk(&entry.path(), &shown, depth - 1, found)?;
            }
        } else if let Some(device) = device(&shown, &meta) {
            found.push(device);
        }
    }
    Ok(())
}

/// A kernel file's text; empty when it cannot be read.
fn text(path: impl AsRef<Path>) -> String {
    use std::io::Read;
    let mut text = String::new();
    match fs::File::open(path) {
        Ok(file) => match file.take(MAX_FILE).read_to_string(&mut text) {
            Ok(_) => text,
            Err(_) => String::new(),
        },
        Err(_) => text,
    }
}

fn cgroup_version() -> CgroupVersion {
    const CGROUP2: u64 = 0x6367_7270;
    match rustix::fs::statfs("/sys/fs/cgroup") {
        Ok(stat) if u64::try_from(stat.f_type) == Ok(CGROUP2) => CgroupVersion::V2,
        _ => CgroupVersion::V1,
    }
}

fn controllers_v1() -> (Controllers, String, String) {
    let has = |path: &str| Path::new("/sys/fs/cgroup").join(path).exists();
    let cpus = text("/sys/fs/cgroup/cpuset/cpuset.cpus").trim().to_owned();
    let mems = text("/sys/fs/cgroup/cpuset/cpuset.mems").trim().to_owned();
    let controllers = Controllers {
        memory: has("memory/memory.limit_in_bytes"),
        swap: has("memory/memory.memsw.limit_in_bytes"),
        swappiness: has("memory/memory.swappiness"),
        oom_kill_disable: has("memory/memory.oom_control"),
        cpu: has("cpu/cpu.cfs_quota_us"),
        cpuset: !cpus.is_empty(),
        pids: has("pids"),
        blkio: has("blkio/blkio.throttle.read_bps_device"),
        blkio_weight: has("blkio/blkio.weight") || has("blkio/blkio.bfq.weight"),
    };
    (controllers, cpus, mems)
}

/// From the unified hierarchy at `root` and this process's line of `/proc/self/cgroup`.
fn controllers_v2(root: &Path, own: &str) -> (Controllers, String, String) {
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let listed = text(root.join("cgroup.controllers"));
    let has = |name: &str| listed.split_whitespace().any(|controller| controller == name);
    let swap = if own.is_empty() {
        // The root group has no limits to look at: the kernel's support for swap decides.
        Path::new("/proc/swaps").exists()
    } else {
        root.join(own).join("memory.swap.max").exists()
    };
    let controllers = Controllers {
        memory: has("memory"),
        swap: has("memory") && swap,
        swappiness: false,
        oom_kill_disable: false,
        cpu: has("cpu"),
        cpuset: has("cpuset"),
        pids: has("pids"),
        blkio: has("io"),
        blkio_weight: has("io"),
    };
    let set = |file: &str| text(root.join(file)).trim().to_owned();
    (controllers, set("cpuset.cpus.effective"), set("cpuset.mems.effective"))
}

fn kernel_version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit()).map(|number| number.parse());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
        _ => (0, 0),
    }
}

/// An architecture of Rust's in Go's word: `amd64`.
pub fn go_architecture(rust: &'static str) -> &'static str {
    match rust {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

fn bounding_set(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(u64::MAX)
}

fn is_initial_user_namespace(uid_map: &str) -> bool {
    uid_map.is_empty() || uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

fn loaded_profile() -> Option<String> {
    let loaded = text("/sys/kernel/security/apparmor/profiles");
    APPARMOR_PROFILES
        .iter()
        .find(|profile| {
            loaded.lines().any(|line| line.split_once(" (").is_some_and(|(name, _)| name == **profile))
        })
        .map(|profile| profile.to_string())
}

fn thermal_throttle() -> Vec<u32> {
    // One look decides: either every CPU has the directory or none.
    if !Path::new("/sys/devices/system/cpu/cpu0/thermal_throttle").exists() {
        return Vec::new();
    }
    cpu_list(text("/sys/devices/system/cpu/possible").trim())
}

/// The numbers of a list such as `0-3,8`, at most 8192 of them.
fn cpu_list(list: &str) -> Vec<u32> {
    let mut numbers = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            numbers.extend((first..=last).take(8192));
        }
    }
    numbers.truncate(8192);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files as systemd on Debian 12 has them, for a session below user.slice and for the root group.
    #[test]
    fn the_unified_hierarchy_by_its_files() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| fs::write(root.path().join(name), content).unwrap();
        write("cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma misc\n");
        write("cpuset.cpus.effective", "0-3\n");
        write("cpuset.mems.effective", "0\n");
        let session = "user.slice/user-0.slice/session-3.scope";
        fs::create_dir_all(root.path().join(session)).unwrap();
        let own = format!("0::/{session}\n");
        let (found, cpus, mems) = controllers_v2(root.path(), &own);
        let all = Controllers {
            memory: true,
            swap: false,
            swappiness: false,
            oom_kill_disable: false,
            cpu: true,
            cpuset: true,
            pids: true,
            blkio: true,
            blkio_weight: true,
        };
        assert_eq!((found, cpus.as_str(), mems.as_str()), (all, "0-3", "0"));
        write(&format!("{session}/memory.swap.max"), "max\n");
        assert!(controllers_v2(root.path(), &own).0.swap);
        write("cgroup.controllers", "cpu pids\n");
        let (found, ..) = controllers_v2(root.path(), &own);
        assert!(found.cpu && found.pids && !found.memory && !found.swap && !found.blkio && !found.cpuset);
    }

    #[test]
    fn texts_of_the_kernel() {
        for (release, version) in [
            ("6.18.44-fc-v669", (6, 18)),
            ("5.10.0", (5, 10)),
            ("4.19", (4, 19)),
            ("x", (0, 0)),
            ("", (0, 0)),
        ] {
            assert_eq!(kernel_version(release), version, "{release}");
        }
        assert_eq!(bounding_set("Name:\tx\nCapBnd:\t000001fffeffffff\n"), 0x1ff_feff_ffff);
        assert!(is_initial_user_namespace("         0          0 4294967295\n"));
        assert!(!is_initial_user_namespace("         0     100000      65536\n"));
        assert_eq!(cpu_list("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(cpu_list("0-4294967295").len(), 8192);
        assert!(cpu_list("").is_empty());
    }

    #[test]
    fn this_machine() {
        let host = Host::gather();
        assert!(host.kernel >= (4, 0), "{host:?}");
        assert!(host.cpus >= 1);
        assert_eq!(host.hostname, text("/proc/sys/kernel/hostname").trim());
    }

    #[test]
    fn gathering_is_fast() {
        Host::gather();
        let best = (0..20)
            .map(|_| {
                let start = std::time::Instant::now();
                let _ = Host::gather();
                start.elapsed()
            })
            .min()
            .unwrap();
        // Half a millisecond is the goal; a debug build on a busy machine gets four times that.
        assert!(best.as_micros() < 2000, "{best:?}");
    }

    #[test]
    fn devices_are_found() {
        let null = device_nodes(Path::new("/dev/null"), Path::new("/dev/nothing")).unwrap();
        assert_eq!((null[0].major, null[0].minor, null[0].block), (1, 3, false));
        assert_eq!(null[0].path, Path::new("/dev/nothing"));
        let all = all_devices().unwrap();
        assert!(all.iter().any(|device| device.path == Path::new("/dev/null")));
        assert!(!all.iter().any(|device| device.path.starts_with("/dev/pts")));
        assert_eq!(device_number(Path::new("/dev/zero")).unwrap(), (1, 5));
        let message = device_nodes(Path::new("/dev/nope"), Path::new("/x")).unwrap_err().message;
        assert!(message.starts_with("error gathering device information"), "{message}");
        assert!(device_nodes(Path::new("/etc/passwd"), Path::new("/x")).is_err());
    }
}
