//! Writing an image's layer into the directory of an overlay, by the rules of OCI's image specification ("Image Layer
//! Filesystem Changeset"): whiteouts become what the overlay file system takes for one, and nothing leaves the
//! directory, whatever the layer's names and links say. Few system calls a file: a pull makes tens of thousands.

use std::collections::HashSet;
use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, Dev, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::layers::Topmost;
use super::tree::{Body, Entry, Node, Sink, below};
use crate::{Error, Result};

/// What a removed name begins with.
const WHITEOUT: &str = ".wh.";
/// Hides what the layers below have in its directory.
const OPAQUE: &str = ".wh..wh..opq";
const OPAQUE_ATTRIBUTE: &CStr = c"trusted.overlay.opaque";
/// How often a path is looked up again while something is renamed.
const ATTEMPTS: usize = 32;
/// Directories whose times are set at the end; of more, the later ones keep the time of unpacking.
const MOST_DIRECTORIES: usize = 1_000_000;
/// Links on the way to one directory.
const MOST_LINKS: usize = 40;
/// In the year 2262.
const LATEST: i64 = i64::MAX / 1_000_000_000;
/// Bytes of a file's body at a time.
const PART: usize = 256 << 10;

/// Writes the entries of one layer.
#[derive(Debug)]
pub struct LayerTree {
    /// Nothing above it is reached.
    root: OwnedFd,
    /// How it is called in messages.
    shown: PathBuf,
    /// Nothing lies below this layer, so that there is nothing to hide.
    lowest: bool,
    /// Permission bits that this process's files do not get by themselves.
    umask: u32,
    /// A directory hands its group on to what is made in it.
    group_is_inherited: bool,
    /// The directory of the last entry.
    parent: Option<(PathBuf, Rc<OwnedFd>)>,
    /// Directories and their times, to be set when nothing is written into them any more.
    directories: Vec<(PathBuf, Timestamps)>,
    /// Directories that no entry told of.
    implied: Vec<PathBuf>,
    /// Whiteouts of this layer: a directory in the place of one does not show what lies below.
    hidden: HashSet<PathBuf>,
    /// Links that are being followed.
    links: usize,
    buffer: Vec<u8>,
}

