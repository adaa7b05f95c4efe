//! A shell beside a container that has none: a container of its own with programs of its own, in the other one's
//! namespaces. Nothing is mounted on the machine, and the other container is not touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::model::{Container, Origin, Status};
use super::{hung, spec};
use crate::containerd::Mount;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::oci::beside::{Beside, TARGET, TOOLBOX, TREE, Tools};
use crate::oci::capabilities;
use crate::oci::namespaces::{IdRange, NamespacePaths, UserNamespace};
use crate::oci::process::merge_environment;
use crate::oci::request::{ContainerRequest, HealthCheck, LogConfig, MountKind, MountRequest, NetworkMode};
use crate::store::make_directory;
use crate::sys::rootfs::Rootfs;
use crate::sys::{namespace, process, program};

/// The label that names the container beside which another one stands.
const LABEL: &str = "wharfie.debug";
/// The directory of the root, in the container's own.
const ROOT: &str = "root";
/// Where a machine keeps a busybox.
const BUSYBOXES: [&str; 5] =
    ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox", "/sbin/busybox", "/bin/busybox.static"];
/// What can be written where the rest cannot: target and options of file systems in memory.
const WRITABLE: [(&str, &[&str]); 3] =
    [("/tmp", &["mode=1777"]), ("/run", &["mode=755"]), ("/root", &["mode=700"])];

/// Which programs are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Those of an image.
    Image(String),
    /// The machine's.
    Host,
    /// Those of a directory, or the machine's busybox.
    Toolbox(Option<PathBuf>),
}

/// What there is to know before the session begins.
#[derive(Debug)]
pub struct Debugging {
    /// The container to make and run.
    pub request: ContainerRequest,
    /// Where the other one's files will be.
    pub files: String,
    /// Where the programs come from, where it is not an image.
    pub tools: Tools,
    /// Nothing is known of how the target's runtime keeps processes: in a virtual machine, say.
    pub strange_runtime: bool,
}

/// Turn `request` (its command, user, environment, capabilities and mounts) into one for a container beside
/// `target`, with the environment of the target below its own where `same_environment`.
///
/// # Errors
/// The target does not run; there are no such programs.
pub fn debug(
    target: &Container,
    wanted: Wanted,
    mut request: ContainerRequest,
    same_environment: bool,
) -> Result<Debugging> {
    let pid = running_pid(target).map_err(|error| match target.status {
        Status::Unknown => error,
        _ => error
            .hint("its files can be read as it is, with `wharfie cp`, and its output with `wharfie logs`"),
    })?;
    let inside = process::innermost_pid(pid).ok_or_else(|| ended(target))?;
    let files = format!("/proc/{inside}/root");
    let tools = tools(&wanted)?;
    if let Wanted::Image(image) = wanted {
        request.image = image;
    } else {
        request.rootfs = true;
        request.read_only = true;
        request.mounts.extend(WRITABLE.iter().map(|(target, options)| in_memory(target, options)));
    }
    let given = request.command.take().filter(|command| !command.is_empty());
    request.command = match given {
        Some(command) => Some(command),
        None => shell(&tools)?,
    };
    if request.command.is_some() {
        // As typed: an image's entrypoint has no part in it.
        request.entrypoint = Some(Vec::new());
    }
    request.user.get_or_insert_with(|| "0:0".into());
    let mut environment = if same_environment { environment_of(target) } else { Vec::new() };
    environment.push(format!("TARGET={files}"));
    merge_environment(&mut environment, &request.env);
    request.env = environment;
    let security = &mut request.security;
    // To look at another process's files is to trace it, as far as the kernel is concerned; and profiles let a
    // process trace only those that have the same one.
    let bit = capabilities::bit("SYS_PTRACE");
    if !security.cap_drop.iter().any(|name| capabilities::bit(name) == bit) {
        security.cap_add.push("SYS_PTRACE".into());
    }
    security.apparmor.get_or_insert_with(|| "unconfined".into());
    request.auto_remove = true;
    request.log = LogConfig { driver: "none".into(), ..LogConfig::default() };
    request.health = Some(HealthCheck::none());
    request.labels.insert(LABEL.into(), target.id.clone());
    let other = format!("container:{}", target.id);
    request.network.mode = NetworkMode::Container(target.id.clone());
    let namespaces = &mut request.namespaces;
    for setting in [&mut namespaces.pid, &mut namespaces.ipc, &mut namespaces.uts, &mut namespaces.user] {
        *setting = Some(other.clone());
    }
    let root = |name| {
        let map = namespace::id_map(pid, name);
        map.iter().find(|[inside, ..]| *inside == 0).map(|[_, outside, _]| *outside).unwrap_or_default()
    };
    let root = if namespace::is_another(pid, "user") { (root("uid_map"), root("gid_map")) } else { (0, 0) };
    request.beside =
        Some(Beside { target: target.id.clone(), files: files.clone(), tools: tools.clone(), root });
    let strange_runtime = !target.raw.runtime.starts_with("io.containerd.runc.");
    Ok(Debugging { request, files, tools, strange_runtime })
}

