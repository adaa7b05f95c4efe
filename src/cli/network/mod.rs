//! The verbs of networks.

mod connect;
mod create;
mod disconnect;
mod filter;
mod inspect;
mod ls;
pub mod prune;
mod rm;

use super::{Context, unbuilt};
use crate::error::{Error, Result};

/// The verbs below `network`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Connect a container to a network
    Connect(connect::Args),
    /// Create a network
    Create(Box<create::Args>),
    /// Disconnect a container from a network
    Disconnect(disconnect::Args),
    /// Display detailed information on one or more networks
    Inspect(inspect::Args),
    /// List networks
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Remove all unused networks
    Prune(prune::Args),
    /// Remove one or more networks
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run the verb.
pub async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Connect(args) => connect::run(args, cx).await,
        Verb::Create(args) => create::run(*args, cx).await,
        Verb::Disconnect(args) => disconnect::run(args, cx).await,
        Verb::Inspect(args) => inspect::run(args, cx).await,
        Verb::Ls(args) => ls::run(args, cx).await,
        Verb::Prune(args) => prune::run(args, cx).await,
        Verb::Rm(args) => rm::run(args, cx).await,
        Verb::Unknown(words) => Err(unknown(cx, &words)),
    }
}

fn unknown(cx: &Context<'_>, words: &[String]) -> Error {
    let path = ["network".to_owned()].into_iter().chain(words.first().cloned()).collect::<Vec<_>>();
    let known = ["connect", "create", "disconnect", "inspect", "ls", "prune", "rm"].map(String::from);
    unbuilt::unknown(&cx.program, &path, &known)
}
