//! What is mounted in a container: docker's own file systems, the user's mounts over them, and the three
//! files of the network.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Mount, MountBuilder};

use super::namespaces::{self, Share};
use super::process::{INIT, clean, wants_init};
use super::request::{MountKind, MountRequest};
use super::spec::SpecInput;
use super::{built, tmpfs};
use crate::{Error, Result};

/// docker's size of /dev/shm, in bytes.
const SHM_SIZE: u64 = 64 * 1024 * 1024;

/// Paths that are hidden in every container that is not privileged.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The kernel's file systems in a container: target, type, source, options.
const SYSTEM: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
];
const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "shared", "rshared", "slave", "rslave"];

/// One of the request's mounts, its source looked up.
#[derive(Debug, Clone)]
pub struct ResolvedMount {
    /// What was asked for.
    pub request: MountRequest,
    /// The path on the host of a bind or a volume; None for tmpfs.
    pub source: Option<PathBuf>,
    /// How an image's content is mounted.
    pub image: Option<ImageMount>,
}

/// How the content of an image is mounted: as its snapshotter says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageMount {
    /// `overlay` or `bind`.
    pub kind: String,
    /// What is mounted.
    pub source: PathBuf,
    /// `lowerdir=…`, `ro`, …
    pub options: Vec<String>,
}

/// The files that are mounted over the image's, where there are such.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// `/etc/resolv.conf`.
    pub resolv_conf: Option<PathBuf>,
    /// `/etc/hostname`.
    pub hostname: Option<PathBuf>,
    /// `/etc/hosts`.
    pub hosts: Option<PathBuf>,
}

/// All mounts, in the order in which they are made: a directory before what lies in it.
pub fn mounts(input: &SpecInput) -> Result<Vec<Mount>> {
    let mut users = Vec::new();
    for mount in input.mounts {
        users.push((target(&mount.request)?, of_user(mount, input)?));
    }
    for (target, source) in [
        ("/etc/resolv.conf", &input.files.resolv_conf),
        ("/etc/hostname", &input.files.hostname),
        ("/etc/hosts", &input.files.hosts),
    ] {
        if let (Some(source), false) = (source, users.iter().any(|(known, _)| known == target)) {
            let mut options = vec!["rbind", "rprivate"];
            if input.request.read_only {
                options.insert(1, "ro");
            }
            users.push((target.to_owned(), bind(target, source, &options)?));
        }
    }
    if let (Some(source), false) = (shared_memory(input)?, users.iter().any(|(known, _)| known == "/dev/shm"))
    {
        users.push(("/dev/shm".into(), bind("/dev/shm", &source, &["rbind", "rprivate"])?));
    }
    users.sort_by_key(|(target, _)| target.matches('/').count() - usize::from(target == "/"));

    let mut all = Vec::with_capacity(SYSTEM.len() + users.len() + 1);
    let taken = |target: &str| users.iter().any(|(known, _)| known == target);
    for system in &SYSTEM {
        let below_taken_dev = taken("/dev") && system.0.starts_with("/dev/");
        if !taken(system.0) && !below_taken_dev {
            all.extend(of_system(system, input)?);
        }
    }
    all.extend(users.into_iter().map(|(_, mount)| mount));
    if wants_init(input.request) {
        let init = input.init.ok_or_else(|| {
            Error::failed("cannot find an init program for --init")
                .hint("install tini or docker-init, or name one in the configuration file")
        })?;
        all.push(bind(INIT, init, &["bind", "ro"])?);
    }
    Ok(all)
}

/// Paths to hide, and paths that cannot be written.
pub fn hidden_paths(input: &SpecInput) -> (Vec<String>, Vec<String>) {
    let security = &input.request.security;
    if security.privileged || security.system_paths_unconfined {
        return (Vec::new(), Vec::new());
    }
    let mut masked: Vec<String> = MASKED.iter().map(|path| path.to_string()).collect();
    for cpu in &input.host.thermal_throttle {
        masked.push(format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle"));
    }
    (masked, READ_ONLY.iter().map(|path| path.to_string()).collect())
}

/// The propagation of the root: as wide as the widest mount that the user asked for.
pub fn root_propagation(input: &SpecInput) -> Option<String> {
    let asked = |names: [&str; 2]| {
        input.mounts.iter().any(|mount| {
            mount.request.propagation.as_deref().is_some_and(|propagation| names.contains(&propagation))
        })
    };
    if asked(["shared", "rshared"]) {
        Some("shared".into())
    } else if asked(["slave", "rslave"]) {
        Some("rslave".into())
    } else {
        None
    }
}

fn of_system(
    (target, kind, source, options): &(&str, &str, &str, &[&str]),
    input: &SpecInput,
) -> Result<Option<Mount>> {
    let request = input.request;
    let mut options: Vec<String> = options.iter().map(|option| option.to_string()).collect();
    if *target == "/dev/shm" {
        if request.namespaces.ipc.as_deref() == Some("none") {
            return Ok(None);
        }
        options.push(format!(
            "size={}",
            request.resources.shm_size.filter(|size| *size > 0).unwrap_or(SHM_SIZE)
        ));
    }
    if request.security.privileged && matches!(*kind, "sysfs" | "cgroup") {
        options.retain(|option| option != "ro");
    }
    built(MountBuilder::default().destination(*target).typ(*kind).source(*source).options(options).build())
        .map(Some)
}

/// Where /dev/shm is not a file system of the container's own.
fn shared_memory(input: &SpecInput) -> Result<Option<PathBuf>> {
    Ok(match namespaces::ipc(input.request)? {
        Share::Host => Some("/dev/shm".into()),
        Share::Private | Share::Container => input.shm.map(Path::to_path_buf),
    })
}

fn target(request: &MountRequest) -> Result<String> {
    if !request.target.starts_with('/') {
        return Err(Error::usage(format!(
            "invalid mount config for type {:?}: invalid mount path: '{}' mount path must be absolute",
            kind_name(request.kind),
            request.target
        )));
    }
    let target = clean(&request.target);
    if target == "/" {
        return Err(Error::usage(format!(
            "invalid mount config for type {:?}: invalid specification: destination can't be '/'",
            kind_name(request.kind)
        )));
    }
    Ok(target)
}

fn kind_name(kind: MountKind) -> &'static str {
    match kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
        MountKind::Image => "image",
    }
}

