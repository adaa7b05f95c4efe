//! `export`: a container's root file system as a tar.

use crate::cli::errors::EngineResult;
use crate::cli::whole_file::{WholeFile, check};
use crate::cli::{Context, names};
use crate::engine::container::{export, locate};
use crate::error::{Error, Result};

/// Flags of `export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie export -o web.tar web\n  wharfie export web | tar -t")]
pub struct Args {
    /// Write to a file, instead of STDOUT
    #[arg(short, long, value_name = "string")]
    output: Option<String>,
    /// The container by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let output = args.output.as_deref().filter(|path| !path.is_empty());
    if output.is_none() && cx.ui.out_is_terminal() {
        return Err(Error::failed("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
    }
    let path = output.map(|path| cx.environment.directory.join(path));
    if let Some(path) = &path {
        if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
            let why = format!("stat {}: no such file or directory", parent.display());
            return Err(Error::failed(format!("failed to export container: invalid output path: {why}")));
        }
        check(path).map_err(|why| {
            Error::failed(format!("failed to export container: invalid output path: {why}"))
        })?;
    }
    let engine = cx.engine().await?;
    let (engine, mut container) = locate(&engine, &args.container).await.told()?;
    match path {
        None => export(&engine, &mut container, cx.ui.out()).await.told()?,
        Some(path) => {
            let mut file = WholeFile::create(&path)?;
            export(&engine, &mut container, &mut file).await.told()?;
            file.finish()?;
        }
    }
    Ok(0)
}
