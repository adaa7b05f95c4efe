//! One directory of an overlay's merged view, as the directories of its layers: to be mounted by itself.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::tree::{is_opaque, is_whiteout};
use crate::{Error, Result};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// What is at a path of an overlay.
#[derive(Debug, PartialEq, Eq)]
pub enum Below {
    /// A directory: its parts, the topmost first.
    Directory(Vec<PathBuf>),
    /// Something else, at this path.
    Other(PathBuf),
}

/// What the layers `lower`, the topmost first, have together at `path`, which has no symbolic links. None where
/// there is nothing.
pub fn below(lower: &[PathBuf], path: &Path) -> Result<Option<Below>> {
    let mut parts = Vec::new();
    for layer in lower {
        let place = layer.join(path);
        match look(layer, path).map_err(|cause| failed(layer, cause))? {
            Found::Nothing { covered: false } => {}
            Found::Nothing { covered: true } => break,
            Found::Directory { covered, .. } => {
                parts.push(place);
                if covered {
                    break;
                }
            }
            Found::Other if parts.is_empty() => return Ok(Some(Below::Other(place))),
            Found::Other => break,
        }
    }
    Ok((!parts.is_empty()).then_some(Below::Directory(parts)))
}

fn failed(layer: &Path, cause: Errno) -> Error {
    Error::io("look into layer", layer, cause)
}

/// Finds the topmost directory that layers have at each of many paths. Where one was found says where to begin with those
/// in it: an image of many layers would take a look into each of them for each path else.
#[derive(Debug)]
pub struct Topmost<'a> {
    lower: &'a [PathBuf],
    /// The layer, and whether those below it are hidden there.
    known: HashMap<PathBuf, Option<(usize, bool)>>,
}

impl<'a> Topmost<'a> {
    /// In the layers `lower`, the topmost first.
    pub fn new(lower: &'a [PathBuf]) -> Self {
        Self { lower, known: HashMap::new() }
    }

    /// The directory at `path`, which has no symbolic links. None where there is nothing, or something else on top.
    ///
    /// # Errors
    /// A layer cannot be read.
    pub fn find(&mut self, path: &Path) -> Result<Option<OwnedFd>> {
        let found = match path.parent().and_then(|above| self.known.get(above)) {
            Some(None) => None,
            Some(&Some((first, covered))) => match self.child(first, path)? {
                Child::Directory(open) => {
                    let covered = covered || is_opaque(&open);
                    Some((open, first, covered))
                }
                Child::Other => None,
                Child::Nothing if covered => None,
                Child::Nothing => self.search(first + 1, path)?,
            },
            None => self.search(0, path)?,
        };
        let known = found.as_ref().map(|(_, layer, covered)| (*layer, *covered));
        self.known.insert(path.to_path_buf(), known);
        Ok(found.map(|(open, ..)| open))
    }

    /// At a path whose directory is known to be in a layer.
    fn child(&self, layer: usize, path: &Path) -> Result<Child> {
        let Some(layer) = self.lower.get(layer) else { return Ok(Child::Nothing) };
        match rustix::fs::open(layer.join(path), DIRECTORY, Mode::empty()) {
            Ok(open) => Ok(Child::Directory(open)),
            Err(Errno::NOENT) => Ok(Child::Nothing),
            Err(Errno::NOTDIR | Errno::LOOP) => Ok(Child::Other),
            Err(cause) => Err(failed(layer, cause)),
        }
    }

    fn search(&self, first: usize, path: &Path) -> Result<Option<(OwnedFd, usize, bool)>> {
        for (at, layer) in self.lower.iter().enumerate().skip(first) {
            match look(layer, path).map_err(|cause| failed(layer, cause))? {
                Found::Nothing { covered: false } => {}
                Found::Nothing { covered: true } | Found::Other => break,
                Found::Directory { open, covered } => return Ok(Some((open, at, covered))),
            }
        }
        Ok(None)
    }
}

enum Child {
    Nothing,
    Directory(OwnedFd),
    Other,
}

/// What one layer has. `covered` means that the layers below are hidden there.
enum Found {
    Nothing { covered: bool },
    Directory { open: OwnedFd, covered: bool },
    Other,
}

fn look(layer: &Path, path: &Path) -> rustix::io::Result<Found> {
    let mut directory: OwnedFd = rustix::fs::open(layer, DIRECTORY, Mode::empty())?;
    let mut covered = false;
    let names: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    for (at, name) in names.iter().enumerate() {
        let name = CString::new(name.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        let stat = match rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Found::Nothing { covered }),
            Err(cause) => return Err(cause),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let last = at + 1 == names.len();
            return Ok(if last && !is_whiteout(&stat) {
                Found::Other
            } else {
                Found::Nothing { covered: true }
            });
        }
        directory = rustix::fs::openat(&directory, &name, DIRECTORY, Mode::empty())?;
        covered |= is_opaque(&directory);
    }
    Ok(Found::Directory { open: directory, covered })
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, XattrFlags};

    use super::*;

    #[test]
    fn layers_hide_one_another() {
        let outer = tempfile::tempdir().unwrap();
        let layer = |name: &str| outer.path().join(name);
        let lower: Vec<PathBuf> = ["top", "middle", "bottom"].map(layer).to_vec();
        for (at, directory) in
            [(0, "a"), (1, "a/d"), (2, "a/d"), (1, "o"), (2, "o/x"), (2, "w"), (1, "t"), (2, "b")]
        {
            std::fs::create_dir_all(lower[at].join(directory)).unwrap();
        }
        rustix::fs::setxattr(lower[1].join("o"), c"user.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
        rustix::fs::mknodat(CWD, lower[0].join("w"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
        std::fs::write(lower[0].join("t"), "").unwrap();
        let directory = |places: &[(usize, &str)]| {
            Some(Below::Directory(places.iter().map(|(at, path)| lower[*at].join(path)).collect()))
        };
        let mut topmost = Topmost::new(&lower);
        let inode = |open: &OwnedFd| rustix::fs::fstat(open).unwrap().st_ino;
        let place = |path: &PathBuf| rustix::fs::stat(path).unwrap().st_ino;
        // The second time by what is known of the directories above.
        for (path, expected) in [
            ("a", directory(&[(0, "a"), (1, "a"), (2, "a")])),
            ("a/d", directory(&[(1, "a/d"), (2, "a/d")])),
            ("o", directory(&[(1, "o")])),
            ("o/x", None),
            ("w", None),
            ("t", Some(Below::Other(lower[0].join("t")))),
            ("t/x", None),
            ("b", directory(&[(2, "b")])),
            ("nope", None),
        ] {
            assert_eq!(below(&lower, Path::new(path)).unwrap(), expected, "{path}");
            let first = match expected {
                Some(Below::Directory(parts)) => parts.first().cloned(),
                _ => None,
            };
            let found = topmost.find(Path::new(path)).unwrap();
            assert_eq!(found.as_ref().map(inode), first.as_ref().map(place), "{path}");
        }
    }
}
