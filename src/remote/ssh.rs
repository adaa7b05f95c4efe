//! How ssh is called: the user's configuration holds, no password is ever in its arguments, and a process that ends
//! takes its ssh with it.

use std::process::Command;
use std::time::Duration;

use crate::config::node::Node;
use crate::error::{Error, Result};
use crate::sys::child::end_with_us;

/// Seconds until a machine that does not answer counts as away.
const CONNECT: u64 = 10;
/// Seconds between questions whether the machine is still there; three without an answer end the connection.
const ALIVE: u64 = 15;

/// The way to one machine.
#[derive(Debug, Clone)]
pub struct Login<'a> {
    /// The machine.
    pub node: &'a Node,
    /// ssh may ask on the terminal for what it needs; otherwise what needs an answer fails.
    pub may_ask: bool,
    /// How long connecting may take; None for the usual ten seconds.
    pub deadline: Option<Duration>,
}

/// Whether the other side gets a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// Plain streams.
    None,
    /// A terminal like ours.
    Ours,
}

impl Login<'_> {
    /// ssh with the flags for this machine, then `flags`, then the shell's words `remote` as one command there.
    pub(super) fn command(&self, flags: &[&str], remote: &str) -> Command {
        let mut command = Command::new("ssh");
        let connect = self.deadline.map_or(CONNECT, |deadline| deadline.as_secs().max(1));
        let mut option = |text: String| {
            command.arg("-o").arg(text);
        };
        option(format!("ConnectTimeout={connect}"));
        option(format!("ServerAliveInterval={ALIVE}"));
        // Errors, but not that a connection was closed.
        option("LogLevel=ERROR".into());
        // A connection that the user shares already is used; a new one to share would outlive this process.
        option("ControlMaster=no".into());
        if !self.may_ask {
            option("BatchMode=yes".into());
        }
        command.args(["-a", "-x", "-e", "none"]).args(flags);
        if let Some(port) = self.node.port {
            command.arg("-p").arg(port.to_string());
        }
        command.arg("--").arg(&self.node.destination).arg(remote);
        end_with_us(&mut command);
        command
    }
}

/// A script and its arguments as one command for whatever shell the user has there.
pub(super) fn words<'a>(script: &str, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = format!("exec sh -c {} wharfie", quoted(script));
    for argument in arguments {
        text.push(' ');
        text.push_str(&quoted(argument));
    }
    text
}

fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=,@%+".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

/// The error when ssh itself cannot be started.
pub(super) fn not_started(cause: &std::io::Error) -> Error {
    let error = Error::failed(format!("cannot start ssh: {}", crate::error::reason(cause)));
    match cause.kind() {
        std::io::ErrorKind::NotFound => error.hint("install the OpenSSH client (openssh-client)"),
        _ => error,
    }
}

/// The error of a machine that ssh does not reach, `told` being what ssh said.
pub(super) fn unreachable(node: &Node, told: &str) -> Error {
    let told: Vec<&str> = told.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let told = told.last().copied().unwrap_or("ssh ended without a word");
    let destination = &node.destination;
    Error::new(crate::Kind::Unavailable, format!("cannot reach {node}: {told}")).hint(format!(
        "try `ssh {destination} true`: wharfie uses the same keys, known hosts and ~/.ssh/config"
    ))
}

/// What a stream says to its end, at most so many bytes; the rest is thrown away.
pub(super) fn drain(stream: impl std::io::Read, most: u64) -> Result<String> {
    use std::io::Read;
    let mut stream = stream;
    let mut text = Vec::new();
    let failed =
        |cause: std::io::Error| Error::failed(format!("read from ssh: {}", crate::error::reason(&cause)));
    stream.by_ref().take(most).read_to_end(&mut text).map_err(failed)?;
    std::io::copy(&mut stream, &mut std::io::sink()).map_err(failed)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_arrives_as_it_is() {
        let words = words("printf '%s|' \"$@\"", ["a b", "", "it's", "$HOME", "a\\b", "-n", "`x`"]);
        let told = Command::new("sh").args(["-c", &words]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&told.stdout), "a b||it's|$HOME|a\\b|-n|`x`|");
    }

    #[test]
    fn the_machine_stands_behind_the_flags() {
        let node = Node::parse("ssh://root@n1:2222").unwrap();
        let login = Login { node: &node, may_ask: false, deadline: Some(Duration::from_millis(500)) };
        let command = login.command(&["-T"], "true");
        let arguments: Vec<&str> = command.get_args().filter_map(|word| word.to_str()).collect();
        let line = arguments.join(" ");
        assert!(line.contains("ConnectTimeout=1 ") && line.contains("BatchMode=yes"), "{line}");
        assert!(line.ends_with("-T -p 2222 -- root@n1 true"), "{line}");
    }
}
