//! `context show`: which context counts.

use crate::cli::Context;
use crate::error::Result;

/// Arguments of `context show`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie context show")]
pub struct Args {}

/// Run the verb.
pub fn run(_: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let name = cx.config.context.clone();
    cx.ui.line(name)?;
    Ok(0)
}
