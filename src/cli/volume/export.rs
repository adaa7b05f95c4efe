//! `volume export`: a volume's files as a tar.

use crate::cli::errors::EngineResult;
use crate::cli::whole_file::{WholeFile, check};
use crate::cli::{Context, names};
use crate::engine::volume::export;
use crate::error::{Error, Result};

/// Flags of `volume export`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie volume export -o data.tar data\n  \
    wharfie volume export data | gzip > data.tar.gz\n  \
    wharfie volume export data | ssh other wharfie volume import data -")]
pub struct Args {
    /// Write to a file, or to - for STDOUT
    #[arg(short, long, value_name = "file")]
    output: Option<String>,
    /// The volume
    #[arg(value_name = "VOLUME", add = names::volume_names())]
    volume: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let output = args.output.as_deref().filter(|path| !matches!(*path, "" | "-"));
    if output.is_none() && cx.ui.out_is_terminal() {
        return Err(Error::failed("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
    }
    let path = output.map(|path| cx.environment.directory.join(path));
    if let Some(path) = &path {
        check(path)
            .map_err(|why| Error::failed(format!("failed to export volume: invalid output path: {why}")))?;
    }
    let engine = cx.engine().await?;
    match path {
        None => export(&engine, &args.volume, cx.ui.out()).told()?,
        Some(path) => {
            let mut file = WholeFile::create(&path)?;
            export(&engine, &args.volume, &mut file).told()?;
            file.finish()?;
        }
    }
    Ok(0)
}
