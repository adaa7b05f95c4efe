//! `rmi`: names, and images that lose their last one.

use super::told;
use crate::cli::Context;
use crate::engine::image::{self, RemoveOptions, Removed};
use crate::error::{Error, Kind, Result};

/// Flags of `rmi`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie rmi busybox\n  wharfie rmi -f $(wharfie images -q -f dangling=true)"
)]
pub struct Args {
    /// Force removal of the image
    #[arg(short, long)]
    force: bool,
    /// Do not delete untagged parents
    #[arg(long)]
    no_prune: bool,
    /// Remove only the given platform variant
    #[arg(long, value_name = "stringSlice")]
    platform: Vec<String>,
    /// The images
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    images: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if !args.platform.is_empty() {
        return Err(Error::failed("rmi --platform is not supported: an image goes with all its platforms"));
    }
    let engine = cx.engine().await?;
    let mut code = 0;
    for name in &args.images {
        match image::remove(&engine, name, RemoveOptions { force: args.force }).await {
            Ok(removed) => {
                for one in removed {
                    match one {
                        Removed::Untagged(name) => cx.ui.line(format_args!("Untagged: {name}"))?,
                        Removed::Deleted(id) => cx.ui.line(format_args!("Deleted: {id}"))?,
                    }
                }
            }
            Err(error) => {
                // With --force, what is not there is as good as removed.
                if !(args.force && error.kind == Kind::NotFound) {
                    code = 1;
                }
                cx.ui.error(&told(error))?;
            }
        }
    }
    Ok(code)
}
