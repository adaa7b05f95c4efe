//! Drivers that send messages away, and keep a copy for `logs`, as docker's dual logging does.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use serde::{Deserialize, Serialize};

use super::json_file::JsonFile;
use super::lines::{Lines, Part};
use super::link::{Link, Patience};
use super::options::FileOptions;
use super::socket::Address;
use super::time::Stamp;
use super::{Driver, Stream, fluentd, journald, syslog, tls};

/// How long the end of a container may wait for its last messages to be taken.
const LAST: Duration = Duration::from_secs(1);

/// What a sender must know, settled when its container starts: names looked up, templates filled in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Where to.
    pub address: Address,
    /// How to speak TLS with it, where that is asked for.
    #[serde(default)]
    pub tls: Option<tls::Settings>,
    /// What becomes of a server that is away.
    pub patience: Patience,
    /// Bytes that may wait.
    pub limit: usize,
    /// How a message looks.
    pub form: Form,
    /// The copy for `logs`, where one is kept.
    pub cache: Option<FileOptions>,
}

/// How a message looks.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// A line of syslog.
    Syslog(syslog::Form),
    /// The journal's native protocol.
    Journald(journald::Form),
    /// fluentd's forward protocol.
    Fluentd(fluentd::Form),
}

/// One message, as a form writes it.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// Where it was written to.
    pub stream: Stream,
    /// The line without its newline.
    pub line: &'a [u8],
    /// What part of its line it is, where that was too long for one.
    pub part: Option<Part>,
    /// When it was read.
    pub time: &'a Stamp,
}

impl Form {
    fn write(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Syslog(form) => form.write(message, out),
            Self::Journald(form) => form.write(message, out),
            Self::Fluentd(form) => form.write(message, out),
        }
    }
}

/// The driver.
#[derive(Debug)]
pub struct Remote {
    form: Form,
    link: Link,
    lines: Lines,
    cache: Option<JsonFile>,
    buffer: Vec<u8>,
    finished: bool,
}

impl Remote {
    /// A driver that sends to `target` and keeps its copy at `path`.
    pub fn new(target: &Target, path: PathBuf, attributes: &BTreeMap<String, String>) -> Self {
        Self {
            form: target.form.clone(),
            link: Link::new(target.address.clone(), target.tls.clone(), target.patience, target.limit),
            lines: Lines::default(),
            cache: target.cache.map(|options| JsonFile::new(path, options, attributes)),
            buffer: Vec::new(),
            finished: false,
        }
    }

    /// Sends the note of a gap first, where there is one and room for it.
    fn note(&mut self, time: &Stamp) {
        if let Some(lost) = self.link.take_lost() {
            let text = format!("wharfie: {lost} messages were dropped: the log server did not take them");
            let message = Message { stream: Stream::Stderr, line: text.as_bytes(), part: None, time };
            self.buffer.clear();
            self.form.write(&message, &mut self.buffer);
            self.link.push(&self.buffer);
        }
    }
}

/// Takes messages of one read to the link.
fn send<'t>(
    form: &'t Form,
    (link, buffer): (&'t mut Link, &'t mut Vec<u8>),
    time: &'t Stamp,
) -> impl FnMut(Stream, &[u8], Option<Part>) + 't {
    move |stream, line, part| {
        buffer.clear();
        form.write(&Message { stream, line, part, time }, buffer);
        if !buffer.is_empty() {
            link.push(buffer);
        }
    }
}

impl Driver for Remote {
    fn write(&mut self, stream: Stream, bytes: &[u8], now: &Stamp) {
        if let Some(cache) = &mut self.cache {
            cache.write(stream, bytes, now);
        }
        self.note(now);
        let mut take = send(&self.form, (&mut self.link, &mut self.buffer), now);
        self.lines.feed(stream, bytes, &mut take);
        drop(take);
        self.link.advance();
    }

    fn flush(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.flush();
        }
        self.link.advance();
        self.buffer.shrink_to(4096);
    }

    fn finish(&mut self) {
        if let Some(cache) = &mut self.cache {
            cache.finish();
        }
        let now = Stamp::now();
        let mut take = send(&self.form, (&mut self.link, &mut self.buffer), &now);
        self.lines.finish(&mut take);
        drop(take);
        self.note(&now);
        self.link.drain(LAST);
        self.finished = true;
    }

    fn work(&mut self) -> bool {
        self.cache.as_mut().is_some_and(Driver::work)
    }

    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.link.source().filter(|_| !self.finished)
    }

    fn deadline(&self) -> Option<Instant> {
        self.link.deadline().filter(|_| !self.finished)
    }

    fn is_full(&self) -> bool {
        self.link.is_full() && !self.finished
    }

    fn ready(&mut self) {
        self.link.advance();
    }
}
