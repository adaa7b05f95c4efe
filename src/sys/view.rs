//! A container's files put together as docker sees them: its root file system with its volumes and binds in
//! their places, in a mount namespace that belongs to nobody else and goes with this value.
//!
//! Why not /proc/PID/root: what is mounted there, and which directory is the root, is the container's affair,
//! and it can change both while we read. Here every mount is a clone made from this machine's side, so the
//! container can exchange files but no mounts. Paths are resolved by the kernel within the root
//! (`RESOLVE_IN_ROOT`, no magic links), with links as the container would follow them: a link exchanged in the
//! right moment (CVE-2018-15664) leads to another file of the same container. The thread that puts it together
//! ends before anything is read, and no process has this root as its own: nothing of it is executed, loaded or
//! asked for names (CVE-2019-14271).

#![expect(unsafe_code, reason = "rustix has no mount_setattr, and no safe form of unshare; see SAFETY")]

use std::ffi::{c_int, c_long};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags};

use crate::{Error, Result};

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

/// The same number on every architecture.
const MOUNT_SETATTR: c_long = 442;
const READ_ONLY: u64 = 1;
const NO_DEVICES: u64 = 4;
const PRIVATE: u64 = 1 << 18;
/// How often a path is looked up again while it is changed meanwhile.
const ATTEMPTS: usize = 32;

/// `struct mount_attr`.
#[derive(Default)]
#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    namespace: u64,
}

/// One directory or file of this machine in a container.
#[derive(Debug)]
pub struct Bind {
    /// What it is, cloned with what is mounted in it ([`clone_of`]).
    pub source: OwnedFd,
    /// Its absolute path in the container.
    pub target: PathBuf,
    /// It cannot be written to.
    pub read_only: bool,
}

/// A container's files.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    _namespace: Option<OwnedFd>,
}

/// A place in a view: `O_PATH`, so that having it had no effect on what it is.
pub type Place = OwnedFd;

/// A mount that is attached nowhere and shows what lies at `path`; with `recursive` also what is mounted below.
/// A path that has a symbolic link in it is refused when `links` is false.
pub fn clone_of(path: &Path, recursive: bool, links: bool) -> Result<OwnedFd> {
    let cloned = || {
        let resolve = if links { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
        let place = rustix::fs::openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)?;
        clone_of_place(&place, recursive)
    };
    cloned().map_err(|cause: Errno| Error::io("look into", path, cause))
}

/// The same for a place that is known already.
pub fn clone_of_place(place: &OwnedFd, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    let clone = rustix::mount::open_tree(place, "", flags)?;
    // A clone hears and tells what is mounted in the original: what is put into this one must stay in it.
    set(&clone, Attributes { propagation: PRIVATE, ..Attributes::default() })?;
    Ok(clone)
}

