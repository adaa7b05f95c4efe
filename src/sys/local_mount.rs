//! Mounting what a user names as mount(8) would have it: a device, a kind of file system and options between
//! commas. The options may hold a password, so no error repeats one.

use std::ffi::{CString, OsString};
use std::fmt::Write as _;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags as Propagation, UnmountFlags};

use super::mount::{self, Access, Mount};
use super::view::clone_of;
use crate::{Error, Result};

/// Words that are flags of mount(2): whether the word sets them, and which.
const FLAGS: [(&str, bool, MountFlags); 23] = [
    ("async", false, MountFlags::SYNCHRONOUS),
    ("atime", false, MountFlags::NOATIME),
    ("bind", true, MountFlags::BIND),
    ("defaults", true, MountFlags::empty()),
    ("dev", false, MountFlags::NODEV),
    ("diratime", false, MountFlags::NODIRATIME),
    ("dirsync", true, MountFlags::DIRSYNC),
    ("exec", false, MountFlags::NOEXEC),
    ("mand", true, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
    ("noatime", true, MountFlags::NOATIME),
    ("nodev", true, MountFlags::NODEV),
    ("nodiratime", true, MountFlags::NODIRATIME),
    ("noexec", true, MountFlags::NOEXEC),
    ("nomand", false, MountFlags::PERMIT_MANDATORY_FILE_LOCKING),
    ("norelatime", false, MountFlags::RELATIME),
    ("nostrictatime", false, MountFlags::STRICTATIME),
    ("nosuid", true, MountFlags::NOSUID),
    ("relatime", true, MountFlags::RELATIME),
    ("ro", true, MountFlags::RDONLY),
    ("rw", false, MountFlags::RDONLY),
    ("strictatime", true, MountFlags::STRICTATIME),
    ("suid", false, MountFlags::NOSUID),
    ("sync", true, MountFlags::SYNCHRONOUS),
];

/// Words that say how mounts pass on.
const PROPAGATIONS: [(&str, Propagation); 8] = [
    ("private", Propagation::PRIVATE),
    ("rprivate", Propagation::PRIVATE.union(Propagation::REC)),
    ("shared", Propagation::SHARED),
    ("rshared", Propagation::SHARED.union(Propagation::REC)),
    ("slave", Propagation::DOWNSTREAM),
    ("rslave", Propagation::DOWNSTREAM.union(Propagation::REC)),
    ("unbindable", Propagation::UNBINDABLE),
    ("runbindable", Propagation::UNBINDABLE.union(Propagation::REC)),
];

/// A file system to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMount {
    kind: String,
    device: String,
    flags: MountFlags,
    /// A bind takes along what is mounted below.
    recursive: bool,
    propagation: Option<Propagation>,
    /// What only the file system understands.
    data: Vec<String>,
}

impl LocalMount {
    /// From a kind of file system, a device, and options between commas.
    pub fn new(kind: &str, device: &str, options: &str) -> Self {
        let mut mount = Self {
            kind: kind.into(),
            device: device.into(),
            flags: MountFlags::empty(),
            recursive: false,
            propagation: None,
            data: Vec::new(),
        };
        for word in options.split(',').filter(|word| !word.is_empty()) {
            if word == "rbind" {
                mount.flags |= MountFlags::BIND;
                mount.recursive = true;
            } else if let Some((_, set, flag)) = FLAGS.iter().find(|(known, ..)| *known == word) {
                mount.flags.set(*flag, *set);
            } else if let Some((_, propagation)) = PROPAGATIONS.iter().find(|(known, _)| *known == word) {
                mount.propagation = Some(*propagation);
            } else {
                mount.data.push(word.to_owned());
            }
        }
        mount
    }

    /// Whether what is written is gone once nobody has it mounted.
    pub fn is_memory(&self) -> bool {
        matches!(self.kind.as_str(), "tmpfs" | "ramfs") && !self.is_bind()
    }

