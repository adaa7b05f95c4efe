//! `volume prune`: remove volumes that nobody uses.

use jiff::Timestamp;

use crate::cli::Context;
use crate::cli::args::parse::number;
use crate::cli::errors::EngineResult;
use crate::cli::prune::{PruneArgs, paragraph, total};
use crate::engine::Engine;
use crate::engine::container::list;
use crate::engine::prune::{Kind, PruneFilters, note};
use crate::engine::volume::{prunable, prune, sweep};
use crate::error::{Error, Result};
use crate::output::units::human_size;

const ANONYMOUS: &str = "WARNING! This will remove anonymous local volumes not used by at least one container.\n\
                         Are you sure you want to continue?";
const ALL: &str = "WARNING! This will remove all local volumes not used by at least one container.\n\
                   Are you sure you want to continue?";

/// Flags of `volume prune`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie volume prune --dry-run\n  wharfie volume prune -af\n  \
    wharfie volume prune -f --filter label!=keep")]
pub struct Args {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    prune: PruneArgs,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let mut prune = args.prune.with_configured(cx)?;
    let all = all(&mut prune.filter, args.all)?;
    let filters = prune.filters(&["label"], Timestamp::now())?;
    if !prune.confirmed(if args.all { ALL } else { ANONYMOUS }, cx)? {
        return Ok(0);
    }
    let engine = cx.engine().await?;
    let bytes = of_volumes(&engine, (all, prune.dry_run), &filters, &[], cx).await?;
    total(bytes, prune.dry_run, cx)?;
    Ok(0)
}

/// docker's filter `all`, which says what `--all` says; taken out of the others.
fn all(filters: &mut Vec<String>, flag: bool) -> Result<bool> {
    let values: Vec<String> =
        filters.iter().filter_map(|text| text.strip_prefix("all=").map(str::to_owned)).collect();
    filters.retain(|text| !text.starts_with("all="));
    match &values[..] {
        [] => Ok(flag),
        _ if flag => Err(Error::failed("conflicting options: cannot specify both --all and --filter all=1")),
        [value] => number::switch(value).map_err(|_| {
            Error::failed(format!(
                "Error response from daemon: invalid filter 'all': {value:?} is neither true nor false"
            ))
        }),
        values => Err(Error::failed(format!(
            "Error response from daemon: invalid filter 'all=[{}]': only one value is expected",
            values.join(" ")
        ))),
    }
}

/// Remove the volumes (`all` unused ones, or those without a name), or show them, and tell the bytes. The
/// containers `gone` count as removed: a look ahead has not removed them.
pub async fn of_volumes(
    engine: &Engine,
    (all, dry_run): (bool, bool),
    filters: &PruneFilters,
    gone: &[String],
    cx: &mut Context<'_>,
) -> Result<u64> {
    let mut containers = list(engine).await.told()?;
    containers.retain(|container| !gone.contains(&container.id));
    let (mut bytes, mut lines) = (0, Vec::new());
    for one in prunable(engine, &containers, all, filters).await.told()? {
        let name = &one.volume.name;
        let size = one.bytes.unwrap_or_default();
        if dry_run {
            lines.push(format!("{name}  {}", human_size(size as f64)));
        } else if prune(engine, &one).await.told()? {
            lines.push(name.clone());
        } else {
            continue;
        }
        bytes += size;
    }
    if !dry_run {
        sweep(engine).told()?;
        note(engine, Kind::Volume, bytes);
    }
    let title = if dry_run { "Volumes that would be deleted:" } else { "Deleted Volumes:" };
    paragraph(title, &lines, cx)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_all_is_the_flag() {
        for (texts, flag, expected) in [
            (&[][..], false, Ok(false)),
            (&[][..], true, Ok(true)),
            (&["all=1", "label=a"], false, Ok(true)),
            (&["all=false"], false, Ok(false)),
            (&["all=1"], true, Err("conflicting options: cannot specify both --all and --filter all=1")),
            (
                &["all=1", "all=0"],
                false,
                Err("Error response from daemon: invalid filter 'all=[1 0]': only one value is expected"),
            ),
        ] {
            let mut texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            let outcome = all(&mut texts, flag).map_err(|error| error.message);
            assert_eq!(outcome, expected.map_err(str::to_owned), "{texts:?}");
            assert!(texts.iter().all(|text| !text.starts_with("all=")));
        }
    }
}
