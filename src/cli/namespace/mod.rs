//! The verbs of containerd's namespaces.

mod create;
mod inspect;
mod ls;
mod rm;
mod update;

use super::{Context, unbuilt};
use crate::error::{Error, Result};

/// The verbs below `namespace`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create a new namespace
    Create(create::Args),
    /// Display detailed information on one or more namespaces
    Inspect(inspect::Args),
    /// List containerd's namespaces
    #[command(visible_alias = "list")]
    Ls(ls::Args),
    /// Remove one or more namespaces, which must be empty
    #[command(name = "remove", visible_alias = "rm")]
    Remove(rm::Args),
    /// Update the labels of a namespace
    Update(update::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run the verb.
pub async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Create(args) => create::run(args, cx).await,
        Verb::Inspect(args) => inspect::run(args, cx).await,
        Verb::Ls(args) => ls::run(args, cx).await,
        Verb::Remove(args) => rm::run(args, cx).await,
        Verb::Update(args) => update::run(args, cx).await,
        Verb::Unknown(words) => Err(unknown(cx, &words)),
    }
}

fn unknown(cx: &Context<'_>, words: &[String]) -> Error {
    let path = ["namespace".to_owned()].into_iter().chain(words.first().cloned()).collect::<Vec<_>>();
    unbuilt::unknown(&cx.program, &path, &["create", "inspect", "ls", "remove", "update"].map(String::from))
}

/// `key=value` or `key`, as labels.
fn labels(texts: &[String]) -> std::collections::HashMap<String, String> {
    texts
        .iter()
        .map(|text| text.split_once('=').unwrap_or((text, "")))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
