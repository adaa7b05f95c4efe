//! A copy of this program on another machine: sent once a build, then run there as if it had been called there.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};

use sha2::{Digest, Sha256};

use super::script::{LOOK, NO_EXEC, NOT_THERE, OTHER_MACHINE, RUN, SEND};
use super::ssh::{Login, Terminal, drain, not_started, unreachable, words};
use crate::error::{Error, Result};

const RUNNING: &str = "/proc/self/exe";
/// What ssh says when it is ssh that has failed.
const OF_SSH: i32 = 255;
/// Bytes kept of what the other side complains of.
const MOST_TALK: u64 = 64 << 10;

/// Which program is meant: this one.
#[derive(Debug, Clone)]
pub struct Program {
    /// The name of the copy's directory: version, and a hash of the file's size and time, so that two builds of one
    /// version are two programs.
    key: String,
    /// What `--version` says, by which one in PATH is known.
    version: String,
    /// Bytes of it.
    size: u64,
}

/// What came of sending the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is there.
    Done,
    /// Nothing can be executed in the user's home directory there.
    NoExec,
    /// The machine is of this other kind.
    OtherMachine(String),
}

/// One run over there.
#[derive(Debug)]
pub struct Run<'a> {
    /// The machine.
    pub login: &'a Login<'a>,
    /// The name the program is called by.
    pub name: &'a str,
    /// The command line behind the name.
    pub arguments: &'a [String],
    /// The sockets of which one must be open to the user, or sudo is asked.
    pub sockets: &'a [PathBuf],
    /// The verb reads our standard input; otherwise it is left alone.
    pub input: bool,
    /// Whether it has our terminal.
    pub terminal: Terminal,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// With this exit code.
    Ended(u8),
    /// It did not begin: the program is not there.
    NotThere,
    /// ssh failed and has said why.
    Unreached,
}

impl Program {
    /// This very program, which says `version` of its version.
    ///
    /// # Errors
    /// Its own file cannot be read.
    pub fn own(version: &str) -> Result<Self> {
        let data = std::fs::metadata(RUNNING).map_err(|cause| Error::io("read", RUNNING, cause))?;
        let digest = Sha256::digest(format!("{} {} {}", data.size(), data.mtime(), data.mtime_nsec()));
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let key = format!("{}-{hash}", env!("CARGO_PKG_VERSION"));
        Ok(Self { key, version: version.to_owned(), size: data.size() })
    }

    /// Bytes that a copy takes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether it is on that machine.
    ///
    /// # Errors
    /// The machine cannot be reached.
    pub fn is_there(&self, login: &Login<'_>) -> Result<bool> {
        let told = login
            .command(&["-T"], &words(LOOK, [self.key.as_str(), &self.version]))
            .stdin(Stdio::null())
            .output()
            .map_err(|cause| not_started(&cause))?;
        match told.status.code() {
            Some(0) => Ok(true),
            Some(NOT_THERE) => Ok(false),
            _ => Err(unreachable(login.node, &String::from_utf8_lossy(&told.stderr))),
        }
    }

    /// Send it: it is there whole afterwards, or not at all.
    ///
    /// # Errors
    /// The machine cannot be reached, or has no place for it.
    pub fn send(&self, login: &Login<'_>) -> Result<Sent> {
        let failed = |cause| Error::io("read", RUNNING, cause);
        let digest = digest().map_err(failed)?;
        let mut file = File::open(RUNNING).map_err(failed)?;
        let size = self.size.to_string();
        let script = words(SEND, [self.key.as_str(), &size, &digest, std::env::consts::ARCH]);
        let mut child = login
            .command(&["-T", "-C"], &script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|cause| not_started(&cause))?;
        let complaint =
            child.stderr.take().map(|stderr| std::thread::spawn(move || drain(stderr, MOST_TALK)));
        if let Some(mut input) = child.stdin.take() {
            // One that refuses it does not read to the end, and says why in its exit code.
            let _ = std::io::copy(&mut file, &mut input);
        }
        let told =
            child.stdout.take().map(|stdout| drain(stdout, MOST_TALK)).transpose()?.unwrap_or_default();
        let status = child.wait().map_err(|cause| not_started(&cause))?;
        let complaint = complaint.and_then(|thread| thread.join().ok()?.ok()).unwrap_or_default();
        match status.code() {
            Some(0) => Ok(Sent::Done),
            Some(NO_EXEC) => Ok(Sent::NoExec),
            Some(OTHER_MACHINE) => Ok(Sent::OtherMachine(told.trim().to_owned())),
            Some(OF_SSH) | None => Err(unreachable(login.node, &complaint)),
            Some(_) => {
                let why = complaint.lines().last().unwrap_or("it arrived damaged").trim().to_owned();
                Err(Error::failed(format!("cannot copy wharfie to {}: {why}", login.node))
                    .hint("it goes to ~/.cache/wharfie there: is there space, and may that user write?")
                    .hint("or install the same version of wharfie in that machine's PATH"))
            }
        }
    }

    /// Run it there, with our output.
    ///
    /// # Errors
    /// ssh cannot be started.
    pub fn run(&self, run: &Run<'_>) -> Result<Outcome> {
        let sockets: Vec<&str> = run.sockets.iter().filter_map(|socket| socket.to_str()).collect();
        let sockets = sockets.join(" ");
        let first = [self.key.as_str(), &self.version, &sockets, run.name];
        let script = words(RUN, first.into_iter().chain(run.arguments.iter().map(String::as_str)));
        let terminal = if run.terminal == Terminal::Ours { "-t" } else { "-T" };
        let status = run
            .login
            .command(&[terminal], &script)
            .stdin(if run.input { Stdio::inherit() } else { Stdio::null() })
            .status()
            .map_err(|cause| not_started(&cause))?;
        Ok(match status.code() {
            // A container's own exit code may be the same.
            Some(NOT_THERE) if !self.is_there(run.login)? => Outcome::NotThere,
            Some(OF_SSH) => Outcome::Unreached,
            _ => Outcome::Ended(code(status)),
        })
    }
}

fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(OF_SSH);
    u8::try_from(code).unwrap_or(u8::MAX)
}

/// The running program's digest, in hexadecimal.
fn digest() -> std::io::Result<String> {
    let mut file = File::open(RUNNING)?;
    let mut hasher = Sha256::new();
    let mut part = vec![0; 1 << 20];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hasher.update(part.get(..count).unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_builds_of_a_version_are_two_programs() {
        let program = Program::own("wharfie version 1").unwrap();
        assert!(program.key.starts_with(concat!(env!("CARGO_PKG_VERSION"), "-")));
        assert_eq!(program.key.len(), env!("CARGO_PKG_VERSION").len() + 13);
        assert_eq!(program.size(), std::fs::metadata(RUNNING).unwrap().len());
    }
}
