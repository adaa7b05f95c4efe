//! `volume update`: only a swarm's volumes can be updated, and there is no swarm.

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::volume::get;
use crate::error::{Error, Result};

/// Flags of `volume update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie volume update --availability drain data")]
pub struct Args {
    /// Cluster Volume availability ("active", "pause", "drain")
    #[arg(long, value_name = "string")]
    availability: Option<String>,
    /// The volume
    #[arg(value_name = "VOLUME", required = true, add = names::volume_names())]
    volume: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    get(&engine, &args.volume).told()?;
    Err(Error::failed("Can only update cluster volumes")
        .hint("a volume's labels and options are those it was created with"))
}
