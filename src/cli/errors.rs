//! Errors in docker's words: what the engine refuses is led by the words that scripts look for.

use crate::error::{Error, Kind, Result};

/// docker's lead for everything that its daemon refuses.
pub(super) const LEAD: &str = "Error response from daemon: ";

/// The engine's error as docker prints it.
pub fn from_engine(mut error: Error) -> Error {
    let is_answer = matches!(
        error.kind,
        Kind::NotFound | Kind::Conflict | Kind::Failed | Kind::CannotInvoke | Kind::CommandNotFound
    );
    if is_answer && !error.message.starts_with(LEAD) {
        error.message.insert_str(0, LEAD);
    }
    error
}

/// The error of `run` and `create`: led by the program's name, 125 where it is not the command's own fault.
pub fn from_run(program: &str, verb: &str, error: Error) -> (Error, u8) {
    let code = error.exit_code();
    if matches!(error.kind, Kind::Silent(_) | Kind::BrokenPipe) {
        return (error, code);
    }
    // The command line itself: nobody was asked.
    if error.message.starts_with("invalid argument ") {
        return (error, code);
    }
    let code = if code == 1 { 125 } else { code };
    let mut error = from_engine(error);
    error.message = format!("{program}: {}", error.message);
    if error.hints.is_empty() {
        error = error.hint(format!("Run '{program} {verb} --help' for more information"));
    }
    (error, code)
}

/// An error of the engine about what it was asked to make: docker's daemon refuses that too.
pub fn of_request(error: Error) -> Error {
    match error.kind {
        Kind::Usage if !error.message.starts_with(LEAD) => {
            Error { message: format!("{LEAD}{}", error.message), ..error }
        }
        _ => error,
    }
}

/// Shorthand for results.
pub trait EngineResult<T> {
    /// See [`from_engine`].
    fn told(self) -> Result<T>;
}

impl<T> EngineResult<T> for Result<T> {
    fn told(self) -> Result<T> {
        self.map_err(from_engine)
    }
}

/// The error for a flag of docker's that is known and not built.
pub fn unbuilt_flag(flag: &str, why: &str) -> Error {
    Error::usage(format!("{flag} is not supported: {why}"))
}
