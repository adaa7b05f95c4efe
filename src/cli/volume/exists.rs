//! `volume exists`: podman's question, answered by the exit code.

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::volume::get;
use crate::error::{Kind, Result};

/// Flags of `volume exists`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie volume exists data || wharfie volume create data")]
pub struct Args {
    /// The volume
    #[arg(value_name = "VOLUME", add = names::volume_names())]
    volume: String,
}

/// Run the verb: 0 where the volume is there, 1 where it is not.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    match get(&engine, &args.volume) {
        Err(error) if error.kind == Kind::NotFound => Ok(1),
        other => other.told().map(|_| 0),
    }
}
