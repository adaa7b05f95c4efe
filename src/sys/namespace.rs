//! A new network namespace for the calling thread.

use std::io;

use rustix::thread::UnshareFlags;

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
