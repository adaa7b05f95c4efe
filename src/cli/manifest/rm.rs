//! `manifest rm`: forget lists that are in the making.

use super::reference;
use crate::cli::Context;
use crate::engine::manifest;
use crate::error::Result;

/// Arguments of `manifest rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie manifest rm registry.example/app:1")]
pub struct Args {
    /// The lists
    #[arg(value_name = "MANIFEST_LIST", required = true, add = crate::cli::names::manifest_lists())]
    lists: Vec<String>,
}

/// Run the verb: one that is not there does not keep the others.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let mut code = 0;
    for list in &args.lists {
        if let Err(error) = reference(list).and_then(|list| manifest::remove(&cx.config, &list)) {
            cx.ui.error(&error)?;
            code = 1;
        }
    }
    Ok(code)
}
