//! The OCI runtime below containerd's shim: which program it is, and what it says of itself.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::engine::Engine;

/// A runtime that does not tell its version in this time has none.
const DEADLINE: Duration = Duration::from_secs(2);
const LONGEST: u64 = 16 << 10;

/// What a runtime says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Runtime {
    /// The program's name, `runc`.
    pub(super) name: String,
    /// `1.1.5`; empty where it is not installed or does not say.
    pub(super) version: String,
    /// The source's revision.
    pub(super) commit: String,
}

/// The default runtime's program. A runtime with a shim of its own is not one that could be asked.
pub(super) fn program(configured: &str) -> String {
    match configured {
        "" | "io.containerd.runc.v2" | "io.containerd.runc.v1" => "runc".into(),
        name if name.contains('/') || name.matches('.').count() < 2 => name.into(),
        _ => String::new(),
    }
}

/// The default runtime's version; without one where the program cannot be asked.
pub(super) async fn version(engine: &Engine) -> Runtime {
    let program = program(&engine.config.runtime);
    if program.is_empty() {
        return Runtime { name: engine.config.runtime.clone(), ..Runtime::default() };
    }
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    if engine.config.node.is_some() {
        // The program is on another machine: this one's would be a wrong answer.
        return Runtime { name, ..Runtime::default() };
    }
    let asked = tokio::task::spawn_blocking(move || said(&program));
    let text = match tokio::time::timeout(DEADLINE, asked).await {
        Ok(Ok(Some(text))) => text,
        _ => String::new(),
    };
    Runtime { name, ..parse(&text) }
}

fn said(program: &str) -> Option<String> {
    let mut child = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut bytes = Vec::new();
    let read = child.stdout.take().map(|out| out.take(LONGEST).read_to_end(&mut bytes));
    child.wait().ok()?;
    read?.ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// `runc version 1.1.5`, `crun version 1.8`; the commit on a line of its own.
fn parse(text: &str) -> Runtime {
    let after = |mark: &str| {
        text.lines().find_map(|line| line.split_once(mark)).map(|(_, rest)| rest.trim().to_owned())
    };
    Runtime {
        name: String::new(),
        version: after(" version ").unwrap_or_default(),
        commit: after("commit: ").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let runtime = parse("runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1\nspec: 1.0.2-dev\n");
        assert_eq!((runtime.version.as_str(), runtime.commit.as_str()), ("1.1.5+ds1", "1.1.5+ds1-1"));
        assert_eq!(parse("crun version 1.8.1\ncommit: f8a0\n").version, "1.8.1");
        assert_eq!(parse("something else"), Runtime::default());
    }

    #[test]
    fn programs_are_named() {
        for (configured, expected) in [
            ("", "runc"),
            ("io.containerd.runc.v2", "runc"),
            ("/opt/crun", "/opt/crun"),
            ("crun", "crun"),
            ("io.containerd.kata.v2", ""),
        ] {
            assert_eq!(program(configured), expected);
        }
        assert_eq!(said("/nowhere/runc"), None);
    }
}
