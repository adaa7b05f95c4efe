//! What containers have of one another: namespaces, shared memory. Names become ids when a container is made;
//! what they stand for is looked up at each start, because a process id is another one after a restart.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{LinuxNamespaceType as Kind, Spec};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use serde_json::Value;

use super::links;
use super::model::{Container, Record};
use super::spec::{namespaces, shared_with};
use crate::engine::Engine;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::oci::namespaces::NamespacePaths;
use crate::oci::request::{ContainerRequest, NetworkMode};
use crate::store::make_directory;

/// docker's size of /dev/shm, in bytes.
const SHM_SIZE: u64 = 64 << 20;
/// The directory of a shareable container's shared memory, in its run directory.
const SHM: &str = "shm";

/// Replace the names of other containers by their ids, because names can move, and `host-gateway` where the
/// settings of this command say what it is.
pub(super) async fn resolve(engine: &Engine, request: &mut ContainerRequest) -> Result<()> {
    if let Some(gateway) = engine.config.host_gateway {
        for (_, address) in request.network.extra_hosts.iter_mut().filter(|(_, to)| to == "host-gateway") {
            *address = gateway.to_string();
        }
    }
    // Looked up already by who made the request.
    if request.beside.is_some() {
        return Ok(());
    }
    for setting in [&mut request.namespaces.pid, &mut request.namespaces.ipc].into_iter().flatten() {
        if let Some(reference) = shared_with(Some(setting)) {
            *setting = format!("container:{}", super::find(engine, reference).await?.id);
        }
    }
    links::resolve(engine, request).await
}

/// Whether a start has to look at other containers first.
fn depends(request: &ContainerRequest) -> bool {
    matches!(request.network.mode, NetworkMode::Container(_))
        || shared_with(request.namespaces.pid.as_deref()).is_some()
        || shared_with(request.namespaces.ipc.as_deref()).is_some()
        || !request.links.is_empty()
}

/// Bring the specification up to date with the containers that it shares something with, and make the shared
/// memory that it shows to others. Before the task is made.
///
/// # Errors
/// docker's words for a container that does not run or does not share.
pub(super) async fn refresh(engine: &Engine, container: &mut Container, record: &Record) -> Result<()> {
    let request = &record.request;
    if is_shareable(request) {
        let size = request.resources.shm_size.filter(|size| *size > 0).unwrap_or(SHM_SIZE);
        mount(&engine.paths.container_run(&container.id), size)?;
    }
    if !depends(request) {
        return Ok(());
    }
    let unreadable = |cause| {
        Error::failed(format!("the specification of container {} is damaged: {cause}", container.name))
    };
    let before: Value = serde_json::from_slice(&container.raw.spec).map_err(unreadable)?;
    let mut spec = before.clone();
    let paths = namespaces(engine, &container.id, request).await?;
    for namespace in spec["linux"]["namespaces"].as_array_mut().into_iter().flatten() {
        let path = match namespace["type"].as_str() {
            Some("network") if matches!(request.network.mode, NetworkMode::Container(_)) => &paths.network,
            Some("pid") => &paths.pid,
            Some("ipc") => &paths.ipc,
            Some("uts") => &paths.uts,
            _ => &None,
        };
        if let Some(path) = path {
            namespace["path"] = path.display().to_string().into();
        }
    }
    if let Some(source) = shared_memory(engine, &container.id, request).await? {
        let mounts = spec["mounts"].as_array_mut().into_iter().flatten();
        for mount in mounts.filter(|mount| mount["destination"] == "/dev/shm" && mount["type"] == "bind") {
            mount["source"] = source.display().to_string().into();
        }
    }
    links::refresh(engine, container, record, &mut spec).await?;
    if spec != before {
        container.raw.spec = serde_json::to_vec(&spec)
            .map_err(|cause| Error::failed(format!("write the specification: {cause}")))?;
        engine.containerd.update_container(&container.raw, &["spec"]).await?;
    }
    Ok(())
}

