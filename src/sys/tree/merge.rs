//! Moving a tree that was made elsewhere on the same file system into a directory that may be in use: each thing
//! is renamed, so whoever looks sees the old one or the new one. Killed on the way, it goes on where it was.

use std::collections::HashSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::walk::{is_directory, names, os};
use crate::sys::copy::attributes;
use crate::{Error, Result};

/// What happens to a thing that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Present {
    /// It stays.
    Kept,
    /// The new one takes its place.
    Replaced,
}

/// Move everything that lies in `from` into `to`, and give `to` the owner, mode and times of `from`. Links are not
/// followed. Directories that are on both sides become one.
///
/// # Errors
/// A directory on one side and something else on the other, see [`conflict`].
pub fn merge(from: &Path, to: &Path, present: Present) -> Result<()> {
    let (source, target) = both(from, to)?;
    into(&source, &target, present).map_err(|cause| Error::io("move what is new into", to, cause))
}

/// The first thing that is a directory on one side and none on the other: it cannot be merged.
pub fn conflict(from: &Path, to: &Path) -> Result<Option<PathBuf>> {
    let (source, target) = both(from, to)?;
    first_conflict(&source, &target, Path::new("")).map_err(|cause| Error::io("compare", to, cause))
}

/// Give the directories of `from` that an archive has not `told` of what those of `to` have: it only named what lies in
/// them.
pub fn adopt(from: &Path, to: &Path, told: &HashSet<PathBuf>) -> Result<()> {
    let (source, target) = both(from, to)?;
    adopted(&source, &target, (Path::new(""), told)).map_err(|cause| Error::io("compare", to, cause))
}

fn both(from: &Path, to: &Path) -> Result<(OwnedFd, OwnedFd)> {
    let open = |path: &Path| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map_err(|cause| Error::io("open", path, cause))
    };
    Ok((open(from)?, open(to)?))
}

/// A directory of a directory; EXIST where it is something else.
fn inner(directory: &OwnedFd, name: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Err(Errno::NOTDIR | Errno::LOOP) => Err(Errno::EXIST),
        other => other,
    }
}

fn into(from: &OwnedFd, to: &OwnedFd, present: Present) -> io::Result<()> {
    for name in names(from, u64::MAX)? {
        let name = Path::new(os(&name));
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let directory = is_directory(&stat);
        let flags = match directory || present == Present::Kept {
            true => RenameFlags::NOREPLACE,
            false => RenameFlags::empty(),
        };
        match rustix::fs::renameat_with(from, name, to, name, flags) {
            Err(Errno::EXIST) if directory => {
                into(&inner(from, name)?, &inner(to, name)?, present)?;
                rustix::fs::unlinkat(from, name, AtFlags::REMOVEDIR)?;
            }
            Err(Errno::EXIST) => rustix::fs::unlinkat(from, name, AtFlags::empty())?,
            Err(cause) => return Err(cause.into()),
            // Two names of one file: the kernel leaves both.
            Ok(()) => match rustix::fs::unlinkat(from, name, AtFlags::empty()) {
                Err(cause) if cause != Errno::NOENT => return Err(cause.into()),
                _ => {}
            },
        }
    }
    attributes(from, to, &rustix::fs::fstat(from)?)
}

fn adopted(from: &OwnedFd, to: &OwnedFd, (below, told): (&Path, &HashSet<PathBuf>)) -> io::Result<()> {
    if !told.contains(below) {
        attributes(to, from, &rustix::fs::fstat(to)?)?;
    }
    for name in names(from, u64::MAX)? {
        let name = Path::new(os(&name));
        if let (Ok(here), Ok(there)) = (inner(from, name), inner(to, name)) {
            adopted(&here, &there, (&below.join(name), told))?;
        }
    }
    Ok(())
}

fn first_conflict(from: &OwnedFd, to: &OwnedFd, below: &Path) -> io::Result<Option<PathBuf>> {
    for name in names(from, u64::MAX)? {
        let name = Path::new(os(&name));
        let here = is_directory(&rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?);
        let there = match rustix::fs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => is_directory(&stat),
            Err(Errno::NOENT) => continue,
            Err(cause) => return Err(cause.into()),
        };
        let path = below.join(name);
        if here != there {
            return Ok(Some(path));
        }
        if here && let Some(found) = first_conflict(&inner(from, name)?, &inner(to, name)?, &path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn trees() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let outer = tempfile::tempdir().unwrap();
        let (from, to) = (outer.path().join("from"), outer.path().join("to"));
        for path in [from.join("both/deep"), from.join("new/d"), to.join("both/old")] {
            fs::create_dir_all(path).unwrap();
        }
        for (path, text) in [("both/file", "new"), ("both/deep/f", "new"), ("new/d/f", "new")] {
            fs::write(from.join(path), text).unwrap();
        }
        fs::write(to.join("both/file"), "old").unwrap();
        fs::write(to.join("both/old/f"), "old").unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o1750)).unwrap();
        (outer, from, to)
    }

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_is_there_stays_or_goes() {
        for (present, expected) in [(Present::Kept, "old"), (Present::Replaced, "new")] {
            let (_outer, from, to) = trees();
            assert_eq!(conflict(&from, &to).unwrap(), None);
            merge(&from, &to, present).unwrap();
            assert_eq!(text(&to.join("both/file")), expected);
            assert_eq!(
                (text(&to.join("both/deep/f")), text(&to.join("new/d/f"))),
                ("new".into(), "new".into())
            );
            assert_eq!(text(&to.join("both/old/f")), "old");
            assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o1750);
            assert_eq!(fs::read_dir(&from).unwrap().count(), 0);
            // Once more, as after a kill at the end.
            merge(&from, &to, present).unwrap();
        }
    }

    #[test]
    fn directories_that_were_only_on_the_way_stay_as_they_were() {
        let (_outer, from, to) = trees();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        fs::set_permissions(to.join("both"), fs::Permissions::from_mode(0o711)).unwrap();
        adopt(&from, &to, &HashSet::from([PathBuf::new(), "new".into()])).unwrap();
        assert_eq!((mode(&from), mode(&from.join("both"))), (0o1750, 0o711));
    }

    #[test]
    fn conflicts_are_found_and_links_not_followed() {
        let (outer, from, to) = trees();
        fs::remove_dir_all(to.join("both/old")).unwrap();
        fs::create_dir(outer.path().join("outside")).unwrap();
        symlink(outer.path().join("outside"), to.join("new")).unwrap();
        assert_eq!(conflict(&from, &to).unwrap().as_deref(), Some(Path::new("new")));
        assert!(merge(&from, &to, Present::Replaced).is_err());
        assert_eq!(fs::read_dir(outer.path().join("outside")).unwrap().count(), 0);
        // Deeper, in trees that nothing was moved between.
        let (_outer, from, to) = trees();
        fs::create_dir(to.join("both/deep")).unwrap();
        fs::create_dir(to.join("both/deep/f")).unwrap();
        assert_eq!(conflict(&from, &to).unwrap().as_deref(), Some(Path::new("both/deep/f")));
    }
}
