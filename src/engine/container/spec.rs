//! Looks up what a specification needs of this machine and of the image's files, then has `oci` write it.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Process, Spec};

use super::files::Files;
use super::model::{Container, Record};
use super::mounts::Mounted;
use super::{cdi, sharing};
use crate::containerd::{Extension, Mount};
use crate::engine::Engine;
use crate::engine::image::ResolvedImage;
use crate::error::{Error, Kind, Result};
use crate::oci::cdi::Edits;
use crate::oci::cgroups::{self, Driver};
use crate::oci::devices::GrantedDevice;
use crate::oci::namespaces::NamespacePaths;
use crate::oci::request::{ContainerRequest, ExecRequest, NetworkMode};
use crate::oci::resources::{BlockDevices, settle};
use crate::oci::spec::{SpecInput, spec};
use crate::oci::user::{self, ResolvedUser};
use crate::oci::{exec, process, special};
use crate::sys::host::{Host, all_devices, device_nodes, device_number};
use crate::sys::mount;
use crate::sys::rootfs::Rootfs;

/// Where programs are.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
/// The default runtime's options type, for those that have any.
const RUNC_OPTIONS: &str = "containerd.runc.v1.Options";

/// A look at a snapshot's files; nothing is mounted anywhere.
pub(super) fn rootfs(mounts: &[Mount]) -> Result<Rootfs> {
    Rootfs::from_mounts(&plain(mounts))
}

pub(in crate::engine) fn plain(mounts: &[Mount]) -> Vec<mount::Mount> {
    mounts
        .iter()
        .map(|mount| mount::Mount {
            kind: mount.kind.clone(),
            source: mount.source.clone(),
            options: mount.options.clone(),
        })
        .collect()
}

/// The specification of a new container, and what of the request this machine cannot do.
pub(super) async fn build(
    engine: &Engine,
    id: &str,
    record: &mut Record,
    image: &ResolvedImage,
    (look, mounted): (&Rootfs, &[Mounted]),
) -> Result<(Spec, Vec<String>)> {
    let host = Host::gather();
    let (settled, warnings) = settle(&record.request.resources, &host)?;
    record.request.resources = settled;
    if special::for_systemd(&record.request, &record.command) {
        let stop_signal = &mut record.request.stop_signal;
        stop_signal.get_or_insert_with(|| special::SYSTEMD_STOP_SIGNAL.into());
    }
    let request = &record.request;
    let config = image.config.config().as_ref();
    let user = resolve_user(look, process::user(request, config), &request.group_add)?;
    let (devices, block_devices) = devices(request)?;
    let host_devices = if request.security.privileged { all_devices()? } else { Vec::new() };
    let namespaces = sharing::expected(engine, id, request).await?;
    let files = Files::of(engine, id, request).await?;
    // containerd's runc makes directories unless an option tells it to go through systemd.
    let cgroups_path = cgroups::path(Driver::Cgroupfs, request.cgroup_parent.as_deref(), id)?;
    let init = if request.init { Some(init_program(request.special.init_binary.as_deref())?) } else { None };
    let shm = sharing::shared_memory(engine, id, request).await?;
    let edits = cdi::edits(&engine.config.cdi_spec_dirs, &request.resources.device_requests)?;
    let mounts: Vec<_> = mounted.iter().map(Mounted::in_spec).collect();
    let built = spec(&SpecInput {
        id,
        request,
        image: config,
        user: &user,
        host: &host,
        // What the shim mounts is in the bundle.
        rootfs: Path::new(if request.rootfs && request.beside.is_none() {
            request.image.as_str()
        } else {
            "rootfs"
        }),
        namespaces: &namespaces,
        files: files.for_spec(),
        mounts: &mounts,
        devices: &devices,
        host_devices: &host_devices,
        block_devices: &block_devices,
        cgroups_path: &cgroups_path,
        init: init.as_deref(),
        shm: shm.as_deref(),
        console_size: None,
        recursive_read_only: true,
    })?;
    Ok((extended(built, request, &edits, &record.command)?, warnings))
}

