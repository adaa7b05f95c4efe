//! The one door to the terminal: stdout is data, stderr is talk.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::reason;
use crate::{Error, Kind, Result};

/// Both output streams of one command, and what is known of the terminal behind them.
pub struct Ui {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    streams: Streams,
}

/// What stands behind the two streams.
#[derive(Debug, Clone, Copy, Default)]
pub struct Streams {
    /// stdout is a terminal.
    pub out_terminal: bool,
    /// stderr is a terminal.
    pub err_terminal: bool,
    /// The user does not want colour (`NO_COLOR` is set and not empty).
    pub no_color: bool,
    /// A fixed width in columns; otherwise the terminal is asked each time.
    pub width: Option<u16>,
}

/// Everything written to a [`Ui::captured`].
#[derive(Debug, Clone, Default)]
pub struct Captured {
    out: Shared,
    err: Shared,
}

#[derive(Debug, Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Ui {
    /// The process's own streams. `no_color` is the value of the environment's `NO_COLOR`.
    pub fn stdio(no_color: Option<&str>) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let streams = Streams {
            out_terminal: out.is_terminal(),
            err_terminal: err.is_terminal(),
            no_color: no_color.is_some_and(|value| !value.is_empty()),
            width: None,
        };
        Self::over(Box::new(BufWriter::with_capacity(BUFFER, out)), Box::new(err), streams)
    }

    /// Over any two writers, which are taken for what `streams` says of them.
    pub fn over(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, streams: Streams) -> Self {
        Self { out, err, streams }
    }

    /// Over memory, for tests: no terminal, no colour.
    pub fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        let (out, err) = (Box::new(captured.out.clone()), Box::new(captured.err.clone()));
        (Self::over(out, err, Streams::default()), captured)
    }

    /// Whether stdout is a terminal.
    pub fn out_is_terminal(&self) -> bool {
        self.streams.out_terminal
    }

    /// Whether stderr is a terminal: progress is drawn only there.
    pub fn err_is_terminal(&self) -> bool {
        self.streams.err_terminal
    }

    /// Whether stdout may carry colour.
    pub fn out_color(&self) -> bool {
        self.streams.out_terminal && !self.streams.no_color
    }

    /// Whether stderr may carry colour.
    pub fn err_color(&self) -> bool {
        self.streams.err_terminal && !self.streams.no_color
    }

    /// The terminal's width in columns, if stdout, or else stderr, is a terminal that knows it.
    pub fn width(&self) -> Option<u16> {
        if self.streams.width.is_some() {
            return self.streams.width;
        }
        let size = if self.streams.out_terminal {
            rustix::termios::tcgetwinsize(io::stdout())
        } else if self.streams.err_terminal {
            rustix::termios::tcgetwinsize(io::stderr())
        } else {
            return None;
        };
        size.ok().map(|size| size.ws_col).filter(|width| *width > 0)
    }

    /// Writes bytes to stdout as they are; they may wait in the buffer until [`Ui::flush`].
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| write_error("stdout", &error))
    }

    /// Writes text to stdout.
    pub fn print(&mut self, text: impl Display) -> Result<()> {
        write!(self.out, "{text}").map_err(|error| write_error("stdout", &error))
    }

    /// Writes a line to stdout.
    pub fn line(&mut self, text: impl Display) -> Result<()> {
        writeln!(self.out, "{text}").map_err(|error| write_error("stdout", &error))
    }

    /// stdout for what writes to a [`Write`]; turn its errors into the crate's with [`write_error`].
    pub fn out(&mut self) -> &mut (dyn Write + Send) {
        &mut *self.out
    }

    /// Hands what waits in the buffer to the system: before waiting for anything, and at the end.
    pub fn flush(&mut self) -> Result<()> {
        self.out.flush().map_err(|error| write_error("stdout", &error))
    }

    /// Writes bytes to stderr as they are, at once.
    pub fn write_err(&mut self, bytes: &[u8]) -> Result<()> {
        self.order()?;
        self.err
            .write_all(bytes)
            .and_then(|()| self.err.flush())
            .map_err(|error| write_error("stderr", &error))
    }

    /// Writes a line of talk to stderr.
    pub fn say(&mut self, text: impl Display) -> Result<()> {
        self.write_err(format!("{text}\n").as_bytes())
    }

    /// Writes a warning to stderr, in docker's form.
    pub fn warn(&mut self, text: impl Display) -> Result<()> {
        self.say(format_args!("WARNING: {text}"))
    }

    /// Writes what the user can do next to stderr.
    pub fn hint(&mut self, text: impl Display) -> Result<()> {
        self.say(format_args!("  hint: {text}"))
    }

    /// Prints an error: its message as docker does, its hints below. Says nothing when everything was said or
    /// nobody reads.
    pub fn error(&mut self, error: &Error) -> Result<()> {
        match error.kind {
            Kind::BrokenPipe | Kind::Silent(_) => return Ok(()),
            _ => self.say(visible(&error.message))?,
        }
        error.hints.iter().try_for_each(|hint| self.hint(visible(hint)))
    }

    /// On one terminal, data written earlier must be seen before talk written later.
    fn order(&mut self) -> Result<()> {
        if self.streams.out_terminal && self.streams.err_terminal { self.flush() } else { Ok(()) }
    }
}

