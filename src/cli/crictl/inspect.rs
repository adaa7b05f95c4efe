//! `crictl inspect` and `crictl inspectp`: all that CRI knows of containers and pods.

use serde_json::Value;

use super::log::Level;
use super::output::{self, Status, go_map, names, statuses};
use super::select::{self, Select};
use super::session::{Answer, Done, Session};
use super::when;
use crate::cri::{Client, api, json::to_value};
use crate::error::Result;
use crate::output::ui::Ui;

/// How what was found is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Look {
    /// Output format, one of: json|yaml|go-template|table
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Do not show verbose information
    #[arg(short, long)]
    quiet: bool,
    /// The template string is only used when output is go-template
    #[arg(long)]
    template: Option<String>,
}

impl Look {
    fn format(&self) -> &str {
        self.output.as_deref().filter(|format| !format.is_empty()).unwrap_or("json")
    }
}

/// Flags of `crictl inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri inspect 87d3992f84f74\n  \
    wharfie cri inspect -o go-template --template '{{.status.state}}' 87d3992f84f74")]
pub(super) struct ContainerArgs {
    /// Show all containers
    #[arg(short, long)]
    all: bool,
    /// Filter by container image
    #[arg(long)]
    image: Option<String>,
    /// Filter by key=value label
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    label: Vec<String>,
    /// Show last n recently created containers (includes all states). Set 0 for unlimited
    #[arg(short = 'n', long, default_value_t = 0, hide_default_value = true)]
    last: i64,
    /// Show the most recently created container (includes all states)
    #[arg(short, long)]
    latest: bool,
    /// Filter by container name regular expression pattern
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Filter by pod namespace regular expression pattern
    #[arg(long, value_name = "PATTERN")]
    namespace: Option<String>,
    /// Filter by pod id
    #[arg(short, long, value_name = "POD-ID")]
    pod: Option<String>,
    /// Filter by container state
    #[arg(short, long)]
    state: Option<String>,
    #[command(flatten)]
    look: Look,
    /// Containers by id
    #[arg(value_name = "CONTAINER-ID")]
    ids: Vec<String>,
}

/// Flags of `crictl inspectp`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri inspectp --name web\n  wharfie cri inspectp -q 1f73f2d81bf98"
)]
pub(super) struct PodArgs {
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
    /// Filter by pod state
    #[arg(short, long)]
    state: Option<String>,
    #[command(flatten)]
    look: Look,
    /// Pods by id
    #[arg(value_name = "POD-ID")]
    ids: Vec<String>,
}

/// What crictl says when nothing is meant.
const NOTHING: &str = "No IDs provided or nothing found per filter";

pub(super) async fn run(args: ContainerArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    let runtime = session.runtime().await?;
    let mut ids = args.ids;
    if ids.is_empty() {
        let select = Select {
            pod: args.pod,
            name: args.name,
            namespace: args.namespace,
            state: args.state,
            labels: args.label,
            image: args.image,
            all: args.all,
            latest: args.latest,
            last: args.last,
            ..Select::default()
        };
        let found = select::containers(session, &runtime, &select)
            .await
            .map_err(|error| error.context("listing containers"))?;
        ids = found.into_iter().map(|container| container.id).collect();
    }
    if ids.is_empty() {
        session.say(Level::Error, NOTHING)?;
        return Ok(Done::Help);
    }
    containers(&ids, &args.look, &runtime, session.cx.ui)
        .await
        .map_err(|error| error.context("get the status of containers"))?;
    Ok(Done::Well)
}

async fn containers(ids: &[String], look: &Look, runtime: &Client, ui: &mut Ui) -> Result<()> {
    let mut found = Vec::new();
    for id in ids {
        let request = api::ContainerStatusRequest { container_id: id.clone(), verbose: !look.quiet };
        let answer = runtime.container_status(request).await.during("get container status")?;
        if look.format() == "table" {
            container_table(&answer, look, ui)?;
        } else {
            let status = container_value(&answer.status.unwrap_or_default());
            found.push(Status {
                status: Some(status),
                info: answer.info.into_iter().collect(),
                ..Status::default()
            });
        }
    }
    statuses(ui, found, look.format(), look.template.as_deref())
}

/// A container's status, its times written out; what is not there is null.
fn container_value(status: &api::ContainerStatus) -> Value {
    let is = |state: api::ContainerState| status.state == i32::from(state);
    let started = (!is(api::ContainerState::ContainerCreated)).then_some(status.started_at);
    let has_ended = is(api::ContainerState::ContainerExited)
        || (is(api::ContainerState::ContainerUnknown) && status.finished_at > 0);
    let mut value = to_value(status);
    for (name, moment) in [
        ("createdAt", Some(status.created_at)),
        ("startedAt", started),
        ("finishedAt", has_ended.then_some(status.finished_at)),
    ] {
        value[name] = when::rfc3339(moment).into();
    }
    with_nulls(value, &["metadata", "image", "resources", "user"])
}

fn with_nulls(mut value: Value, names: &[&str]) -> Value {
    if let Value::Object(entries) = &mut value {
        for name in names {
            entries.entry(*name).or_insert(Value::Null);
        }
    }
    value
}

