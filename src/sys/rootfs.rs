//! A look into a container's root file system, and small changes to it, from outside. Everything in there
//! may be hostile: paths are resolved by the kernel within the root, links included, and only regular files
//! are ever opened.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Uid};
use rustix::io::Errno;

use super::copy::{self, Copied};
use super::mount::{self, Access, Mount, Overlay};
use crate::{Error, Result};

/// How often a path is looked up again while it is changed meanwhile.
const ATTEMPTS: usize = 32;

/// The kinds of thing that a path can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, a FIFO or a socket.
    Special,
}

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// Of which kind.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
}

/// A root file system. It is not mounted anywhere: nothing remains of it when this value goes.
#[derive(Debug)]
pub struct Rootfs {
    root: OwnedFd,
}

impl Rootfs {
    /// A read-only view of overlay directories, the topmost first, with `upper` over them.
    pub fn from_overlay(lower: &[PathBuf], upper: Option<&Path>) -> Result<Self> {
        let overlay =
            Overlay { lower: lower.to_vec(), upper: upper.map(Path::to_path_buf), ..Overlay::default() };
        mount::overlay(&overlay, Access::Read).map(|root| Self { root })
    }

    /// A read-only view of a snapshot.
    pub fn from_mounts(mounts: &[Mount]) -> Result<Self> {
        mount::detached(mounts, Access::Read).map(|root| Self { root })
    }

    /// A view of a snapshot that can be changed. No container may run on it meanwhile.
    pub fn writable(mounts: &[Mount]) -> Result<Self> {
        mount::detached(mounts, Access::Write).map(|root| Self { root })
    }

    /// The root of a running process, with all that is mounted in it.
    pub fn of_process(pid: u32) -> Result<Self> {
        Self::at(Path::new(&format!("/proc/{pid}/root")))
    }

    /// A directory as a root.
    pub fn at(directory: &Path) -> Result<Self> {
        rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(|root| Self { root })
            .map_err(|cause| Error::io("open", directory, cause))
    }

    /// The bytes of the file at `path`; None where there is nothing. Fails for what is not a regular file,
    /// and for more than `max` bytes.
    pub fn read(&self, path: &str, max: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.open(path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|cause| Error::io("read", in_container(path), cause))?;
        if bytes.len() as u64 > max {
            return Err(Error::failed(format!("read {}: it is larger than {max} bytes", in_container(path))));
        }
        Ok(Some(bytes))
    }

