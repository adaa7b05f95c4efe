//! Reading what is there, and what is added while somebody waits.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use super::{Event, Journal, LONGEST_LINE};
use crate::store::{Watch, make_directory};
use crate::{Error, Result};

/// Goes through a journal, from its oldest event on.
#[derive(Debug)]
pub struct Reader {
    journal: Journal,
    /// The file that was the current one before, while somebody may still write to it, and the current one.
    open: Vec<Lines>,
    watch: Watch,
}

impl Journal {
    /// A reader that begins with the oldest event that is kept.
    ///
    /// # Errors
    /// The directory can be neither found nor made.
    pub fn reader(&self) -> Result<Reader> {
        make_directory(&self.directory, 0o700)?;
        // Watched before the first look: what comes in between is seen.
        let watch = Watch::new(&self.directory);
        let open = Lines::open(&self.previous())?.into_iter().collect();
        Ok(Reader { journal: self.clone(), open, watch })
    }
}

impl Reader {
    /// Give everything that has been added since the last call to `sink`. Lines that are no events are skipped.
    ///
    /// # Errors
    /// A file that is there and cannot be read.
    pub fn read(&mut self, sink: &mut dyn FnMut(Event)) -> Result<()> {
        for lines in &mut self.open {
            lines.read(sink)?;
        }
        let Some(mut current) = Lines::open(&self.journal.current())? else { return Ok(()) };
        if self.open.last().is_some_and(|known| known.inode == current.inode) {
            return Ok(());
        }
        // It was moved away between two looks: whoever had it open may have written until now.
        for lines in &mut self.open {
            lines.read(sink)?;
        }
        current.read(sink)?;
        self.open.push(current);
        let old = self.open.len().saturating_sub(2);
        self.open.drain(..old);
        Ok(())
    }

    /// Wait for something to be added, at most as long as `limit`.
    pub fn wait(&self, limit: Duration) {
        self.watch.wait(limit);
    }
}

/// A file's whole lines as they come.
#[derive(Debug)]
struct Lines {
    file: File,
    inode: u64,
    rest: Vec<u8>,
}

impl Lines {
    fn open(path: &Path) -> Result<Option<Self>> {
        let failed = |cause| Error::io("read", path, cause);
        let file = match File::open(path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed)?,
        };
        let inode = file.metadata().map_err(failed)?.ino();
        Ok(Some(Self { file, inode, rest: Vec::new() }))
    }

    fn read(&mut self, sink: &mut dyn FnMut(Event)) -> Result<()> {
        let mut space = vec![0; LONGEST_LINE];
        loop {
            let length =
                self.file.read(&mut space).map_err(|cause| Error::io("read", "the journal", cause))?;
            if length == 0 {
                return Ok(());
            }
            self.rest.extend_from_slice(&space[..length]);
            let Some(end) = self.rest.iter().rposition(|&byte| byte == b'\n') else {
                if self.rest.len() > LONGEST_LINE {
                    self.rest.clear();
                }
                continue;
            };
            for line in self.rest[..end].split(|&byte| byte == b'\n') {
                if let Ok(event) = serde_json::from_slice(line) {
                    sink(event);
                }
            }
            self.rest.drain(..=end);
        }
    }
}
