//! From bytes to entries: large blocks, cut at lines, filtered by stream and time.

use std::collections::BTreeMap;

use super::files::LogFile;
use super::parse::{Cri, Known, Loose, known, moment};
use super::{Entry, Options, Sink};
use crate::Result;
use crate::monitor::log::Stream;

/// What is read at once.
const BLOCK: usize = 256 * 1024;
/// No writer makes longer lines; whatever they are, they are no entries.
const LONGEST: usize = 4 * 1024 * 1024;

const NO_ATTRIBUTES: &BTreeMap<String, String> = &BTreeMap::new();

/// Whether what follows can still be of interest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// The file's end, for now.
    End,
    /// An entry later than asked for.
    PastUntil,
}

impl Reached {
    pub(super) fn is_past_until(self) -> bool {
        self == Self::PastUntil
    }
}

/// The reader of one log, file after file.
#[derive(Debug)]
pub(super) struct Entries {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The rest of a line that is too long is still to come.
    skipping: bool,
    text: Vec<u8>,
    /// The lines of each stream of which only parts have come.
    parts: [Parts; 2],
    filter: Filter,
}

/// What has come of a line.
#[derive(Debug, Default)]
struct Parts {
    /// When it began.
    time: String,
    text: Vec<u8>,
}

#[derive(Debug)]
struct Filter {
    stdout: bool,
    stderr: bool,
    since: Option<(i64, u32)>,
    until: Option<(i64, u32)>,
}

impl Entries {
    pub(super) fn new(options: &Options) -> Self {
        let split = |time: jiff::Timestamp| {
            let nanoseconds = time.subsec_nanosecond();
            // Times before 1970 have negative ones; no log is that old.
            (time.as_second(), u32::try_from(nanoseconds).unwrap_or(0))
        };
        Self {
            buffer: vec![0; BLOCK],
            start: 0,
            end: 0,
            skipping: false,
            text: Vec::new(),
            parts: Default::default(),
            filter: Filter {
                stdout: options.stdout,
                stderr: options.stderr,
                since: options.since.map(split),
                until: options.until.map(split),
            },
        }
    }

    /// Reads `file` to its present end. An unfinished line stays for the next call.
    pub(super) fn read(&mut self, file: &mut LogFile, sink: &mut Sink<'_>) -> Result<Reached> {
        loop {
            self.make_room();
            let length = file.read(&mut self.buffer[self.end..])?;
            if length == 0 {
                return Ok(Reached::End);
            }
            self.end += length;
            if self.lines(sink)?.is_past_until() {
                return Ok(Reached::PastUntil);
            }
        }
    }

    /// Hands on what has come of lines whose rest will not come.
    pub(super) fn finish(&mut self, sink: &mut Sink<'_>) -> Result<()> {
        for (stream, parts) in [Stream::Stdout, Stream::Stderr].into_iter().zip(&mut self.parts) {
            hand_on(stream, parts, &self.filter, sink)?;
        }
        Ok(())
    }

    /// The next file does not continue this one's last line.
    pub(super) fn forget_rest(&mut self) {
        self.start = 0;
        self.end = 0;
        self.skipping = false;
    }

    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            if self.end < LONGEST {
                self.buffer.resize(self.end * 2, 0);
            } else {
                self.end = 0;
                self.skipping = true;
            }
        }
    }

    /// Hands on all whole lines that are in the buffer.
    fn lines(&mut self, sink: &mut Sink<'_>) -> Result<Reached> {
        loop {
            let rest = &self.buffer[self.start..self.end];
            if !self.skipping
                && let Known::Entry { stream, time, length } = known(rest, &mut self.text)
            {
                self.start += length;
                let entry = Entry { stream, line: &self.text, time, attributes: NO_ATTRIBUTES };
                if self.filter.pass(&entry, sink)?.is_past_until() {
                    return Ok(Reached::PastUntil);
                }
                continue;
            }
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return Ok(Reached::End) };
            self.start += end + 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if let Some(line) = Cri::parse(&rest[..end]) {
                let parts = &mut self.parts[line.stream as usize];
                let reached = add(&line, parts, &self.filter, sink)?;
                // A line of the other stream that began in time is still to be ended.
                if reached.is_past_until() && self.parts.iter().all(|parts| parts.time.is_empty()) {
                    return Ok(Reached::PastUntil);
                }
            } else if let Some(loose) = Loose::parse(&rest[..end]) {
                let entry = Entry {
                    stream: loose.stream(),
                    line: loose.log.as_bytes(),
                    time: &loose.time,
                    attributes: &loose.attrs,
                };
                if self.filter.pass(&entry, sink)?.is_past_until() {
                    return Ok(Reached::PastUntil);
                }
            }
        }
    }
}

/// A line of CRI's, joined with the parts before it. Rotation may have come between them.
fn add(line: &Cri<'_>, parts: &mut Parts, filter: &Filter, sink: &mut Sink<'_>) -> Result<Reached> {
    if parts.time.is_empty() {
        parts.time.push_str(line.time);
    }
    parts.text.extend_from_slice(line.text);
    if !line.is_part {
        parts.text.push(b'\n');
    } else if parts.text.len() < LONGEST {
        return Ok(Reached::End);
    }
    hand_on(line.stream, parts, filter, sink)
}

fn hand_on(stream: Stream, parts: &mut Parts, filter: &Filter, sink: &mut Sink<'_>) -> Result<Reached> {
    if parts.time.is_empty() {
        return Ok(Reached::End);
    }
    let entry = Entry { stream, line: &parts.text, time: &parts.time, attributes: NO_ATTRIBUTES };
    let reached = filter.pass(&entry, sink);
    parts.time.clear();
    parts.text.clear();
    reached
}

impl Filter {
    fn pass(&self, entry: &Entry<'_>, sink: &mut Sink<'_>) -> Result<Reached> {
        if self.since.is_some() || self.until.is_some() {
            let time = moment(entry.time);
            if self.until.is_some_and(|until| time.is_some_and(|time| time > until)) {
                return Ok(Reached::PastUntil);
            }
            if self.since.is_some_and(|since| time.is_some_and(|time| time < since)) {
                return Ok(Reached::End);
            }
        }
        let wanted = match entry.stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        };
        if wanted {
            sink(entry)?;
        }
        Ok(Reached::End)
    }
}