/// A container's network namespace, held open.
///
/// # Errors
/// The container does not run.
pub async fn network_namespace(engine: &Engine, container: &Container) -> Result<fs::File> {
    let pid = running_pid(container)?;
    let path = namespace::path(pid, "net");
    let open = fs::File::open(&path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::NotFound => ended(container),
        _ => Error::io("open", &path, cause),
    })?;
    // The number may have become another process's before it was opened, but not since.
    let now = super::find(engine, &container.id).await?;
    if running_pid(&now)? == pid { Ok(open) } else { Err(ended(container)) }
}

/// The first process of a container that runs, or is paused; also where its shim hangs.
///
/// # Errors
/// It does not run.
pub(super) fn running_pid(container: &Container) -> Result<u32> {
    let pid = match container.status {
        Status::Unknown => hung::pid(container).ok_or_else(|| hung::error(container))?,
        _ => container.pid,
    };
    if pid == 0 { Err(ended(container)) } else { Ok(pid) }
}

fn ended(container: &Container) -> Error {
    let error = Error::conflict(format!("container {} is not running", container.name));
    match container.origin {
        Origin::Wharfie => error.hint(format!("start it first: wharfie start {}", container.name)),
        _ => error.hint("`wharfie ps` lists what runs"),
    }
}

fn tools(wanted: &Wanted) -> Result<Tools> {
    match wanted {
        Wanted::Image(_) => Ok(Tools::Image),
        Wanted::Host => Ok(Tools::Tree("/".into())),
        Wanted::Toolbox(Some(directory)) => {
            if !directory.is_dir() {
                return Err(Error::not_found(format!("toolbox {}: no such directory", directory.display()))
                    .hint("--toolbox takes a directory of static programs, or one with bin/ or usr/ in it"));
            }
            let is_tree = ["bin", "usr/bin"].iter().any(|inner| directory.join(inner).is_dir());
            Ok(if is_tree { Tools::Tree(directory.clone()) } else { Tools::Static(directory.clone()) })
        }
        Wanted::Toolbox(None) => {
            let found = BUSYBOXES.iter().map(Path::new).find(|path| program::is_static(path));
            found.map(|path| Tools::Static(path.into())).ok_or_else(|| {
                Error::failed("this machine has no statically linked busybox")
                    .hint("on Debian: apt-get install busybox-static; or name a directory of programs with --toolbox")
            })
        }
    }
}

/// The shell that is there; None leaves an image its own command.
fn shell(tools: &Tools) -> Result<Option<Vec<String>>> {
    let found = match tools {
        Tools::Image => return Ok(None),
        Tools::Static(_) => Some("sh"),
        Tools::Tree(tree) => ["bash", "sh"].into_iter().find(|shell| {
            // Not followed: links lead elsewhere once the tree is a root.
            ["bin", "usr/bin"].iter().any(|bin| fs::symlink_metadata(tree.join(bin).join(shell)).is_ok())
        }),
    };
    match (found, tools) {
        (Some(shell), _) => Ok(Some(vec![shell.into()])),
        (None, Tools::Tree(tree)) => {
            Err(Error::failed(format!("there is no shell below {}", tree.display()))
                .hint("take one from an image (--image busybox) or a directory (--toolbox DIR)"))
        }
        (None, _) => Ok(None),
    }
}

fn in_memory(target: &str, options: &[&str]) -> MountRequest {
    MountRequest {
        kind: MountKind::Tmpfs,
        target: target.into(),
        tmpfs_options: options.iter().map(|option| option.to_string()).chain(["exec".to_owned()]).collect(),
        ..MountRequest::default()
    }
}

/// The environment that the target was started with, but for what the programs here need otherwise.
fn environment_of(target: &Container) -> Vec<String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Head {
        process: ProcessHead,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct ProcessHead {
        env: Vec<String>,
    }
    let head: Head = serde_json::from_slice(&target.raw.spec).unwrap_or_default();
    let own = |entry: &String| ["PATH=", "HOME=", "TERM=", "LD_"].iter().any(|lead| entry.starts_with(lead));
    head.process.env.into_iter().filter(|entry| entry.contains('=') && !own(entry)).collect()
}

/// The namespaces of the container that this one stands beside.
pub(super) async fn namespaces(engine: &Engine, beside: &Beside) -> Result<NamespacePaths> {
    let target = super::find(engine, &beside.target).await?;
    let pid = running_pid(&target)?;
    let path = |kind| Some(namespace::path(pid, kind));
    let ranges = |name| namespace::id_map(pid, name).into_iter().map(range).collect();
    Ok(NamespacePaths {
        network: path("net"),
        pid: path("pid"),
        ipc: path("ipc"),
        uts: path("uts"),
        user: namespace::is_another(pid, "user").then(|| UserNamespace {
            path: namespace::path(pid, "user"),
            uids: ranges("uid_map"),
            gids: ranges("gid_map"),
        }),
    })
}

