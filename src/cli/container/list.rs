//! `ps`: list containers.

use jiff::Timestamp;

use super::filter::Filters;
use super::row::{LISTING, Row};
use crate::cli::Context;
use crate::cli::errors::EngineResult;
use crate::engine::Engine;
use crate::engine::container::{Container, Status, is_sandbox, list};
use crate::error::{Error, Result};
use crate::output::format::Format;

/// Flags of `ps`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie ps -a --filter status=exited\n  wharfie ps --format '{{.Names}}\\t{{.Status}}'"
)]
pub struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "NUMBER")]
    last: Option<i64>,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Display total file sizes
    #[arg(short, long)]
    size: bool,
}

/// nerdctl's `--format wide`.
const WIDE: &[&str] =
    &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Runtime", "Platform", "Size"];

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let mut listing = LISTING;
    if args.size {
        listing.table = &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"];
    }
    if args.format.as_deref() == Some("wide") {
        // nerdctl's.
        listing.table = WIDE;
    }
    let given = args.format.as_deref().filter(|text| *text != "wide");
    let chosen = cx.format(given, args.quiet, |file| file.ps_format)?;
    let format = Format::parse(chosen.as_deref(), args.quiet, listing).map_err(of_template)?;
    let filters = Filters::parse(&args.filter)?;
    let engine = cx.engine().await?;
    let everything = list(&engine).await.told()?;
    let late: Vec<String> = everything
        .iter()
        .filter(|container| container.status == Status::Unknown)
        .map(|container| container.name.clone())
        .collect();
    let last = if args.latest { Some(1) } else { args.last.and_then(|last| usize::try_from(last).ok()) };
    let all = args.all || last.is_some() || filters.ask_for_state();
    let mut shown = filters.apply(everything)?;
    // A pod's sandbox is not a container that anybody runs: it is seen only when everything is asked for.
    shown.retain(|container| (all || is_shown(container)) && (args.all || !is_sandbox(container)));
    shown.truncate(last.unwrap_or(usize::MAX));
    let with_size = args.size
        || ((chosen.is_some() || given != args.format.as_deref()) && format.uses("Size") && !args.quiet);
    let now = Timestamp::now();
    let mut rows = Vec::with_capacity(shown.len());
    for container in shown {
        let size = if with_size { Some(size(&engine, &container).await) } else { None };
        rows.push(Row { container, no_trunc: args.no_trunc, size, now });
    }
    format.write(cx.ui, &rows)?;
    cx.ui.flush()?;
    if !late.is_empty() {
        cx.ui.warn(format!(
            "the shims of {} did not answer in time: their state is not known",
            late.join(", ")
        ))?;
    }
    Ok(0)
}

/// docker looks at this list's template before it asks for the list, and has words of its own for it.
fn of_template(error: Error) -> Error {
    let lead = if error.message.contains(": executing ") { "execute" } else { "parse" };
    Error {
        message: error.message.replacen("template parsing error", &format!("failed to {lead} template"), 1),
        ..error
    }
}

fn is_shown(container: &Container) -> bool {
    container.status.is_alive() || matches!(container.status, Status::Restarting | Status::Unknown)
}

/// Bytes of the container's own layer, and with everything below it.
async fn size(engine: &Engine, container: &Container) -> (u64, u64) {
    let snapshotter = &container.raw.snapshotter;
    let mut key = container.raw.snapshot_key.clone();
    let mut sizes = Vec::new();
    while !key.is_empty() {
        sizes.push(engine.containerd.snapshot_usage(snapshotter, &key).await.unwrap_or_default());
        key = engine
            .containerd
            .snapshot(snapshotter, &key)
            .await
            .map(|snapshot| snapshot.parent)
            .unwrap_or_default();
    }
    (sizes.first().copied().unwrap_or_default(), sizes.iter().sum())
}
