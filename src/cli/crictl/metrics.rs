//! `crictl metricsp` and `crictl metricdescs`: the metrics of pods, as the runtime names them.

use super::output;
use super::session::{Answer, Done, Session};
use super::stats::PAUSE;
use crate::cri::{api, json::to_value};
use crate::error::Result;
use crate::output::ui::Ui;

/// Flags of `crictl metricsp`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri metricsp\n  wharfie cri metricsp -o yaml --watch")]
pub(super) struct Args {
    /// Output format, one of: json|yaml
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Watch pod metrics
    #[arg(short, long)]
    watch: bool,
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Flags of `crictl metricdescs`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri metricdescs\n  wharfie cri metricdescs -o yaml")]
pub(super) struct DescriptorArgs {
    /// Output format, one of: json|yaml
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    #[arg(hide = true)]
    rest: Vec<String>,
}

fn is_format(format: Option<&str>) -> bool {
    matches!(format, None | Some("" | "json" | "yaml"))
}

fn write(format: Option<&str>, message: &impl serde::Serialize, ui: &mut Ui) -> Result<()> {
    let value = to_value(message);
    if format == Some("yaml") { ui.line(output::yaml(&value)?) } else { output::json(ui, &value) }
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if !args.rest.is_empty() || !is_format(args.output.as_deref()) {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await.map_err(|error| error.context("get runtime service"))?;
    loop {
        let request = api::ListPodSandboxMetricsRequest::default();
        let answer = runtime.list_pod_sandbox_metrics(request).await;
        let answer = answer.during("get pod metrics: list pod sandbox metrics")?;
        write(args.output.as_deref(), &answer, session.cx.ui)?;
        session.cx.ui.flush()?;
        if !args.watch {
            return Ok(Done::Well);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub(super) async fn run_descriptors(args: DescriptorArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    if !args.rest.is_empty() || !is_format(args.output.as_deref()) {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await.map_err(|error| error.context("get runtime service"))?;
    let answer = runtime.list_metric_descriptors(api::ListMetricDescriptorsRequest::default()).await;
    let answer = answer.during("get metric descriptors: list metric descriptors")?;
    write(args.output.as_deref(), &answer, session.cx.ui)?;
    Ok(Done::Well)
}
