//! Locks between processes: flock, so that a killed holder leaves nothing behind.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::{Error, Result};

/// A lock held until it is dropped. Two of one process exclude each other too.
#[derive(Debug)]
pub struct Lock {
    file: OwnedFd,
}

impl Lock {
    /// Waits for the file's lock; the file is made (0600) when it is missing and stays.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn file(path: &Path) -> Result<Self> {
        let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
        wait(&file, path)?;
        Ok(Self { file })
    }

    /// Waits for the lock of a directory that is there.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn directory(path: &Path) -> Result<Self> {
        let file = open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        wait(&file, path)?;
        Ok(Self { file })
    }

    /// Waits for the lock of a directory that is there, together with others that share it.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn shared_directory(path: &Path) -> Result<Self> {
        let file = open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        wait_for(&file, path, FlockOperation::LockShared)?;
        Ok(Self { file })
    }

    /// The lock of a directory that is there, if it is free at this moment; None while somebody holds it.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn try_directory(path: &Path) -> Result<Option<Self>> {
        let file = open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        attempt(file, path)
    }

    /// Whether `path` still is what is locked: it may have been removed, and made anew, while we waited.
    pub fn is_of(&self, path: &Path) -> bool {
        let (Ok(held), Ok(there)) = (rustix::fs::fstat(&self.file), rustix::fs::stat(path)) else {
            return false;
        };
        (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)
    }

    /// The file's lock if it is free at this moment, None while somebody holds it.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn try_file(path: &Path) -> Result<Option<Self>> {
        let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
        attempt(file, path)
    }

    /// The file's lock, together with others that share it, if nobody has it alone at this moment.
    ///
    /// # Errors
    /// Names the path and what failed.
    pub fn try_shared_file(path: &Path) -> Result<Option<Self>> {
        let file = open(path, OFlags::RDWR | OFlags::CREATE)?;
        attempt_to(file, path, FlockOperation::NonBlockingLockShared)
    }
}

fn attempt(file: OwnedFd, path: &Path) -> Result<Option<Lock>> {
    attempt_to(file, path, FlockOperation::NonBlockingLockExclusive)
}

fn attempt_to(file: OwnedFd, path: &Path, operation: FlockOperation) -> Result<Option<Lock>> {
    match rustix::fs::flock(&file, operation) {
        Ok(()) => Ok(Some(Lock { file })),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(cause) => Err(Error::io("lock", path, cause)),
    }
}

fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))
        .map_err(|cause| Error::io("lock", path, cause))
}

fn wait(file: &OwnedFd, path: &Path) -> Result<()> {
    wait_for(file, path, FlockOperation::LockExclusive)
}

fn wait_for(file: &OwnedFd, path: &Path, operation: FlockOperation) -> Result<()> {
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(cause) => return Err(Error::io("lock", path, cause)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = Lock::file(&path).unwrap();
        assert!(Lock::try_file(&path).unwrap().is_none());
        drop(held);
        assert!(Lock::try_file(&path).unwrap().is_some());
        let shared = [(); 2].map(|()| Lock::shared_directory(directory.path()).unwrap());
        assert!(Lock::try_directory(directory.path()).unwrap().is_none());
        drop(shared);
        let held = Lock::directory(directory.path()).unwrap();
        assert!(Lock::try_directory(directory.path()).unwrap().is_none());
        assert!(held.is_of(directory.path()));
        assert!(!held.is_of(&path));
    }
}
