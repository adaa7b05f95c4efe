//! `container prune`: remove every container that does not run.

use jiff::Timestamp;

use crate::cli::Context;
use crate::cli::errors::EngineResult;
use crate::cli::prune::{PruneArgs, Pruned, total};
use crate::engine::Engine;
use crate::engine::container::{Prunable, prunable, prune, settle};
use crate::engine::prune::{Kind, PruneFilters};
use crate::error::Result;
use crate::output::units::human_size;

const WARNING: &str = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?";

/// Flags of `container prune`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie container prune --dry-run\n  wharfie container prune -f --filter until=24h"
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
    let bytes = of_containers(&engine, &filters, prune.dry_run, cx).await?;
    total(bytes, prune.dry_run, cx)?;
    Ok(0)
}

/// Remove the containers, or show them, and tell the bytes.
pub async fn of_containers(
    engine: &Engine,
    filters: &PruneFilters,
    dry_run: bool,
    cx: &mut Context<'_>,
) -> Result<u64> {
    settle(engine).await.told()?;
    let mut pruned = Pruned::default();
    for one in prunable(engine, filters).await.told()? {
        let line = if dry_run { shown(&one) } else { one.container.id.clone() };
        let removed = if dry_run { Ok(true) } else { prune(engine, &one).await };
        pruned.add(removed, line, one.bytes);
    }
    pruned.tell(engine, (Kind::Container, "Containers"), dry_run, cx)
}

fn shown(one: &Prunable) -> String {
    format!("{}  {}  {}", one.container.id, one.container.name, human_size(one.bytes as f64))
}
