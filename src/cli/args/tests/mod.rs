//! The groups together: command lines in, requests and docker's errors out.

mod inventory;
mod request;
mod words;

use std::ffi::OsString;
use std::path::Path;
use std::sync::LazyLock;

use clap::{Args, Command, FromArgMatches};

use super::{ContainerArgs, Environment, ExecArgs, RunArgs, errors, pflag};
use crate::Result;
use crate::oci::request::{ContainerRequest, ExecRequest};

/// The tree as the cli builds it, before it is made to parse like docker's.
fn plain() -> Command {
    Command::new("docker")
        .subcommand_required(true)
        .subcommand(RunArgs::augment_args(Command::new("run")))
        .subcommand(ContainerArgs::augment_args(Command::new("create")))
        .subcommand(ExecArgs::augment_args(Command::new("exec")))
}

fn words(line: &[&str]) -> Vec<OsString> {
    std::iter::once("/usr/bin/docker").chain(line.iter().copied()).map(OsString::from).collect()
}

/// The arguments of the verb that leads `line`.
fn parse<T: FromArgMatches>(line: &[&str]) -> Result<T> {
    let arguments = words(line);
    // Built once: the tables parse thousands of lines.
    static TREE: LazyLock<Command> = LazyLock::new(|| pflag::like_pflag(plain()));
    let matches = TREE
        .clone()
        .try_get_matches_from(&arguments)
        .map_err(|error| errors::translate(&error, &TREE, &arguments))?;
    let (_, matches) = matches.subcommand().unwrap();
    Ok(T::from_arg_matches(matches).unwrap())
}

/// Runs `act` in a world with a few variables and files.
fn in_world<T>(act: impl Fn(&Environment<'_>) -> T) -> T {
    let variable = |name: &str| (name == "HOME").then(|| "/root".to_owned());
    let read_file = |path: &Path| match path.to_str() {
        Some("vars") => Ok(b"# comment\nA=file\nHOME\nUNSET\n".to_vec()),
        Some("bad") => Ok(b"a b=c".to_vec()),
        Some("labels") => Ok(b"x=file\ny=2\nz\n".to_vec()),
        Some("seccomp.json") => Ok(br#"{"defaultAction": "SCMP_ACT_ALLOW"}"#.to_vec()),
        Some("broken.json") => Ok(b"{".to_vec()),
        _ => Err(std::io::Error::from_raw_os_error(2)),
    };
    act(&Environment {
        command: "docker run",
        variable: &variable,
        read_file: &read_file,
        current_dir: Path::new("/home/me"),
    })
}

/// `docker run FLAGS busybox`.
fn run(flags: &[&str]) -> Result<ContainerRequest> {
    let line: Vec<&str> = ["run"].iter().chain(flags).chain(&["busybox"]).copied().collect();
    run_line(&line)
}

fn run_line(line: &[&str]) -> Result<ContainerRequest> {
    let args: RunArgs = parse(line)?;
    in_world(|environment| args.clone().into_request(environment))
}

fn exec(line: &[&str]) -> Result<(String, ExecRequest)> {
    let line: Vec<&str> = ["exec"].iter().chain(line).copied().collect();
    let args: ExecArgs = parse(&line)?;
    in_world(|environment| args.clone().into_request(environment))
}
