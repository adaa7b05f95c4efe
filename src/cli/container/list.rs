//! `ps`: list containers.

use jiff::Timestamp;

use super::filter::Filters;
use super::row::{LISTING, Row};
use super::tree;
use crate::cli::errors::EngineResult;
use crate::cli::{Context, namespaces};
use crate::engine::Engine;
use crate::engine::container::{Container, Status, is_sandbox};
use crate::error::{Error, Result};
use crate::output::format::{Format, Listing};

/// Flags of `ps`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie ps -a --filter status=exited\n  wharfie ps --format '{{.Names}}\\t{{.Status}}'"
)]
pub struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    pub(super) all: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "TEMPLATE")]
    pub(super) format: Option<String>,
    /// List the containers of every containerd namespace
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,
    /// Show the containers of pods as a tree below their pods
    #[arg(long)]
    pods: bool,
    /// Show also the sandboxes that hold the namespaces of pods
    #[arg(long)]
    pub(super) sandboxes: bool,
    /// Show n last created containers (includes all states)
    #[arg(short = 'n', long, value_name = "NUMBER")]
    pub(super) last: Option<i64>,
    /// Show the latest created container (includes all states)
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Don't truncate output
    #[arg(long)]
    pub(super) no_trunc: bool,
    /// Only display container IDs
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Display total file sizes
    #[arg(short, long)]
    pub(super) size: bool,
}

/// nerdctl's `--format wide`.
const WIDE: &[&str] =
    &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Runtime", "Platform", "Size"];

const WIDE_WITH_NAMESPACE: &[&str] = &[
    "Namespace",
    "ID",
    "Image",
    "Command",
    "RunningFor",
    "Status",
    "Ports",
    "Names",
    "Runtime",
    "Platform",
    "Size",
];

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if args.pods {
        return tree::run(&args, cx).await;
    }
    let listing = Listing { table: columns(&args), ..LISTING };
    let given = args.format.as_deref().filter(|text| *text != "wide");
    let chosen = cx.format(given, args.quiet, |file| file.ps_format)?;
    let format = Format::parse(chosen.as_deref(), args.quiet, listing).map_err(of_template)?;
    let filters = Filters::parse(&args.filter)?;
    let engine = cx.engine().await?;
    let everything = namespaces::containers(&engine, args.all_namespaces).await.told()?;
    let nothing = everything.is_empty();
    let late: Vec<String> = everything
        .iter()
        .filter(|container| container.status == Status::Unknown)
        .map(|container| container.name.clone())
        .collect();
    let last = if args.latest { Some(1) } else { args.last.and_then(|last| usize::try_from(last).ok()) };
    let all = args.all || last.is_some() || filters.ask_for_state();
    let mut shown = filters.apply(everything)?;
    // A pod's sandbox is not a container that anybody runs: it is seen only when it is asked for.
    shown.retain(|container| (all || is_shown(container)) && (args.sandboxes || !is_sandbox(container)));
    shown.truncate(last.unwrap_or(usize::MAX));
    let with_size = args.size
        || ((chosen.is_some() || given != args.format.as_deref()) && format.uses("Size") && !args.quiet);
    let now = Timestamp::now();
    let mut rows = Vec::with_capacity(shown.len());
    for container in shown {
        let size = if with_size { Some(size(&engine, &container).await?) } else { None };
        rows.push(Row { container, no_trunc: args.no_trunc, size, now });
    }
    format.write(cx.ui, &rows)?;
    cx.ui.flush()?;
    if nothing {
        namespaces::hint_at_kubernetes(&engine, cx).await?;
    }
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

/// The columns of the table. nerdctl's `wide` has more.
fn columns(args: &Args) -> &'static [&'static str] {
    match (args.format.as_deref() == Some("wide"), args.all_namespaces, args.size) {
        (true, false, _) => WIDE,
        (true, true, _) => WIDE_WITH_NAMESPACE,
        (false, false, false) => LISTING.table,
        (false, false, true) => &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"],
        (false, true, false) => {
            &["Namespace", "ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"]
        }
        (false, true, true) => {
            &["Namespace", "ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"]
        }
    }
}

pub(super) fn is_shown(container: &Container) -> bool {
    container.status.is_alive() || matches!(container.status, Status::Restarting | Status::Unknown)
}

/// Bytes of the container's own layer, and with everything below it.
async fn size(engine: &Engine, container: &Container) -> Result<(u64, u64)> {
    let engine = engine.in_namespace(&container.namespace)?;
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
    Ok((sizes.first().copied().unwrap_or_default(), sizes.iter().sum()))
}
