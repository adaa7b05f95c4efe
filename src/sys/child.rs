//! Children that end with this process, however it ends.
#![expect(unsafe_code, reason = "what a child does between fork and exec has no safe form")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Let `command`'s process be sent SIGTERM when the thread that starts it ends, also by `kill -9`: call it from a
/// thread that lives as long as the child is needed.
pub fn end_with_us(command: &mut Command) {
    let parent = getpid();
    let request = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // We may have died before the request.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    };
    // SAFETY: two plain system calls; nothing is allocated and no lock is taken between fork and exec.
    unsafe { command.pre_exec(request) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_starts_and_ends() {
        let mut command = Command::new("true");
        end_with_us(&mut command);
        assert!(command.status().unwrap().success());
    }
}
