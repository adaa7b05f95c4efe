//! The processes that stand between containerd and containers.

use std::path::{Path, PathBuf};

use super::daemon::flag;
use crate::sys::process::{Clock, Process, all, command_line, program, state};

/// What the name of every shim's program begins with.
const NAME: &str = "containerd-shim";

/// A shim that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shim {
    /// Its process.
    pub pid: u32,
    /// Its state in ps's letters: `T` is stopped, `D` waits for a disk.
    pub state: char,
    /// The namespace that it was started for.
    pub namespace: String,
    /// The container, or the pod, that it was started for.
    pub id: String,
    /// For how many seconds it runs.
    pub age: u64,
    /// When it was started, in the kernel's ticks: with the process a name that is used once.
    start: u64,
}

/// The shims of the containerd behind `socket`.
pub(super) fn running(socket: &Path) -> Vec<Shim> {
    let Some(clock) = Clock::read() else { return Vec::new() };
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let socket = real(socket);
    let shims = all().into_iter().filter_map(|pid| {
        let (namespace, id, address) = parse(&command_line(pid))?;
        if address.is_some_and(|address| real(&address) != socket) {
            return None;
        }
        let process = Process::read(pid)?;
        let age = process.age(&clock);
        Some(Shim { pid, state: process.state, namespace, id, age, start: process.start_ticks })
    });
    shims.collect()
}

/// The ids that shims were started for which do not run at this moment: stopped, traced, or waiting for a disk.
pub(in crate::engine) fn stalled() -> Vec<String> {
    let stalled = all().into_iter().filter_map(|pid| {
        let program = program(pid)?;
        let is_shim = program.file_name()?.to_str()?.starts_with(NAME);
        // The state costs more than the name, and few are shims.
        if !is_shim || !"TtD".contains(state(pid)?) {
            return None;
        }
        parse(&command_line(pid)).map(|(_, id, _)| id)
    });
    stalled.collect()
}

impl Shim {
    /// Whether it still runs.
    pub(super) fn is_alive(&self) -> bool {
        Process::read(self.pid)
            .is_some_and(|process| process.start_ticks == self.start && process.state != 'Z')
    }
}

/// The namespace, the id and containerd's address from a shim's command line.
fn parse(line: &[String]) -> Option<(String, String, Option<PathBuf>)> {
    let program = line.first()?.rsplit('/').next()?;
    if !program.starts_with(NAME) {
        return None;
    }
    let namespace = flag(line, &["-namespace", "--namespace"])?;
    let id = flag(line, &["-id", "--id"])?;
    let address = flag(line, &["-address", "--address"]).map(PathBuf::from);
    // `delete` and `start` are short calls that make or remove one.
    let is_call = line.last().is_some_and(|last| last == "delete" || last == "start");
    (!is_call).then(|| (namespace.to_owned(), id.to_owned(), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_read() {
        let parse = |text: &str| parse(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(
            parse("/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id abc -address /run/c.sock"),
            Some(("k8s.io".into(), "abc".into(), Some("/run/c.sock".into())))
        );
        assert_eq!(parse("/usr/bin/containerd -namespace k8s.io -id abc"), None);
        assert_eq!(parse("containerd-shim-runc-v2 -namespace k8s.io -id abc -bundle /x delete"), None);
    }
}
