//! docker's manifest lists: one name for the images of several platforms.

mod annotate;
mod create;
mod inspect;
mod push;
mod rm;

use std::sync::Arc;

use super::{Context, unbuilt};
use crate::error::{Error, Kind, Result};
use crate::registry::Reference;

/// The verbs below `manifest`.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Add additional information to a local image manifest
    Annotate(annotate::Args),
    /// Create a local manifest list for annotating and pushing to a registry
    Create(create::Args),
    /// Display an image manifest, or manifest list
    Inspect(inspect::Args),
    /// Push a manifest list to a repository
    Push(push::Args),
    /// Delete one or more manifest lists from local storage
    Rm(rm::Args),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

/// Run the verb: none of them asks a containerd.
pub async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Annotate(args) => annotate::run(args, cx),
        Verb::Create(args) => create::run(args, cx).await,
        Verb::Inspect(args) => inspect::run(args, cx).await,
        Verb::Push(args) => push::run(args, cx).await,
        Verb::Rm(args) => rm::run(&args, cx),
        Verb::Unknown(words) => {
            let path = ["manifest".to_owned()].into_iter().chain(words.first().cloned()).collect::<Vec<_>>();
            let known = ["annotate", "create", "inspect", "push", "rm"];
            Err(unbuilt::unknown(&cx.program, &path, &known.map(String::from)))
        }
    }
}

/// What a user wrote, `latest` where neither tag nor digest was written. A name that is none ends with 1, as docker's.
fn reference(text: &str) -> Result<Reference> {
    let parsed = Reference::parse(text).map_err(|error| Error { kind: Kind::Failed, ..error })?;
    Ok(parsed.with_default_tag())
}

/// `--insecure`, for this command.
fn allow_insecure(insecure: bool, cx: &mut Context<'_>) {
    Arc::make_mut(&mut cx.config).insecure_registry |= insecure;
}
