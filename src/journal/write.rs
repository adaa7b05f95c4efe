//! Appending: one write a batch, so that the lines of many processes never mix.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use super::{Event, Journal, LARGEST_FILE, LONGEST_LINE};
use crate::store::make_directory;
use crate::{Error, Result};

impl Journal {
    /// Keep events, in order.
    ///
    /// # Errors
    /// Names the file that could not be written. What has happened has happened all the same: callers that
    /// have done their work go on.
    pub fn append(&self, events: &[Event]) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let mut lines = Vec::new();
        for event in events {
            // First, so that a line that a full disk has cut does not spoil this one.
            lines.push(b'\n');
            lines.extend(line(event)?);
            lines.push(b'\n');
        }
        make_directory(&self.directory, 0o700)?;
        let path = self.current();
        let failed = |cause| Error::io("write", &path, cause);
        let mut file =
            OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
        let known = file.metadata().map_err(failed)?;
        // Somebody else may have moved it away meanwhile.
        let is_current = || std::fs::metadata(&path).is_ok_and(|current| current.ino() == known.ino());
        if known.len() > LARGEST_FILE && is_current() {
            std::fs::rename(&path, self.previous()).map_err(failed)?;
            file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
        }
        file.write_all(&lines).map_err(failed)
    }
}

fn line(event: &Event) -> Result<Vec<u8>> {
    let encode = |event: &Event| {
        serde_json::to_vec(event).map_err(|cause| Error::failed(format!("describe an event: {cause}")))
    };
    let whole = encode(event)?;
    if whole.len() <= LONGEST_LINE {
        return Ok(whole);
    }
    let mut event = event.clone();
    event
        .actor
        .attributes
        .retain(|key, value| matches!(key.as_str(), "name" | "image") && value.len() < 1024);
    encode(&event)
}
