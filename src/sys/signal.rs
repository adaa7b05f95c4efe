//! SIGTERM as a file descriptor, for a loop that polls.
#![expect(unsafe_code, reason = "neither the standard library nor rustix's safe part has signalfd")]

use std::ffi::c_int;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

const SIGTERM: c_int = 15;
const SIG_BLOCK: c_int = 0;
const SFD_NONBLOCK: c_int = 0o4000;
const SFD_CLOEXEC: c_int = 0o2_000_000;

/// The C library's `sigset_t`: 1024 bits, in glibc and musl alike.
#[repr(C)]
struct SignalSet([u64; 16]);

unsafe extern "C" {
    fn sigemptyset(set: *mut SignalSet) -> c_int;
    fn sigaddset(set: *mut SignalSet, signal: c_int) -> c_int;
    fn pthread_sigmask(how: c_int, set: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn signalfd(fd: c_int, set: *const SignalSet, flags: c_int) -> c_int;
}

/// Holds SIGTERM back from this thread (and those it starts from now on) and gives a descriptor that becomes
/// readable when one is pending. Non-blocking, closed on exec; a child started by
/// [`std::process::Command`] has the signal unblocked again.
pub fn termination() -> io::Result<OwnedFd> {
    let mut set = SignalSet([0; 16]);
    // SAFETY: `set` is a writable sigset_t; both calls only write into it.
    unsafe {
        sigemptyset(&raw mut set);
        sigaddset(&raw mut set, SIGTERM);
    }
    // SAFETY: `set` is initialised; a null `old` is allowed.
    let failed = unsafe { pthread_sigmask(SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    if failed != 0 {
        return Err(io::Error::from_raw_os_error(failed));
    }
    // SAFETY: `set` is initialised; -1 asks for a new descriptor.
    let fd = unsafe { signalfd(-1, &raw const set, SFD_NONBLOCK | SFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just gave this descriptor to us, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
