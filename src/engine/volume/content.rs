//! A volume's content as a tar: out with everything a file has, and in whole or not at all.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::make::{self, Stage};
use super::{Volume, get, options, sweep};
use crate::engine::Engine;
use crate::engine::container::ResolvedMount;
use crate::error::{Error, Result};
use crate::image::archive::{TreeWriter, read_tree};
use crate::sys::local_mount::LocalMount;
use crate::sys::rootfs::Rootfs;
use crate::sys::tree::{
    Body, Entry, Links, Owner, Present, Put, Sink, Start, adopt, below, conflict, path_of, walk_whole,
};
use crate::sys::view::{clone_of_place, is_mount_point};

/// Write everything in the volume `name` into `output`, the owner and mode of its own directory first.
///
/// # Errors
/// No such volume; memory that no container uses, which holds nothing.
pub fn export(engine: &Engine, name: &str, output: &mut (dyn Write + Send)) -> Result<()> {
    sweep(engine)?;
    let volume = get(engine, name)?;
    let root = root(&volume)?;
    let mut writer = TreeWriter::whole(output);
    walk_whole(root, &Start { name: "".into(), shown: volume.data() }, &mut Named(&mut writer))?;
    writer.finish()
}

/// The top of a tree has no name of its own; in an archive it is `./`, and so is what leads the others.
struct Named<'a>(&'a mut dyn Sink);

impl Sink for Named<'_> {
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
        if entry.name.as_os_str().is_empty() {
            return self.0.put(&Entry { name: "./".into(), ..entry.clone() }, body);
        }
        self.0.put(entry, body)
    }
}

/// Put the entries of a tar, plain or compressed, into the volume `name`. What it had stays, but for files of the
/// same names. The archive is read to its end, and found to be good, before anything of the volume changes. Gives
/// the devices that were left out, the first few.
///
/// # Errors
/// No such volume; an archive that is damaged, leads out of the volume, or has a directory where the volume has a
/// file.
pub fn import(engine: &Engine, name: &str, input: impl Read) -> Result<Vec<PathBuf>> {
    sweep(engine)?;
    let volume = get(engine, name)?;
    if volume.is_mounted_from_elsewhere() {
        return import_elsewhere(&volume, input);
    }
    let stage = Stage::beside(&volume)?;
    let skipped = fill(stage.path(), &volume.data(), input)?;
    let Some(_locks) = make::locked(&volume)? else {
        return Err(Error::not_found(format!("get {name}: no such volume"))
            .hint("another command has removed it meanwhile"));
    };
    make::finish(&volume)?;
    agree(&volume, stage.path(), &volume.data())?;
    stage.finish(Present::Replaced)?;
    Ok(skipped)
}

/// What lies on another file system is put together there, in a directory that no link can lead out of. A locked
/// directory here tells the next command which one it was when this one is killed.
fn import_elsewhere(volume: &Volume, input: impl Read) -> Result<Vec<PathBuf>> {
    let mark = Stage::beside(volume)?;
    let root = root(volume)?;
    let top = path_of(&root);
    let [begun, ready] = staged_elsewhere(&top, mark.path());
    std::fs::create_dir(&begun).map_err(|cause| Error::io("create", &begun, cause))?;
    let outcome = fill(&begun, &top, input).and_then(|skipped| {
        agree(volume, &begun, &top)?;
        std::fs::rename(&begun, &ready).map_err(|cause| Error::io("create", &ready, cause))?;
        crate::sys::tree::merge(&ready, &top, Present::Replaced)?;
        Ok(skipped)
    });
    let removed = remove(&begun).and_then(|()| remove(&ready));
    let skipped = outcome?;
    removed.map(|()| skipped)
}

/// Where an import is put together below `top`, by its mark in the volume's directory: while it comes, and when it
/// is whole.
fn staged_elsewhere(top: &Path, mark: &Path) -> [PathBuf; 2] {
    let name = mark.file_name().unwrap_or_default().to_string_lossy().replacen('.', "-", 1);
    ["", ".ready"].map(|end| top.join(format!(".wharfie{name}{end}")))
}

