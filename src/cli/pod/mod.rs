//! The verbs of pods.

mod create;
mod exec;
mod filter;
mod inspect;
mod logs;
mod ls;
mod parts;
mod port_forward;
mod remove;
pub(in crate::cli) mod row;
mod run;
mod start;
mod stats;
mod stop;
mod top;

use super::{Context, unbuilt};
use crate::error::Result;

/// The verbs below `pod`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// List pods
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ls::Args),
    /// Display detailed information on one or more pods
    Inspect(inspect::Args),
    /// Fetch the logs of a pod's containers
    Logs(logs::Args),
    /// Execute a command in a running container of a pod
    Exec(Box<exec::Args>),
    /// Display a live stream of resource usage statistics of pods' containers
    Stats(stats::Args),
    /// Display the running processes of a pod
    Top(top::Args),
    /// Stop one or more pods
    Stop(stop::Args),
    /// Remove one or more pods
    Rm(remove::Args),
    /// Make a pod and start it
    Run(Box<run::Args>),
    /// Make a pod whose containers are not started
    Create(Box<create::Args>),
    /// Start the containers of one or more pods
    Start(start::Args),
    /// Forward ports of this machine into a pod
    PortForward(port_forward::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run the verb.
pub async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Ls(args) => ls::run(args, cx).await,
        Verb::Inspect(args) => inspect::run(args, cx).await,
        Verb::Logs(args) => logs::run(args, cx).await,
        Verb::Exec(args) => exec::run(*args, cx).await,
        Verb::Stats(args) => stats::run(args, cx).await,
        Verb::Top(args) => top::run(args, cx).await,
        Verb::Stop(args) => stop::run(args, cx).await,
        Verb::Rm(args) => remove::run(args, cx).await,
        Verb::Run(args) => run::run(*args, cx).await,
        Verb::Create(args) => create::run(*args, cx).await,
        Verb::Start(args) => start::run(args, cx).await,
        Verb::PortForward(args) => port_forward::run(args, cx).await,
        Verb::Unknown(words) => Err(unknown(cx, &words)),
    }
}

fn unknown(cx: &Context<'_>, words: &[String]) -> crate::error::Error {
    const KNOWN: [&str; 12] = [
        "create",
        "exec",
        "inspect",
        "logs",
        "ls",
        "port-forward",
        "rm",
        "run",
        "start",
        "stats",
        "stop",
        "top",
    ];
    let path: Vec<String> = ["pod".to_owned()].into_iter().chain(words.first().cloned()).collect();
    unbuilt::unknown(&cx.program, &path, &KNOWN.map(String::from))
}
