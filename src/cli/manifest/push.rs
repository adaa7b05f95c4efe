//! `manifest push`: a list to its repository.

use super::{allow_insecure, reference};
use crate::cli::Context;
use crate::engine::manifest;
use crate::error::Result;

/// Flags of `manifest push`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Manifests of other repositories are taken from there by the registry itself.\n\nExample:\n  wharfie manifest push \
    --purge registry.example/app:1"
)]
pub struct Args {
    /// Allow push to an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Remove the local manifest list after push
    #[arg(short, long)]
    purge: bool,
    /// The list
    #[arg(value_name = "MANIFEST_LIST", required = true, add = crate::cli::names::manifest_lists())]
    list: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let list = reference(&args.list)?;
    allow_insecure(args.insecure, cx);
    let pushed = manifest::push(&cx.config, &list, args.purge).await?;
    for one in &pushed.manifests {
        let digest = one.identifier();
        cx.ui.line(format_args!("Pushed ref {one} with digest: {digest}"))?;
    }
    cx.ui.line(&pushed.digest)?;
    Ok(0)
}
