//! Writing a tree into a directory, with docker's rules about what is there already.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dev, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::{Body, Entry, Node, Sink, below, data, is_users};
use crate::{Error, Result};

/// How often a path is looked up again while it is changed meanwhile.
const ATTEMPTS: usize = 32;
/// Directories whose times are set at the end; of more, the later ones keep those of the copy.
const MOST_DIRECTORIES: usize = 1_000_000;

/// What happens to a symbolic link on the way to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Followed within the root, as whoever lives in it would.
    Follow,
    /// Refused: a tree of strangers must not lead out of the directory it is put into.
    Refuse,
}

/// Whom the files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// As the entry says.
    Kept,
    /// All to this user and group. Set-user-id and set-group-id go where the owner changes: a program that ran
    /// as somebody in there must not run as somebody else here.
    Given(u32, u32),
}

/// Writes entries into a directory.
#[derive(Debug)]
pub struct Put {
    /// Nothing above it is reached.
    root: OwnedFd,
    /// The directory below the root that entries are put into.
    base: PathBuf,
    /// How it is called in messages.
    shown: PathBuf,
    links: Links,
    owner: Owner,
    /// Devices are made; otherwise left out and named in `skipped`.
    devices: bool,
    /// See [`Put::whole`].
    whole: bool,
    /// The first few devices that were left out.
    skipped: Vec<PathBuf>,
    /// The directory of the last entry.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Directories and their times, to be set when nothing is written into them any more.
    directories: Vec<(PathBuf, Timestamps)>,
}

impl Put {
    /// Into `base` below `root` (an `O_PATH` descriptor of a directory), which is called `shown` in messages.
    pub fn new(root: OwnedFd, base: &Path, shown: &Path, (links, owner): (Links, Owner)) -> Self {
        Self {
            root,
            base: base.to_path_buf(),
            shown: shown.to_path_buf(),
            links,
            owner,
            devices: links == Links::Follow,
            whole: false,
            skipped: Vec::new(),
            parent: None,
            directories: Vec::new(),
        }
    }

    /// Keep what `cp` does not: extended attributes that entries tell of, and long runs of zeros as holes.
    #[must_use]
    pub fn whole(self) -> Self {
        Self { whole: true, ..self }
    }

