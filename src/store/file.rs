//! Files that are there whole or not at all.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// Writes `content` to `path` so that a reader sees the old file or the new one, never a part: a temporary
/// file beside it, then a rename. The file's permissions are `mode`, whatever the umask says.
///
/// # Errors
/// Names the path and what failed; the temporary file is gone then.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::failed(format!("write {}: not a file's path", path.display())));
    };
    // The process id and the thread's make the name unique among the living; what the dead left is replaced.
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    let pid = rustix::process::getpid().as_raw_nonzero();
    temporary.push(format!(".{pid}.{}", rustix::thread::gettid().as_raw_nonzero()));
    let temporary = directory.join(temporary);
    let written = write_new(&temporary, content, mode)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(|cause| Error::io("write", path, cause));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
    write_through(&file, content)?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    Ok(())
}

/// Writes `content` to an open file, from its beginning.
pub(super) fn write_through(file: &std::os::fd::OwnedFd, content: &[u8]) -> std::io::Result<()> {
    std::io::Write::write_all(&mut std::fs::File::from(file.try_clone()?), content)
}

/// Reads at most `limit` bytes of a file.
///
/// # Errors
/// Names the path; a longer file is an error too.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let act = |cause| Error::io("read", path, cause);
    let mut content = Vec::new();
    std::fs::File::open(path).map_err(act)?.take(limit + 1).read_to_end(&mut content).map_err(act)?;
    if content.len() as u64 > limit {
        return Err(Error::failed(format!("read {}: larger than {limit} bytes", path.display())));
    }
    Ok(content)
}

/// Makes `path` and what is missing above it. New directories get `mode`; one that is there keeps its own.
///
/// # Errors
/// Names the directory that could not be made.
pub fn make_directory(path: &Path, mode: u32) -> Result<()> {
    let attempt = |path: &Path| rustix::fs::mkdir(path, Mode::from_raw_mode(mode));
    match attempt(path) {
        Ok(()) => Ok(()),
        Err(Errno::EXIST) if path.is_dir() => Ok(()),
        Err(Errno::NOENT) => {
            let parent = path.parent().filter(|parent| !parent.as_os_str().as_bytes().is_empty());
            let parent = parent.ok_or_else(|| Error::io("create", path, Errno::NOENT))?;
            make_directory(parent, mode)?;
            match attempt(path) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(cause) => Err(Error::io("create", path, cause)),
            }
        }
        Err(cause) => Err(Error::io("create", path, cause)),
    }
}

/// What an editor may leave (bytes).
const LARGEST_EDITED: u64 = 64 << 20;

/// Bytes as `edit` leaves them in a private file, which is gone afterwards.
pub fn edited(bytes: &[u8], edit: impl FnOnce(&Path) -> Result<()>) -> Result<Vec<u8>> {
    let directory = std::env::temp_dir().join(format!("wharfie-edit-{}", std::process::id()));
    make_directory(&directory, 0o700)?;
    let path = directory.join("blob");
    let result = write_atomic(&path, bytes, 0o600)
        .and_then(|()| edit(&path))
        .and_then(|()| read_bounded(&path, LARGEST_EDITED));
    let _ = std::fs::remove_dir_all(&directory);
    result
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hosts");
        write_atomic(&path, b"old", 0o600).unwrap();
        write_atomic(&path, b"new", 0o644).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn directories_are_made_and_bounds_kept() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b/c");
        make_directory(&deep, 0o700).unwrap();
        make_directory(&deep, 0o700).unwrap();
        assert_eq!(std::fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
        let path = deep.join("f");
        write_atomic(&path, b"12345", 0o600).unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert!(read_bounded(&path, 4).unwrap_err().message.contains("larger than 4 bytes"));
        assert!(write_atomic(&path.join("below-a-file"), b"", 0o600).is_err());
    }
}
