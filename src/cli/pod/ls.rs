//! `pod ls`: list the pods of this node, in kubectl's columns.

use jiff::Timestamp;

use super::filter::Filters;
use super::row::{LISTING, Row};
use crate::cli::Context;
use crate::cli::errors::EngineResult;
use crate::engine::container::Status;
use crate::engine::pod::{Pod, list, survey};
use crate::error::Result;
use crate::output::Format;

/// Flags of `pod ls`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pod ls\n  wharfie pod ls -n kube-system --state notready\n  \
    wharfie pod ls --format '{{.Namespace}}/{{.Name}} {{.Address}}'")]
pub struct Args {
    /// Show also sandboxes that newer ones have replaced
    #[arg(short, long)]
    all: bool,
    /// Only pods of this Kubernetes namespace
    #[arg(short, long, value_name = "NAME")]
    namespace: Vec<String>,
    /// Pods of every Kubernetes namespace, which is the default
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Only pods with this label: KEY or KEY=VALUE
    #[arg(short, long, value_name = "LABEL")]
    label: Vec<String>,
    /// Only pods whose name contains this
    #[arg(long, value_name = "TEXT")]
    name: Vec<String>,
    /// Only pods in this state: ready or notready
    #[arg(short, long, value_name = "STATE")]
    state: Vec<String>,
    /// Filter output based on conditions provided: namespace, label, name, state, id
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'wide', 'json' or a Go template
    #[arg(short = 'o', long, alias = "output", value_name = "TEMPLATE")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only display ids of sandboxes
    #[arg(short, long)]
    quiet: bool,
}

const WIDE: &[&str] =
    &["Namespace", "Name", "Ready", "Status", "Restarts", "Age", "Address", "ID", "Containers", "Runtime"];

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let mut listing = LISTING;
    let mut given = args.format.as_deref();
    if given == Some("wide") {
        listing.table = WIDE;
        given = None;
    }
    let format = Format::parse(given, args.quiet, listing)?;
    let mut filters = Filters::parse(&args.filter)?;
    let every = if args.all_namespaces { &[] } else { args.namespace.as_slice() };
    for (key, values) in
        [("namespace", every), ("label", &args.label), ("name", &args.name), ("state", &args.state)]
    {
        for value in values {
            filters.add(key, value)?;
        }
    }
    let engine = cx.pod_engine().await?;
    // CRI does not tell which runtime a pod's handler stands for.
    let mut pods = if format.uses("Runtime") { list(&engine).await } else { survey(&engine).await }.told()?;
    if !args.all {
        leave_out_replaced(&mut pods);
    }
    pods.retain(|pod| filters.matches(pod));
    pods.sort_by(|a, b| (&a.namespace, &a.name, b.attempt).cmp(&(&b.namespace, &b.name, a.attempt)));
    let now = Timestamp::now();
    let late: Vec<String> = pods.iter().filter(|pod| is_late(pod)).map(Pod::full_name).collect();
    let rows: Vec<Row> = pods.into_iter().map(|pod| Row { pod, no_trunc: args.no_trunc, now }).collect();
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

/// Of the sandboxes of one pod the newest, as kubectl sees it. They come newest first.
fn leave_out_replaced(pods: &mut Vec<Pod>) {
    let mut seen = std::collections::HashSet::new();
    pods.retain(|pod| seen.insert((pod.namespace.clone(), pod.name.clone(), pod.uid.clone())));
}

fn is_late(pod: &Pod) -> bool {
    pod.status == Status::Unknown
        || pod.containers.iter().any(|member| member.container.status == Status::Unknown)
}
