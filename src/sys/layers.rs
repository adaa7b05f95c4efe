//! One directory of an overlay's merged view, as the directories of its layers: to be mounted by itself.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::tree::{is_opaque, is_whiteout};
use crate::{Error, Result};

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
    look_through(lower, path, usize::MAX)
}

/// The topmost directory that the layers `lower` have at `path`, as [`below`] finds it, without a look at those below it.
pub fn topmost(lower: &[PathBuf], path: &Path) -> Result<Option<PathBuf>> {
    Ok(match look_through(lower, path, 1)? {
        Some(Below::Directory(parts)) => parts.into_iter().next(),
        _ => None,
    })
}

fn look_through(lower: &[PathBuf], path: &Path, most: usize) -> Result<Option<Below>> {
    let mut parts = Vec::new();
    for layer in lower {
        let found = look(layer, path).map_err(|cause| Error::io("look into layer", layer, cause))?;
        let place = layer.join(path);
        match found {
            Found::Nothing { covered: false } => {}
            Found::Nothing { covered: true } => break,
            Found::Directory { covered } => {
                parts.push(place);
                if covered || parts.len() >= most {
                    break;
                }
            }
            Found::Other if parts.is_empty() => return Ok(Some(Below::Other(place))),
            Found::Other => break,
        }
    }
    Ok((!parts.is_empty()).then_some(Below::Directory(parts)))
}

/// What one layer has. `covered` means that the layers below are hidden there.
enum Found {
    Nothing { covered: bool },
    Directory { covered: bool },
    Other,
}

fn look(layer: &Path, path: &Path) -> rustix::io::Result<Found> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory: OwnedFd = rustix::fs::open(layer, flags, Mode::empty())?;
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
        directory = rustix::fs::openat(&directory, &name, flags, Mode::empty())?;
        covered |= is_opaque(&directory);
    }
    Ok(Found::Directory { covered })
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
            assert_eq!(topmost(&lower, Path::new(path)).unwrap(), first, "{path}");
        }
    }
}