impl LayerTree {
    /// Into the empty directory `root`. Nothing is below it when it is `lowest`.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn new(root: &Path, lowest: bool) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = rustix::fs::open(root, flags, Mode::empty());
        Ok(Self {
            root: open.map_err(|cause| Error::io("open", root, cause))?,
            shown: root.to_path_buf(),
            lowest,
            umask: umask(),
            group_is_inherited: false,
            parent: None,
            directories: Vec::new(),
            implied: Vec::new(),
            hidden: HashSet::new(),
            links: 0,
            buffer: vec![0; PART],
        })
    }

    /// Everything was put: the directories get their times. Gives those that no entry told of: see [`adopt`].
    pub fn finish(mut self) -> Vec<PathBuf> {
        while let Some((path, times)) = self.directories.pop() {
            // One that the layer itself has replaced has no use for them.
            if let Ok(directory) = resolve(&self.root, &path, OFlags::RDONLY, ResolveFlags::IN_ROOT) {
                let _ = rustix::fs::futimens(directory, &times);
            }
        }
        self.implied
    }

    fn failed(&self, act: &str, path: &Path, cause: impl Into<io::Error>) -> Error {
        Error::io(act, self.shown.join(path), cause)
    }

    /// The directory `path`, made where it is missing, with those above it.
    fn directory(&mut self, path: &Path) -> Result<OwnedFd> {
        match resolve(&self.root, path, OFlags::PATH, ResolveFlags::IN_ROOT) {
            Err(Errno::NOENT) => {}
            // A whiteout, or a file: the entry below it says that this is a directory.
            Err(Errno::NOTDIR) if path.file_name().is_some() => {}
            other => return other.map_err(|cause| self.failed("open", path, cause)),
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(self.failed("open", path, Errno::NOENT));
        };
        let parent = self.directory(above)?;
        if let Ok(target) = rustix::fs::readlinkat(&parent, name, Vec::new()) {
            return self.behind(path, Path::new(OsStr::from_bytes(target.as_bytes())));
        }
        self.make(&parent, path, OsStr::new(name), |parent, name| {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))
        })?;
        self.implied.push(path.to_path_buf());
        resolve(&self.root, path, OFlags::PATH, ResolveFlags::IN_ROOT)
            .map_err(|cause| self.failed("open", path, cause))
    }

    /// The directory that the link `path` leads to: it may be one of a layer below, and is made here.
    fn behind(&mut self, path: &Path, target: &Path) -> Result<OwnedFd> {
        self.links += 1;
        if self.links > MOST_LINKS {
            return Err(self.failed("open", path, Errno::LOOP));
        }
        let above = if target.is_absolute() { None } else { path.parent() };
        let mut clean = PathBuf::new();
        for part in above.into_iter().flat_map(Path::components).chain(target.components()) {
            match part {
                Component::Normal(name) => clean.push(name),
                // Above the top is the top.
                Component::ParentDir => drop(clean.pop()),
                _ => {}
            }
        }
        let directory = self.directory(&clean);
        self.links -= 1;
        directory
    }

    /// The directory that `path` lies in. Entries of one directory come together: it is looked up once.
    fn parent(&mut self, path: &Path) -> Result<Rc<OwnedFd>> {
        let above = path.parent().unwrap_or(Path::new(""));
        if let Some((_, directory)) = self.parent.as_ref().filter(|(known, _)| known == above) {
            return Ok(Rc::clone(directory));
        }
        let directory = Rc::new(self.directory(above)?);
        self.parent = Some((above.to_path_buf(), Rc::clone(&directory)));
        Ok(directory)
    }

    /// Makes something by `make`; what is in its place goes first.
    fn make<T>(
        &mut self,
        parent: &OwnedFd,
        path: &Path,
        name: &OsStr,
        make: impl Fn(&OwnedFd, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T> {
        match make(parent, name) {
            Err(Errno::EXIST) => {}
            other => return other.map_err(|cause| self.failed("create", path, cause)),
        }
        self.clear(parent, name).map_err(|cause| self.failed("replace", path, cause))?;
        make(parent, name).map_err(|cause| self.failed("create", path, cause))
    }

    /// Removes what an earlier entry has made under this name.
    fn clear(&mut self, parent: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            self.parent = None;
            // It follows no links on its way.
            std::fs::remove_dir_all(Path::new(&format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name))
        } else {
            Ok(rustix::fs::unlinkat(parent, name, AtFlags::empty())?)
        }
    }

    fn put_directory(&mut self, entry: &Entry, path: &Path, name: &OsStr) -> Result<()> {
        let parent = self.parent(path)?;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let is_new = match rustix::fs::mkdirat(&*parent, name, mode) {
            Ok(()) => true,
            Err(Errno::EXIST) if self.is_directory(&parent, name) => false,
            Err(Errno::EXIST) => {
                self.make(&parent, path, name, |parent, name| rustix::fs::mkdirat(parent, name, mode))?;
                true
            }
            Err(cause) => return Err(self.failed("create directory", path, cause)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = rustix::fs::openat(&*parent, name, flags, Mode::empty())
            .map_err(|cause| self.failed("open", path, cause))?;
        let owned = match is_new && self.is_owned_already(entry) {
            true => Ok(()),
            false => owner(&open, entry),
        };
        let set = owned
            .and_then(|()| match entry.mode & (self.umask | 0o7000) {
                0 if is_new && !self.group_is_inherited => Ok(()),
                _ => rustix::fs::fchmod(&open, Mode::from_raw_mode(entry.mode)).map_err(Into::into),
            })
            .and_then(|()| attributes(&open, entry));
        set.map_err(|cause| self.failed("create directory", path, cause))?;
        if self.hidden.contains(path) {
            self.hide_below(&open, path)?;
        }
        self.group_is_inherited |= entry.mode & 0o2000 != 0;
        if self.directories.len() < MOST_DIRECTORIES {
            self.directories.push((path.to_path_buf(), times(entry)));
        }
        self.parent = Some((path.to_path_buf(), Rc::new(open)));
        Ok(())
    }

    fn is_directory(&self, parent: &OwnedFd, name: &OsStr) -> bool {
        let stat = rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    fn put_file(&mut self, entry: &Entry, body: Body<'_>, (path, name): (&Path, &OsStr)) -> Result<()> {
        let parent = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let made =
            self.make(&parent, path, name, |parent, name| rustix::fs::openat(parent, name, flags, mode))?;
        let mut file = File::from(made);
        let written = match body {
            Body::Stream(from) => copy(from, &mut file, &mut self.buffer),
            Body::File(mut from) => copy(&mut from, &mut file, &mut self.buffer),
            Body::None => Ok(()),
        };
        let open = OwnedFd::from(file);
        written
            .and_then(|()| match self.is_owned_already(entry) {
                true => Ok(()),
                false => owner(&open, entry),
            })
            .and_then(|()| match entry.mode & (self.umask | 0o7000) {
                0 => Ok(()),
                // After the owner and the content, both of which take set-user-id away.
                _ => rustix::fs::fchmod(&open, Mode::from_raw_mode(entry.mode)).map_err(Into::into),
            })
            .and_then(|()| attributes(&open, entry))
            .and_then(|()| rustix::fs::futimens(&open, &times(entry)).map_err(Into::into))
            .map_err(|cause| self.failed("write", path, cause))
    }

    /// root makes root's files.
    fn is_owned_already(&self, entry: &Entry) -> bool {
        (entry.uid, entry.gid) == (0, 0) && !self.group_is_inherited
    }

    /// A link, a FIFO or a device: what is named by its directory and its name alone.
    fn put_special(&mut self, entry: &Entry, path: &Path, name: &OsStr) -> Result<()> {
        let parent = self.parent(path)?;
        let node = |kind: FileType, device: Dev| {
            move |parent: &OwnedFd, name: &OsStr| {
                rustix::fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, device)
            }
        };
        match &entry.node {
            Node::Symlink(target) => self.make(&parent, path, name, |parent, name| {
                rustix::fs::symlinkat(target.as_path(), parent, name)
            })?,
            Node::Hardlink(target) => return self.link(entry, target, (path, name)),
            Node::Fifo => self.make(&parent, path, name, node(FileType::Fifo, 0))?,
            Node::Character(major, minor) => {
                let device = rustix::fs::makedev(*major, *minor);
                self.make(&parent, path, name, node(FileType::CharacterDevice, device))?;
            }
            Node::Block(major, minor) => {
                let device = rustix::fs::makedev(*major, *minor);
                self.make(&parent, path, name, node(FileType::BlockDevice, device))?;
            }
            Node::Directory | Node::File(_) => {}
        }
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        let set = rustix::fs::chownat(&*parent, name, Some(uid), Some(gid), nofollow)
            .and_then(|()| match entry.node {
                Node::Symlink(_) => Ok(()),
                // Nobody else is in here, and the name was made just now: it is no link.
                _ => rustix::fs::chmodat(&*parent, name, Mode::from_raw_mode(entry.mode), AtFlags::empty()),
            })
            .map_err(io::Error::from)
            .and_then(|()| attributes_of_special(&parent, name, entry))
            .and_then(|()| Ok(rustix::fs::utimensat(&*parent, name, &times(entry), nofollow)?));
        set.map_err(|cause| self.failed("create", path, cause))
    }

    fn link(&mut self, entry: &Entry, target: &Path, (path, name): (&Path, &OsStr)) -> Result<()> {
        let parent = &*self.parent(path)?;
        let target = below(target).ok_or_else(|| self.outside(target))?;
        let Some(first) = target.file_name() else { return Err(self.failed("link", path, Errno::ISDIR)) };
        if target == path {
            return Ok(());
        }
        let above = target.parent().unwrap_or(Path::new(""));
        let from = resolve(&self.root, above, OFlags::PATH, ResolveFlags::IN_ROOT)
            .map_err(|cause| self.failed("link", path, cause))?;
        self.make(parent, path, name, |parent, name| {
            rustix::fs::linkat(&from, first, parent, name, AtFlags::empty())
        })?;
        self.agree(entry, parent, name).map_err(|cause| self.failed("link", path, cause))
    }

    /// The last of a file's names decides about its owner; all of them say the same in any honest layer.
    fn agree(&self, entry: &Entry, parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        let stat = rustix::fs::statat(parent, name, nofollow)?;
        if (stat.st_uid, stat.st_gid) != (entry.uid, entry.gid) {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), nofollow)?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
                rustix::fs::chmodat(parent, name, mode, AtFlags::empty())?;
            }
        }
        if stat.st_mtime != times(entry).last_modification.tv_sec {
            rustix::fs::utimensat(parent, name, &times(entry), nofollow)?;
        }
        Ok(())
    }

    /// What begins with `.wh.`.
    fn whiteout(&mut self, path: &Path, name: &OsStr) -> Result<()> {
        if self.lowest {
            return Ok(());
        }
        let parent = self.parent(path)?;
        if name == OPAQUE {
            let above = path.parent().unwrap_or(Path::new(""));
            let open = resolve(&self.root, above, OFlags::RDONLY, ResolveFlags::IN_ROOT)
                .map_err(|cause| self.failed("open", above, cause))?;
            return self.hide_below(&open, above);
        }
        let removed = OsStr::from_bytes(name.as_bytes().get(WHITEOUT.len()..).unwrap_or_default());
        if matches!(removed.as_bytes(), b"" | b"." | b"..") {
            return Err(Error::failed(format!("{:?} removes nothing", path.display().to_string())));
        }
        match rustix::fs::mknodat(&*parent, removed, FileType::CharacterDevice, Mode::empty(), 0) {
            // This layer has something of its own there.
            Ok(()) | Err(Errno::EXIST) => {
                self.hidden.insert(path.with_file_name(removed));
                Ok(())
            }
            Err(cause) => Err(self.failed("create whiteout", path, cause)),
        }
    }

    fn hide_below(&self, directory: &OwnedFd, path: &Path) -> Result<()> {
        if self.lowest {
            return Ok(());
        }
        rustix::fs::fsetxattr(directory, OPAQUE_ATTRIBUTE, b"y", XattrFlags::empty())
            .map_err(|cause| self.failed("make opaque", path, cause))
    }

    fn outside(&self, name: &Path) -> Error {
        Error::failed(format!("{:?} leads out of the layer", name.display().to_string()))
            .hint("the image is damaged or means harm: do not use it")
    }
}

