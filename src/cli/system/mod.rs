//! The verbs that concern the program and the machine.

pub mod completion;
pub mod df;
pub mod events;
pub mod help;
mod identity;
pub mod info;
pub mod man;
pub mod prune;
pub mod recover;
#[cfg(test)]
mod tests;
pub mod version;

use super::{Context, unbuilt};
use crate::error::Result;

/// The verbs below `system`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Show how much room images, containers and volumes take
    Df(df::Args),
    /// Get real time events from the server
    Events(events::Args),
    /// Show what this machine's containerd is and has
    Info(info::Args),
    /// Remove unused data
    Prune(prune::Args),
    /// Start again what the restart policies ask for, and free what nobody owns any more
    Recover(recover::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run the verb.
pub async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Df(args) => df::run(args, cx).await,
        Verb::Events(args) => events::run(args, cx).await,
        Verb::Info(args) => info::run(args, cx).await,
        Verb::Prune(args) => prune::run(args, cx).await,
        Verb::Recover(args) => recover::run(args, cx).await,
        Verb::Unknown(words) => {
            let path: Vec<String> =
                ["system".to_owned()].into_iter().chain(words.into_iter().take(1)).collect();
            let known = ["df", "events", "info", "prune", "recover"].map(String::from);
            Err(unbuilt::unknown(&cx.program, &path, &known))
        }
    }
}
