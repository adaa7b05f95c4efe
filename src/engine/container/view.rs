//! A container's files from outside, whoever made it and whether or not it runs: its root file system with the
//! binds and volumes of its specification, as docker's `cp` sees them. What lies in the kernel's file systems
//! (/proc, /sys, /dev, tmpfs) is not part of it.
//!
//! A running container's root is the very mount that its shim has made on this machine's side (a second overlay
//! over the same directories is undefined behaviour, and /proc/PID/root is the container's to change; see
//! [`crate::sys::view`]). A stopped one's is mounted from its snapshot: to be read it is a layer like the others,
//! to be written the container is held still meanwhile.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::hold::hold;
use super::model::{Container, Status};
use super::{hung, spec};
use crate::engine::Engine;
use crate::engine::volume::{self, Unmounted};
use crate::error::{Error, Kind, Result};
use crate::oci::request::MountKind;
use crate::store::Lock;
use crate::sys::mount::{self, Access, Overlay};
use crate::sys::process::Process;
use crate::sys::view::{Bind, View, clone_of, is_mount_point};

/// The kernel's own file systems: what is mounted in there is no file of the container's.
const KERNELS: [&str; 3] = ["/dev", "/proc", "/sys"];

/// What of a container's files is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The root file system alone, to be read.
    Root,
    /// With its mounts, to be read.
    Files,
    /// With its mounts, to be written.
    Writable,
}

/// An open view. What must not happen to it meanwhile is held off.
#[derive(Debug)]
pub(super) struct Opened {
    /// The files.
    pub(super) view: View,
    /// Keeps a stopped container from being started.
    _held: Option<Lock>,
}

/// The few fields of a specification that tell where files are.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpecHead {
    root: RootHead,
    mounts: Vec<MountHead>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RootHead {
    path: PathBuf,
    readonly: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct MountHead {
    destination: PathBuf,
    r#type: String,
    source: PathBuf,
    options: Vec<String>,
}

impl MountHead {
    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known == option)
    }

    fn is_bind(&self) -> bool {
        (self.r#type == "bind" || self.has("bind") || self.has("rbind")) && self.is_file_of_container()
    }

    /// An image that is mounted.
    fn is_image(&self) -> bool {
        self.r#type == "overlay" && self.is_file_of_container()
    }

    fn is_file_of_container(&self) -> bool {
        let below_kernels = KERNELS.iter().any(|kernels| self.destination.starts_with(kernels));
        self.destination.is_absolute() && !below_kernels
    }
}

/// Open the files of a container.
pub(super) async fn open(engine: &Engine, container: &mut Container, wanted: Wanted) -> Result<Opened> {
    let directory = engine.paths.container(&container.id);
    let mut held = None;
    if wanted == Wanted::Writable && !container.status.is_alive() {
        held = hold(&directory).await?;
        *container = super::find(engine, &container.id).await?;
        if container.status.is_alive() {
            held = None;
        }
    }
    if container.status == Status::Unknown {
        return Err(hung::error(container));
    }
    let head: SpecHead = serde_json::from_slice(&container.raw.spec).unwrap_or_default();
    let access = if wanted == Wanted::Writable { Access::Write } else { Access::Read };
    let view = match wanted {
        Wanted::Root => View::of(root(engine, container, (&head, access)).await?),
        Wanted::Files | Wanted::Writable => {
            let lacking = wanted == Wanted::Files
                && !container.status.is_alive()
                && lacks_places(&View::of(root(engine, container, (&head, access)).await?), &head);
            if lacking {
                // It was never started: the places of its mounts are made as its start would.
                let _held = hold(&directory).await?;
                let root = root(engine, container, (&head, Access::Write)).await?;
                View::with_binds(root, binds(engine, container, &head)?, (true, false))?;
            }
            let root = root(engine, container, (&head, access)).await?;
            let read_only = head.root.readonly || access == Access::Read;
            let binds = binds(engine, container, &head)?;
            View::with_binds(root, binds, (access == Access::Write, read_only))?
        }
    };
    Ok(Opened { view, _held: held })
}

fn lacks_places(view: &View, head: &SpecHead) -> bool {
    head.mounts
        .iter()
        .filter(|mount| mount.is_image() || (mount.is_bind() && mount.source.exists()))
        .any(|mount| matches!(view.place(&mount.destination, true), Ok(None)))
}

/// The mount of the root file system.
async fn root(
    engine: &Engine,
    container: &Container,
    (head, access): (&SpecHead, Access),
) -> Result<std::os::fd::OwnedFd> {
    let raw = &container.raw;
    if raw.snapshot_key.is_empty() && (head.root.path.is_absolute() || !container.status.is_alive()) {
        if head.root.path.is_absolute() {
            return clone_of(&head.root.path, false, true);
        }
        return Err(Error::failed(format!(
            "container {} has no root file system of its own",
            container.name
        )));
    }
    if container.status.is_alive() {
        return clone_of(&live_root(container)?, false, false);
    }
    let mounts = engine.containerd.snapshot_mounts(&raw.snapshotter, &raw.snapshot_key).await?;
    mount::detached(&spec::plain(&mounts), access)
}

/// Where the shim has mounted a running container's root: in the bundle, beside its own working directory. No
/// container has a say in that path.
fn live_root(container: &Container) -> Result<PathBuf> {
    let lost = || {
        Error::failed(format!(
            "the root file system of container {} is not mounted on this machine",
            container.name
        ))
        .hint("its runtime keeps it elsewhere, or its shim is gone: stop the container and try again")
    };
    let shim = Process::read(container.pid).ok_or_else(|| {
        Error::new(Kind::Conflict, format!("container {} has just ended: try again", container.name))
    })?;
    let bundle = std::fs::read_link(format!("/proc/{}/cwd", shim.ppid)).map_err(|_| lost())?;
    // One shim may serve a whole pod: bundles lie side by side.
    let rootfs = bundle.parent().unwrap_or(Path::new("/")).join(&container.id).join("rootfs");
    if is_mount_point(&rootfs) { Ok(rootfs) } else { Err(lost()) }
}

/// Clones of what is mounted in a container from this machine. A source that is gone is left out.
fn binds(engine: &Engine, container: &Container, head: &SpecHead) -> Result<Vec<Bind>> {
    let known = container.record.as_ref().map(|record| record.mounts.as_slice()).unwrap_or_default();
    let volumes = engine.paths.volumes();
    let mut binds = Vec::new();
    for mount in &head.mounts {
        if mount.is_image() {
            let layers = Overlay::parse(&mount.options);
            let source = mount::overlay(&layers, Access::Read)?;
            binds.push(Bind { source, target: mount.destination.clone(), read_only: true });
        }
        if !mount.is_bind() {
            continue;
        }
        let read_only = mount.has("ro") || mount.has("rro");
        let target = mount.destination.clone();
        let volume = known.iter().find(|known| {
            known.kind == MountKind::Volume && Path::new(&known.target) == mount.destination.as_path()
        });
        match volume.map(|known| volume::unmounted(engine, known, &mount.source)).transpose()? {
            Some(Unmounted::Here(source)) => {
                binds.push(Bind { source, target, read_only });
                continue;
            }
            Some(Unmounted::Nowhere) => continue,
            Some(Unmounted::Not) | None => {}
        }
        // Containers write into volumes: a link that one puts there must not lead this machine's files in here.
        let ours = mount.source.starts_with(&volumes);
        let source = match clone_of(&mount.source, !mount.has("bind"), !ours) {
            Err(error) if ours || error.kind == Kind::NotFound => continue,
            other => other?,
        };
        binds.push(Bind { source, target, read_only });
    }
    Ok(binds)
}
