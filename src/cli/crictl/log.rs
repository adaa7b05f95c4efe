//! What crictl says beside its results: lines of logrus, with a level, and with seconds or a time.

use std::time::Instant;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::error::{Error, Kind, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Fatal,
}

/// Writes the lines of one command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Log {
    started: Instant,
    /// Whether debug lines are written.
    pub(super) debug: bool,
}

impl Log {
    pub(super) fn new() -> Self {
        Self { started: Instant::now(), debug: false }
    }

    /// One line to standard error, after what waits for standard output.
    pub(super) fn line(&self, ui: &mut Ui, level: Level, message: &str) -> Result<()> {
        if level == Level::Debug && !self.debug {
            return Ok(());
        }
        ui.flush()?;
        let line = if ui.err_is_terminal() {
            on_terminal(level, message, self.started.elapsed().as_secs(), ui.err_color())
        } else {
            in_file(level, message, Timestamp::now(), &TimeZone::system())
        };
        ui.say(line)
    }

    /// The line that ends a command, and what to do next.
    pub(super) fn fatal(&self, ui: &mut Ui, error: &Error) -> Result<()> {
        if matches!(error.kind, Kind::Silent(_) | Kind::BrokenPipe) {
            return Ok(());
        }
        self.line(ui, Level::Fatal, &error.message)?;
        error.hints.iter().try_for_each(|hint| ui.hint(hint))
    }
}

fn on_terminal(level: Level, message: &str, seconds: u64, color: bool) -> String {
    let (name, number) = match level {
        Level::Debug => ("DEBU", 37),
        Level::Info => ("INFO", 36),
        Level::Warning => ("WARN", 33),
        Level::Error => ("ERRO", 31),
        Level::Fatal => ("FATA", 31),
    };
    // The words of others must not move the terminal.
    let message: String =
        message.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if color {
        format!("\u{1b}[{number}m{name}\u{1b}[0m[{seconds:04}] {message:<44} ")
    } else {
        format!("{name}[{seconds:04}] {message:<44} ")
    }
}

fn in_file(level: Level, message: &str, now: Timestamp, zone: &TimeZone) -> String {
    let name = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
        Level::Fatal => "fatal",
    };
    let zoned = now.to_zoned(zone.clone());
    let offset = if zoned.offset().is_zero() { "Z".to_owned() } else { zoned.strftime("%:z").to_string() };
    let time = format!("{}{offset}", zoned.strftime("%Y-%m-%dT%H:%M:%S"));
    let is_plain = |letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '/' | '@' | '^' | '+')
    };
    let message = if message.chars().all(is_plain) { message.to_owned() } else { quote(message) };
    format!("time={} level={name} msg={message}", quote(&time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_logruses() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(
            in_file(Level::Fatal, "no \"x\" here", now, &TimeZone::UTC),
            "time=\"2023-11-14T22:13:20Z\" level=fatal msg=\"no \\\"x\\\" here\""
        );
        assert_eq!(
            in_file(Level::Warning, "plain/word", now, &TimeZone::fixed(jiff::tz::offset(2))),
            "time=\"2023-11-15T00:13:20+02:00\" level=warning msg=plain/word"
        );
        assert_eq!(
            on_terminal(Level::Fatal, "ID cannot be empty", 3, false),
            "FATA[0003] ID cannot be empty                           "
        );
        assert_eq!(
            on_terminal(Level::Info, "\u{1b}[2J", 0, true),
            format!("\u{1b}[36mINFO\u{1b}[0m[0000] {:<44} ", " [2J")
        );
    }
}