    /// The file at `path`, to read; None where there is nothing. Fails for what is not a regular file.
    pub fn open(&self, path: &str) -> Result<Option<File>> {
        let failed = |cause: Errno| Error::io("open", in_container(path), cause);
        let Some(place) = self.place(path).map_err(failed)? else { return Ok(None) };
        // Looked at before it is opened: to open a device or a FIFO does something already.
        let stat = rustix::fs::fstat(&place).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Error::failed(format!("open {}: not a regular file", in_container(path))));
        }
        let again = format!("/proc/self/fd/{}", place.as_raw_fd());
        rustix::fs::open(again, OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .map(|file| Some(File::from(file)))
            .map_err(failed)
    }

    /// What `path` names, links followed within the root; None where there is nothing.
    pub fn metadata(&self, path: &str) -> Result<Option<Metadata>> {
        let failed = |cause: Errno| Error::io("stat", in_container(path), cause);
        let Some(place) = self.place(path).map_err(failed)? else { return Ok(None) };
        let stat = rustix::fs::fstat(place).map_err(failed)?;
        Ok(Some(Metadata {
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File,
                FileType::Directory => Kind::Directory,
                _ => Kind::Special,
            },
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
        }))
    }

    /// The path on this machine of what `path` names, links followed within the root; None where there is
    /// nothing. Only for a root that is a directory of this machine.
    pub fn path_of(&self, path: &str) -> Result<Option<PathBuf>> {
        let failed = |cause: Errno| Error::io("look up", in_container(path), cause);
        let Some(place) = self.place(path).map_err(failed)? else { return Ok(None) };
        let link = format!("/proc/self/fd/{}", place.as_raw_fd());
        std::fs::read_link(link).map(Some).map_err(|cause| Error::io("look up", in_container(path), cause))
    }

    /// Copies what the directory at `path` holds into the directory `to` of the host, and gives `to` its
    /// owner and mode: how a new volume is filled. None where `path` is no directory. See [`copy::tree`].
    pub fn copy_tree(&self, path: &str, to: &Path) -> Result<Option<Copied>> {
        let failed = |cause: Errno| Error::io("open", in_container(path), cause);
        let place = match self.place(path).map_err(failed)? {
            Some(place) => place,
            None => return Ok(None),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::openat(&place, ".", flags, Mode::empty()) {
            Ok(from) => copy::tree(from, to).map(Some),
            Err(Errno::NOTDIR) => Ok(None),
            Err(cause) => Err(failed(cause)),
        }
    }

    /// Makes the directory at `path` and those above it that are missing, each with `mode` and owner.
    /// Existing ones stay as they are.
    pub fn mkdir_all(&self, path: &str, mode: u32, (uid, gid): (u32, u32)) -> Result<()> {
        let failed = |cause: Errno| Error::io("create directory", in_container(path), cause);
        let mut parent = self.place("/").map_err(failed)?.ok_or_else(|| failed(Errno::NOENT))?;
        let mut so_far = String::new();
        for component in Path::new(path).components() {
            let name = match component {
                Component::Normal(name) => name,
                Component::ParentDir => return Err(failed(Errno::INVAL)),
                _ => continue,
            };
            so_far.push('/');
            so_far.push_str(name.to_str().ok_or_else(|| failed(Errno::ILSEQ))?);
            parent = match self.place(&so_far).map_err(failed)? {
                Some(existing) => existing,
                None => {
                    match rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(mode)) {
                        Ok(()) => set_owner(&parent, name.as_ref(), (uid, gid), mode).map_err(failed)?,
                        // A link to nowhere, or somebody was faster: the next look tells.
                        Err(Errno::EXIST) => {}
                        Err(cause) => return Err(failed(cause)),
                    }
                    self.place(&so_far).map_err(failed)?.ok_or_else(|| failed(Errno::NOENT))?
                }
            };
        }
        let stat = rustix::fs::fstat(&parent).map_err(failed)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            Ok(())
        } else {
            Err(failed(Errno::NOTDIR))
        }
    }

    /// Gives what `path` names, links followed within the root, to another owner. Nothing there is fine.
    pub fn give(&self, path: &str, (uid, gid): (u32, u32)) -> Result<()> {
        let failed = |cause: Errno| Error::io("change the owner of", in_container(path), cause);
        let Some(place) = self.place(path).map_err(failed)? else { return Ok(()) };
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(place, "", uid, gid, AtFlags::EMPTY_PATH).map_err(failed)
    }

    /// A descriptor of what `path` names, links followed within the root, that cannot be read from: opening it has
    /// no effect. None where there is nothing.
    pub(crate) fn place(&self, path: &str) -> rustix::io::Result<Option<OwnedFd>> {
        let path = if path.is_empty() { "/" } else { path };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..ATTEMPTS {
            match rustix::fs::openat2(
                self.root.as_fd(),
                path,
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
                resolve,
            ) {
                Ok(place) => return Ok(Some(place)),
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                // Something was renamed on the way, so the kernel cannot vouch for the root: once more.
                Err(Errno::AGAIN) => {}
                Err(cause) => return Err(cause),
            }
        }
        Err(Errno::AGAIN)
    }
}

fn set_owner(parent: &OwnedFd, name: &Path, (uid, gid): (u32, u32), mode: u32) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    rustix::fs::chownat(&made, "", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    // The umask of this process is not the container's.
    rustix::fs::fchmod(&made, Mode::from_raw_mode(mode))
}

