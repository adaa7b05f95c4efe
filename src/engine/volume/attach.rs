//! Volumes that have to be mounted before a container can: those whose options name a device, and parts of volumes.
//! Each is mounted when its first container starts and taken off after its last one. Who uses what is told by
//! entries below /run, which a reboot takes away together with the mounts; one of a container that does not run is
//! no use. Nothing here is ever removed with what lies in it: a mount that is still there would lose its files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};

use super::{Volume, get, options};
use crate::containerd::TaskStatus;
use crate::engine::Engine;
use crate::engine::container::ResolvedMount;
use crate::error::{Error, Kind, Result};
use crate::oci::request::MountKind;
use crate::store::{Lock, make_directory};
use crate::sys::local_mount::unmount_all;
use crate::sys::rootfs::Rootfs;
use crate::sys::view::{attach_clone, clone_of_place, is_directory, is_mount_point};

/// How long a shim may take to tell whether its container runs.
const ANSWER: Duration = Duration::from_secs(1);

/// Where the part of a volume that is the mount number `number` of the container `id` is found while it runs.
pub fn place(engine: &Engine, volume: &str, (id, number): (&str, usize)) -> PathBuf {
    engine.paths.volume_mounts().join(volume).join(format!("{id}.{number}"))
}

/// Mount what the container `id` needs of its volumes. The caller holds the container still until its task is
/// there.
///
/// # Errors
/// docker's words.
pub fn attach(engine: &Engine, id: &str, mounts: &[ResolvedMount]) -> Result<()> {
    let volumes = mounts.iter().enumerate().filter(|(_, mount)| mount.kind == MountKind::Volume);
    for (number, mount) in volumes {
        let volume = match get(engine, &mount.name) {
            // The runtime says so in its own words.
            Err(error) if error.kind == Kind::NotFound && mount.subpath.is_none() => continue,
            found => found?,
        };
        let elsewhere = options::local_mount(&volume.options);
        if elsewhere.is_none() && mount.subpath.is_none() {
            continue;
        }
        let (directory, _lock) = locked(engine, &volume.name)?;
        if let Some(elsewhere) = elsewhere {
            // First: whoever ends meanwhile sees that it is used.
            let mark = directory.join(id);
            std::fs::write(&mark, "").map_err(|cause| Error::io("write", &mark, cause))?;
            let data = volume.data();
            if !is_mount_point(&data) {
                elsewhere.attach(&data).map_err(|error| {
                    error.context(format!("error while mounting volume '{}'", data.display()))
                })?;
            }
        }
        if let Some(subpath) = &mount.subpath {
            attach_part(&volume, subpath, &place(engine, &volume.name, (id, number)))?;
        }
    }
    Ok(())
}

/// Mount a directory or file of a volume. What lies in a volume was written by containers: it is looked up at each
/// start, no link leads out of it, and what was found is what is mounted.
fn attach_part(volume: &Volume, subpath: &str, target: &Path) -> Result<()> {
    let failed = |cause: rustix::io::Errno| Error::io("mount", target, cause);
    let found = Rootfs::at(&volume.data())?.place(subpath).map_err(failed)?;
    let found = found.ok_or_else(|| missing(&volume.name, subpath))?;
    let clone = clone_of_place(&found, true).map_err(failed)?;
    unmount_all(target, true).map_err(failed)?;
    // What an earlier start has left, of whatever kind.
    remove_place(target);
    if is_directory(&found).map_err(failed)? {
        make_directory(target, 0o700)?;
    } else {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(target, flags, Mode::RUSR).map_err(failed)?;
    }
    attach_clone(&clone, target).map_err(failed)
}

/// docker's error for a part that is not there.
pub(in crate::engine) fn missing(volume: &str, subpath: &str) -> Error {
    Error::not_found(format!("cannot access path {subpath} of volume {volume}: no such file or directory"))
}

