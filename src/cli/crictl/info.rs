//! `crictl info`, `version`, `imagefsinfo`, `runtime-config`, `update-runtime-config`: the runtime as a whole.

use serde::Serialize;
use serde_json::Value;

use super::log::Level;
use super::output::{Status, statuses};
use super::session::{Answer, Done, Session};
use crate::cri::{api, json::to_value};
use crate::error::Result;
use crate::output::table::aligned;
use crate::output::ui::Ui;
use crate::output::units::human_size;

/// Flags of `crictl info`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri info\n  wharfie cri info -q -o yaml")]
pub(super) struct Args {
    /// Output format, one of: json|yaml|go-template
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    output: String,
    /// Do not show verbose information
    #[arg(short, long)]
    quiet: bool,
    /// The template string is only used when output is go-template
    #[arg(long)]
    template: Option<String>,
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Flags of `crictl imagefsinfo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri imagefsinfo\n  wharfie cri imagefsinfo -o table")]
pub(super) struct FormatArgs {
    /// Output format, one of: json|yaml|go-template|table
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// The template string is only used when output is go-template
    #[arg(long)]
    template: Option<String>,
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Flags of `crictl version`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri version")]
pub(super) struct VersionArgs {
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Flags of `crictl runtime-config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri runtime-config")]
pub(super) struct RuntimeConfigArgs {
    #[arg(hide = true)]
    rest: Vec<String>,
}

/// Flags of `crictl update-runtime-config`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri update-runtime-config --pod-cidr 10.244.0.0/24")]
pub(super) struct UpdateArgs {
    /// The new CIDR to be used for pod addresses. An empty one leaves it as it is
    #[arg(short, long, value_name = "CIDR")]
    pod_cidr: Option<String>,
    #[arg(hide = true)]
    rest: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if !args.rest.is_empty() {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await?;
    let answer = runtime.status(api::StatusRequest { verbose: !args.quiet }).await;
    let answer = answer.during("getting status of runtime")?;
    let mut parts = Vec::new();
    if !answer.runtime_handlers.is_empty() {
        parts.push(("runtimeHandlers", go_json(&answer.runtime_handlers)));
    }
    if let Some(features) = &answer.features {
        parts.push(("features", go_json(features)));
    }
    let status = Some(answer.status.as_ref().map_or(Value::Null, to_value));
    let found = Status { status, parts, info: answer.info.into_iter().collect() };
    statuses(session.cx.ui, vec![found], &args.output, args.template.as_deref())
        .map_err(|error| error.context("getting status of runtime"))?;
    Ok(Done::Well)
}

/// As Go's own encoder writes a message: the names as they are, without what is empty.
fn go_json(message: &impl Serialize) -> Value {
    fn without_empty(value: Value) -> Value {
        let is_empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Number(number) => number.as_f64() == Some(0.0),
            _ => false,
        };
        match value {
            Value::Object(entries) => Value::Object(
                entries
                    .into_iter()
                    .filter(|(_, value)| !is_empty(value))
                    .map(|(key, value)| (key, without_empty(value)))
                    .collect(),
            ),
            Value::Array(items) => Value::Array(items.into_iter().map(without_empty).collect()),
            value => value,
        }
    }
    without_empty(serde_json::to_value(message).unwrap_or_default())
}

pub(super) async fn run_version(args: VersionArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    if !args.rest.is_empty() {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await?;
    let version = runtime.version(api::VersionRequest { version: "v1".into() }).await;
    let version = version.during("getting the runtime version")?;
    for (title, text) in [
        ("Version", &version.version),
        ("RuntimeName", &version.runtime_name),
        ("RuntimeVersion", &version.runtime_version),
        ("RuntimeApiVersion", &version.runtime_api_version),
    ] {
        session.cx.ui.line(format_args!("{title}:  {text}"))?;
    }
    Ok(Done::Well)
}

pub(super) async fn run_image_fs(args: FormatArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    let images = session.images().await?;
    let answer = images.image_fs_info(api::ImageFsInfoRequest::default()).await;
    let answer = answer.during("image filesystem info request")?;
    let format = args.output.as_deref().filter(|format| !format.is_empty()).unwrap_or("json");
    if format == "table" {
        filesystems("Container", &answer.container_filesystems, session.cx.ui)?;
        filesystems("Image", &answer.image_filesystems, session.cx.ui)?;
    } else {
        let found = Status { status: Some(to_value(&answer)), ..Status::default() };
        statuses(session.cx.ui, vec![found], format, args.template.as_deref())?;
    }
    Ok(Done::Well)
}

fn filesystems(title: &str, found: &[api::FilesystemUsage], ui: &mut Ui) -> Result<()> {
    // crictl leaves a space there.
    ui.line(format_args!("{title} Filesystem "))?;
    for (index, usage) in found.iter().enumerate() {
        let value = |number: &Option<api::UInt64Value>| number.as_ref().map_or(0, |number| number.value);
        let mountpoint = usage.fs_id.as_ref().map(|id| id.mountpoint.clone()).unwrap_or_default();
        ui.line(format_args!("TimeStamp[{index}]: {}", usage.timestamp))?;
        ui.line(format_args!("Disk[{index}]: {}", human_size(value(&usage.used_bytes) as f64)))?;
        ui.line(format_args!("Inodes[{index}]: {}", value(&usage.inodes_used)))?;
        ui.line(format_args!("Mountpoint[{index}]: {mountpoint}"))?;
    }
    Ok(())
}

pub(super) async fn run_runtime_config(session: &mut Session<'_, '_>) -> Result<Done> {
    let runtime = session.runtime().await.map_err(|error| error.context("get runtime client"))?;
    let answer = runtime.runtime_config(api::RuntimeConfigRequest::default()).await;
    let answer = answer.during("get runtime config: call RuntimeConfig RPC")?;
    if let Some(linux) = answer.linux {
        let driver = api::CgroupDriver::try_from(linux.cgroup_driver)
            .map_or_else(|_| linux.cgroup_driver.to_string(), |driver| driver.as_str_name().to_owned());
        session.cx.ui.print(aligned(&format!("cgroup driver:\t{driver}\n"), 10, 3))?;
    }
    Ok(Done::Well)
}

pub(super) async fn run_update(args: UpdateArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    let (true, Some(cidr)) = (args.rest.is_empty(), args.pod_cidr) else { return Ok(Done::Help) };
    let runtime = session.runtime().await?;
    let config = api::RuntimeConfig { network_config: Some(api::NetworkConfig { pod_cidr: cidr }) };
    let request = api::UpdateRuntimeConfigRequest { runtime_config: Some(config) };
    runtime.update_runtime_config(request).await.during("update runtime config")?;
    session.say(Level::Info, "Runtime config successfully updated")?;
    Ok(Done::Well)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_are_written_as_go_does() {
        let handlers = vec![
            api::RuntimeHandler {
                name: String::new(),
                features: Some(api::RuntimeHandlerFeatures {
                    recursive_read_only_mounts: true,
                    ..Default::default()
                }),
            },
            api::RuntimeHandler { name: "runc".into(), features: None },
        ];
        assert_eq!(
            go_json(&handlers),
            serde_json::json!([{"features": {"recursive_read_only_mounts": true}}, {"name": "runc"}])
        );
    }
}
