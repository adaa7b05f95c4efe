//! Descriptors that the starter of this process left open for it.
#![expect(unsafe_code, reason = "an inherited descriptor comes as a number")]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers that were taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Takes descriptor `number` (3 to 63), which is closed on exec from now on. Call it at the start, before
/// anything else is opened, so that the number can only be an inherited one. Each number is given once.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    if !(3..64).contains(&number) || TAKEN.fetch_or(1 << number, Ordering::SeqCst) & (1 << number) != 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: only used to ask whether it is open; the number is not -1.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: it is open (the call above succeeded), was inherited, and TAKEN gives it away only once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
