//! Network namespaces as files: made on a thread of their own, kept by a bind mount, entered by short-lived
//! threads, so that this process never leaves its own.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::thread::LinkNameSpaceType;

use super::link::Links;
use super::{Networks, namespace_path};
use crate::store::make_directory;
use crate::{Error, Result};

/// The loopback link is the first of every namespace.
const LOOPBACK: u32 = 1;

impl Networks {
    /// Makes a network namespace with its loopback up, kept by the file `namespaces/<owner>`. What is there
    /// by that name (left by a crash or a reboot, or still in use) is replaced.
    ///
    /// The bind mount is made in this process's mount namespace, containerd's and the runtime's own: where
    /// the directory's mount is shared (systemd's default) it reaches the other ones too. Unlike `ip netns`
    /// the directory is not made a mount point of its own, which would forbid its removal.
    ///
    /// # Errors
    /// An owner that is no file name, missing privilege, a failing system call with the path.
    pub fn create_namespace(&self, owner: &str) -> Result<PathBuf> {
        check_owner(owner)?;
        make_directory(&self.namespaces, 0o700)?;
        self.remove_namespace(owner)?;
        let path = namespace_path(&self.namespaces, owner);
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600))
            .map_err(|cause| Error::io("create", &path, cause))?;
        on_thread(|| {
            crate::sys::namespace::unshare_network().map_err(|cause| {
                let error = Error::io("create the network namespace", &path, cause);
                error.hint("this needs root, and room below user.max_net_namespaces")
            })?;
            rustix::mount::mount_bind("/proc/thread-self/ns/net", &path)
                .map_err(|cause| Error::io("mount the network namespace on", &path, cause))?;
            Links::open()?.up(LOOPBACK)
        })
        .inspect_err(|_| {
            let _ = self.remove_namespace(owner);
        })?;
        Ok(path)
    }

    /// Removes the namespace's mount and file, and the names that are known there, if they are there. The kernel
    /// deletes the namespace with its links when nothing else uses it.
    ///
    /// # Errors
    /// A failing system call with the path.
    pub fn remove_namespace(&self, owner: &str) -> Result<()> {
        check_owner(owner)?;
        // First: the resolver has sockets in there, and closes them when the names go.
        self.remove_member(owner)?;
        let path = namespace_path(&self.namespaces, owner);
        loop {
            match rustix::mount::unmount(&path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
                // More than one mount can lie on a path.
                Ok(()) => {}
                Err(Errno::INVAL | Errno::NOENT) => break,
                Err(cause) => return Err(Error::io("unmount", &path, cause)),
            }
        }
        match rustix::fs::unlink(&path) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(cause) => Err(Error::io("remove", &path, cause)),
        }
    }
}

/// An owner names a file and stands in a comment.
pub(crate) fn check_owner(owner: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'/';
    if owner.is_empty() || owner.len() > 200 || owner.starts_with('.') || !owner.bytes().all(plain) {
        return Err(Error::usage(format!("\"{owner}\" cannot name a network namespace")));
    }
    Ok(())
}

/// Opens a namespace's file.
pub(crate) fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|cause| Error::io("open the network namespace", path, cause))
}

/// Does `work` inside the namespace. Sockets opened there stay there.
pub(crate) fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    on_thread(|| {
        rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|errno| super::link::failed("enter the network namespace", errno))?;
        work()
    })
}

/// A thread that has changed its namespace ends with its work: it can never serve anybody else.
fn on_thread<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("namespace".into())
            .stack_size(128 * 1024)
            .spawn_scoped(scope, work)
            .map_err(|cause| Error::failed(format!("start a thread: {}", crate::error::reason(&cause))))?;
        thread.join().unwrap_or_else(|_| Err(Error::failed("a thread of the network room panicked")))
    })
}