/// A message with what would move the terminal written out: it can hold names and words of others.
pub fn visible(text: &str) -> String {
    let mut seen = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => seen.push(letter),
            _ if letter.is_control() => seen.extend(letter.escape_unicode()),
            _ => seen.push(letter),
        }
    }
    seen
}

/// Large enough that 70 MB of logs are some hundred writes, small enough to stay in the cache.
const BUFFER: usize = 64 * 1024;

/// An output stream's failure as the crate's error: a reader that has gone ends the command silently.
pub fn write_error(stream: &str, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Error::new(Kind::BrokenPipe, format!("write {stream}: broken pipe"));
    }
    Error::failed(format!("write {stream}: {}", reason(error)))
}

impl Captured {
    /// What went to stdout.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// What went to stderr.
    pub fn err(&self) -> String {
        self.err.text()
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }

    #[test]
    fn data_and_talk_go_apart() {
        let (mut ui, captured) = Ui::captured();
        ui.line("abc").unwrap();
        ui.print(5).unwrap();
        ui.warn("old").unwrap();
        ui.error(&Error::failed("No such container: x").hint("list them with `wharfie ps -a`")).unwrap();
        ui.error(&Error::silent(3)).unwrap();
        ui.error(&Error::new(Kind::BrokenPipe, "gone")).unwrap();
        assert_eq!(captured.out(), "abc\n5");
        assert_eq!(
            captured.err(),
            "WARNING: old\nNo such container: x\n  hint: list them with `wharfie ps -a`\n"
        );
    }

    #[test]
    fn a_reader_that_has_gone_is_a_broken_pipe() {
        let mut ui = Ui::over(Box::new(Gone), Box::new(Gone), Streams::default());
        for result in [ui.line("x"), ui.print("x"), ui.write(b"x"), ui.flush(), ui.say("x")] {
            let error = result.unwrap_err();
            assert_eq!((error.kind, error.exit_code()), (Kind::BrokenPipe, 0));
        }
        assert_eq!(write_error("stdout", &io::Error::other("boom")).message, "write stdout: boom");
    }

    #[test]
    fn colour_needs_a_terminal_and_leave() {
        for (terminal, no_color, expected) in
            [(true, false, true), (true, true, false), (false, false, false)]
        {
            let streams =
                Streams { out_terminal: terminal, err_terminal: terminal, no_color, width: Some(80) };
            let ui = Ui::over(Box::new(io::sink()), Box::new(io::sink()), streams);
            assert_eq!((ui.out_color(), ui.err_color()), (expected, expected));
            assert_eq!(ui.width(), Some(80));
        }
    }
}
