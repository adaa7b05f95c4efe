//! `volume import`: the files of a tar into a volume, all of them or none.

use std::fs::File;
use std::io::Read;

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::volume::import;
use crate::error::{Error, Result};

/// Flags of `volume import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie volume import data data.tar.gz\n  \
    tar -C files -c . | wharfie volume import data -")]
pub struct Args {
    /// The volume, which must be there
    #[arg(value_name = "VOLUME", add = names::volume_names())]
    volume: String,
    /// The archive, plain or compressed, or - for STDIN
    #[arg(value_name = "file|-", default_value = "-", value_hint = clap::ValueHint::FilePath)]
    source: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let input: Box<dyn Read> = match args.source.as_str() {
        "-" => Box::new(std::io::stdin()),
        path => {
            let path = cx.environment.directory.join(path);
            Box::new(File::open(&path).map_err(|cause| Error::io("open", &path, cause))?)
        }
    };
    let engine = cx.engine().await?;
    let skipped = import(&engine, &args.volume, input).told()?;
    if !skipped.is_empty() {
        let names: Vec<String> = skipped.iter().map(|path| path.display().to_string()).collect();
        cx.ui.warn(format_args!(
            "devices are no content of a volume and were left out: {}",
            names.join(", ")
        ))?;
    }
    Ok(0)
}
