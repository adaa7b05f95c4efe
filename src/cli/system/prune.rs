//! `system prune`: remove everything that nobody uses.

use jiff::Timestamp;

use crate::cli::Context;
use crate::cli::container::prune::of_containers;
use crate::cli::errors::EngineResult;
use crate::cli::image::prune::of_images;
use crate::cli::network::prune::of_networks;
use crate::cli::prune::{PruneArgs, total};
use crate::cli::volume::prune::of_volumes;
use crate::engine::container::prunable;
use crate::error::{Error, Result};

/// Flags of `system prune`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie system prune --dry-run\n  wharfie system prune -af --volumes\n  \
                  wharfie system prune -f --filter until=24h"
)]
pub struct Args {
    /// Remove all unused images not just dangling ones
    #[arg(short, long)]
    all: bool,
    /// Prune anonymous volumes
    #[arg(long)]
    volumes: bool,
    #[command(flatten)]
    prune: PruneArgs,
}

/// Run the verb.
pub async fn run(mut args: Args, cx: &mut Context<'_>) -> Result<u8> {
    args.prune = args.prune.with_configured(cx)?;
    let filters = args.prune.filters(&["until", "label"], Timestamp::now())?;
    if args.volumes && filters.until.is_some() {
        return Err(Error::failed("ERROR: The \"until\" filter is not supported with \"--volumes\""));
    }
    if !args.prune.confirmed(&warning(&args), cx)? {
        return Ok(0);
    }
    let dry_run = args.prune.dry_run;
    let engine = cx.engine().await?;
    // What a look ahead leaves there counts as gone for what comes after it.
    let gone: Vec<String> = if dry_run {
        let containers = prunable(&engine, &filters).await.told()?;
        containers.into_iter().map(|one| one.container.id).collect()
    } else {
        Vec::new()
    };
    let mut bytes = of_containers(&engine, &filters, dry_run, cx).await?;
    of_networks(&engine, &filters, dry_run, &gone, cx).await?;
    if args.volumes {
        bytes += of_volumes(&engine, (false, dry_run), &filters, &gone, cx).await?;
    }
    bytes += of_images(&engine, (args.all, dry_run), &filters, &gone, cx).await?;
    total(bytes, dry_run, cx)?;
    Ok(0)
}

/// docker's question, with what goes here: there is no build cache.
fn warning(args: &Args) -> String {
    let mut text = "WARNING! This will remove:\n  - all stopped containers\n  \
                    - all networks not used by at least one container\n"
        .to_owned();
    if args.volumes {
        text.push_str("  - all anonymous volumes not used by at least one container\n");
    }
    text.push_str(if args.all {
        "  - all images without at least one container associated to them\n"
    } else {
        "  - all dangling images\n"
    });
    if !args.prune.filter.is_empty() {
        text.push_str("\n  Items to be pruned will be filtered with:\n");
        for filter in &args.prune.filter {
            text.push_str(&format!("  - {filter}\n"));
        }
    }
    text.push_str("\nAre you sure you want to continue?");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_dockers() {
        let args = |all, volumes, filter: &[&str]| Args {
            all,
            volumes,
            prune: PruneArgs {
                filter: filter.iter().map(|text| (*text).to_owned()).collect(),
                ..PruneArgs::default()
            },
        };
        assert_eq!(
            warning(&args(false, false, &[])),
            "WARNING! This will remove:\n  - all stopped containers\n  \
             - all networks not used by at least one container\n  - all dangling images\n\n\
             Are you sure you want to continue?"
        );
        assert_eq!(
            warning(&args(true, true, &["label=a"])),
            "WARNING! This will remove:\n  - all stopped containers\n  \
             - all networks not used by at least one container\n  \
             - all anonymous volumes not used by at least one container\n  \
             - all images without at least one container associated to them\n\n  \
             Items to be pruned will be filtered with:\n  - label=a\n\nAre you sure you want to continue?"
        );
    }
}
