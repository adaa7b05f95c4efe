//! fork, for a process of one thread.
#![expect(unsafe_code, reason = "the standard library has no fork")]

use std::ffi::c_int;
use std::io;

unsafe extern "C" {
    fn fork() -> c_int;
}

/// Which of the two processes goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The old process.
    Parent,
    /// The new process, with everything the old one had.
    Child,
}

/// Splits this process in two. Refused (`Unsupported`) when it has more than one thread: the child would have
/// only this one, and whatever locks the others held would stay locked.
pub fn split() -> io::Result<Side> {
    if std::fs::read_dir("/proc/self/task")?.count() != 1 {
        return Err(io::ErrorKind::Unsupported.into());
    }
    // SAFETY: there is one thread, this one, so no lock is held by a thread that the child lacks.
    match unsafe { fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        _ => Ok(Side::Parent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_beside_other_threads() {
        // The test program's own thread is a second one.
        assert_eq!(split().unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
}
