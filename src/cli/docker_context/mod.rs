//! docker's contexts: names for other machines and sockets, in docker's own files and words.

mod create;
mod endpoint;
mod export;
mod import;
mod inspect;
mod ls;
mod rm;
mod show;
mod update;
mod use_context;

use super::{Context, unbuilt};
use crate::config::contexts::Contexts;
use crate::error::{Error, Result};

/// The verbs below `context`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create a context
    Create(create::Args),
    /// Export a context to a tar archive FILE or a tar stream on STDOUT
    Export(export::Args),
    /// Import a context from a tar file
    Import(import::Args),
    /// Display detailed information on one or more contexts
    Inspect(inspect::Args),
    /// List contexts
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Remove one or more contexts
    #[command(visible_alias = "remove")]
    Rm(rm::Args),
    /// Print the name of the current context
    Show(show::Args),
    /// Update a context
    Update(update::Args),
    /// Set the current docker context
    Use(use_context::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run the verb: none of them asks a containerd.
pub fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Create(args) => create::run(&args, cx),
        Verb::Export(args) => export::run(&args, cx),
        Verb::Import(args) => import::run(&args, cx),
        Verb::Inspect(args) => inspect::run(&args, cx),
        Verb::Ls(args) => ls::run(&args, cx),
        Verb::Rm(args) => rm::run(&args, cx),
        Verb::Show(args) => show::run(&args, cx),
        Verb::Update(args) => update::run(&args, cx),
        Verb::Use(args) => use_context::run(&args, cx),
        Verb::Unknown(words) => Err(unknown(cx, &words)),
    }
}

fn unknown(cx: &Context<'_>, words: &[String]) -> Error {
    let path = ["context".to_owned()].into_iter().chain(words.first().cloned()).collect::<Vec<_>>();
    let known = ["create", "export", "import", "inspect", "ls", "rm", "show", "update", "use"];
    unbuilt::unknown(&cx.program, &path, &known.map(String::from))
}

/// The contexts of this user.
fn contexts(cx: &Context<'_>) -> Contexts {
    Contexts::of(&cx.config.docker_config)
}