/// Shows a clone to everybody, at a place of the same kind, a directory or a file.
pub fn attach_clone(clone: &OwnedFd, target: &Path) -> rustix::io::Result<()> {
    rustix::mount::move_mount(clone, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

impl View {
    /// `root` alone.
    pub fn of(root: OwnedFd) -> Self {
        Self { root, _namespace: None }
    }

    /// `root`, a mount attached nowhere, with `binds` in their places. One whose place is missing gets it when
    /// `make_places`, and is left out otherwise. With `read_only` nothing but the binds can be written to.
    pub fn with_binds(
        root: OwnedFd,
        binds: Vec<Bind>,
        (make_places, read_only): (bool, bool),
    ) -> Result<Self> {
        let assembled = std::thread::scope(|scope| {
            scope
                .spawn(move || {
                    let namespace = own_namespace()?;
                    let here = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
                    rustix::mount::move_mount(&root, "", CWD, "/", here)?;
                    for bind in binds {
                        attach(&root, bind, make_places)?;
                    }
                    if read_only {
                        set_one(&root, Attributes { set: READ_ONLY, ..Attributes::default() })?;
                    }
                    leave_the_rest(&root);
                    Ok(Self { root, _namespace: Some(namespace) })
                })
                .join()
                .unwrap_or(Err(Errno::IO))
        });
        assembled.map_err(|cause: Errno| Error::io("put together", "the container's mounts", cause))
    }

    /// What `path` names, links followed within the root; the last one too when `follow`. None where there is
    /// nothing. A slash or `/.` at the end asks for a directory.
    pub fn place(&self, path: &Path, follow: bool) -> rustix::io::Result<Option<Place>> {
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, !follow);
        match within(&self.root, path, flags) {
            Ok(place) => Ok(Some(place)),
            Err(Errno::NOENT) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// The root, for what resolves paths below it by itself.
    pub fn root(&self) -> rustix::io::Result<OwnedFd> {
        within(&self.root, Path::new("/"), OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC)
    }

    /// Whether a place cannot be written to: None when it can, otherwise whether it is a bind that forbids it.
    pub fn forbids_writing(&self, place: &Place) -> rustix::io::Result<Option<Forbidden>> {
        if !rustix::fs::fstatvfs(place)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Ok(None);
        }
        let mount = |place: &OwnedFd| {
            rustix::fs::statx(place, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map(|data| data.stx_mnt_id)
        };
        let own = mount(place)? == mount(&self.root)?;
        Ok(Some(if own { Forbidden::Root } else { Forbidden::Bind }))
    }
}

/// Whether something is mounted at `path`.
pub fn is_mount_point(path: &Path) -> bool {
    let mount = |path: &Path| {
        rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::MNT_ID)
            .map(|data| data.stx_mnt_id)
            .ok()
    };
    let (here, above) = (mount(path), path.parent().and_then(mount));
    here.is_some() && here != above
}

/// What forbids writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// The root file system is read-only.
    Root,
    /// A volume or bind is read-only.
    Bind,
}

/// Moves this thread into a mount namespace of its own, from which nothing gets out.
fn own_namespace() -> rustix::io::Result<OwnedFd> {
    // SAFETY: a new mount namespace changes what paths mean for this thread alone (the kernel gives it a root
    // and working directory of its own); descriptors stay shared and valid.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }?;
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    rustix::fs::open("/proc/thread-self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Lets go of this namespace's copies of the machine's other mounts, which would keep them busy for as long as
/// the view is there. Where the machine's root cannot be left, they stay.
fn leave_the_rest(root: &OwnedFd) {
    let left = rustix::process::fchdir(root).and_then(|()| rustix::process::pivot_root(".", "."));
    if left.is_ok() {
        let _ = rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH);
    }
}

fn attach(root: &OwnedFd, bind: Bind, make_places: bool) -> rustix::io::Result<()> {
    let directory = is_directory(&bind.source)?;
    let path = OFlags::PATH | OFlags::CLOEXEC;
    let target = match within(root, &bind.target, path) {
        Err(Errno::NOENT) if make_places => {
            make_place(root, &bind.target, directory)?;
            within(root, &bind.target, path)
        }
        other => other,
    };
    let target = match target {
        Ok(target) => target,
        // Nothing can be there, for example below a file: the container has seen to that.
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
        Err(cause) => return Err(cause),
    };
    if is_directory(&target)? != directory {
        return Ok(());
    }
    let attributes = if bind.read_only { READ_ONLY } else { 0 } | NO_DEVICES;
    set(&bind.source, Attributes { set: attributes, ..Attributes::default() })?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(&bind.source, "", &target, "", flags)
}

/// Sets attributes of a mount, and of those below it.
fn set(mount: &OwnedFd, wanted: Attributes) -> rustix::io::Result<()> {
    const RECURSIVE: c_int = 0x8000;
    set_with(mount, wanted, RECURSIVE)
}

/// Sets attributes of a mount alone.
fn set_one(mount: &OwnedFd, wanted: Attributes) -> rustix::io::Result<()> {
    set_with(mount, wanted, 0)
}

fn set_with(mount: &OwnedFd, wanted: Attributes, flags: c_int) -> rustix::io::Result<()> {
    const EMPTY_PATH: c_int = 0x1000;
    // SAFETY: the kernel reads an empty text and a struct of the given size, which both outlive the call.
    let outcome = unsafe {
        syscall(
            MOUNT_SETATTR,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags | EMPTY_PATH,
            std::ptr::from_ref(&wanted),
            size_of::<Attributes>(),
        )
    };
    if outcome == 0 {
        return Ok(());
    }
    let cause = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&cause).unwrap_or(Errno::IO))
}

/// As the runtime would: directories, and a file at the end where a file is to be mounted.
fn make_place(root: &OwnedFd, target: &Path, directory: bool) -> rustix::io::Result<()> {
    let open = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut parent = within(root, Path::new("/"), open)?;
    let mut so_far = PathBuf::from("/");
    let names: Vec<_> =
        target.components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    for (at, name) in names.iter().enumerate() {
        so_far.push(name);
        if at + 1 == names.len() && !directory {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, name.as_os_str(), flags, Mode::from_raw_mode(0o755))?;
            return Ok(());
        }
        parent = match within(root, &so_far, open) {
            Err(Errno::NOENT) => {
                rustix::fs::mkdirat(&parent, name.as_os_str(), Mode::from_raw_mode(0o755))?;
                within(root, &so_far, open)?
            }
            other => other?,
        };
    }
    Ok(())
}

/// Whether a place is a directory.
pub fn is_directory(place: &OwnedFd) -> rustix::io::Result<bool> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(place)?.st_mode) == FileType::Directory)
}

fn within(root: &OwnedFd, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let path = if path.as_os_str().is_empty() { Path::new("/") } else { path };
    for _ in 0..ATTEMPTS {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // Something was renamed on the way, so the kernel cannot vouch for the root: once more.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}