/// The specification with what goes beyond docker's own form.
fn extended(spec: Spec, request: &ContainerRequest, edits: &Edits, command: &[String]) -> Result<Spec> {
    if !special::wanted(request, command) && *edits == Edits::default() {
        return Ok(spec);
    }
    let odd = |cause| Error::failed(format!("extend the runtime specification: {cause}"));
    let mut json = serde_json::to_value(spec).map_err(odd)?;
    special::apply(&mut json, request, command)?;
    special::apply_edits(&mut json, edits)?;
    serde_json::from_value(json).map_err(odd)
}

pub(super) fn resolve_user(look: &Rootfs, wanted: &str, groups: &[String]) -> Result<ResolvedUser> {
    // What cannot be read, a FIFO or a device put there by the container, has no entries, as with docker:
    // numbers need none.
    let passwd = look.read(user::PASSWD, user::MAX_FILE).unwrap_or_default();
    let group = look.read(user::GROUP, user::MAX_FILE).unwrap_or_default();
    user::resolve(wanted, groups, passwd.as_deref(), group.as_deref())
}

fn devices(request: &ContainerRequest) -> Result<(Vec<GrantedDevice>, BlockDevices)> {
    let mut granted = Vec::new();
    for wanted in &request.resources.devices {
        let nodes = device_nodes(Path::new(&wanted.host), Path::new(&wanted.container));
        // docker's code for a start that misses a file.
        let missing = |error: Error| match error.message.ends_with("no such file or directory") {
            true => Error { kind: Kind::CommandNotFound, ..error },
            false => error,
        };
        for device in nodes.map_err(missing)? {
            granted.push(GrantedDevice { device, permissions: wanted.permissions.clone() });
        }
    }
    let limits = &request.resources;
    let rates = [
        &limits.device_read_bps,
        &limits.device_write_bps,
        &limits.device_read_iops,
        &limits.device_write_iops,
    ];
    let named = rates.into_iter().flatten().map(|(path, _)| path);
    let named = named.chain(limits.blkio_weight_device.iter().map(|(path, _)| path));
    let mut numbers = BlockDevices::new();
    for path in named {
        numbers.insert(path.clone(), device_number(Path::new(path))?);
    }
    Ok((granted, numbers))
}

pub(super) async fn namespaces(
    engine: &Engine,
    id: &str,
    request: &ContainerRequest,
) -> Result<NamespacePaths> {
    if let Some(beside) = &request.beside {
        return super::debug::namespaces(engine, beside).await;
    }
    let network = match &request.network.mode {
        NetworkMode::Bridge => Some(super::network::path(engine, id)),
        NetworkMode::Container(other) => Some(of_container(engine, other, "net").await?),
        NetworkMode::Host | NetworkMode::None => None,
    };
    let mut paths = NamespacePaths { network, ..NamespacePaths::default() };
    if let Some(other) = shared_with(request.namespaces.pid.as_deref()) {
        paths.pid = Some(of_container(engine, other, "pid").await?);
    }
    if let Some(other) = shared_with(request.namespaces.ipc.as_deref()) {
        paths.ipc = Some(of_container(engine, other, "ipc").await?);
    }
    Ok(paths)
}

/// The other container of `container:X`.
pub(super) fn shared_with(setting: Option<&str>) -> Option<&str> {
    setting.and_then(|setting| setting.strip_prefix("container:"))
}

/// A namespace of another container, which must run.
pub(super) async fn of_container(engine: &Engine, reference: &str, kind: &str) -> Result<PathBuf> {
    let other = super::find(engine, reference).await?;
    if other.pid == 0 {
        let message = match kind {
            "net" => format!("cannot join network namespace of a non running container: {}", other.id),
            _ => format!("container {} is not running", other.id),
        };
        return Err(Error::conflict(message).hint(format!("start it first: wharfie start {}", other.name)));
    }
    Ok(PathBuf::from(format!("/proc/{}/ns/{kind}", other.pid)))
}

