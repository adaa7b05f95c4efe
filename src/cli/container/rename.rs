//! `rename`: another name for a container.

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{locate, permit, rename, settle};
use crate::error::{Error, Result};

/// Flags of `rename`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie rename web shop")]
pub struct Args {
    /// The container by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
    /// The new name
    #[arg(value_name = "NEW_NAME")]
    name: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let (old, new) = (args.container.trim(), args.name.trim());
    if old.is_empty() || new.is_empty() {
        // docker says this without asking anybody.
        return Err(Error::failed("Error: Neither old nor new names may be empty"));
    }
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let (engine, mut container) = locate(&engine, old).await.told()?;
    permit(&container, "rename", None).told()?;
    rename(&engine, &mut container, new).await.told()?;
    Ok(0)
}
