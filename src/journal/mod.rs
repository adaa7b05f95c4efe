//! What has happened to containers, images, networks and volumes, in docker's words, kept on disk: containerd
//! tells only those who listen at the moment. Written by every command and by the monitors, a line of JSON an
//! event, into a file that is followed by `events`. Bounded: two files of 4 MiB.

mod event;
mod read;
mod write;

use std::path::{Path, PathBuf};

pub use event::{Actor, Event, Kind};
pub use read::Reader;

/// How large a file may grow before it becomes the previous one, in bytes.
const LARGEST_FILE: u64 = 4 << 20;
/// The longest line that is written or read, in bytes; an event with more loses its labels.
const LONGEST_LINE: usize = 64 << 10;

/// The journal of one namespace.
#[derive(Debug, Clone)]
pub struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// The journal in `directory`, which is made with the first event.
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }

    /// Forget everything, for a namespace that is no more.
    pub fn remove(&self) {
        // What cannot be removed is no harm: it is read again only if the namespace comes back.
        for path in [self.current(), self.previous()] {
            let _ = std::fs::remove_file(path);
        }
        let _ = std::fs::remove_dir(&self.directory);
    }

    fn current(&self) -> PathBuf {
        self.directory.join("events")
    }

    fn previous(&self) -> PathBuf {
        self.directory.join("events.1")
    }
}

#[cfg(test)]
mod tests;