impl Sink for LayerTree {
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
        let path = below(&entry.name).ok_or_else(|| self.outside(&entry.name))?;
        // The top stays as the snapshotter made it.
        let Some(name) = path.file_name().map(OsStr::to_os_string) else { return Ok(()) };
        if name.as_bytes().starts_with(WHITEOUT.as_bytes()) {
            return self.whiteout(&path, &name);
        }
        match entry.node {
            Node::Directory => self.put_directory(entry, &path, &name),
            Node::File(_) => self.put_file(entry, body, (&path, &name)),
            _ => self.put_special(entry, &path, &name),
        }
    }
}

/// Gives the directories `implied`, which a layer needs and says nothing of, the owner, mode, attributes and times that
/// they have in the layers `lower` (the topmost first) below `upper`.
pub fn adopt(upper: &Path, lower: &[PathBuf], implied: &[PathBuf]) -> Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let failed = |path: &Path, cause: Errno| Error::io("set the attributes of", upper.join(path), cause);
    let root = rustix::fs::open(upper, flags, Mode::empty()).map_err(|cause| failed(Path::new(""), cause))?;
    let mut own: HashSet<&Path> = HashSet::new();
    let mut topmost = Topmost::new(lower);
    for path in implied {
        // One made anew has nothing below either.
        if path.parent().is_some_and(|above| own.contains(above)) {
            own.insert(path);
            continue;
        }
        let Some(original) = topmost.find(path)? else {
            own.insert(path);
            continue;
        };
        let strict = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        // Replaced by a later entry of its own layer.
        let Ok(copy) = resolve(&root, path, OFlags::RDONLY, strict) else { continue };
        copy_attributes(&original, &copy).map_err(|cause| failed(path, cause))?;
    }
    Ok(())
}

