//! `manifest inspect`: a manifest or a list, as it is here in the making or in a registry.

use super::{allow_insecure, reference};
use crate::cli::Context;
use crate::engine::manifest::{self, Found, verbose_list};
use crate::error::Result;

/// Flags of `manifest inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie manifest inspect debian:12\n  wharfie manifest inspect -v registry.example/app:1"
)]
pub struct Args {
    /// Allow communication with an insecure registry
    #[arg(long)]
    insecure: bool,
    /// Output additional info including layers and platform
    #[arg(short, long)]
    verbose: bool,
    /// The manifest or list; or the list in the making that the next one is in
    #[arg(value_name = "MANIFEST", required = true, add = crate::cli::names::manifest_lists())]
    name: String,
    /// The manifest in that list
    #[arg(value_name = "MANIFEST")]
    part: Option<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let (list, name) = match &args.part {
        Some(part) => (Some(reference(&args.name)?), reference(part)?),
        None => (None, reference(&args.name)?),
    };
    allow_insecure(args.insecure, cx);
    let text = match manifest::inspect(&cx.config, list.as_ref(), &name, args.verbose).await? {
        Found::One(entry) if args.verbose => entry.verbose()?,
        Found::One(entry) => entry.manifest(),
        Found::List(_, entries) if args.verbose => verbose_list(&entries)?,
        Found::List(text, _) => text,
    };
    cx.ui.line(text)?;
    Ok(0)
}
