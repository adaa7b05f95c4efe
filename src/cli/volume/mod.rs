//! The verbs of volumes.

mod create;
mod exists;
mod export;
mod import;
mod inspect;
mod ls;
pub(super) mod prune;
mod remove;
pub(super) mod row;
mod update;

pub(super) use inspect::describe;

use super::{Context, unbuilt};
use crate::error::{Error, Result};

/// The verbs below `volume`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create a volume
    Create(Box<create::Args>),
    /// Tell by the exit code whether a volume exists: 0, or 1
    Exists(exists::Args),
    /// Display detailed information on one or more volumes
    Inspect(inspect::Args),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Remove unused local volumes
    Prune(prune::Args),
    /// Remove one or more volumes
    #[command(visible_alias = "remove")]
    Rm(remove::Args),
    /// Update a volume (cluster volumes only)
    Update(update::Args),
    /// Write a volume's files as a tar archive (streamed to STDOUT by default)
    Export(export::Args),
    /// Put the files of a tar archive into a volume
    Import(import::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run the verb.
pub async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Create(args) => create::run(*args, cx).await,
        Verb::Exists(args) => exists::run(args, cx).await,
        Verb::Inspect(args) => inspect::run(args, cx).await,
        Verb::Ls(args) => ls::run(args, cx).await,
        Verb::Prune(args) => prune::run(args, cx).await,
        Verb::Rm(args) => remove::run(args, cx).await,
        Verb::Update(args) => update::run(args, cx).await,
        Verb::Export(args) => export::run(args, cx).await,
        Verb::Import(args) => import::run(args, cx).await,
        Verb::Unknown(words) => Err(unknown(cx, &words)),
    }
}

fn unknown(cx: &Context<'_>, words: &[String]) -> Error {
    let path = ["volume".to_owned()].into_iter().chain(words.first().cloned()).collect::<Vec<_>>();
    let known =
        ["create", "exists", "export", "import", "inspect", "ls", "prune", "rm", "update"].map(String::from);
    unbuilt::unknown(&cx.program, &path, &known)
}
