//! `save`: images into an archive.

use super::{platforms, told};
use crate::cli::Context;
use crate::cli::whole_file::{WholeFile, check};
use crate::engine::image::{self, Lists};
use crate::error::{Error, Result};

/// Flags of `save`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie save -o busybox.tar busybox\n  wharfie save app db | gzip > images.tar.gz"
)]
pub struct Args {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<String>,
    /// Save only the given platform(s)
    #[arg(long, value_name = "stringSlice")]
    platform: Vec<String>,
    /// The images
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    images: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let output = args.output.as_deref().filter(|path| !path.is_empty());
    if output.is_none() && cx.ui.out_is_terminal() {
        return Err(Error::failed("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
    }
    let path = output.map(|path| cx.environment.directory.join(path));
    if let Some(path) = &path {
        check(path)
            .map_err(|why| Error::failed(format!("failed to save image: invalid output path: {why}")))?;
    }
    let platforms = platforms(&args.platform)?;
    let engine = cx.engine().await?;
    let selected = image::select(&engine, &args.images, &platforms).await.map_err(told)?;
    match path {
        None => image::save(&engine, &selected, Lists::Both, cx.ui.out()).await.map_err(told)?,
        Some(path) => {
            let mut file = WholeFile::create(&path)?;
            image::save(&engine, &selected, Lists::Both, &mut file).await.map_err(told)?;
            file.finish()?;
        }
    }
    Ok(0)
}
