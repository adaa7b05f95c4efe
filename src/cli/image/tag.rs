//! `tag`: one more name for an image.

use super::told;
use crate::cli::Context;
use crate::engine::image;
use crate::error::Result;

/// Arguments of `tag`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie tag app:latest registry.example/app:1.2")]
pub struct Args {
    /// The image
    #[arg(value_name = "SOURCE_IMAGE[:TAG]", required = true, add = crate::cli::names::images())]
    source: String,
    /// The new name
    #[arg(value_name = "TARGET_IMAGE[:TAG]", required = true)]
    target: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    image::tag(&engine, &args.source, &args.target).await.map_err(told)?;
    Ok(0)
}
