//! `attach.sock`: how it is made, found and taken away, at any length of path.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::{Error, Result};

/// The socket's name in the container's run directory.
pub const SOCKET: &str = "attach.sock";

/// What `sun_path` holds beside its zero.
const LONGEST: usize = 107;

/// A listening socket and the file it is reached by.
#[derive(Debug)]
pub struct Socket {
    /// Non-blocking.
    pub listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Listens on `attach.sock` in `directory` (made with 0700 where missing). A socket that is there already
    /// is replaced in one step, so a client finds the old or the new one, never none.
    pub fn listen(directory: &Path) -> Result<Self> {
        Self::listen_as(directory, SOCKET)
    }

    /// The same on a socket of another name.
    pub fn listen_as(directory: &Path, name: &str) -> Result<Self> {
        let new = format!(".{name}.new");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|cause| Error::io("create", directory, cause))?;
        let fresh = directory.join(&new);
        let path = directory.join(name);
        let listen = || -> io::Result<Self> {
            match std::fs::remove_file(&fresh) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let (short, _open) = reachable(directory, &new)?;
            let listener = UnixListener::bind(short)?;
            listener.set_nonblocking(true)?;
            std::fs::set_permissions(&fresh, Permissions::from_mode(0o600))?;
            let inode = std::fs::symlink_metadata(&fresh)?.ino();
            std::fs::rename(&fresh, &path)?;
            Ok(Self { listener, path: path.clone(), inode })
        };
        listen().map_err(|cause| Error::io("listen on", &path, cause))
    }

    /// Takes the file away, unless another monitor has put its own there.
    pub fn remove(self) {
        if std::fs::symlink_metadata(&self.path).is_ok_and(|data| data.ino() == self.inode) {
            // Nothing depends on it: a socket without a listener only refuses.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Connects to the monitor that serves `directory`.
pub fn connect(directory: &Path) -> io::Result<UnixStream> {
    connect_as(directory, SOCKET)
}

/// Connects to the socket of that name in `directory`.
pub fn connect_as(directory: &Path, name: &str) -> io::Result<UnixStream> {
    let (short, _open) = reachable(directory, name)?;
    UnixStream::connect(short)
}

/// A path of `name` in `directory` that fits into a socket's address, and what must stay open meanwhile.
fn reachable(directory: &Path, name: &str) -> io::Result<(PathBuf, Option<OwnedFd>)> {
    let path = directory.join(name);
    if path.as_os_str().len() <= LONGEST {
        return Ok((path, None));
    }
    let open =
        rustix::fs::open(directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    Ok((PathBuf::from(format!("/proc/self/fd/{}/{name}", open.as_raw_fd())), Some(open)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listens_at_any_length_and_replaces_what_is_stale() {
        let temp = tempfile::tempdir().unwrap();
        for directory in [temp.path().join("short"), temp.path().join("d".repeat(120)).join("e".repeat(120))]
        {
            let first = Socket::listen(&directory).unwrap();
            let stale = first.listener.try_clone().unwrap();
            let second = Socket::listen(&directory).unwrap();
            connect(&directory).unwrap();
            assert!(second.listener.accept().is_ok());
            assert!(stale.accept().is_err(), "the old one is no longer reached");
            assert_eq!(std::fs::metadata(directory.join(SOCKET)).unwrap().mode() & 0o777, 0o600);
            assert_eq!(std::fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
            first.remove();
            assert!(directory.join(SOCKET).exists(), "not the first one's any more");
            second.remove();
            assert!(!directory.join(SOCKET).exists());
        }
    }
}
