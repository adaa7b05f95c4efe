//! `image cat`: a file of an image, without a container.

use super::{files, told};
use crate::cli::Context;
use crate::engine::image;
use crate::error::{Error, Result};

/// Flags of `image cat`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Links are followed within the image. An image that is not unpacked is unpacked first.\n\nExamples:\n  \
    wharfie image cat busybox /etc/passwd\n  wharfie image cat --platform linux/arm64 app:1 /app/version\n  \
    wharfie image cat app:1:/etc/os-release"
)]
pub struct Args {
    /// Look into the given platform of the image
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// The image, or IMAGE:/PATH
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    image: String,
    /// Files in it
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let (name, mut paths) = (args.image.as_str(), args.paths);
    let name = match files::split(name) {
        Some((name, path)) => {
            paths.insert(0, path.to_owned());
            name
        }
        None => name,
    };
    if paths.is_empty() {
        return Err(Error::usage("name a file of the image")
            .hint("as in `wharfie image cat busybox /etc/passwd`; `wharfie image files` lists them"));
    }
    let platform = args.platform.as_deref().map(image::platform).transpose().map_err(told)?;
    let engine = cx.engine().await?;
    let found = image::resolve(&engine, name, platform.as_ref()).await.map_err(told)?;
    image::cat(&engine, &found, &paths, cx.ui.out()).await.map_err(told)?;
    Ok(0)
}
