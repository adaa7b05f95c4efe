//! The one error that a user sees: what kind it is (which fixes the exit code), what happened to which
//! thing, and what to do next. Rooms with errors that callers tell apart keep typed ones and convert here.

use std::fmt;
use std::path::Path;

/// What went wrong, as far as an exit code or a caller's decision depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line is wrong (docker: 125).
    Usage,
    /// The named thing does not exist.
    NotFound,
    /// The named thing exists already, or is in a state that forbids the act.
    Conflict,
    /// containerd, a registry or a monitor does not answer.
    Unavailable,
    /// The command in the container exists and cannot be executed (docker: 126).
    CannotInvoke,
    /// The command in the container does not exist (docker: 127).
    CommandNotFound,
    /// The reader of our output has gone: say nothing more.
    BrokenPipe,
    /// Everything was said already; end with this code.
    Silent(u8),
    /// A template that cannot be read, where docker has a code of its own for it (64).
    Template,
    /// Any other failure of what was asked for.
    Failed,
}

/// An error with its kind and hints. Built where the failing thing's name is known.
#[derive(Debug)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// One line that names the thing and the cause, in docker's words where scripts match on them.
    pub message: String,
    /// What to do next, a line each, printed below the message.
    pub hints: Vec<String>,
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that says `message`.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    /// [`Kind::Failed`] with `message`.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Kind::Failed, message)
    }

    /// [`Kind::Usage`] with `message`.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// [`Kind::NotFound`] with `message`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// [`Kind::Conflict`] with `message`.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// An I/O error: the act ("read", "create"), the path, the cause.
    pub fn io(act: &str, path: impl AsRef<Path>, cause: impl Into<std::io::Error>) -> Self {
        let cause = cause.into();
        let kind = match cause.kind() {
            std::io::ErrorKind::BrokenPipe => Kind::BrokenPipe,
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::Failed,
        };
        let mut error = Self::new(kind, format!("{act} {}: {}", path.as_ref().display(), reason(&cause)));
        if cause.kind() == std::io::ErrorKind::StorageFull {
            error = error.hint("the disk is full: free space with `wharfie system df` and `wharfie image prune`, then try again");
        }
        error
    }

    /// An error that ends the process with `code` and prints nothing.
    pub fn silent(code: u8) -> Self {
        Self::new(Kind::Silent(code), "")
    }

    /// The same error with one more line on what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same error, its message led by `what` and a colon.
    #[must_use]
    pub fn context(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The process's exit code, docker's.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Usage => 125,
            Kind::CannotInvoke => 126,
            Kind::CommandNotFound => 127,
            Kind::Template => 64,
            Kind::Silent(code) => code,
            Kind::BrokenPipe => 0,
            Kind::NotFound | Kind::Conflict | Kind::Unavailable | Kind::Failed => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The system's words for an I/O error, lower case and without Rust's "(os error 2)".
pub fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}