/// Namespaces as far as they are there: a container may be made before those that it joins run.
pub(super) async fn expected(
    engine: &Engine,
    id: &str,
    request: &ContainerRequest,
) -> Result<NamespacePaths> {
    match namespaces(engine, id, request).await {
        Err(error) if error.kind == ErrorKind::Conflict && request.beside.is_none() => {}
        found => return found,
    }
    // Replaced at the start, which fails where they are not there by then.
    let later = |kind: &str| PathBuf::from(format!("/proc/0/ns/{kind}"));
    Ok(NamespacePaths {
        network: match &request.network.mode {
            NetworkMode::Bridge => Some(super::network::path(engine, id)),
            NetworkMode::Container(_) => Some(later("net")),
            NetworkMode::Host | NetworkMode::None => None,
        },
        pid: shared_with(request.namespaces.pid.as_deref()).map(|_| later("pid")),
        ipc: shared_with(request.namespaces.ipc.as_deref()).map(|_| later("ipc")),
        ..NamespacePaths::default()
    })
}

fn is_shareable(request: &ContainerRequest) -> bool {
    request.namespaces.ipc.as_deref() == Some("shareable")
}

/// Where /dev/shm is not a file system of the container's own: that of the container it shares with, or the one
/// that it shows to others.
pub(super) async fn shared_memory(
    engine: &Engine,
    id: &str,
    request: &ContainerRequest,
) -> Result<Option<PathBuf>> {
    if is_shareable(request) {
        return Ok(Some(engine.paths.container_run(id).join(SHM)));
    }
    let Some(other) = shared_with(request.namespaces.ipc.as_deref()) else { return Ok(None) };
    let other = super::find(engine, other).await?;
    let spec: Spec = serde_json::from_slice(&other.raw.spec).map_err(|cause| {
        Error::failed(format!("the specification of container {} is damaged: {cause}", other.name))
    })?;
    let is_ipc = |namespace: &oci_spec::runtime::LinuxNamespace| namespace.typ() == Kind::Ipc;
    let private = spec.linux().iter().flat_map(|linux| linux.namespaces()).flatten().any(is_ipc);
    let mut mounts = spec.mounts().iter().flatten();
    // Whoever made it: a host's directory can be mounted once more, its own file system cannot.
    let shm = mounts.find(|mount| mount.destination() == Path::new("/dev/shm"));
    let bound =
        shm.filter(|mount| mount.typ().as_deref() != Some("tmpfs")).and_then(|mount| mount.source().clone());
    match bound {
        Some(source) => Ok(Some(source)),
        None if !private => Ok(Some("/dev/shm".into())),
        // Its semaphores and queues are there all the same; the files are below its root.
        None if request.beside.is_some() => Ok(None),
        None => Err(Error::conflict(format!(
            "can't join IPC of container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
            other.id
        ))
        .hint(format!("make {} anew with --ipc shareable", other.name))),
    }
}

/// A file system in memory at `<run directory>/shm`.
fn mount(run_directory: &Path, size: u64) -> Result<()> {
    let path = run_directory.join(SHM);
    unmount(run_directory)?;
    make_directory(run_directory, 0o700)?;
    make_directory(&path, 0o700)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = std::ffi::CString::new(format!("mode=1777,size={size}")).unwrap_or_default();
    rustix::mount::mount("shm", &path, "tmpfs", flags, Some(options.as_c_str()))
        .map_err(|cause| Error::io("mount shared memory on", &path, cause))
}

/// Take the shared memory off, where there is any; before the run directory can be removed.
pub(super) fn unmount(run_directory: &Path) -> Result<()> {
    let path = run_directory.join(SHM);
    loop {
        match rustix::mount::unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
            // More than one mount can lie on a path.
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(cause) => return Err(Error::io("unmount", &path, cause)),
        }
    }
}