    /// Everything was put: the directories get their times. Gives the devices that were left out, the first few.
    pub fn finish(mut self) -> Result<Vec<PathBuf>> {
        while let Some((path, times)) = self.directories.pop() {
            // One that was moved or removed meanwhile has no use for them.
            if let Ok(directory) = self.resolve(&path) {
                let open =
                    rustix::fs::openat(&directory, ".", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
                let _ = open.and_then(|open| rustix::fs::futimens(open, &times));
            }
        }
        Ok(self.skipped)
    }

    fn failed(&self, act: &str, name: &Path, cause: impl Into<io::Error>) -> Error {
        Error::io(act, self.shown.join(name), cause)
    }

    /// A directory below the base. An empty path is the base itself.
    fn resolve(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::NO_MAGICLINKS
            | match self.links {
                Links::Follow => ResolveFlags::IN_ROOT,
                Links::Refuse => ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
            };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = self.base.join(path);
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { &place };
        for _ in 0..ATTEMPTS {
            match rustix::fs::openat2(&self.root, place, flags, Mode::empty(), resolve) {
                // Something was renamed on the way, so the kernel cannot vouch for the root: once more.
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The directory `path`, made where it is missing, with those above it.
    fn directory(&mut self, path: &Path) -> Result<OwnedFd> {
        match self.resolve(path) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(|cause| self.failed("open", path, cause)),
        }
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(self.failed("open", path, Errno::NOENT));
        };
        let above = self.directory(above)?;
        match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(cause) => return Err(self.failed("create directory", path, cause)),
        }
        self.resolve(path).map_err(|cause| self.failed("open", path, cause))
    }

    /// The directory that `name` lies in. Entries of one directory come together: it is looked up once.
    fn parent(&mut self, name: &Path) -> Result<OwnedFd> {
        let path = name.parent().unwrap_or(Path::new(""));
        if let Some((known, directory)) = &self.parent
            && known == path
        {
            return directory.try_clone().map_err(|cause| self.failed("open", path, cause));
        }
        let directory = self.directory(path)?;
        let kept = directory.try_clone().map_err(|cause| self.failed("open", path, cause))?;
        self.parent = Some((path.to_path_buf(), kept));
        Ok(directory)
    }

    /// Makes room for an entry: what is there goes, unless one of the two is a directory. Gives whether a
    /// directory is there already.
    fn make_room(&self, parent: &OwnedFd, entry: &Entry, (path, name): (&Path, &Path)) -> Result<Room> {
        let kind = match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => return Ok(Room::Free),
            Err(cause) => return Err(self.failed("stat", path, cause)),
        };
        let conflict = |what: &str, with: &str| {
            Error::failed(format!(
                "cannot overwrite {what} {:?} with {with} {:?}",
                self.shown.join(path).display().to_string(),
                self.shown.display().to_string()
            ))
        };
        match (kind == FileType::Directory, entry.is_directory()) {
            (true, true) => Ok(Room::Directory),
            (true, false) => Err(conflict("directory", "non-directory")),
            (false, true) => Err(conflict("non-directory", "directory")),
            (false, false) => match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(Room::Free),
                // A file that something is mounted on, like /etc/hosts: it is written, not replaced.
                Err(Errno::BUSY) if kind == FileType::RegularFile && matches!(entry.node, Node::File(_)) => {
                    Ok(Room::Mounted)
                }
                Err(cause) => Err(self.failed("remove", path, cause)),
            },
        }
    }

    fn file(
        &self,
        parent: &OwnedFd,
        (entry, room): (&Entry, Room),
        name: &Path,
        body: Body<'_>,
    ) -> io::Result<()> {
        let mut file = if room == Room::Mounted {
            // Looked at before it is opened: to open a device or a FIFO does something already.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let place = rustix::fs::openat(parent, name, flags, Mode::empty())?;
            if FileType::from_raw_mode(rustix::fs::fstat(&place)?.st_mode) != FileType::RegularFile {
                return Err(Errno::BUSY.into());
            }
            let again = format!("/proc/self/fd/{}", place.as_raw_fd());
            File::from(rustix::fs::open(
                again,
                OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC,
                Mode::empty(),
            )?)
        } else {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            File::from(rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?)
        };
        let Node::File(size) = entry.node else { return Err(Errno::INVAL.into()) };
        match body {
            Body::File(from) => data::file(from, &file, size)?,
            Body::Stream(from) if self.whole => data::with_holes(from, &file)?,
            Body::Stream(from) => drop(io::copy(from, &mut file)?),
            Body::None => {}
        }
        if room == Room::Mounted {
            return Ok(());
        }
        self.attributes(&OwnedFd::from(file), entry)
    }

    /// Owner first, because a change of owner takes privileges and capabilities away; times last.
    fn attributes(&self, open: &OwnedFd, entry: &Entry) -> io::Result<()> {
        let (uid, gid) = self.owner_of(entry);
        rustix::fs::fchown(open, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
        // A capability of a file is root's gift: it goes where the owner goes.
        if let Some(value) = entry.capability.as_ref().filter(|_| self.owner == Owner::Kept) {
            match rustix::fs::fsetxattr(open, c"security.capability", value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(cause) => return Err(cause.into()),
            }
        }
        if self.whole {
            xattrs(open, entry)?;
        }
        rustix::fs::fchmod(open, self.mode(entry))?;
        rustix::fs::futimens(open, &times(entry))?;
        Ok(())
    }

    fn owner_of(&self, entry: &Entry) -> (u32, u32) {
        match self.owner {
            Owner::Kept => (entry.uid, entry.gid),
            Owner::Given(uid, gid) => (uid, gid),
        }
    }

    fn mode(&self, entry: &Entry) -> Mode {
        let (uid, gid) = self.owner_of(entry);
        let mut mode = entry.mode & 0o7777;
        if !entry.is_directory() && self.owner != Owner::Kept {
            if uid != entry.uid {
                mode &= !0o4000;
            }
            if gid != entry.gid {
                mode &= !0o2000;
            }
        }
        Mode::from_raw_mode(mode)
    }

    /// A link, a FIFO or a device: what is named by its directory and its name alone.
    fn unopened(&mut self, parent: &OwnedFd, entry: &Entry, (path, name): (&Path, &Path)) -> Result<()> {
        let failed = |this: &Self, cause: Errno| this.failed("create", path, cause);
        let special = |kind, device: Dev| rustix::fs::mknodat(parent, name, kind, Mode::RUSR, device);
        let made = match &entry.node {
            Node::Symlink(target) => rustix::fs::symlinkat(target, parent, name),
            Node::Hardlink(target) => {
                let target = below(target).ok_or_else(|| self.outside(target))?;
                let from = self.parent_of(&target)?;
                let Some(file) = target.file_name() else { return Err(failed(self, Errno::INVAL)) };
                return rustix::fs::linkat(from, file, parent, name, AtFlags::empty())
                    .map_err(|cause| self.failed("link", path, cause));
            }
            Node::Fifo => special(FileType::Fifo, 0),
            Node::Character(major, minor) => {
                special(FileType::CharacterDevice, rustix::fs::makedev(*major, *minor))
            }
            Node::Block(major, minor) => special(FileType::BlockDevice, rustix::fs::makedev(*major, *minor)),
            Node::Directory | Node::File(_) => Ok(()),
        };
        made.map_err(|cause| failed(self, cause))?;
        let (uid, gid) = self.owner_of(entry);
        let nofollow = AtFlags::SYMLINK_NOFOLLOW;
        rustix::fs::chownat(parent, name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), nofollow)
            .map_err(|cause| failed(self, cause))?;
        if !matches!(entry.node, Node::Symlink(_)) {
            // By a descriptor of what was made: a link that took its place must not be followed.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let made = rustix::fs::openat(parent, name, flags, Mode::empty())
                .map_err(|cause| failed(self, cause))?;
            let kind = rustix::fs::fstat(&made).map(|stat| FileType::from_raw_mode(stat.st_mode));
            if !matches!(kind, Ok(FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice)) {
                return Err(failed(self, Errno::AGAIN));
            }
            let path = format!("/proc/self/fd/{}", made.as_raw_fd());
            rustix::fs::chmod(path, self.mode(entry)).map_err(|cause| failed(self, cause))?;
        }
        rustix::fs::utimensat(parent, name, &times(entry), nofollow).map_err(|cause| failed(self, cause))
    }

    /// Where an earlier entry lies. It is not made: nothing can be linked to what is not there.
    fn parent_of(&self, path: &Path) -> Result<OwnedFd> {
        let above = path.parent().unwrap_or(Path::new(""));
        self.resolve(above).map_err(|cause| self.failed("open", above, cause))
    }

    fn outside(&self, name: &Path) -> Error {
        Error::failed(format!(
            "{:?} is outside of {:?}",
            name.display().to_string(),
            self.shown.display().to_string()
        ))
    }

    fn put_directory(
        &mut self,
        parent: &OwnedFd,
        (entry, room): (&Entry, Room),
        (path, name): (&Path, &Path),
    ) -> Result<()> {
        if room == Room::Free {
            match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(cause) => return Err(self.failed("create directory", path, cause)),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = rustix::fs::openat(parent, name, flags, Mode::empty())
            .map_err(|cause| self.failed("open", path, cause))?;
        match self.attributes(&open, entry) {
            // What is mounted read-only can hold what may be written.
            Err(cause) if room == Room::Directory && cause.kind() == io::ErrorKind::ReadOnlyFilesystem => {}
            other => other.map_err(|cause| self.failed("create directory", path, cause))?,
        }
        if self.directories.len() < MOST_DIRECTORIES {
            self.directories.push((path.to_path_buf(), times(entry)));
        }
        self.parent = Some((path.to_path_buf(), open));
        Ok(())
    }
}

