//! A journal of what is being made. Its file is locked by the process that makes the thing and removed when
//! the thing is whole: a file without a lock means that its maker was killed, and says what to take down.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::file::{make_directory, write_through};
use crate::{Error, Result};

/// Journals are small; a larger file is not one of ours.
const LIMIT: u64 = 64 << 10;

/// One thing being made. Dropped without [`Pending::finish`], the journal stays for the next command.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    _file: OwnedFd,
}

impl Pending {
    /// Begin to make `key`, with what a rollback must know. None when somebody else is making it.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn begin(directory: &Path, key: &str, content: &[u8]) -> Result<Option<Self>> {
        make_directory(directory, 0o700)?;
        let path = directory.join(key);
        loop {
            // It gets its name when it is locked and written: whoever finds it finds it whole.
            let unnamed = directory.join(format!(".{key}.{}", rustix::thread::gettid().as_raw_nonzero()));
            let file = create(&unnamed)?;
            let named = lock(&file, &unnamed).and_then(|locked| {
                write_through(&file, content).map_err(|cause| Error::io("write", &path, cause))?;
                Ok(locked)
            });
            match named {
                Ok(true) => {}
                // Another command took it for a dead one's in the moment before it was locked.
                Ok(false) => continue,
                Err(error) => {
                    let _ = std::fs::remove_file(&unnamed);
                    return Err(error);
                }
            }
            let here = rustix::fs::CWD;
            return match rustix::fs::renameat_with(here, &unnamed, here, &path, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(Some(Self { path, _file: file })),
                Err(Errno::NOENT) => continue,
                Err(cause) => {
                    let _ = std::fs::remove_file(&unnamed);
                    if cause == Errno::EXIST { Ok(None) } else { Err(Error::io("create", &path, cause)) }
                }
            };
        }
    }

    /// Every journal whose maker is gone, locked, with what it says.
    ///
    /// # Errors
    /// Names the path and what failed. A missing directory holds no journal.
    pub fn abandoned(directory: &Path) -> Result<Vec<(Self, Vec<u8>)>> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(Error::io("read", directory, cause)),
        };
        let mut found = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let Ok(file) = rustix::fs::open(&path, flags, Mode::empty()) else { continue };
            let regular =
                rustix::fs::fstat(&file).is_ok_and(|data| FileType::from_raw_mode(data.st_mode).is_file());
            if regular && lock(&file, &path)? {
                // What cannot be read names nothing to take down.
                let content = super::file::read_bounded(&path, LIMIT).unwrap_or_default();
                found.push((Self { path, _file: file }, content));
            }
        }
        Ok(found)
    }

    /// Whether a journal of these names a thing, its maker alive or not: for those who free what nobody owns.
    pub fn any(directory: &Path, names: impl Fn(&[u8]) -> bool) -> bool {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| super::file::read_bounded(&entry.path(), LIMIT).ok())
            .any(|content| names(&content))
    }

    /// The thing is whole, or taken down again.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn finish(self) -> Result<()> {
        match std::fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &self.path, cause))
            }
            _ => Ok(()),
        }
    }
}

fn create(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))
        .map_err(|cause| Error::io("create", path, cause))
}

/// The lock, unless another has it or the file was removed by its holder in the meantime.
fn lock(file: &OwnedFd, path: &Path) -> Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(false),
        Err(cause) => return Err(Error::io("lock", path, cause)),
    }
    let ours = rustix::fs::fstat(file).map_err(|cause| Error::io("read", path, cause))?;
    Ok(rustix::fs::stat(path).is_ok_and(|there| (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_journal_stops_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("empty"), b"").unwrap();
        std::fs::write(at("long"), vec![b'x'; 1 << 20]).unwrap();
        std::fs::create_dir(at("directory")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap();
        let mut found: Vec<Vec<u8>> =
            Pending::abandoned(directory.path()).unwrap().into_iter().map(|(_, content)| content).collect();
        found.sort();
        assert_eq!(found, [b"", b""]);
    }

    #[test]
    fn a_journal_without_a_maker_is_found_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = Pending::begin(directory.path(), "web", b"{}").unwrap().unwrap();
        assert!(Pending::begin(directory.path(), "web", b"{}").unwrap().is_none());
        assert!(Pending::abandoned(directory.path()).unwrap().is_empty());
        drop(first);
        let found = Pending::abandoned(directory.path()).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].1, b"{}");
        assert!(Pending::abandoned(directory.path()).unwrap().is_empty());
        for (pending, _) in found {
            pending.finish().unwrap();
        }
        assert!(Pending::begin(directory.path(), "web", b"{}").unwrap().is_some());
    }
}
