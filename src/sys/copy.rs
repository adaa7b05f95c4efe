//! Copies the content of a directory with owners, modes, times, links and attributes: how a new volume is
//! filled from an image. Source and target may be changed meanwhile by hostile hands, so nothing is named by
//! a path that could be exchanged, and no link is followed.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::{Error, Result};

/// Directories deeper than this are refused.
const MAX_DEPTH: usize = 256;
/// More entries than this are refused.
const MAX_ENTRIES: u64 = 10_000_000;
/// Attributes that are copied: the others belong to the file system or the host's policy.
const ATTRIBUTES: [&[u8]; 3] = [b"user.", b"security.capability", b"system.posix_acl_"];

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files, directories and links.
    pub entries: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Devices, FIFOs and sockets, which a volume does not take over.
    pub skipped: u64,
}

/// Copies what `from` holds into the existing directory `to`, which also gets its owner, mode and times.
/// Files that exist in `to` stay as they are.
pub fn tree(from: OwnedFd, to: &Path) -> Result<Copied> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let target = rustix::fs::open(to, flags, Mode::empty()).map_err(|cause| Error::io("open", to, cause))?;
    let root = target.try_clone().map_err(|cause| Error::io("open", to, cause))?;
    let mut copy = Copy { root, links: HashMap::new(), done: Copied::default() };
    copy.directory(&from, &target, Path::new("")).map_err(|Fault { place, cause }| {
        Error::io("copy", to.join(place), cause).context("cannot fill the volume from the image")
    })?;
    Ok(copy.done)
}

/// Where it failed, below the target.
struct Fault {
    place: PathBuf,
    cause: io::Error,
}

struct Copy {
    root: OwnedFd,
    /// Files with several names, and where the first was copied to.
    links: HashMap<(u64, u64), PathBuf>,
    done: Copied,
}

impl Copy {
    fn directory(&mut self, from: &OwnedFd, to: &OwnedFd, place: &Path) -> Result<(), Fault> {
        let at = |cause: io::Error| Fault { place: place.to_path_buf(), cause };
        if place.components().count() > MAX_DEPTH {
            return Err(at(io::Error::other("directories are nested too deeply")));
        }
        let stat = rustix::fs::fstat(from).map_err(|cause| at(cause.into()))?;
        for name in self.names(from).map_err(at)? {
            let below = place.join(name.to_string_lossy().as_ref());
            self.entry(from, to, (&name, &below))?;
        }
        // Last, because each entry changes the directory's times, and its mode may forbid writing.
        attributes(from, to, &stat).map_err(at)
    }

    /// All names at once, so that deep trees need few descriptors.
    fn names(&mut self, directory: &OwnedFd) -> io::Result<Vec<CString>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
            if self.done.entries.saturating_add(names.len() as u64) > MAX_ENTRIES {
                return Err(io::Error::other(format!("more than {MAX_ENTRIES} files")));
            }
        }
        Ok(names)
    }

    fn entry(&mut self, from: &OwnedFd, to: &OwnedFd, (name, place): (&CStr, &Path)) -> Result<(), Fault> {
        let at = |cause: io::Error| Fault { place: place.to_path_buf(), cause };
        let errno = |cause: Errno| at(cause.into());
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
        let safe = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                match rustix::fs::mkdirat(to, name, Mode::RWXU) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(cause) => return Err(errno(cause)),
                }
                let flags = safe | OFlags::RDONLY | OFlags::DIRECTORY;
                let inner_from = rustix::fs::openat(from, name, flags, Mode::empty()).map_err(errno)?;
                let inner_to = rustix::fs::openat(to, name, flags, Mode::empty()).map_err(errno)?;
                self.done.entries += 1;
                self.directory(&inner_from, &inner_to, place)
            }
            FileType::RegularFile => {
                if self.linked(to, (name, place), &stat).map_err(at)? {
                    return Ok(());
                }
                let source =
                    rustix::fs::openat(from, name, safe | OFlags::RDONLY, Mode::empty()).map_err(errno)?;
                let flags = safe | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                match rustix::fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR) {
                    Ok(target) => self.file(source, target).map_err(at),
                    Err(Errno::EXIST) => Ok(()),
                    Err(cause) => Err(errno(cause)),
                }
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(from, name, Vec::new()).map_err(errno)?;
                match rustix::fs::symlinkat(link.as_c_str(), to, name) {
                    Ok(()) => {}
                    Err(Errno::EXIST) => return Ok(()),
                    Err(cause) => return Err(errno(cause)),
                }
                let (uid, gid) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
                rustix::fs::chownat(to, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(errno)?;
                rustix::fs::utimensat(to, name, &times(&stat), AtFlags::SYMLINK_NOFOLLOW).map_err(errno)?;
                self.done.entries += 1;
                Ok(())
            }
            _ => {
                self.done.skipped += 1;
                Ok(())
            }
        }
    }

    /// Whether the file was copied under another name already and is now linked to it.
    fn linked(&mut self, to: &OwnedFd, (name, place): (&CStr, &Path), stat: &Stat) -> io::Result<bool> {
        if stat.st_nlink < 2 {
            return Ok(false);
        }
        let Some(first) = self.links.get(&(stat.st_dev, stat.st_ino)) else {
            self.links.insert((stat.st_dev, stat.st_ino), place.to_path_buf());
            return Ok(false);
        };
        let parent = first.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = rustix::fs::openat2(
            &self.root,
            parent,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
        );
        let Some(file_name) = first.file_name() else { return Ok(false) };
        match directory
            .and_then(|directory| rustix::fs::linkat(directory, file_name, to, name, AtFlags::empty()))
        {
            Ok(()) => {
                self.done.entries += 1;
                Ok(true)
            }
            // What cannot be linked is copied once more.
            Err(_) => Ok(false),
        }
    }

    fn file(&mut self, source: OwnedFd, target: OwnedFd) -> io::Result<()> {
        let stat = rustix::fs::fstat(&source)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it changed while it was copied"));
        }
        let (mut source, mut target) = (File::from(source), File::from(target));
        self.done.bytes += io::copy(&mut source, &mut target)?;
        self.done.entries += 1;
        attributes(&source.into(), &target.into(), &stat)
    }
}