    fn is_bind(&self) -> bool {
        self.flags.contains(MountFlags::BIND)
    }

    /// Mount it at a directory, for everybody to see.
    ///
    /// # Errors
    /// docker's words, passwords left out.
    pub fn attach(&self, target: &Path) -> Result<()> {
        let data = self.resolved()?;
        let failed = |cause: Errno| self.failed(target, &data, cause);
        let text = CString::new(data.join(",")).map_err(|_| failed(Errno::INVAL))?;
        if self.is_bind() {
            match self.recursive {
                true => rustix::mount::mount_bind_recursive(&self.device, target),
                false => rustix::mount::mount_bind(&self.device, target),
            }
            .map_err(failed)?;
        } else {
            rustix::mount::mount(&self.device, target, self.kind.as_str(), self.flags, text.as_c_str())
                .map_err(failed)?;
        }
        // A bind takes its flags in a second step.
        let extra = self.flags.difference(MountFlags::BIND);
        let finished = match self.is_bind() && !extra.is_empty() {
            true => rustix::mount::mount_remount(target, self.flags | MountFlags::BIND, c""),
            false => Ok(()),
        }
        .and_then(|()| match self.propagation {
            Some(propagation) => rustix::mount::mount_change(target, propagation),
            None => Ok(()),
        });
        finished.map_err(|cause| {
            // The first failure is the one to be told.
            let _ = rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
            failed(cause)
        })
    }

    /// The same, mounted nowhere: it goes with the descriptor. `target` is where it would be, for messages.
    ///
    /// # Errors
    /// As [`LocalMount::attach`].
    pub fn detached(&self, target: &Path) -> Result<OwnedFd> {
        if self.is_bind() {
            let (device, target) = (&self.device, target.display());
            return clone_of(Path::new(device), self.recursive, true).map_err(|error| {
                let lead = format!("failed to mount local volume: mount {device}:{target}");
                Error::failed(format!("{lead}: {}", error.message)).hint(format!("is {device} there?"))
            });
        }
        let data = self.resolved()?;
        let read_only = self.flags.contains(MountFlags::RDONLY);
        let access = if read_only { Access::Read } else { Access::Write };
        let described = Mount { kind: self.kind.clone(), source: self.device.clone(), options: data.clone() };
        mount::new_filesystem(&described, access).map_err(|cause| self.failed(target, &data, cause))
    }

    /// The file system's own options, `addr=` of a network one as a number: the kernel asks no name server.
    fn resolved(&self) -> Result<Vec<String>> {
        let mut data = self.data.clone();
        if !matches!(self.kind.as_str(), "nfs" | "nfs4" | "cifs" | "smb3") {
            return Ok(data);
        }
        for option in &mut data {
            let Some(name) = option.strip_prefix("addr=").filter(|name| name.parse::<IpAddr>().is_err())
            else {
                continue;
            };
            let found = (name, 0).to_socket_addrs().ok().and_then(|mut found| found.next());
            let address = found.ok_or_else(|| {
                Error::failed(format!(
                    "error resolving passed in network volume address: lookup {name}: no such host"
                ))
                .hint("name the server by its address: -o o=addr=192.0.2.1,…")
            })?;
            *option = format!("addr={}", address.ip());
        }
        Ok(data)
    }

    fn failed(&self, target: &Path, data: &[String], cause: Errno) -> Error {
        let shown: Vec<&str> = data
            .iter()
            .map(|option| match option.split_once('=') {
                Some(("password" | "pass" | "password2", _)) => "password=********",
                _ => option.as_str(),
            })
            .collect();
        let mut text = format!("failed to mount local volume: mount {}:{}", self.device, target.display());
        if !shown.is_empty() {
            let _ = write!(text, ", data: {}", shown.join(","));
        }
        let error = Error::failed(format!("{text}: {}", crate::error::reason(&cause.into())));
        match cause {
            Errno::NODEV => error.hint(format!(
                "this kernel knows no file system {:?}: `modprobe {}` may load it",
                self.kind, self.kind
            )),
            Errno::NOENT => error.hint(format!("there is no {}: make it first", self.device)),
            _ => error,
        }
    }
}