/// Puts the directory `staged` into the place of the empty directory `upper`, whose owner and mode it takes.
pub fn settle(staged: &Path, upper: &Path) -> Result<()> {
    let failed = |cause: Errno| Error::io("move a layer to", upper, cause);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let from = rustix::fs::open(upper, flags, Mode::empty()).map_err(failed)?;
    let to = rustix::fs::open(staged, flags, Mode::empty()).map_err(failed)?;
    let stat = rustix::fs::fstat(&from).map_err(failed)?;
    take_owner(&stat, &to).map_err(failed)?;
    rustix::fs::rename(staged, upper).map_err(failed)
}

fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
    let stat = rustix::fs::fstat(from)?;
    take_owner(&stat, to)?;
    // Most have none.
    let mut nothing: [u8; 0] = [];
    let length = rustix::fs::flistxattr(from, &mut nothing).unwrap_or_default();
    let mut names = vec![0; length];
    let length = rustix::fs::flistxattr(from, &mut names).unwrap_or_default();
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        let mut value = vec![0; 64 << 10];
        if let Ok(name) = CString::new(name)
            && is_settable(name.as_bytes())
            && let Ok(length) = rustix::fs::fgetxattr(from, &name, &mut value)
        {
            let value = value.get(..length).unwrap_or_default();
            let _ = rustix::fs::fsetxattr(to, &name, value, XattrFlags::empty());
        }
    }
    let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as _),
    };
    rustix::fs::futimens(to, &times)
}