/// What is where an entry shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Free,
    Directory,
    Mounted,
}

impl Sink for Put {
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
        let path = below(&entry.name).ok_or_else(|| self.outside(&entry.name))?;
        let Some(name) = path.file_name().map(PathBuf::from) else {
            // The directory that everything goes into stays as it is.
            self.parent = None;
            return Ok(());
        };
        if !self.devices && matches!(entry.node, Node::Character(..) | Node::Block(..)) {
            if self.skipped.len() < 10 {
                self.skipped.push(self.shown.join(&path));
            }
            return Ok(());
        }
        let parent = self.parent(&path)?;
        let room = self.make_room(&parent, entry, (&path, &name))?;
        match entry.node {
            Node::Directory => self.put_directory(&parent, (entry, room), (&path, &name)),
            Node::File(_) => self
                .file(&parent, (entry, room), &name, body)
                .map_err(|cause| self.failed("write", &path, cause)),
            _ => self.unopened(&parent, entry, (&path, &name)),
        }
    }
}

/// Owner, users' attributes, mode and times of a directory.
pub(super) fn give(directory: &OwnedFd, entry: &Entry) -> io::Result<()> {
    rustix::fs::fchown(directory, Some(Uid::from_raw(entry.uid)), Some(Gid::from_raw(entry.gid)))?;
    xattrs(directory, entry)?;
    rustix::fs::fchmod(directory, Mode::from_raw_mode(entry.mode & 0o7777))?;
    rustix::fs::futimens(directory, &times(entry))?;
    Ok(())
}

fn xattrs(open: &OwnedFd, entry: &Entry) -> io::Result<()> {
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_users(name)) {
        match rustix::fs::fsetxattr(open, name.as_slice(), value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.modified, tv_nsec: entry.modified_nanos.into() };
    Timestamps { last_access: time, last_modification: time }
}
