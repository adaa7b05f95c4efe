//! What one tree has that another has not: a container's changes, in docker's terms.

use std::ffi::{CStr, CString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::walk::{is_directory, names, os};
use super::{MAX_DEPTH, MAX_ENTRIES};
use crate::{Error, Result};

/// Attributes by which overlayfs says that a directory hides the one below it.
const OPAQUE: [&CStr; 2] = [c"trusted.overlay.opaque", c"user.overlay.opaque"];

/// Bytes of two files that are compared at a time.
const COMPARED: usize = 64 << 10;

/// How a path has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another, or has other attributes, or something in it has changed.
    Changed,
    /// It is gone.
    Deleted,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The absolute path.
    pub path: PathBuf,
    /// How it has changed.
    pub kind: ChangeKind,
    /// Of a directory: whether it differs itself, not only by what lies in it.
    pub own: Option<bool>,
}

/// What the new tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// Everything.
    Whole,
    /// Everything, and files that look the same by their bytes: images are built with made-up times. Both trees are on
    /// one file system below, where a file that both have has one inode number.
    Content,
    /// Only what differs from the old one: the upper directory of an overlay, with its marks for what is gone.
    Upper,
}

/// The changes from `old` to `new`, directories before what lies in them, in the order of names. A directory
/// counts as changed by its owner, its mode and what lies in it, as with docker, not by its time.
pub fn compare(old: &OwnedFd, new: &OwnedFd, compared: Compared) -> Result<Vec<Change>> {
    let mut comparison = Comparison { changes: Vec::new(), seen: 0 };
    let failed = |cause: std::io::Error| Error::io("compare", "/", cause);
    let old = open(old, c".").map_err(|cause| failed(cause.into()))?;
    let new = open(new, c".").map_err(|cause| failed(cause.into()))?;
    comparison.directory((Some(&old), &new), compared, Path::new("/"))?;
    Ok(comparison.changes)
}

struct Comparison {
    changes: Vec<Change>,
    seen: u64,
}

impl Comparison {
    fn directory(
        &mut self,
        (old, new): (Option<&OwnedFd>, &OwnedFd),
        compared: Compared,
        path: &Path,
    ) -> Result<()> {
        let failed = |cause: std::io::Error| Error::io("compare", path, cause);
        if path.components().count() > MAX_DEPTH {
            return Err(failed(std::io::Error::other("directories are nested too deeply")));
        }
        let mut all = names(new, MAX_ENTRIES).map_err(failed)?;
        if let (true, Some(old)) = (compared != Compared::Upper, old) {
            all.extend(names(old, MAX_ENTRIES).map_err(failed)?);
            all.sort_unstable();
            all.dedup();
        }
        for name in all {
            self.seen += 1;
            if self.seen > MAX_ENTRIES {
                return Err(Error::failed(format!("more than {MAX_ENTRIES} files to compare")));
            }
            let below = path.join(os(&name));
            self.name((old, new), compared, (&name, &below))?;
        }
        Ok(())
    }

    fn name(
        &mut self,
        (old, new): (Option<&OwnedFd>, &OwnedFd),
        compared: Compared,
        (name, path): (&CString, &Path),
    ) -> Result<()> {
        let failed = |cause: Errno| Error::io("compare", path, cause);
        let before = old.map_or(Ok(None), |old| stat(old, name)).map_err(failed)?;
        let after = stat(new, name).map_err(failed)?;
        let after = after.filter(|after| compared != Compared::Upper || !is_whiteout(after));
        let (before, after) = match (before, after) {
            (None, None) => return Ok(()),
            (Some(_), None) => {
                self.changes.push(Change { path: path.to_path_buf(), kind: ChangeKind::Deleted, own: None });
                return Ok(());
            }
            (before, Some(after)) => (before, after),
        };
        let place = self.changes.len();
        if is_directory(&after) {
            let inner_new = open(new, name).map_err(failed)?;
            let before_is = before.as_ref().is_some_and(is_directory);
            let inner_old = match old.filter(|_| before_is) {
                Some(old) => Some(open(old, name).map_err(failed)?),
                None => None,
            };
            let inner = match compared {
                Compared::Upper if is_opaque(&inner_new) => Compared::Whole,
                other => other,
            };
            self.directory((inner_old.as_ref(), &inner_new), inner, path)?;
        }
        let inside = self.changes.len() > place;
        let mut own = before.as_ref().is_none_or(|before| differ(before, &after));
        if let (false, Compared::Content, Some(before), Some(old)) = (own, compared, &before, old)
            && before.st_ino != after.st_ino
        {
            own = match FileType::from_raw_mode(after.st_mode) {
                FileType::RegularFile => data_differs((old, new), name).map_err(failed)?,
                FileType::Symlink => {
                    readlink(old, name).map_err(failed)? != readlink(new, name).map_err(failed)?
                }
                _ => false,
            };
        }
        let kind = if before.is_none() { ChangeKind::Added } else { ChangeKind::Changed };
        if own || inside {
            self.changes.insert(place, Change { path: path.to_path_buf(), kind, own: Some(own) });
        }
        Ok(())
    }
}

fn open(directory: &OwnedFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

fn stat(directory: &OwnedFd, name: &CStr) -> rustix::io::Result<Option<Stat>> {
    match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(cause) => Err(cause),
    }
}

/// overlayfs's mark for what is gone.
pub(in crate::sys) fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// overlayfs's mark of a directory that hides those below it.
pub(in crate::sys) fn is_opaque(directory: &OwnedFd) -> bool {
    OPAQUE.iter().any(|name| {
        let mut value = [0; 2];
        rustix::fs::fgetxattr(directory, *name, &mut value)
            .is_ok_and(|length| length == 1 && value[0] == b'y')
    })
}

fn readlink(directory: &OwnedFd, name: &CStr) -> rustix::io::Result<CString> {
    rustix::fs::readlinkat(directory, name, Vec::new())
}

/// Whether two regular files of the same size have different bytes.
fn data_differs((old, new): (&OwnedFd, &OwnedFd), name: &CStr) -> rustix::io::Result<bool> {
    let open = |directory: &OwnedFd| {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        rustix::fs::openat(directory, name, flags, Mode::empty())
    };
    let (old, new) = (open(old)?, open(new)?);
    let (mut one, mut other) = (vec![0; COMPARED], vec![0; COMPARED]);
    loop {
        let (read, again) = (fill(&old, &mut one)?, fill(&new, &mut other)?);
        if one.get(..read) != other.get(..again) {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
    }
}

/// As many bytes as there are, up to the end of `buffer`.
fn fill(file: &OwnedFd, buffer: &mut [u8]) -> rustix::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(file, rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}

/// docker's rule. Images keep whole seconds: a time without nanoseconds is compared as such.
fn differ(old: &Stat, new: &Stat) -> bool {
    let same_time = old.st_mtime == new.st_mtime
        && (old.st_mtime_nsec == new.st_mtime_nsec || old.st_mtime_nsec == 0 || new.st_mtime_nsec == 0);
    let same_owner = (old.st_uid, old.st_gid) == (new.st_uid, new.st_gid);
    let same_content = is_directory(new) || (same_time && old.st_size == new.st_size);
    old.st_mode != new.st_mode || !same_owner || old.st_rdev != new.st_rdev || !same_content
}
