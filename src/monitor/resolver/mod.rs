//! The resolver of containers' names: one small process for all containers of one containerd. It is there while
//! any container is known by names, answers in their networks from the files that commands write
//! (`net::resolver`), and asks outside for what no container is called.
//!
//! One thread answers what is known. Whatever waits (a question outside, a stream) is done on threads that are
//! counted, so that no container can take what the others need.

mod client;
mod forward;
mod seat;
mod serve;
mod stream;

use std::path::Path;

use rustix::fs::OFlags;

use crate::store::Lock;
use crate::sys::fork;

pub use client::{attend, revive};

/// The hidden first argument that makes this binary the resolver; the second is the directory of members.
pub const ARGUMENT: &str = "__names";

/// The control socket: whoever connects is told, as a JSON object, which members cannot be served and why.
const SOCKET: &str = ".resolver.sock";
/// Held by the one that serves.
const LOCK: &str = ".lock";

/// The whole life of a resolver: the exit code when it is over. Standard output is told of its readiness, and of
/// another one's that serves already, by being closed.
pub fn run(directory: &Path) -> u8 {
    // The command that has started us waits for the parent, and the child is nobody's but init's.
    match fork::split() {
        Ok(fork::Side::Parent) => return 0,
        Ok(fork::Side::Child) => {}
        Err(_) => return 1,
    }
    let _ = rustix::process::setsid();
    let _held = super::program::hold();
    let Ok(Some(_lock)) = Lock::try_file(&directory.join(LOCK)) else { return 0 };
    match serve::Server::begin(directory) {
        Ok(server) => {
            leave_output();
            server.serve();
            0
        }
        Err(_) => 1,
    }
}

/// Standard output to nowhere: who waits for its end goes on.
fn leave_output() {
    if let Ok(null) = rustix::fs::open("/dev/null", OFlags::RDWR, rustix::fs::Mode::empty()) {
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}
