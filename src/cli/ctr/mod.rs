//! `ctr`: containerd's own client, command for command, so that scripts written for it run unchanged. Unlike it, it
//! reads the registries' configuration.

mod commands;
mod containers;
mod content;
mod created;
mod events;
mod flags;
mod images;
mod inspect;
mod leases;
mod metrics;
mod mounts;
mod namespaces;
mod plugins;
mod probes;
mod registry;
mod run;
mod sandboxes;
mod session;
mod shown;
mod snapshots;
mod system;
mod tasks;
#[cfg(test)]
mod tests;
mod transfer;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};

use super::Context;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};

/// The exit code for a word that is no command.
const NO_TOPIC: u8 = 3;

/// Talk to containerd as its own client does
#[derive(Debug, Parser)]
#[command(
    name = "ctr",
    disable_version_flag = true,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND",
    after_help = "Examples:\n  ctr images ls\n  ctr -n k8s.io containers ls\n  \
                  ctr run --rm -t docker.io/library/busybox:latest one sh"
)]
struct Cli {
    /// Enable debug output in logs
    #[arg(long)]
    debug: bool,
    /// Address for containerd's GRPC server [default: the first known one that answers; CONTAINERD_ADDRESS]
    #[arg(short, long, value_name = "value")]
    address: Option<String>,
    /// Total timeout for ctr commands; 0s waits for ever
    #[arg(long, value_name = "duration", value_parser = flags::duration)]
    timeout: Option<Duration>,
    /// Timeout for connecting to containerd
    #[arg(long, value_name = "duration", value_parser = flags::duration)]
    connect_timeout: Option<Duration>,
    /// Namespace to use with commands [default: default; CONTAINERD_NAMESPACE]
    #[arg(short, long, value_name = "value")]
    namespace: Option<String>,
    /// Print the version
    #[arg(short, long)]
    version: bool,
    #[command(subcommand)]
    command: Option<commands::Verb>,
}

/// The words after `ctr`, handed on as they are.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  wharfie ctr images ls\n  wharfie ctr -n k8s.io tasks ls\n  wharfie ctr --help"
)]
pub struct Args {
    /// A command of ctr's with its flags
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// The command tree, for help and the inventory.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Run a command of ctr's. Its errors are printed as ctr prints them.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let result = settled(args.words, cx).await;
    let flushed = cx.ui.flush();
    match result.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => Ok(code),
        Err(error) => match error.kind {
            Kind::BrokenPipe | Kind::Silent(_) => Err(error),
            _ => {
                let message = format!("ctr: {}", error.message);
                cx.ui.error(&Error { message, ..error })?;
                Err(Error::silent(1))
            }
        },
    }
}

async fn settled(words: Vec<OsString>, cx: &mut Context<'_>) -> Result<u8> {
    let cli = match flags::read(&command(), words)? {
        flags::Read::Help(path) => {
            cx.ui.print(flags::help(&command(), &path))?;
            return Ok(0);
        }
        flags::Read::NoTopic(word) => {
            cx.ui.say(format!("No help topic for '{word}'"))?;
            return Err(Error::silent(NO_TOPIC));
        }
        flags::Read::Words(words) => {
            let matches = command().try_get_matches_from(words).map_err(|error| flags::wrong(&error))?;
            Cli::from_arg_matches(&matches).map_err(|error| flags::wrong(&error))?
        }
    };
    if cli.version {
        cx.ui.line(format_args!("ctr wharfie {}", env!("CARGO_PKG_VERSION")))?;
        return Ok(0);
    }
    let config = Arc::make_mut(&mut cx.config);
    config.debug |= cli.debug;
    if let Some(namespace) = cli.namespace {
        config.namespace = namespace;
    }
    if let Some(address) = cli.address {
        let path = PathBuf::from(address.strip_prefix("unix://").unwrap_or(&address));
        config.addresses = vec![path];
        config.address_given = true;
    }
    let Some(verb) = cli.command else {
        cx.ui.print(flags::help(&command(), &[]))?;
        return Ok(0);
    };
    if let Some(limit) = cli.connect_timeout.filter(|limit| !limit.is_zero()) {
        let connected = tokio::time::timeout(limit, Engine::connect(Arc::clone(&cx.config))).await;
        connected.map_err(|_| late("connect to containerd"))??;
    }
    match cli.timeout.filter(|limit| !limit.is_zero()) {
        Some(limit) => {
            tokio::time::timeout(limit, commands::dispatch(verb, cx)).await.map_err(|_| late("--timeout"))?
        }
        None => commands::dispatch(verb, cx).await,
    }
}

fn late(what: &str) -> Error {
    Error::new(Kind::Unavailable, format!("{what}: context deadline exceeded"))
}

/// The engine, without what wharfie recovers before its own commands: ctr looks and touches nothing else.
async fn connect(cx: &Context<'_>) -> Result<Engine> {
    Engine::connect(Arc::clone(&cx.config)).await
}

/// The engine with another snapshotter, where a flag names one.
async fn connect_for(cx: &mut Context<'_>, snapshotter: Option<&str>) -> Result<Engine> {
    if let Some(name) = snapshotter.filter(|name| !name.is_empty()) {
        Arc::make_mut(&mut cx.config).snapshotter = name.to_owned();
    }
    connect(cx).await
}
