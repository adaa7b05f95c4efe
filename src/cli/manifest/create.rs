//! `manifest create`: begin a list.

use super::{allow_insecure, reference};
use crate::cli::Context;
use crate::engine::manifest;
use crate::error::Result;
use crate::registry::Reference;

/// Flags of `manifest create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wharfie manifest create registry.example/app:1 registry.example/app:1-amd registry.example/app:1-arm"
)]
pub struct Args {
    /// Amend an existing manifest list
    #[arg(short, long)]
    amend: bool,
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
    /// The list
    #[arg(value_name = "MANIFEST_LIST", required = true, add = crate::cli::names::manifest_lists())]
    list: String,
    /// Its manifests
    #[arg(value_name = "MANIFEST", required = true)]
    manifests: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let list = reference(&args.list)
        .map_err(|error| error.context(format!("error parsing name for manifest list {}", args.list)))?;
    let manifests: Vec<Reference> =
        args.manifests.iter().map(|name| reference(name)).collect::<Result<_>>()?;
    allow_insecure(args.insecure, cx);
    manifest::create(&cx.config, &list, &manifests, args.amend).await?;
    cx.ui.line(format_args!("Created manifest list {list}"))?;
    Ok(0)
}
