//! `crictl pods`: list pods.

use super::output::{self, names, short, table};
use super::select::{self, Select};
use super::session::{Done, Session};
use super::when;
use crate::cri::{api, json::to_value};
use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;

/// Flags of `crictl pods`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri pods\n  wharfie cri pods --namespace kube-system -s ready -q"
)]
pub(super) struct Args {
    /// Filter by pod id
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Filter by key=value label
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    label: Vec<String>,
    /// Show last n recently created pods. Set 0 for unlimited
    #[arg(short = 'n', long, default_value_t = 0, hide_default_value = true)]
    last: i64,
    /// Show the most recently created pod
    #[arg(short, long)]
    latest: bool,
    /// Filter by pod name regular expression pattern
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Filter by pod namespace regular expression pattern
    #[arg(long, value_name = "PATTERN")]
    namespace: Option<String>,
    /// Show output without truncating the ID
    #[arg(long)]
    no_trunc: bool,
    /// Output format, one of: json|yaml|table
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    output: String,
    /// List only pod IDs
    #[arg(short, long)]
    quiet: bool,
    /// Filter by pod state
    #[arg(short, long)]
    state: Option<String>,
    /// Show verbose info for pods
    #[arg(short, long)]
    verbose: bool,
    #[arg(hide = true)]
    rest: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let runtime = session.runtime().await?;
    let select = Select {
        id: args.id.clone(),
        name: args.name.clone(),
        namespace: args.namespace.clone(),
        state: args.state.clone(),
        labels: args.label.clone(),
        latest: args.latest,
        last: args.last,
        ..Select::default()
    };
    let found = select::pods(&runtime, &select)
        .await
        .map_err(|error| error.context("listing pod sandboxes: list pod sandboxes"))?;
    write(&args, &found, session.cx.ui)?;
    Ok(Done::Well)
}

fn write(args: &Args, found: &[api::PodSandbox], ui: &mut Ui) -> Result<()> {
    let message = || to_value(&api::ListPodSandboxResponse { items: found.to_vec() });
    match args.output.as_str() {
        "json" => return output::json(ui, &message()),
        "yaml" => return ui.line(output::yaml(&message())?),
        "table" => {}
        other => {
            return Err(Error::failed(format!(
                "listing pod sandboxes: unsupported output format {}",
                quote(other)
            )));
        }
    }
    if args.quiet {
        return found.iter().try_for_each(|pod| ui.line(&pod.id));
    }
    if args.verbose {
        return found.iter().try_for_each(|pod| verbose(pod, ui));
    }
    let mut rows = vec![
        ["POD ID", "CREATED", "STATE", "NAME", "NAMESPACE", "ATTEMPT", "RUNTIME"].map(str::to_owned).to_vec(),
    ];
    rows.extend(found.iter().map(|pod| {
        let metadata = pod.metadata.clone().unwrap_or_default();
        vec![
            if args.no_trunc { pod.id.clone() } else { short(&pod.id) },
            when::ago(pod.created_at),
            state(pod.state).to_owned(),
            metadata.name,
            metadata.namespace,
            metadata.attempt.to_string(),
            handler(pod).to_owned(),
        ]
    }));
    table(ui, &rows)
}

fn verbose(pod: &api::PodSandbox, ui: &mut Ui) -> Result<()> {
    ui.line(format_args!("ID: {}", pod.id))?;
    if let Some(metadata) = &pod.metadata {
        for (title, text) in
            [("Name", &metadata.name), ("UID", &metadata.uid), ("Namespace", &metadata.namespace)]
        {
            if !text.is_empty() {
                ui.line(format_args!("{title}: {text}"))?;
            }
        }
        if metadata.attempt != 0 {
            ui.line(format_args!("Attempt: {}", metadata.attempt))?;
        }
    }
    ui.line(format_args!("Status: {}", state(pod.state)))?;
    ui.line(format_args!("Created: {}", when::full(pod.created_at)))?;
    names(ui, "Labels", &pod.labels)?;
    names(ui, "Annotations", &pod.annotations)?;
    ui.line(format_args!("Runtime: {}", handler(pod)))?;
    ui.line("")
}

fn handler(pod: &api::PodSandbox) -> &str {
    if pod.runtime_handler.is_empty() { "(default)" } else { &pod.runtime_handler }
}

fn state(state: i32) -> &'static str {
    match api::PodSandboxState::try_from(state) {
        Ok(api::PodSandboxState::SandboxReady) => "Ready",
        Ok(api::PodSandboxState::SandboxNotready) | Err(_) => "NotReady",
    }
}