/// The program of `--init`: the one asked for, a path or a name on PATH, or a known one.
fn init_program(wanted: Option<&str>) -> Result<PathBuf> {
    if let Some(wanted) = wanted {
        let found = match wanted.contains('/') {
            true => Some(PathBuf::from(wanted)),
            false => {
                PATH.iter().map(|directory| Path::new(directory).join(wanted)).find(|path| path.is_file())
            }
        };
        return found.filter(|path| path.is_file()).ok_or_else(|| {
            Error::failed(format!("init binary {wanted:?} not found"))
                .hint("--init-binary takes a path, or a name on PATH")
        });
    }
    const PROGRAMS: [&str; 4] = ["docker-init", "tini-static", "tini", "catatonit"];
    let directories = || PATH.iter().chain(&["/usr/libexec/docker"]);
    let mut places =
        PROGRAMS.iter().flat_map(|name| directories().map(move |directory| Path::new(directory).join(name)));
    places.find(|path| path.is_file()).ok_or_else(|| {
        Error::failed(format!(
            "--init needs an init program on this machine, and none of {} is in {}",
            PROGRAMS.join(", "),
            directories().copied().collect::<Vec<_>>().join(", ")
        ))
        .hint("on Debian: apt-get install tini; or name one with --init-binary")
    })
}

/// The runtime's name for containerd, and its options: `--runtime` takes either a name of containerd's form or
/// the path or name of an OCI runtime that runc's shim starts.
pub(super) fn runtime(engine: &Engine, wanted: Option<&str>) -> (String, Option<Extension>) {
    let wanted = wanted.unwrap_or(&engine.config.runtime);
    match wanted {
        "" | "runc" => ("io.containerd.runc.v2".into(), None),
        name if name.matches('.').count() >= 2 && !name.contains('/') => (name.to_owned(), None),
        program => ("io.containerd.runc.v2".into(), Some(runc_options(program))),
    }
}

/// Refuses a runtime by name that is nowhere: the shim would say so in words of its own.
pub(super) fn check_runtime(wanted: Option<&str>) -> Result<()> {
    let Some(name) = wanted.filter(|name| !name.is_empty() && *name != "runc") else { return Ok(()) };
    let of_containerd = name.matches('.').count() >= 2 && !name.contains('/');
    let found = match name.contains('/') {
        true => Path::new(name).is_file(),
        false => PATH.iter().any(|directory| Path::new(directory).join(name).is_file()),
    };
    if of_containerd || found {
        return Ok(());
    }
    Err(Error::failed(format!("unknown or invalid runtime name: {name}"))
        .hint("--runtime takes a name of containerd's (io.containerd.runc.v2), or a program's name or path"))
}

/// containerd's runc options with just `binary_name`, field 6 of the message (api/types/runc/options/oci.proto).
fn runc_options(program: &str) -> Extension {
    const BINARY_NAME: u8 = 6 << 3 | 2;
    let mut value = vec![BINARY_NAME];
    let mut length = program.len();
    while length >= 0x80 {
        value.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    value.push(length as u8);
    value.extend_from_slice(program.as_bytes());
    Extension { type_url: RUNC_OPTIONS.into(), value }
}

/// The process of an exec in a running container.
pub(super) fn exec_process(container: &Container, request: &ExecRequest) -> Result<Process> {
    let spec: Spec = serde_json::from_slice(&container.raw.spec).map_err(|cause| {
        Error::failed(format!("the specification of container {} cannot be read: {cause}", container.name))
    })?;
    let user = match request.user.as_deref().filter(|user| !user.is_empty()) {
        Some(wanted) => Some(resolve_user(&Rootfs::of_process(container.pid)?, wanted, &[])?),
        None => None,
    };
    exec::process(&spec, request, user.as_ref(), Host::gather().capabilities)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_name_is_encoded_as_protobuf_does() {
        assert_eq!(runc_options("crun").value, [0x32, 4, b'c', b'r', b'u', b'n']);
        assert_eq!(runc_options(&"x".repeat(200)).value[..3], [0x32, 0xc8, 0x01]);
    }
}
