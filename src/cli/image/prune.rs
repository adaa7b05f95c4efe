//! `image prune`: remove images that nobody uses.

use jiff::Timestamp;

use super::{told, usage};
use crate::cli::Context;
use crate::cli::prune::{PruneArgs, paragraph, total};
use crate::engine::Engine;
use crate::engine::container;
use crate::engine::image::{self, ImageUsage, Removed};
use crate::engine::prune::{Kind, PruneFilters, note};
use crate::error::Result;
use crate::output::units::human_size;

const DANGLING: &str = "WARNING! This will remove all dangling images.\nAre you sure you want to continue?";
const ORPHANS: &str = "WARNING! This will remove all unfinished downloads, and the blobs and snapshots that no image, \
                       container, lease or label refers to.\nAre you sure you want to continue?";
const ALL: &str = "WARNING! This will remove all images without at least one container associated to them.\n\
                   Are you sure you want to continue?";

/// Flags of `image prune`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "What CRI has pinned, what pods stand on and what containers use stays. With --orphans, `--filter until=` \
    says for how long nobody may have written to an unfinished download (an hour).\n\nExamples:\n  wharfie image prune\n  \
    wharfie image prune -a --dry-run\n  wharfie image prune -af --filter until=240h\n  wharfie image prune --orphans --dry-run"
)]
pub struct Args {
    /// Remove all unused images, not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Remove what no image and no container needs, instead of images: blobs, snapshots, unfinished downloads
    #[arg(long, conflicts_with = "all")]
    orphans: bool,
    #[command(flatten)]
    prune: PruneArgs,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if args.orphans {
        return of_orphans(&args.prune, cx).await;
    }
    let prune = args.prune.with_configured(cx)?;
    let filters = prune.filters(&["until", "label"], Timestamp::now())?;
    if !prune.confirmed(if args.all { ALL } else { DANGLING }, cx)? {
        return Ok(0);
    }
    let engine = cx.engine().await?;
    let bytes = of_images(&engine, (args.all, prune.dry_run), &filters, &[], cx).await?;
    total(bytes, prune.dry_run, cx)?;
    Ok(0)
}

async fn of_orphans(prune: &PruneArgs, cx: &mut Context<'_>) -> Result<u8> {
    let now = Timestamp::now();
    let until = prune.filters(&["until"], now)?.until.unwrap_or_else(|| usage::lately(now));
    if !prune.confirmed(ORPHANS, cx)? {
        return Ok(0);
    }
    let engine = cx.engine().await?;
    let mut orphans = match prune.dry_run {
        true => image::orphans(&engine, until).await.map_err(told)?,
        false => image::sweep(&engine, until).await.map_err(told)?,
    };
    orphans.retain(|orphan| orphan.keeper.is_none());
    let bytes = orphans.iter().map(|orphan| orphan.bytes).sum();
    if !prune.dry_run {
        note(&engine, Kind::Image, bytes);
    }
    let lines: Vec<String> = orphans.iter().map(usage::line).collect();
    let title = if prune.dry_run { "Orphans that would be deleted:" } else { "Deleted Orphans:" };
    paragraph(title, &lines, cx)?;
    total(bytes, prune.dry_run, cx)?;
    Ok(0)
}

/// Remove the images (`all` unused ones, or those without a name), or show them, and tell the bytes. The
/// containers `gone` count as removed: a look ahead has not removed them.
pub async fn of_images(
    engine: &Engine,
    (all, dry_run): (bool, bool),
    filters: &PruneFilters,
    gone: &[String],
    cx: &mut Context<'_>,
) -> Result<u64> {
    let mut containers = container::list(engine).await.map_err(told)?;
    containers.retain(|container| !gone.contains(&container.id));
    let (images, bytes) = image::prunable(engine, &containers, all, filters).await.map_err(told)?;
    if dry_run {
        let lines: Vec<String> = images.iter().map(shown).collect();
        paragraph("Images that would be deleted:", &lines, cx)?;
        return Ok(bytes);
    }
    let removed = image::prune(engine, &images).await.map_err(told)?;
    note(engine, Kind::Image, bytes);
    let lines: Vec<String> = removed
        .into_iter()
        .map(|one| match one {
            Removed::Untagged(name) => format!("untagged: {name}"),
            Removed::Deleted(id) => format!("deleted: {id}"),
        })
        .collect();
    paragraph("Deleted Images:", &lines, cx)?;
    Ok(bytes)
}

fn shown(image: &ImageUsage) -> String {
    let names = if image.tags.is_empty() { &image.digests } else { &image.tags };
    let names = if names.is_empty() { "<none>".to_owned() } else { names.join(", ") };
    format!("{}  {names}  {}", image.id, human_size(image.size() as f64))
}