fn in_container(path: &str) -> String {
    format!("{path} in the container")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::time::Instant;

    use rustix::fs::{CWD, FileType};

    use super::*;

    fn world() -> (tempfile::TempDir, Rootfs) {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(outer.path().join("secret"), "host").unwrap();
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/root:\n").unwrap();
        let rootfs = Rootfs::at(&root).unwrap();
        (outer, rootfs)
    }

    fn text(rootfs: &Rootfs, path: &str) -> Option<String> {
        rootfs.read(path, 1000).unwrap().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn an_owner_is_given_within_the_root_alone() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let directory = tempfile::tempdir().unwrap();
        let (root, outside) = (directory.path().join("root"), directory.path().join("outside"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(&outside, "").unwrap();
        std::fs::write(root.join("file"), "").unwrap();
        symlink("../../outside", root.join("out")).unwrap();
        let before = std::fs::metadata(&outside).unwrap();
        // Anybody may give a file to whom it has already; only root may do more.
        let is_root = rustix::process::geteuid().is_root();
        let owner = if is_root { (4711, 4712) } else { (before.uid(), before.gid()) };
        let look = Rootfs::at(&root).unwrap();
        for path in ["/file", "/out", "/nothing"] {
            look.give(path, owner).unwrap();
        }
        let after = std::fs::metadata(root.join("file")).unwrap();
        assert_eq!((after.uid(), after.gid()), owner);
        let after = std::fs::metadata(&outside).unwrap();
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    }

    #[test]
    fn links_stay_within() {
        let (outer, rootfs) = world();
        let etc = outer.path().join("root/etc");
        symlink("/etc/passwd", etc.join("absolute")).unwrap();
        symlink("../../../../../../etc/passwd", etc.join("up")).unwrap();
        symlink(outer.path().join("secret"), etc.join("out")).unwrap();
        symlink("../../secret", etc.join("near")).unwrap();
        symlink("loop", etc.join("loop")).unwrap();
        symlink("/proc/self/exe", etc.join("magic")).unwrap();
        let passwd = Some("root:x:0:0::/root:\n".to_owned());
        for (path, expected) in [
            ("/etc/passwd", passwd.clone()),
            ("etc/passwd", passwd.clone()),
            ("/../../etc/passwd", passwd.clone()),
            ("/etc/absolute", passwd.clone()),
            ("/etc/up", passwd),
            ("/etc/out", None),
            ("/etc/near", None),
            ("/etc/magic", None),
            ("/etc/none", None),
            ("/etc/passwd/x", None),
        ] {
            assert_eq!(text(&rootfs, path), expected, "{path}");
        }
        assert!(rootfs.read("/etc/loop", 10).is_err());
        assert!(rootfs.read("/etc/\0", 10).is_err());
    }

    #[test]
    fn magic_links_are_refused() {
        let host = Rootfs::at(Path::new("/")).unwrap();
        assert!(host.read("/proc/self/exe", 10).is_err());
        assert!(host.read("/proc/self/root/etc/passwd", 10).is_err());
    }

    #[test]
    fn only_regular_files_of_a_bounded_size_are_read() {
        let (outer, rootfs) = world();
        let etc = outer.path().join("root/etc");
        rustix::fs::mknodat(CWD, etc.join("fifo"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        let null = rustix::fs::makedev(1, 5);
        rustix::fs::mknodat(CWD, etc.join("zero"), FileType::CharacterDevice, Mode::RWXU, null).unwrap();
        let huge = File::create(etc.join("huge")).unwrap();
        huge.set_len(1 << 40).unwrap();
        for path in ["/etc/fifo", "/etc/zero", "/etc", "/"] {
            let message = rootfs.read(path, 10).unwrap_err().message;
            assert!(message.contains("not a regular file"), "{message}");
        }
        let message = rootfs.read("/etc/huge", 10).unwrap_err().message;
        assert!(message.contains("larger than 10 bytes"), "{message}");
        assert_eq!(rootfs.metadata("/etc/fifo").unwrap().unwrap().kind, Kind::Special);
        assert_eq!(rootfs.metadata("/etc/huge").unwrap().unwrap().size, 1 << 40);
        assert_eq!(rootfs.metadata("/").unwrap().unwrap().kind, Kind::Directory);
        assert_eq!(rootfs.metadata("/nope").unwrap(), None);
    }

    #[test]
    fn a_process_root() {
        let own = Rootfs::of_process(std::process::id()).unwrap();
        assert!(own.read("/etc/passwd", 1 << 20).unwrap().is_some());
        assert_eq!(Rootfs::of_process(u32::MAX).unwrap_err().kind, crate::Kind::NotFound);
    }

    #[test]
    fn directories_are_made_within() {
        let (outer, rootfs) = world();
        let root = outer.path().join("root");
        symlink("/elsewhere", root.join("link")).unwrap();
        symlink(outer.path(), root.join("out")).unwrap();
        std::fs::create_dir(root.join("elsewhere")).unwrap();
        rootfs.mkdir_all("/a/b/c", 0o751, (5, 6)).unwrap();
        rootfs.mkdir_all("/a/b/c", 0o700, (7, 7)).unwrap();
        let meta = std::fs::metadata(root.join("a/b/c")).unwrap();
        assert_eq!((meta.permissions().mode() & 0o7777, meta.uid(), meta.gid()), (0o751, 5, 6));
        rootfs.mkdir_all("/link/x", 0o755, (0, 0)).unwrap();
        assert!(root.join("elsewhere/x").is_dir());
        assert!(rootfs.mkdir_all("/out/x", 0o755, (0, 0)).is_err(), "the link leads nowhere in there");
        assert!(rootfs.mkdir_all("/etc/passwd/x", 0o755, (0, 0)).is_err());
        assert!(rootfs.mkdir_all("/etc/passwd", 0o755, (0, 0)).is_err());
        assert!(rootfs.mkdir_all("/../x", 0o755, (0, 0)).is_err());
        assert!(!outer.path().join("x").exists());
    }

    #[test]
    fn looking_up_a_user_is_fast() {
        let outer = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = (0..5)
            .map(|number| {
                let layer = outer.path().join(number.to_string());
                std::fs::create_dir_all(layer.join("etc")).unwrap();
                layer
            })
            .collect();
        std::fs::write(layers[4].join("etc/passwd"), "root:x:0:0::/root:\n").unwrap();
        std::fs::write(layers[3].join("etc/group"), "root:x:0:\n").unwrap();
        let upper = outer.path().join("upper");
        std::fs::create_dir(&upper).unwrap();
        let mut times: Vec<_> = (0..50)
            .map(|_| {
                let start = Instant::now();
                let rootfs = Rootfs::from_overlay(&layers, Some(&upper)).unwrap();
                assert!(rootfs.read("/etc/passwd", 1000).unwrap().is_some());
                assert!(rootfs.read("/etc/group", 1000).unwrap().is_some());
                drop(rootfs);
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        assert!(times[0].as_micros() < 2000, "{times:?}");
    }
}
