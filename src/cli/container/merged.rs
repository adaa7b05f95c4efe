//! Several logs as one: what is there in the order of its times, then what comes, each line led by its container's
//! name.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::error::{Error, Result};
use crate::monitor::log::Stream;
use crate::monitor::reader::{Entry, moment, render};
use crate::output::ui::Ui;

/// How many entries of one log wait for those of the others.
const WAITING: usize = 256;
/// Names in these colours, one after the other, as compose does it.
const COLOURS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

/// How entries look.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Their times lead them.
    pub timestamps: bool,
    /// Their attributes lead them.
    pub details: bool,
}

/// Reads a log to its end.
pub type Read<'a> = dyn FnOnce(&mut Handler) -> Result<()> + Send + 'a;

/// One log. Its `read` hands on entries, and says once when it has handed on all that was there at the beginning.
pub struct Source<'a> {
    /// What leads its lines.
    pub name: String,
    /// Reads it, on a thread of its own.
    pub read: Box<Read<'a>>,
}

/// Takes one log's entries to where all of them come together.
pub struct Handler {
    look: Look,
    gone: Arc<AtomicBool>,
    prefix: Vec<u8>,
    /// The stream's last entry ended its line.
    at_start: [bool; 2],
    past: Option<SyncSender<Piece>>,
    live: SyncSender<Piece>,
}

/// One entry, as it is printed.
struct Piece {
    time: (i64, u32),
    stream: Stream,
    text: Vec<u8>,
}

impl Handler {
    /// Takes an entry.
    ///
    /// # Errors
    /// Nobody prints any more.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        let start = &mut self.at_start[entry.stream as usize];
        let mut text = if *start { self.prefix.clone() } else { Vec::new() };
        *start = entry.line.ends_with(b"\n");
        render(entry, self.look.timestamps, self.look.details, &mut text);
        let piece = Piece { time: moment(entry.time).unwrap_or_default(), stream: entry.stream, text };
        self.past.as_ref().unwrap_or(&self.live).send(piece).map_err(|_| Error::silent(0))
    }

    /// What comes from now on is new.
    pub fn caught_up(&mut self) {
        self.past = None;
    }

    /// Nobody prints any more.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// Print all `sources` until each has ended. The errors of those that could not be read.
///
/// # Errors
/// What is written is not taken any more.
pub fn print(ui: &mut Ui, sources: Vec<Source<'_>>, look: Look) -> Result<Vec<Error>> {
    let width = sources.iter().map(|source| source.name.chars().count()).max().unwrap_or_default();
    let coloured = ui.out_color();
    std::thread::scope(|scope| {
        let (live, new) = sync_channel(WAITING);
        let gone = Arc::new(AtomicBool::new(false));
        let mut pasts = Vec::new();
        let mut threads = Vec::new();
        for (index, source) in sources.into_iter().enumerate() {
            let (past, waiting) = sync_channel(WAITING);
            pasts.push(waiting);
            let mut handler = Handler {
                look,
                gone: Arc::clone(&gone),
                prefix: prefix(&source.name, width, coloured.then(|| COLOURS[index % COLOURS.len()])),
                at_start: [true; 2],
                past: Some(past),
                live: live.clone(),
            };
            threads.push(scope.spawn(move || (source.read)(&mut handler)));
        }
        drop(live);
        let printed = merge(ui, pasts).and_then(|()| follow(ui, &new));
        // Where printing has failed, this tells the readers.
        gone.store(true, Ordering::Relaxed);
        drop(new);
        let mut errors = Vec::new();
        for thread in threads {
            match thread.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => errors.push(error),
                Err(_) => errors.push(Error::failed("reading a log failed")),
            }
        }
        printed.map(|()| errors)
    })
}

fn prefix(name: &str, width: usize, colour: Option<u8>) -> Vec<u8> {
    let text = format!("{name:width$} | ");
    match colour {
        Some(colour) => format!("\x1b[{colour}m{text}\x1b[0m").into_bytes(),
        None => text.into_bytes(),
    }
}

/// What there was, in the order of its times.
fn merge(ui: &mut Ui, pasts: Vec<Receiver<Piece>>) -> Result<()> {
    let mut heads: Vec<(Option<Piece>, Receiver<Piece>)> =
        pasts.into_iter().map(|past| (past.recv().ok(), past)).collect();
    loop {
        let first = heads
            .iter()
            .enumerate()
            .filter_map(|(index, (head, _))| Some((head.as_ref()?.time, index)))
            .min();
        let Some((_, index)) = first else { return ui.flush() };
        let (head, past) = &mut heads[index];
        if let Some(piece) = head.take() {
            write(ui, &piece)?;
        }
        *head = past.recv().ok();
    }
}

fn follow(ui: &mut Ui, new: &Receiver<Piece>) -> Result<()> {
    while let Ok(piece) = new.recv() {
        write(ui, &piece)?;
        while let Ok(piece) = new.try_recv() {
            write(ui, &piece)?;
        }
        ui.flush()?;
    }
    Ok(())
}

fn write(ui: &mut Ui, piece: &Piece) -> Result<()> {
    match piece.stream {
        Stream::Stdout => ui.write(&piece.text),
        Stream::Stderr => {
            ui.flush()?;
            ui.write_err(&piece.text)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn source<'a>(name: &str, entries: &'a [(&'a str, &'a str)], then: &'a [&'a str]) -> Source<'a> {
        let read = move |handler: &mut Handler| {
            let attributes = BTreeMap::new();
            let give = |handler: &mut Handler, time: &str, line: &str| {
                let entry =
                    Entry { stream: Stream::Stdout, line: line.as_bytes(), time, attributes: &attributes };
                handler.add(&entry)
            };
            for (time, line) in entries {
                give(handler, time, line)?;
            }
            handler.caught_up();
            for line in then {
                give(handler, "2026-01-01T00:00:00Z", line)?;
            }
            Ok(())
        };
        Source { name: name.into(), read: Box::new(read) }
    }

    #[test]
    fn past_by_time_then_what_comes() {
        let (mut ui, captured) = Ui::captured();
        let sources = vec![
            source(
                "a",
                &[
                    ("2026-01-01T00:00:01Z", "one\n"),
                    ("2026-01-01T00:00:01.5Z", "tw"),
                    ("2026-01-01T00:00:03Z", "o\n"),
                ],
                &[],
            ),
            source(
                "long",
                &[("2026-01-01T00:00:01.25Z", "between\n"), ("2026-01-01T00:00:09Z", "last\n")],
                &["new\n"],
            ),
            source("none", &[], &[]),
        ];
        let look = Look { timestamps: false, details: false };
        assert!(print(&mut ui, sources, look).unwrap().is_empty());
        let expected = "a    | one\nlong | between\na    | two\nlong | last\nlong | new\n";
        assert_eq!(captured.out(), expected);
    }

    #[test]
    fn prefixes() {
        assert_eq!(prefix("a", 3, None), b"a   | ");
        assert_eq!(prefix("a", 1, Some(36)), b"\x1b[36ma | \x1b[0m");
    }
}
