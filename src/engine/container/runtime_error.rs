//! What an OCI runtime says when a process cannot be started. It reaches us as text alone, so this is the one
//! place that reads an error's words: docker tells 126 from 127 by the same ones.

use crate::containerd;
use crate::error::{Error, Kind};

/// The error of a start or an exec, with docker's exit code.
pub(super) fn from_start(error: containerd::Error) -> Error {
    let kind = kind(&error.message);
    let mut converted = Error::from(error);
    if let Some(kind) = kind {
        converted.kind = kind;
    }
    converted
}

fn kind(message: &str) -> Option<Kind> {
    let has = |text: &str| message.contains(text);
    // The runtime itself could not be executed: nothing is said of the command.
    if has("unable to retrieve OCI runtime error") {
        return None;
    }
    if has("executable file not found")
        || (has("exec:") && has("no such file or directory"))
        || has("exec format error")
    {
        return Some(if has("exec format error") { Kind::CannotInvoke } else { Kind::CommandNotFound });
    }
    let refused = has("permission denied") || has("is a directory") || has("not a directory");
    (refused && has("exec:")).then_some(Kind::CannotInvoke)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runc_s_words_decide_the_code() {
        let cases = [
            (
                "unable to start container process: exec: \"nope\": executable file not found in $PATH",
                Some(Kind::CommandNotFound),
            ),
            (
                "unable to start container process: exec: \"/nope\": stat /nope: no such file or directory",
                Some(Kind::CommandNotFound),
            ),
            ("unable to start container process: exec: \"/etc\": is a directory", Some(Kind::CannotInvoke)),
            (
                "unable to start container process: exec: \"/etc/passwd\": permission denied",
                Some(Kind::CannotInvoke),
            ),
            ("error mounting \"/x\": permission denied", None),
            ("cannot set memory limit", None),
        ];
        for (message, expected) in cases {
            assert_eq!(kind(message), expected, "{message}");
        }
    }
}