/// Owner first, because a change of owner takes privileges and capabilities away; times last.
pub(super) fn attributes(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> io::Result<()> {
    rustix::fs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    extended_attributes(from, to)?;
    rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    rustix::fs::futimens(to, &times(stat))?;
    Ok(())
}

fn extended_attributes(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::flistxattr(from, &mut names) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(cause) => return Err(cause.into()),
    };
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        let copied = ATTRIBUTES.iter().any(|prefix| name.starts_with(prefix));
        let (true, Ok(name)) = (copied, CStr::from_bytes_with_nul(name)) else { continue };
        let mut value = vec![0; 64 * 1024];
        let length = rustix::fs::fgetxattr(from, name, &mut value)?;
        match rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(())
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or_default(),
    };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use rustix::fs::CWD;

    use super::super::rootfs::Rootfs;
    use super::*;

    #[test]
    fn a_tree_is_copied_whole() {
        let outer = tempfile::tempdir().unwrap();
        let (root, volume) = (outer.path().join("root"), outer.path().join("volume"));
        let data = root.join("data");
        std::fs::create_dir_all(data.join("deep/er")).unwrap();
        std::fs::create_dir(&volume).unwrap();
        std::fs::write(data.join("file"), "content").unwrap();
        std::fs::write(data.join("deep/er/other"), "x").unwrap();
        std::fs::hard_link(data.join("file"), data.join("deep/same")).unwrap();
        symlink("/etc/passwd", data.join("link")).unwrap();
        rustix::fs::mknodat(CWD, data.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        rustix::fs::chown(data.join("file"), Some(Uid::from_raw(5)), Some(Gid::from_raw(6))).unwrap();
        std::fs::set_permissions(data.join("file"), PermissionsExt::from_mode(0o4755)).unwrap();
        std::fs::set_permissions(&data, PermissionsExt::from_mode(0o1700)).unwrap();
        let file = File::open(data.join("file")).unwrap();
        rustix::fs::fsetxattr(&file, "user.x", b"y", XattrFlags::empty()).unwrap();
        let then = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 7000);
        file.set_modified(then).unwrap();
        File::open(data.join("deep")).unwrap().set_modified(then).unwrap();

        let rootfs = Rootfs::at(&root).unwrap();
        let copied = rootfs.copy_tree("/data", &volume).unwrap().unwrap();
        assert_eq!((copied.entries, copied.skipped), (6, 1));
        let meta = std::fs::metadata(volume.join("file")).unwrap();
        assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777, meta.nlink()), (5, 6, 0o4755, 2));
        assert_eq!(meta.modified().unwrap(), then);
        assert_eq!(std::fs::metadata(volume.join("deep")).unwrap().modified().unwrap(), then);
        assert_eq!(std::fs::metadata(volume.join("deep/same")).unwrap().ino(), meta.ino());
        assert_eq!(std::fs::read_link(volume.join("link")).unwrap(), Path::new("/etc/passwd"));
        assert_eq!(std::fs::read_to_string(volume.join("deep/er/other")).unwrap(), "x");
        assert_eq!(std::fs::metadata(&volume).unwrap().mode() & 0o7777, 0o1700);
        let file = File::open(volume.join("file")).unwrap();
        let mut value = [0; 8];
        assert_eq!(rustix::fs::fgetxattr(&file, "user.x", &mut value).unwrap(), 1);

        assert_eq!(rootfs.copy_tree("/none", &volume).unwrap(), None);
        assert_eq!(rootfs.copy_tree("/data/file", &volume).unwrap(), None);
    }

    #[test]
    fn what_exists_stays_and_links_are_not_followed() {
        let outer = tempfile::tempdir().unwrap();
        let (root, volume) = (outer.path().join("root"), outer.path().join("volume"));
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::create_dir(&volume).unwrap();
        let outside = outer.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(root.join("a"), "new").unwrap();
        std::fs::write(root.join("b"), "new").unwrap();
        std::fs::write(volume.join("a"), "old").unwrap();
        symlink(outside.join("target"), volume.join("b")).unwrap();
        let rootfs = Rootfs::at(&root).unwrap();
        rootfs.copy_tree("/", &volume).unwrap();
        assert_eq!(std::fs::read_to_string(volume.join("a")).unwrap(), "old");
        assert!(!outside.join("target").exists());

        std::fs::remove_dir(volume.join("sub")).unwrap();
        symlink(&outside, volume.join("sub")).unwrap();
        std::fs::write(root.join("sub/file"), "x").unwrap();
        assert!(rootfs.copy_tree("/", &volume).is_err(), "a link in place of a directory");
        assert!(!outside.join("file").exists());
    }

    #[test]
    fn depth_is_bounded() {
        let outer = tempfile::tempdir().unwrap();
        let (root, volume) = (outer.path().join("root"), outer.path().join("volume"));
        std::fs::create_dir_all(root.join("d/".repeat(MAX_DEPTH + 2))).unwrap();
        std::fs::create_dir(&volume).unwrap();
        let message = Rootfs::at(&root).unwrap().copy_tree("/", &volume).unwrap_err().message;
        assert!(message.contains("too deeply"), "{message}");
    }
}