fn container_table(answer: &api::ContainerStatusResponse, look: &Look, ui: &mut Ui) -> Result<()> {
    let status = answer.status.clone().unwrap_or_default();
    ui.line(format_args!("ID: {}", status.id))?;
    if let Some(metadata) = &status.metadata {
        if !metadata.name.is_empty() {
            ui.line(format_args!("Name: {}", metadata.name))?;
        }
        if metadata.attempt != 0 {
            ui.line(format_args!("Attempt: {}", metadata.attempt))?;
        }
    }
    let state = api::ContainerState::try_from(status.state).unwrap_or(api::ContainerState::ContainerUnknown);
    ui.line(format_args!("State: {}", state.as_str_name()))?;
    ui.line(format_args!("Created: {}", when::ago(status.created_at)))?;
    if state != api::ContainerState::ContainerCreated {
        ui.line(format_args!("Started: {}", when::ago(status.started_at)))?;
    }
    if state == api::ContainerState::ContainerExited {
        if status.finished_at > 0 {
            ui.line(format_args!("Finished: {}", when::ago(status.finished_at)))?;
        }
        ui.line(format_args!("Exit Code: {}", status.exit_code))?;
    }
    names(ui, "Labels", &status.labels)?;
    names(ui, "Annotations", &status.annotations)?;
    if look.quiet { Ok(()) } else { ui.line(format_args!("Info: {}", go_map(&answer.info))) }
}

pub(super) async fn run_pod(args: PodArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    let runtime = session.runtime().await?;
    let mut ids = args.ids;
    if ids.is_empty() {
        let select = Select {
            name: args.name,
            namespace: args.namespace,
            state: args.state,
            labels: args.label,
            latest: args.latest,
            last: args.last,
            ..Select::default()
        };
        let found =
            select::pods(&runtime, &select).await.map_err(|error| error.context("listing pod sandboxes"))?;
        ids = found.into_iter().map(|pod| pod.id).collect();
    }
    if ids.is_empty() {
        session.say(Level::Error, NOTHING)?;
        return Ok(Done::Help);
    }
    pods(&ids, &args.look, &runtime, session.cx.ui)
        .await
        .map_err(|error| error.context("get the status of pod sandboxes"))?;
    Ok(Done::Well)
}

async fn pods(ids: &[String], look: &Look, runtime: &Client, ui: &mut Ui) -> Result<()> {
    let mut found = Vec::new();
    for id in ids {
        let request = api::PodSandboxStatusRequest { pod_sandbox_id: id.clone(), verbose: !look.quiet };
        let answer = runtime.pod_sandbox_status(request).await.during("get pod sandbox status")?;
        if look.format() == "table" {
            pod_table(&answer, look, ui)?;
        } else {
            let status = answer.status.unwrap_or_default();
            let mut value = to_value(&status);
            value["createdAt"] = when::rfc3339(Some(status.created_at)).into();
            found.push(Status {
                status: Some(with_nulls(value, &["metadata", "network", "linux"])),
                info: answer.info.into_iter().collect(),
                ..Status::default()
            });
        }
    }
    output::statuses(ui, found, look.format(), look.template.as_deref())
}

fn pod_table(answer: &api::PodSandboxStatusResponse, look: &Look, ui: &mut Ui) -> Result<()> {
    let status = answer.status.clone().unwrap_or_default();
    ui.line(format_args!("ID: {}", status.id))?;
    if let Some(metadata) = &status.metadata {
        for (title, text) in
            [("Name", &metadata.name), ("UID", &metadata.uid), ("Namespace", &metadata.namespace)]
        {
            if !text.is_empty() {
                ui.line(format_args!("{title}: {text}"))?;
            }
        }
        ui.line(format_args!("Attempt: {}", metadata.attempt))?;
    }
    let state = api::PodSandboxState::try_from(status.state).unwrap_or(api::PodSandboxState::SandboxNotready);
    ui.line(format_args!("Status: {}", state.as_str_name()))?;
    ui.line(format_args!("Created: {}", when::full(status.created_at)))?;
    if let Some(network) = &status.network {
        ui.line(format_args!("IP Addresses: {}", network.ip))?;
        for address in &network.additional_ips {
            ui.line(format_args!("Additional IP: {}", address.ip))?;
        }
    }
    names(ui, "Labels", &status.labels)?;
    names(ui, "Annotations", &status.annotations)?;
    if look.quiet { Ok(()) } else { ui.line(format_args!("Info: {}", go_map(&answer.info))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_far_as_the_container_has_come() {
        for (state, finished, told) in [
            (0, 0, ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]),
            (1, 0, ["1970-01-01T00:00:02Z", "0001-01-01T00:00:00Z"]),
            (2, 3_000_000_000, ["1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z"]),
            (3, 3_000_000_000, ["1970-01-01T00:00:02Z", "1970-01-01T00:00:03Z"]),
        ] {
            let value = container_value(&api::ContainerStatus {
                state,
                started_at: 2_000_000_000,
                finished_at: finished,
                ..Default::default()
            });
            let instant = |name: &str| value[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            let expected = told.map(|text| text.parse::<jiff::Timestamp>().unwrap());
            assert_eq!([instant("startedAt"), instant("finishedAt")], expected, "{state}");
            assert_eq!(value["metadata"], Value::Null);
        }
    }
}