fn range([inside, outside, count]: [u32; 3]) -> IdRange {
    IdRange { inside, outside, count }
}

/// Make the root of a container whose programs are not an image's: empty directories and links, over which the
/// runtime mounts the programs, read-only, where nobody but the container sees it. The request names it then.
pub(super) fn lay_out(engine: &Engine, id: &str, request: &mut ContainerRequest) -> Result<Vec<Mount>> {
    let Some(beside) = request.beside.clone().filter(|beside| beside.tools != Tools::Image) else {
        return Ok(Vec::new());
    };
    let directory = engine.paths.container(id);
    make_directory(&directory, 0o711)?;
    let root = directory.join(ROOT);
    make_directory(&root, 0o755)?;
    match &beside.tools {
        Tools::Image => {}
        Tools::Tree(tree) => request.mounts.extend(of_tree(tree, &root)?),
        Tools::Static(programs) => request.mounts.push(of_programs(programs, &root)?),
    }
    link(&root, TARGET, Path::new(&beside.files))?;
    // The runtime makes what is missing, as the root of the namespace that it joins.
    for made in [&root, &root.join("bin")].into_iter().filter(|made| made.is_dir() && !made.is_symlink()) {
        let (user, group) = (Some(beside.root.0), Some(beside.root.1));
        std::os::unix::fs::chown(made, user, group)
            .map_err(|cause| Error::io("change the owner of", made, cause))?;
    }
    request.image = root.display().to_string();
    // Through the shim, because our own directories are closed to other users.
    Ok(vec![Mount {
        kind: "bind".into(),
        source: request.image.clone(),
        options: vec!["bind".into(), "rw".into()],
        ..Mount::default()
    }])
}

/// Let the root of another user namespace make in an image what is missing for a start. The image's files stay
/// whose they are: everybody's to read.
pub(super) fn give(beside: &Beside, snapshot: &[Mount]) -> Result<()> {
    if beside.root == (0, 0) {
        return Ok(());
    }
    let root = Rootfs::writable(&spec::plain(snapshot))?;
    ["/", "/etc", "/dev"].iter().try_for_each(|place| root.give(place, beside.root))
}

/// What programs live by, each a mount of its own; links as they are.
fn of_tree(tree: &Path, root: &Path) -> Result<Vec<MountRequest>> {
    let mut mounts = Vec::new();
    for name in TREE {
        let path = tree.join(name);
        let Ok(data) = fs::symlink_metadata(&path) else { continue };
        if data.is_symlink() {
            let to = fs::read_link(&path).map_err(|cause| Error::io("read", &path, cause))?;
            link(root, name, &to)?;
        } else if data.is_dir() {
            mounts.push(bound(&path, &format!("/{name}")));
        }
    }
    Ok(mounts)
}

/// Programs that need nothing, at a place of their own, and links to them where a shell looks.
fn of_programs(programs: &Path, root: &Path) -> Result<MountRequest> {
    let bin = root.join("bin");
    make_directory(&bin, 0o755)?;
    let (mount, names) = if programs.is_dir() {
        let entries = fs::read_dir(programs).map_err(|cause| Error::io("read", programs, cause))?;
        let names = entries.flatten().filter(|entry| program::is_executable(&entry.path()));
        let names: Vec<_> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        (bound(programs, TOOLBOX), names)
    } else {
        let name = programs.file_name().and_then(|name| name.to_str()).unwrap_or("busybox").to_owned();
        (bound(programs, &format!("{TOOLBOX}/{name}")), vec![name])
    };
    for name in &names {
        link(&bin, name, &Path::new(TOOLBOX).join(name))?;
    }
    // It is many programs, each by another name; those that are there already come first.
    if let Some(busybox) = names.iter().find(|name| name.starts_with("busybox")) {
        let path = if programs.is_dir() { programs.join(busybox) } else { programs.to_path_buf() };
        let applets = program::applets(&path).map_err(|cause| Error::io("ask", &path, cause))?;
        for applet in applets.iter().filter(|applet| !names.contains(applet)) {
            link(&bin, applet, &Path::new(TOOLBOX).join(busybox))?;
        }
    }
    Ok(mount)
}

fn bound(source: &Path, target: &str) -> MountRequest {
    MountRequest {
        kind: MountKind::Bind,
        source: source.display().to_string(),
        target: target.into(),
        read_only: true,
        by_mount: true,
        ..MountRequest::default()
    }
}

fn link(directory: &Path, name: &str, to: &Path) -> Result<()> {
    let path = directory.join(name);
    symlink(to, &path).map_err(|cause| Error::io("create", &path, cause))
}
