//! `save`: images into an archive.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{one_platform, told};
use crate::cli::Context;
use crate::engine::Engine;
use crate::engine::image::{self, Selected};
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
        check(path)?;
    }
    let platform = one_platform(&args.platform)?;
    let engine = cx.engine().await?;
    let selected = image::select(&engine, &args.images, platform.as_ref()).await.map_err(told)?;
    match path {
        None => image::save(&engine, &selected, cx.ui.out()).await.map_err(told)?,
        Some(path) if path.exists() && !path.is_file() => {
            let mut device =
                File::options().write(true).open(&path).map_err(|cause| Error::io("open", &path, cause))?;
            image::save(&engine, &selected, &mut device).await.map_err(told)?;
        }
        Some(path) => to_file(&engine, &selected, &path).await?,
    }
    Ok(0)
}

fn check(path: &Path) -> Result<()> {
    let invalid =
        |why: String| Err(Error::failed(format!("failed to save image: invalid output path: {why}")));
    match path.parent() {
        Some(parent) if !parent.is_dir() => {
            invalid(format!("directory \"{}\" does not exist", parent.display()))
        }
        _ if path.is_dir() => invalid(format!("\"{}\" is a directory", path.display())),
        _ => Ok(()),
    }
}

/// A file appears under its name only when it is whole.
async fn to_file(engine: &Engine, selected: &[Selected], path: &Path) -> Result<()> {
    let part = beside(path);
    let file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)
        .map_err(|cause| Error::io("create", &part, cause))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let written = match image::save(engine, selected, &mut file).await.map_err(told) {
        Ok(()) => file
            .flush()
            .and_then(|()| fs::rename(&part, path))
            .map_err(|cause| Error::io("write", path, cause)),
        Err(error) => Err(error),
    };
    if written.is_err() {
        // The first failure is the one to tell.
        let _ = fs::remove_file(&part);
    }
    written
}

fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}
