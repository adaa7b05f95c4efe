//! `crictl stats`: what containers use.

use std::collections::HashMap;
use std::time::Duration;

use super::output::{self, short, table};
use super::select::labels;
use super::session::{Answer, Done, Session};
use crate::cri::{Client, api, json::to_value};
use crate::error::{Error, Result};
use crate::output::ui::Ui;
use crate::output::units::human_size;

/// Flags of `crictl stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri stats\n  wharfie cri stats --watch --pod 1f73f2d81bf98")]
pub(super) struct Args {
    /// Show all containers (default shows just running)
    #[arg(short, long)]
    all: bool,
    /// Filter by container id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Filter by key=value label
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    label: Vec<String>,
    /// Output format, one of: json|yaml|table
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Filter by pod id
    #[arg(short, long, value_name = "POD-ID")]
    pod: Option<String>,
    /// Sample duration for CPU usage in seconds
    #[arg(short, long, default_value_t = 1)]
    seconds: u64,
    /// Watch the resources
    #[arg(short, long)]
    watch: bool,
    /// A container's id
    #[arg(value_name = "ID")]
    rest: Vec<String>,
}

/// What clears a terminal; crictl writes it in any case.
pub(super) const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// How long a watch waits between two looks.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.rest.len() > 1 {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await?;
    let id = args.id.clone().filter(|id| !id.is_empty()).or_else(|| args.rest.first().cloned());
    let filter = api::ContainerStatsFilter {
        id: id.unwrap_or_default(),
        pod_sandbox_id: args.pod.clone().unwrap_or_default(),
        label_selector: labels(&args.label)?,
    };
    loop {
        show(&args, &filter, &runtime, session.cx.ui)
            .await
            .map_err(|error| error.context("get container stats"))?;
        session.cx.ui.flush()?;
        if !args.watch {
            return Ok(Done::Well);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn list(runtime: &Client, filter: &api::ContainerStatsFilter) -> Result<Vec<api::ContainerStats>> {
    let request = api::ListContainerStatsRequest { filter: Some(filter.clone()) };
    let mut stats = runtime.list_container_stats(request).await.during("")?.stats;
    stats.sort_by_key(id);
    Ok(stats)
}

fn id(stats: &api::ContainerStats) -> String {
    stats.attributes.as_ref().map(|attributes| attributes.id.clone()).unwrap_or_default()
}

async fn show(args: &Args, filter: &api::ContainerStatsFilter, runtime: &Client, ui: &mut Ui) -> Result<()> {
    let stats = list(runtime, filter).await?;
    match args.output.as_deref() {
        Some("json") => return output::json(ui, &to_value(&api::ListContainerStatsResponse { stats })),
        Some("yaml") => {
            return ui.line(output::yaml(&to_value(&api::ListContainerStatsResponse { stats }))?);
        }
        _ => {}
    }
    let before: HashMap<String, api::ContainerStats> =
        stats.into_iter().map(|stats| (id(&stats), stats)).collect();
    tokio::time::sleep(Duration::from_secs(args.seconds)).await;
    let mut rows =
        vec![["CONTAINER", "NAME", "CPU %", "MEM", "DISK", "INODES", "SWAP"].map(str::to_owned).to_vec()];
    for stats in list(runtime, filter).await? {
        // What came meanwhile has no earlier sample.
        let Some(before) = before.get(&id(&stats)) else { continue };
        rows.extend(row(before, &stats, args.all)?);
    }
    ui.print(CLEAR)?;
    table(ui, &rows)
}

/// A container's row; None for one that does not run, unless all are wanted.
fn row(before: &api::ContainerStats, now: &api::ContainerStats, all: bool) -> Result<Option<Vec<String>>> {
    let (cpu, taken) = cpu(now.cpu.as_ref());
    let (cpu_before, taken_before) = self::cpu(before.cpu.as_ref());
    let value = |number: Option<&api::UInt64Value>| number.map_or(0, |number| number.value);
    let memory = value(now.memory.as_ref().and_then(|memory| memory.working_set_bytes.as_ref()));
    if !all && cpu == 0 && memory == 0 {
        return Ok(None);
    }
    let layer = now.writable_layer.as_ref();
    let swap = value(now.swap.as_ref().and_then(|swap| swap.swap_usage_bytes.as_ref()));
    let name = now.attributes.as_ref().and_then(|attributes| attributes.metadata.as_ref());
    Ok(Some(vec![
        short(&id(now)),
        name.map(|metadata| metadata.name.clone()).unwrap_or_default(),
        percent((cpu_before, taken_before), (cpu, taken))?,
        human_size(memory as f64),
        human_size(value(layer.and_then(|layer| layer.used_bytes.as_ref())) as f64),
        value(layer.and_then(|layer| layer.inodes_used.as_ref())).to_string(),
        human_size(swap as f64),
    ]))
}

/// The processor time in nanoseconds, and when it was taken.
pub(super) fn cpu(usage: Option<&api::CpuUsage>) -> (u64, i64) {
    let used = usage.and_then(|usage| usage.usage_core_nano_seconds.as_ref()).map_or(0, |used| used.value);
    (used, usage.map_or(0, |usage| usage.timestamp))
}

/// The share of one processor between two samples.
pub(super) fn percent(before: (u64, i64), now: (u64, i64)) -> Result<String> {
    if now.0 == 0 {
        return Ok("0.00".into());
    }
    let duration = now.1 - before.1;
    if duration == 0 {
        return Err(Error::failed("cpu stat is not updated during sample"));
    }
    Ok(format!("{:.2}", now.0.saturating_sub(before.0) as f64 / duration as f64 * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_processor() {
        assert_eq!(percent((0, 0), (0, 0)).unwrap(), "0.00");
        assert_eq!(percent((1_000, 0), (501_000, 1_000_000)).unwrap(), "50.00");
        assert_eq!(percent((5, 7), (9, 7)).unwrap_err().message, "cpu stat is not updated during sample");
    }

    #[test]
    fn what_does_not_run_is_left_out() {
        let stats = |used: u64, taken: i64| api::ContainerStats {
            attributes: Some(api::ContainerAttributes {
                id: "0123456789abcdef".into(),
                metadata: Some(api::ContainerMetadata { name: "app".into(), attempt: 0 }),
                ..Default::default()
            }),
            cpu: Some(api::CpuUsage {
                timestamp: taken,
                usage_core_nano_seconds: Some(api::UInt64Value { value: used }),
                ..Default::default()
            }),
            memory: Some(api::MemoryUsage {
                working_set_bytes: Some(api::UInt64Value { value: if used == 0 { 0 } else { 1_500_000 } }),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(row(&stats(0, 0), &stats(0, 9), false).unwrap(), None);
        assert!(row(&stats(0, 0), &stats(0, 9), true).unwrap().is_some());
        let row = row(&stats(10, 0), &stats(20, 100), false).unwrap().unwrap();
        assert_eq!(row, ["0123456789abc", "app", "10.00", "1.5MB", "0B", "0", "0B"]);
    }
}
