//! This machine's end of a copy.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use super::names::{End, asserts_directory, base, keep_end, split};
use super::{MOST_LINKS, kind};
use crate::error::{Error, Result};

/// The source `path`, absolute, with what the user wrote at its end: opened without effect on what it is. Links
/// on the way are followed, the last one only with `follow` or with a slash behind it.
pub(super) fn source(path: &str, follow: bool) -> Result<(OwnedFd, End)> {
    let whole = follow || asserts_directory(path);
    let real = match whole {
        true => real(Path::new(path))?,
        false => {
            let (directory, name) = split(path);
            real(Path::new(&directory))?.join(name)
        }
    };
    let failed = |cause: rustix::io::Errno| match cause {
        rustix::io::Errno::NOTDIR => Error::failed("not a directory").hint(format!("{path} is a file")),
        _ => Error::io("lstat", &real, cause),
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::open(&real, flags, Mode::empty()).map_err(failed)?;
    let is_directory = kind(&place).map_err(failed)? == FileType::Directory;
    if asserts_directory(path) && !is_directory {
        return Err(failed(rustix::io::Errno::NOTDIR));
    }
    let kept = keep_end(&real.to_string_lossy(), path);
    let asked = (base(&kept) != base(path)).then(|| base(path));
    Ok((place, End { path: kept, exists: true, is_directory, asked }))
}

/// With every link followed. The error names the first part of the path that is missing, as docker's does.
fn real(path: &Path) -> Result<PathBuf> {
    std::fs::canonicalize(path).map_err(|cause| {
        if cause.kind() == std::io::ErrorKind::NotADirectory {
            return Error::failed("not a directory").hint(format!("{} leads through a file", path.display()));
        }
        let mut parts: Vec<&Path> = path.ancestors().collect();
        parts.reverse();
        let missing = parts.into_iter().find(|part| !part.exists()).unwrap_or(path);
        Error::io("lstat", missing, cause)
    })
}

/// What is at the destination `path`; a link there leads to the destination.
pub(super) fn destination(path: &str) -> Result<End> {
    let mut end = End { path: path.to_owned(), ..End::default() };
    for _ in 0..=MOST_LINKS {
        match std::fs::symlink_metadata(&end.path) {
            Ok(data) if data.is_symlink() => {
                let link = std::fs::read_link(&end.path)
                    .map_err(|cause| Error::io("read link", &end.path, cause))?;
                end.path = Path::new(&split(&end.path).0).join(link).to_string_lossy().into_owned();
            }
            Ok(data) => {
                (end.exists, end.is_directory) = (true, data.is_dir());
                return Ok(end);
            }
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                let parent = split(&end.path).0;
                let data = std::fs::metadata(&parent).map_err(|cause| Error::io("stat", &parent, cause))?;
                if !data.is_dir() {
                    return Err(Error::failed("not a directory").hint(format!("{parent} is a file")));
                }
                return Ok(end);
            }
            Err(cause) => return Err(Error::io("stat", &end.path, cause)),
        }
    }
    Err(Error::failed(format!("too many symlinks in {path}")))
}

/// A directory to put things into.
pub(super) fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|cause| Error::io("open", path, cause))
}