/// Go on where an import of that mark was killed: what was whole goes into the volume, the rest goes away.
///
/// # Errors
/// What lies elsewhere cannot be reached at this moment.
pub(super) fn settle_elsewhere(volume: &Volume, mark: &Path) -> Result<()> {
    let gone = |mount: LocalMount| mount.is_memory() && !is_mount_point(&volume.data());
    let Some(mount) = options::local_mount(&volume.options) else { return Ok(()) };
    if gone(mount) {
        return Ok(());
    }
    let root = root(volume)?;
    let top = path_of(&root);
    let [begun, ready] = staged_elsewhere(&top, mark);
    if ready.is_dir() {
        crate::sys::tree::merge(&ready, &top, Present::Replaced)?;
    }
    remove(&begun)?;
    remove(&ready)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, cause)),
        _ => Ok(()),
    }
}

/// Write an archive into `stage`, which stands for `data`.
fn fill(stage: &Path, data: &Path, input: impl Read) -> Result<Vec<PathBuf>> {
    let open = || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(stage, flags, Mode::empty()).map_err(|cause| Error::io("open", stage, cause))
    };
    let put = Put::new(open()?, Path::new(""), Path::new("/"), (Links::Refuse, Owner::Kept)).whole();
    let mut watched = Watched { put, top: None, told: HashSet::new() };
    read_tree(input, &mut watched)?;
    let skipped = watched.put.finish()?;
    adopt(stage, data, &watched.told)?;
    if let Some(entry) = &watched.top {
        entry.give(&open()?).map_err(|cause| Error::io("change", data, cause))?;
    }
    Ok(skipped)
}

fn agree(volume: &Volume, stage: &Path, data: &Path) -> Result<()> {
    match conflict(stage, data)? {
        None => Ok(()),
        Some(path) => Err(Error::conflict(format!(
            "import {}: {} is a directory on one side and none on the other",
            volume.name,
            path.display()
        ))
        .hint("nothing was changed; remove it from the volume first, or import into a new one")),
    }
}

/// Remembers which directories an archive tells of, and what it says of the volume's own.
struct Watched {
    put: Put,
    top: Option<Entry>,
    told: HashSet<PathBuf>,
}

impl Sink for Watched {
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
        if entry.is_directory()
            && let Some(path) = below(&entry.name)
        {
            if path.as_os_str().is_empty() {
                self.top = Some(entry.clone());
            }
            self.told.insert(path);
        }
        self.put.put(entry, body)
    }
}

/// The top of a volume's files, wherever they lie.
pub(super) fn root(volume: &Volume) -> Result<OwnedFd> {
    let data = volume.data();
    if let Some(mount) = options::local_mount(&volume.options).filter(|_| !is_mount_point(&data)) {
        if mount.is_memory() {
            return Err(Error::conflict(format!(
                "volume {} is in memory: it has files only while a container with it runs",
                volume.name
            )));
        }
        return mount.detached(&data);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(&data, flags, Mode::empty()).map_err(|cause| Error::io("open", &data, cause))
}

/// Where a container's volume is while nothing is mounted for the container.
#[derive(Debug)]
pub(in crate::engine) enum Unmounted {
    /// Where its specification says.
    Not,
    /// Here, mounted nowhere.
    Here(OwnedFd),
    /// It has no files at this moment.
    Nowhere,
}

/// Where the volume of `mount` is, which a container that runs has at the path `at` of this machine.
pub(in crate::engine) fn unmounted(engine: &Engine, mount: &ResolvedMount, at: &Path) -> Result<Unmounted> {
    let Ok(volume) = get(engine, &mount.name) else { return Ok(Unmounted::Not) };
    if is_mount_point(at) {
        return Ok(Unmounted::Not);
    }
    match (options::local_mount(&volume.options), &mount.subpath) {
        (None, None) => Ok(Unmounted::Not),
        (Some(elsewhere), None) if !elsewhere.is_memory() => elsewhere.detached(at).map(Unmounted::Here),
        (Some(_), _) => Ok(Unmounted::Nowhere),
        (None, Some(subpath)) => {
            let failed = |cause: rustix::io::Errno| Error::io("look into", at, cause);
            let Some(place) = Rootfs::at(&volume.data())?.place(subpath).map_err(failed)? else {
                return Ok(Unmounted::Nowhere);
            };
            clone_of_place(&place, true).map(Unmounted::Here).map_err(failed)
        }
    }
}
