//! `rmi`: names, and images that lose their last one.

use super::told;
use crate::cli::Context;
use crate::engine::image::{self, RemoveOptions, Removed};
use crate::error::{Kind, Result};
use crate::image::platform::Platform;

/// Flags of `rmi`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie rmi busybox\n  wharfie rmi --all-aliases registry.example/app:1\n  \
    wharfie rmi --platform linux/arm64 app:1\n  wharfie rmi -f $(wharfie images -q -f dangling=true)"
)]
pub struct Args {
    /// Remove every name of the image, in whatever repository
    #[arg(long)]
    all_aliases: bool,
    /// Do not wait until the content is removed too
    #[arg(long)]
    r#async: bool,
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
    let platforms = args.platform.iter().flat_map(|list| list.split(',')).filter(|text| !text.is_empty());
    let platforms: Vec<Platform> = platforms.map(image::platform).collect::<Result<_>>().map_err(told)?;
    let options =
        RemoveOptions { force: args.force, all_aliases: args.all_aliases, asynchronous: args.r#async };
    let engine = cx.engine().await?;
    let mut code = 0;
    for name in &args.images {
        let removed = match platforms.as_slice() {
            [] => image::remove(&engine, name, options).await,
            platforms => image::remove_platforms(&engine, name, platforms, options).await,
        };
        match removed {
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
