//! Reads logs for `logs`: json-file ones of wharfie's, docker's and nerdctl's, and those of pods, over rotated and
//! compressed files, from the start or the last lines, once or as they grow.

mod attempts;
mod entries;
mod files;
mod follow;
mod parse;
mod render;
mod tail;

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::log::Stream;
use crate::Result;

pub use attempts::{attempts, follow_attempts, is_attempt};
pub use follow::follow;
pub use parse::moment;
pub use render::render;

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Standard output's entries.
    pub stdout: bool,
    /// Standard error's entries.
    pub stderr: bool,
    /// Only so many of the last entries (counted before any are left out for their stream or time, as docker
    /// does).
    pub tail: Option<u64>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Nothing newer.
    pub until: Option<Timestamp>,
}

impl Default for Options {
    fn default() -> Self {
        Self { stdout: true, stderr: true, tail: None, since: None, until: None }
    }
}

/// One entry of a log.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Where it was written to.
    pub stream: Stream,
    /// What was written: a line with its newline, or a part of a long one without.
    pub line: &'a [u8],
    /// When, as in the file (RFC 3339 with up to nine digits).
    pub time: &'a str,
    /// The attributes that the log options named.
    pub attributes: &'a BTreeMap<String, String>,
}

/// Takes entries; an error ends the reading and is handed on.
pub type Sink<'s> = dyn FnMut(&Entry<'_>) -> Result<()> + 's;

/// Reads the log at `path` and the older files beside it, oldest first, into `sink`. A log that is not there
/// is empty. Lines that are no entries (half a line of a monitor that was killed) are left out.
pub fn read(path: &Path, options: &Options, sink: &mut Sink<'_>) -> Result<()> {
    let mut files = files::open_all(path)?;
    let from = tail::start(&mut files, options.tail)?;
    let mut entries = entries::Entries::new(options);
    for file in &mut files[from..] {
        if entries.read(file, sink)?.is_past_until() {
            return Ok(());
        }
        entries.forget_rest();
    }
    entries.finish(sink)
}

#[cfg(test)]
mod tests;
