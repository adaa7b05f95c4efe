//! `volume rm`: remove volumes that no container has.

use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::volume::{remove, sweep};
use crate::error::{Kind, Result};

/// Flags of `volume rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie volume rm data\n  wharfie volume rm -f data maybe-gone")]
pub struct Args {
    /// Force the removal of one or more volumes: one that is not there is fine
    #[arg(short, long)]
    force: bool,
    /// The volumes
    #[arg(required = true, value_name = "VOLUME", add = names::volume_names())]
    volumes: Vec<String>,
}

/// Run the verb: one that cannot be removed does not keep the others.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    // What killed commands have left goes too, the first time as long as the volumes tell where it lies; that it
    // cannot is none of this one's affair.
    let _ = sweep(&engine);
    let mut failures = Failures::default();
    for name in &args.volumes {
        match remove(&engine, name).await {
            Err(error) if error.kind == Kind::NotFound && args.force => cx.ui.line(name)?,
            Err(error) => failures.add(cx, error)?,
            Ok(()) => cx.ui.line(name)?,
        }
    }
    let _ = sweep(&engine);
    Ok(failures.code())
}
