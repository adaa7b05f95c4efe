//! `crictl statsp`: what pods use.

use std::collections::HashMap;
use std::time::Duration;

use super::output::{self, short, table};
use super::select::labels;
use super::session::{Answer, Done, Session};
use super::stats::{CLEAR, PAUSE, cpu, percent};
use crate::cri::{Client, api, json::to_value};
use crate::error::Result;
use crate::output::ui::Ui;
use crate::output::units::human_size;

/// Flags of `crictl statsp`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri statsp\n  wharfie cri statsp -o json 1f73f2d81bf98")]
pub(super) struct Args {
    /// Filter by pod id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Filter by key=value label
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    label: Vec<String>,
    /// Output format, one of: json|yaml|table
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Sample duration for CPU usage in seconds
    #[arg(short, long, default_value_t = 1)]
    seconds: u64,
    /// Watch the resources
    #[arg(short, long)]
    watch: bool,
    /// A pod's id
    #[arg(value_name = "ID")]
    rest: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.rest.len() > 1 {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await.map_err(|error| error.context("get runtime service"))?;
    let id = args.id.clone().filter(|id| !id.is_empty()).or_else(|| args.rest.first().cloned());
    let labels = labels(&args.label).map_err(|error| error.context("parse pod labels"))?;
    let filter = api::PodSandboxStatsFilter { id: id.unwrap_or_default(), label_selector: labels };
    loop {
        show(&args, &filter, &runtime, session.cx.ui)
            .await
            .map_err(|error| error.context("get pod stats"))?;
        session.cx.ui.flush()?;
        if !args.watch {
            return Ok(Done::Well);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn list(runtime: &Client, filter: &api::PodSandboxStatsFilter) -> Result<Vec<api::PodSandboxStats>> {
    let request = api::ListPodSandboxStatsRequest { filter: Some(filter.clone()) };
    let mut stats = runtime.list_pod_sandbox_stats(request).await.during("list pod sandbox stats")?.stats;
    stats.sort_by_key(id);
    Ok(stats)
}

fn id(stats: &api::PodSandboxStats) -> String {
    stats.attributes.as_ref().map(|attributes| attributes.id.clone()).unwrap_or_default()
}

async fn show(args: &Args, filter: &api::PodSandboxStatsFilter, runtime: &Client, ui: &mut Ui) -> Result<()> {
    let stats = list(runtime, filter).await?;
    match args.output.as_deref() {
        Some("json") => return output::json(ui, &to_value(&api::ListPodSandboxStatsResponse { stats })),
        Some("yaml") => {
            return ui.line(output::yaml(&to_value(&api::ListPodSandboxStatsResponse { stats }))?);
        }
        _ => {}
    }
    let before: HashMap<String, api::PodSandboxStats> =
        stats.into_iter().map(|stats| (id(&stats), stats)).collect();
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let mut rows = vec![["POD", "POD ID", "CPU %", "MEM"].map(str::to_owned).to_vec()];
    for stats in list(runtime, filter).await? {
        // What came meanwhile has no earlier sample.
        let Some(before) = before.get(&id(&stats)) else { continue };
        rows.extend(row(before, &stats)?);
    }
    ui.print(CLEAR)?;
    table(ui, &rows)
}

/// A pod's row; None where nothing is known of it.
fn row(before: &api::PodSandboxStats, now: &api::PodSandboxStats) -> Result<Option<Vec<String>>> {
    let usage = |stats: &api::PodSandboxStats| cpu(stats.linux.as_ref().and_then(|linux| linux.cpu.as_ref()));
    let memory = now.linux.as_ref().and_then(|linux| linux.memory.as_ref()?.working_set_bytes.as_ref());
    let memory = memory.map_or(0, |memory| memory.value);
    if usage(now).0 == 0 && memory == 0 {
        return Ok(None);
    }
    let name = now.attributes.as_ref().and_then(|attributes| attributes.metadata.as_ref());
    Ok(Some(vec![
        name.map(|metadata| metadata.name.clone()).unwrap_or_default(),
        short(&id(now)),
        percent(usage(before), usage(now))?,
        human_size(memory as f64),
    ]))
}