fn take_owner(stat: &Stat, to: &OwnedFd) -> rustix::io::Result<()> {
    rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

/// A directory below `root`, whatever the links on the way say.
fn resolve(root: &OwnedFd, path: &Path, access: OFlags, how: ResolveFlags) -> rustix::io::Result<OwnedFd> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let flags = access | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for _ in 0..ATTEMPTS {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), how | ResolveFlags::NO_MAGICLINKS) {
            // Something on this machine was renamed meanwhile, so the kernel cannot vouch for the root: once more.
            Err(Errno::AGAIN) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

fn copy(from: &mut dyn Read, to: &mut File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match from.read(buffer)? {
            0 => return Ok(()),
            count => to.write_all(buffer.get(..count).unwrap_or_default())?,
        }
    }
}

fn owner(open: &OwnedFd, entry: &Entry) -> io::Result<()> {
    Ok(rustix::fs::fchown(open, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?)
}

/// Extended attributes, as far as this file system keeps them and an image may set them.
fn attributes(open: &OwnedFd, entry: &Entry) -> io::Result<()> {
    settable(entry, |name, value| rustix::fs::fsetxattr(open, name, value, XattrFlags::empty()))
}

/// Those of what cannot be opened. The kernel keeps no attribute of users there.
fn attributes_of_special(parent: &OwnedFd, name: &OsStr, entry: &Entry) -> io::Result<()> {
    if entry.capability.is_none() && entry.xattrs.is_empty() {
        return Ok(());
    }
    let path = Path::new(&format!("/proc/self/fd/{}", parent.as_raw_fd())).join(name);
    settable(entry, |name, value| match name.to_bytes().starts_with(b"user.") {
        true => Ok(()),
        false => rustix::fs::lsetxattr(&path, name, value, XattrFlags::empty()),
    })
}

fn settable(entry: &Entry, set: impl Fn(&CStr, &[u8]) -> rustix::io::Result<()>) -> io::Result<()> {
    let capability = entry.capability.iter().map(|value| (&b"security.capability"[..], value.as_slice()));
    let others = entry.xattrs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    for (name, value) in capability.chain(others).filter(|(name, _)| is_settable(name)) {
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        match set(&name, value) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

/// An overlay's own attributes are no image's to set.
fn is_settable(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"trusted.") && !name.starts_with(b"user.overlay.")
}

fn times(entry: &Entry) -> Timestamps {
    // containerd takes a time that 64 bits of nanoseconds after 1970 cannot say for the beginning of 1970.
    let time = match entry.modified {
        ..0 | LATEST.. => Timespec { tv_sec: 0, tv_nsec: 0 },
        seconds => Timespec { tv_sec: seconds, tv_nsec: entry.modified_nanos.into() },
    };
    Timestamps { last_access: time, last_modification: time }
}

/// This process's; asking by umask(2) would change it for all threads.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    // Without an answer every file's mode is set by hand.
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o777)
}

#[cfg(test)]
mod tests;