/// Whether a directory lies at `path`, without asking the server of a network file system that may not answer.
pub fn is_directory(path: &Path) -> bool {
    let flags = AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    rustix::fs::statx(CWD, path, flags, StatxFlags::TYPE)
        .is_ok_and(|data| FileType::from_raw_mode(data.stx_mode.into()) == FileType::Directory)
}

/// The first thing that is mounted in `directory` or below it.
///
/// # Errors
/// The kernel's table cannot be read.
pub fn mount_in(directory: &Path) -> Result<Option<PathBuf>> {
    const TABLE: &str = "/proc/self/mountinfo";
    let table = std::fs::read(TABLE).map_err(|cause| Error::io("read", TABLE, cause))?;
    let real = std::fs::canonicalize(directory).unwrap_or_else(|_| directory.to_path_buf());
    let points =
        table.split(|byte| *byte == b'\n').filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    Ok(points.map(unescaped).find(|point| point.starts_with(&real)))
}

/// The table has spaces and their like as `\040`.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, others @ ..] = rest {
        let digits = others.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &others[3..];
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    OsString::from_vec(bytes).into()
}

/// Take every mount off `path`. Nothing mounted there, or no such path, is fine.
///
/// # Errors
/// EBUSY where a process of this machine is in it, for one.
pub fn unmount_all(path: &Path, lazily: bool) -> rustix::io::Result<()> {
    let mut flags = UnmountFlags::NOFOLLOW;
    flags.set(UnmountFlags::DETACH, lazily);
    loop {
        match rustix::mount::unmount(path, flags) {
            // More than one mount can lie on a path.
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(cause) => return Err(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_flags_propagation_or_the_file_systems_own() {
        let mount = LocalMount::new("nfs", ":/x", "addr=192.0.2.1,ro,nolock,noexec,exec,rslave,soft");
        assert_eq!(mount.flags, MountFlags::RDONLY);
        assert_eq!(mount.propagation, Some(Propagation::DOWNSTREAM | Propagation::REC));
        assert_eq!(mount.data, ["addr=192.0.2.1", "nolock", "soft"]);
        let bind = LocalMount::new("none", "/srv", "rbind,ro,nosuid");
        assert!(bind.is_bind() && bind.recursive && !bind.is_memory());
        assert_eq!(bind.flags, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID);
        assert!(LocalMount::new("tmpfs", "tmpfs", "size=1m").is_memory());
        assert!(!LocalMount::new("tmpfs", "/srv", "bind").is_memory());
    }

    #[test]
    fn mounts_below_are_found() {
        assert_eq!(unescaped(b"/a\\040b\\134c\\x"), Path::new("/a b\\c\\x"));
        assert_eq!(mount_in(Path::new("/proc")).unwrap().as_deref(), Some(Path::new("/proc")));
        assert_eq!(mount_in(tempfile::tempdir().unwrap().path()).unwrap(), None);
    }

    #[test]
    fn no_error_repeats_a_password() {
        let mount = LocalMount::new("nonesuchfs", "//192.0.2.1/x", "username=me,password=secret,vers=3.0");
        for error in [mount.attach(Path::new("/")).unwrap_err(), mount.detached(Path::new("/")).unwrap_err()]
        {
            assert!(error.message.contains("data: username=me,password=********,vers=3.0: "), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error}");
        }
        let named = LocalMount::new("nfs", ":/x", "addr=no-such-host.invalid");
        let error = named.attach(Path::new("/nowhere")).unwrap_err();
        assert!(error.message.contains("network volume address: lookup no-such-host.invalid"), "{error}");
    }
}