fn of_user(mount: &ResolvedMount, input: &SpecInput) -> Result<Mount> {
    let request = &mount.request;
    let target = target(request)?;
    if request.kind == MountKind::Tmpfs {
        let mut options: Vec<String> = tmpfs::DEFAULT.iter().map(|option| option.to_string()).collect();
        options.extend(request.tmpfs_options.iter().cloned());
        options.extend(request.tmpfs_size.map(|size| format!("size={size}")));
        options.extend(request.tmpfs_mode.map(|mode| format!("mode={mode:o}")));
        if request.read_only {
            options.push("ro".into());
        }
        let options = tmpfs::merge(options.into_iter())?;
        return built(
            MountBuilder::default().destination(target).typ("tmpfs").source("tmpfs").options(options).build(),
        );
    }
    if let Some(image) = &mount.image {
        return built(
            MountBuilder::default()
                .destination(target)
                .typ(image.kind.as_str())
                .source(image.source.as_path())
                .options(image.options.clone())
                .build(),
        );
    }
    let source = mount.source.as_deref().ok_or_else(|| {
        Error::failed(format!("mount {target}: its source {:?} was not looked up", request.source))
    })?;
    let propagation = request.propagation.as_deref().filter(|text| !text.is_empty()).unwrap_or("rprivate");
    if !PROPAGATIONS.contains(&propagation) {
        return Err(Error::usage(format!(
            "invalid mount config for type \"bind\": invalid propagation mode: {propagation}"
        )));
    }
    let mut options = vec![if request.non_recursive { "bind" } else { "rbind" }];
    if request.read_only {
        // What is mounted below is read-only too, where kernel and runtime can do it.
        let recursive = !request.non_recursive && input.recursive_read_only && input.host.kernel >= (5, 12);
        options.push(if recursive { "rro" } else { "ro" });
    }
    options.push(propagation);
    bind(&target, source, &options)
}

fn bind(target: &str, source: &Path, options: &[&str]) -> Result<Mount> {
    let options: Vec<String> = options.iter().map(|option| option.to_string()).collect();
    built(MountBuilder::default().destination(target).typ("bind").source(source).options(options).build())
}

#[cfg(test)]
mod tests {
    use super::super::spec::tests::Case;
    use super::*;

    fn shown(case: &Case) -> Vec<String> {
        mounts(&case.input())
            .unwrap()
            .iter()
            .map(|mount| {
                format!(
                    "{} {} {}",
                    mount.destination().display(),
                    mount.source().as_ref().unwrap().display(),
                    mount.options().as_ref().unwrap().join(",")
                )
            })
            .collect()
    }

    fn bind_of(source: &str, target: &str) -> ResolvedMount {
        let request =
            MountRequest { source: source.into(), target: target.into(), ..MountRequest::default() };
        ResolvedMount { request, source: Some(source.into()), image: None }
    }

    fn tmpfs_of(target: &str, options: &[&str]) -> ResolvedMount {
        let tmpfs_options = options.iter().map(|option| option.to_string()).collect();
        let request = MountRequest {
            kind: MountKind::Tmpfs,
            target: target.into(),
            tmpfs_options,
            ..MountRequest::default()
        };
        ResolvedMount { request, source: None, image: None }
    }

    #[test]
    fn system_mounts_are_dockers() {
        let case = Case::new();
        assert_eq!(
            shown(&case),
            [
                "/proc proc nosuid,noexec,nodev",
                "/dev tmpfs nosuid,strictatime,mode=755,size=65536k",
                "/dev/pts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
                "/sys sysfs nosuid,noexec,nodev,ro",
                "/sys/fs/cgroup cgroup ro,nosuid,noexec,nodev",
                "/dev/mqueue mqueue nosuid,noexec,nodev",
                "/dev/shm shm nosuid,noexec,nodev,mode=1777,size=67108864",
            ]
        );
    }

