//! Namespaces: a new one for the calling thread, those of other processes, and programs in them.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, UnshareFlags};

/// Moves the calling thread, and only it, into a new network namespace: call it on a thread that ends soon.
///
/// # Errors
/// The kernel's: EPERM without CAP_SYS_ADMIN, ENOSPC over the limit of namespaces.
pub fn unshare_network() -> io::Result<()> {
    unshare(UnshareFlags::NEWNET)
}

/// Moves the calling thread into new mount and network namespaces (a test's own world).
///
/// # Errors
/// As [`unshare_network`].
pub fn unshare_network_and_mounts() -> io::Result<()> {
    unshare(UnshareFlags::NEWNET | UnshareFlags::NEWNS)
}

#[expect(unsafe_code, reason = "rustix has no safe form")]
fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the call is unsafe for UnshareFlags::FILES alone, which no caller here passes.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

/// The namespace of kind `net`, `pid`, `ipc`, `uts` or `user` that process `pid` is in.
pub fn path(pid: u32, kind: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/{kind}"))
}

/// Whether process `pid` is in another namespace of this kind than this process. False for one that has ended.
pub fn is_another(pid: u32, kind: &str) -> bool {
    let (theirs, ours) =
        (std::fs::read_link(path(pid, kind)), std::fs::read_link(format!("/proc/self/ns/{kind}")));
    theirs.is_ok_and(|theirs| ours.is_ok_and(|ours| theirs != ours))
}

/// The rows of a process's `uid_map` or `gid_map`: the first id inside, the first one of this machine, how many.
pub fn id_map(pid: u32, name: &str) -> Vec<[u32; 3]> {
    rows(&std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default())
}

fn rows(text: &str) -> Vec<[u32; 3]> {
    let row = |line: &str| -> Option<[u32; 3]> {
        let numbers: Option<Vec<u32>> = line.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
        numbers?.try_into().ok()
    };
    text.lines().filter_map(row).collect()
}

/// Moves the calling thread into the network namespace that `network` is opened at.
///
/// # Errors
/// The kernel's: EPERM without CAP_SYS_ADMIN, EINVAL for what is no network namespace.
pub fn enter_network(network: impl AsFd) -> io::Result<()> {
    rustix::thread::move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(io::Error::from)
}

/// Becomes `program`, looked for on PATH, in the namespaces of the calling thread. Back only where that fails.
pub fn become_program(program: &OsStr, arguments: &[String]) -> io::Error {
    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_read() {
        assert_eq!(
            rows("         0     100000      65536\n     65536          0 1\n"),
            [[0, 100_000, 65_536], [65_536, 0, 1]]
        );
        assert_eq!(rows("0 1\nx y z\n"), Vec::<[u32; 3]>::new());
        assert_eq!(rows("0 0 4294967295\n"), [[0, 0, u32::MAX]]);
    }

    #[test]
    fn this_process_is_in_its_own_namespaces() {
        assert!(!is_another(std::process::id(), "net"));
        assert!(!is_another(u32::MAX, "net"), "nobody is nowhere");
        assert!(!id_map(std::process::id(), "uid_map").is_empty());
    }

    #[test]
    fn what_is_not_there_cannot_be_become() {
        let error = become_program(OsStr::new("/nowhere/program"), &[]);
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
