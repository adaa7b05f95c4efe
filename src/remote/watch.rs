//! This program on another machine, at the end of an ssh connection.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, getpid, kill_process};

/// The first argument of a copy that ssh has started: the name it is called by and the command line follow.
pub const NODE_ARGUMENT: &str = "__node";

/// End this process when the reader of its output has gone: sshd tells nobody that the connection is lost, and a
/// followed log that says nothing would stay for ever. As with docker's client, what runs goes on.
pub fn end_with_the_reader() {
    std::thread::spawn(|| {
        let stdout = rustix::stdio::stdout();
        // Asking for nothing, it still tells of errors and of the other side's end. Anything else that wakes it
        // is an output of which nobody can know.
        let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
        while let Err(rustix::io::Errno::INTR) = poll(&mut asked, None) {}
        if asked.iter().any(|one| one.revents().intersects(PollFlags::HUP | PollFlags::ERR)) {
            let _ = kill_process(getpid(), Signal::KILL);
        }
    });
}