    #[test]
    fn users_mounts_replace_system_mounts_and_come_in_order() {
        let mut case = Case::new();
        case.files = Files {
            resolv_conf: Some("/s/resolv.conf".into()),
            hostname: Some("/s/hostname".into()),
            hosts: Some("/s/hosts".into()),
        };
        case.mounts = vec![
            bind_of("/a", "/x/y/z"),
            bind_of("/mine", "/etc/hosts"),
            bind_of("/b", "/x"),
            tmpfs_of("/x/t", &["exec", "size=1m"]),
            bind_of("/dev", "/dev/"),
        ];
        case.mounts[2].request.read_only = true;
        case.mounts[0].request.non_recursive = true;
        case.mounts[0].request.propagation = Some("rslave".into());
        assert_eq!(
            shown(&case)[3..],
            [
                "/x /b rbind,ro,rprivate",
                "/dev /dev rbind,rprivate",
                "/etc/hosts /mine rbind,rprivate",
                "/x/t tmpfs nosuid,nodev,rprivate,exec,size=1m",
                "/etc/resolv.conf /s/resolv.conf rbind,rprivate",
                "/etc/hostname /s/hostname rbind,rprivate",
                "/x/y/z /a bind,rslave",
            ]
        );
        assert_eq!(shown(&case).len(), 10);
        assert_eq!(root_propagation(&case.input()).as_deref(), Some("rslave"));
    }

    #[test]
    fn read_only_is_recursive_where_it_can_be() {
        let mut case = Case::new();
        case.mounts = vec![bind_of("/a", "/x")];
        case.mounts[0].request.read_only = true;
        case.recursive_read_only = true;
        assert!(shown(&case).contains(&"/x /a rbind,rro,rprivate".to_owned()));
        case.host.kernel = (5, 10);
        assert!(shown(&case).contains(&"/x /a rbind,ro,rprivate".to_owned()));
    }

    #[test]
    fn privileged_writes_to_sys_and_hides_nothing() {
        let mut case = Case::new();
        assert_eq!(hidden_paths(&case.input()).0.len(), 12);
        assert_eq!(hidden_paths(&case.input()).1.len(), 5);
        case.host.thermal_throttle = vec![0, 1];
        assert_eq!(hidden_paths(&case.input()).0.len(), 14);
        case.request.security.privileged = true;
        let shown = shown(&case);
        assert!(shown.contains(&"/sys sysfs nosuid,noexec,nodev".to_owned()));
        assert!(shown.contains(&"/sys/fs/cgroup cgroup nosuid,noexec,nodev".to_owned()));
        assert!(hidden_paths(&case.input()).0.is_empty());
        case.request.security.privileged = false;
        case.request.security.system_paths_unconfined = true;
        assert!(hidden_paths(&case.input()).1.is_empty());
    }

    #[test]
    fn shared_memory_by_ipc_mode() {
        let mut case = Case::new();
        case.request.resources.shm_size = Some(1024);
        assert!(shown(&case).iter().any(|mount| mount.ends_with("mode=1777,size=1024")));
        case.request.namespaces.ipc = Some("none".into());
        assert!(!shown(&case).iter().any(|mount| mount.starts_with("/dev/shm")));
        case.request.namespaces.ipc = Some("host".into());
        assert!(shown(&case).contains(&"/dev/shm /dev/shm rbind,rprivate".to_owned()));
        case.request.namespaces.ipc = Some("container:a".into());
        case.shm = Some("/proc/1/root/dev/shm".into());
        assert!(shown(&case).contains(&"/dev/shm /proc/1/root/dev/shm rbind,rprivate".to_owned()));
    }

    #[test]
    fn init_needs_a_program() {
        let mut case = Case::new();
        case.request.init = true;
        assert!(mounts(&case.input()).unwrap_err().message.contains("init"));
        case.init = Some("/usr/bin/tini".into());
        assert!(shown(&case).contains(&"/sbin/docker-init /usr/bin/tini bind,ro".to_owned()));
    }

    #[test]
    fn faulty_mounts_are_refused() {
        let mut case = Case::new();
        for (mount, expected) in [
            (bind_of("/a", "x"), "mount path must be absolute"),
            (bind_of("/a", "/x/.."), "destination can't be '/'"),
            (tmpfs_of("/x", &["nope"]), "Invalid tmpfs option"),
        ] {
            case.mounts = vec![mount];
            let message = mounts(&case.input()).unwrap_err().message;
            assert!(message.contains(expected), "{message}");
        }
        case.mounts = vec![bind_of("/a", "/x")];
        case.mounts[0].request.propagation = Some("nope".into());
        assert!(mounts(&case.input()).unwrap_err().message.contains("invalid propagation mode"));
        case.mounts[0].source = None;
        assert!(mounts(&case.input()).is_err());
    }
}
