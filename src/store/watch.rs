//! Waiting for something to change in a directory.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

/// Wakes when a file of a directory is written to, made, or moved into it.
#[derive(Debug)]
pub struct Watch {
    inotify: Option<OwnedFd>,
}

impl Watch {
    /// Changes count from here on. Without inotify (its number is limited) every wait takes its whole time.
    pub fn new(directory: &Path) -> Self {
        let open = || -> rustix::io::Result<OwnedFd> {
            let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
            let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO;
            inotify::add_watch(&inotify, directory, flags)?;
            Ok(inotify)
        };
        Self { inotify: open().ok() }
    }

    /// Waits for a change, at most as long as `limit`. Whether there was one.
    pub fn wait(&self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).ok();
        let mut polled: Vec<PollFd<'_>> =
            self.inotify.iter().map(|inotify| PollFd::new(inotify, PollFlags::IN)).collect();
        // An interrupted wait is a short one.
        let _ = rustix::event::poll(&mut polled, limit.as_ref());
        let mut changed = false;
        if let Some(inotify) = &self.inotify {
            let mut space = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(inotify, &mut space);
            while events.next().is_ok() {
                changed = true;
            }
        }
        changed
    }
}