/// The container `id` does not run: what was mounted for it goes, unless others use it. What cannot go now goes
/// with the volume, or with the next container of it.
pub async fn release(engine: &Engine, id: &str) {
    for entry in std::fs::read_dir(engine.paths.volume_mounts()).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let known = entries(&entry.path());
        if known.is_empty() {
            // Who was killed had noted nothing yet; who is about to has the lock.
            if let Ok(Some(_held)) = Lock::try_directory(&entry.path()) {
                let _ = std::fs::remove_dir(entry.path());
            }
        } else if known.iter().any(|known| owner(known) == id)
            && let Ok((directory, _lock)) = locked(engine, &name)
        {
            for known in entries(&directory).iter().filter(|known| owner(known) == id) {
                let _ = remove_mark(&directory.join(known));
            }
            let _ = tidy(engine, &name, &directory).await;
        }
    }
}

/// Nobody shall use the volume any more: what is mounted of it goes.
///
/// # Errors
/// [`Kind::Conflict`] where that is not possible.
pub(super) async fn detach(engine: &Engine, volume: &Volume) -> Result<()> {
    let is_noted = engine.paths.volume_mounts().join(&volume.name).exists();
    if volume.nerdctls || (!is_noted && !volume.is_mounted_from_elsewhere()) {
        return Ok(());
    }
    let (directory, _lock) = locked(engine, &volume.name)?;
    tidy(engine, &volume.name, &directory).await?;
    if is_mount_point(&volume.data()) && volume.is_mounted_from_elsewhere() {
        return Err(Error::conflict(format!("remove {}: volume is in use - [it is mounted]", volume.name)));
    }
    Ok(())
}

/// Forget containers that do not run, and take the volume off when none is left. The caller has the lock.
async fn tidy(engine: &Engine, name: &str, directory: &Path) -> Result<()> {
    let mut used = false;
    for known in entries(directory) {
        if is_alive(engine, owner(&known)).await {
            used = true;
        } else {
            remove_mark(&directory.join(&known))?;
        }
    }
    if used {
        return Ok(());
    }
    if let Ok(volume) = get(engine, name)
        && volume.is_mounted_from_elsewhere()
    {
        let data = volume.data();
        unmount_all(&data, false).map_err(|cause| {
            Error::conflict(format!(
                "remove {name}: unmount {}: {}",
                data.display(),
                crate::error::reason(&cause.into())
            ))
            .hint(format!("a program of this machine is in it: `fuser -vm {}` shows which", data.display()))
        })?;
    }
    // One that is not empty stays.
    let _ = std::fs::remove_dir(directory);
    Ok(())
}

/// The directory of what is mounted of a volume, and its lock.
fn locked(engine: &Engine, volume: &str) -> Result<(PathBuf, Lock)> {
    let directory = engine.paths.volume_mounts().join(volume);
    loop {
        make_directory(&directory, 0o700)?;
        let lock = match Lock::directory(&directory) {
            Err(error) if error.kind == Kind::NotFound => continue,
            lock => lock?,
        };
        if lock.is_of(&directory) {
            return Ok((directory, lock));
        }
    }
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The container of an entry: `ID` or `ID.NUMBER`.
fn owner(entry: &str) -> &str {
    entry.split('.').next().unwrap_or_default()
}

/// Whether a container runs, or is being started at this moment.
async fn is_alive(engine: &Engine, id: &str) -> bool {
    if matches!(Lock::try_directory(&engine.paths.container(id)), Ok(None)) {
        return true;
    }
    match engine.containerd.task(id, Some(ANSWER)).await {
        Ok(task) => task.status != TaskStatus::Stopped,
        Err(error) => !error.is_not_found(),
    }
}

fn remove_mark(path: &Path) -> Result<()> {
    unmount_all(path, true).map_err(|cause| Error::io("unmount", path, cause))?;
    remove_place(path);
    Ok(())
}

/// An empty directory, or a file; never what is in it.
fn remove_place(path: &Path) {
    if std::fs::remove_dir(path).is_err() {
        let _ = std::fs::remove_file(path);
    }
}
