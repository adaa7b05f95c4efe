//! `network prune`: remove every network that no container refers to.

use jiff::Timestamp;

use crate::cli::Context;
use crate::cli::errors::EngineResult;
use crate::cli::prune::{PruneArgs, Pruned};
use crate::engine::Engine;
use crate::engine::container::settle;
use crate::engine::network::{prunable, prune};
use crate::engine::prune::{Kind, PruneFilters};
use crate::error::Result;

const WARNING: &str = "WARNING! This will remove all custom networks not used by at least one container.\nAre you sure you want to continue?";

/// Flags of `network prune`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie network prune --dry-run\n  wharfie network prune -f --filter until=24h"
)]
pub struct Args {
    #[command(flatten)]
    prune: PruneArgs,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let prune = args.prune.with_configured(cx)?;
    let filters = prune.filters(&["until", "label"], Timestamp::now())?;
    if !prune.confirmed(WARNING, cx)? {
        return Ok(0);
    }
    let engine = cx.engine().await?;
    settle(&engine).await.told()?;
    of_networks(&engine, &filters, prune.dry_run, &[], cx).await?;
    Ok(0)
}

/// Remove the networks, or show them. The containers `gone` count as removed: a look ahead has not removed them.
pub async fn of_networks(
    engine: &Engine,
    filters: &PruneFilters,
    dry_run: bool,
    gone: &[String],
    cx: &mut Context<'_>,
) -> Result<()> {
    let mut pruned = Pruned::default();
    for one in prunable(engine, filters, gone).await.told()? {
        let removed = if dry_run { Ok(true) } else { prune(engine, &one).await };
        pruned.add(removed, one.name, 0);
    }
    pruned.tell(engine, (Kind::Network, "Networks"), dry_run, cx).map(drop)
}
