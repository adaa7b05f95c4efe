//! gRPC's codes, mapped once. Nothing above this room matches on an error's text to learn what it is.

use std::fmt;

/// What containerd answered, as far as callers decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// No such container, image, blob, …
    NotFound,
    /// It exists already.
    AlreadyExists,
    /// The state forbids the act: a task that has not started, an image in use.
    FailedPrecondition,
    /// containerd does not answer, or the connection broke.
    Unavailable,
    /// No answer in time.
    DeadlineExceeded,
    /// This containerd does not have that service or method.
    Unimplemented,
    /// An argument that containerd refuses.
    InvalidArgument,
    /// Anything else.
    Other,
}

/// An error from containerd, with its own words.
#[derive(Debug, Clone)]
pub struct Error {
    /// What kind of error.
    pub code: Code,
    /// containerd's message.
    pub message: String,
}

/// This room's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(super) fn other(message: impl Into<String>) -> Self {
        Self { code: Code::Other, message: message.into() }
    }

    /// Whether the thing does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code == Code::NotFound
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        let code = match status.code() {
            tonic::Code::NotFound => Code::NotFound,
            tonic::Code::AlreadyExists => Code::AlreadyExists,
            tonic::Code::FailedPrecondition => Code::FailedPrecondition,
            tonic::Code::Unavailable => Code::Unavailable,
            tonic::Code::DeadlineExceeded => Code::DeadlineExceeded,
            tonic::Code::Unimplemented => Code::Unimplemented,
            tonic::Code::InvalidArgument | tonic::Code::OutOfRange => Code::InvalidArgument,
            // Our own deadline, where containerd did not keep it.
            _ if std::error::Error::source(&status)
                .is_some_and(|cause| cause.is::<tonic::TimeoutExpired>()) =>
            {
                Code::DeadlineExceeded
            }
            // A broken connection reaches us as Unknown or Internal with a transport error inside.
            _ if std::error::Error::source(&status)
                .is_some_and(|cause| cause.is::<tonic::transport::Error>()) =>
            {
                Code::Unavailable
            }
            _ => Code::Other,
        };
        Self { code, message: status.message().to_owned() }
    }
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        let kind = match error.code {
            Code::NotFound => crate::Kind::NotFound,
            Code::AlreadyExists | Code::FailedPrecondition => crate::Kind::Conflict,
            Code::Unavailable | Code::DeadlineExceeded => crate::Kind::Unavailable,
            Code::Unimplemented | Code::InvalidArgument | Code::Other => crate::Kind::Failed,
        };
        let converted = Self::new(kind, error.message);
        match error.code {
            Code::Unavailable => converted
                .hint("containerd went away in the middle: check it with `systemctl status containerd`, then try again"),
            Code::DeadlineExceeded => {
                converted.hint("containerd did not answer in time: `wharfie info` shows whether it is alive")
            }
            _ => converted,
        }
    }
}
