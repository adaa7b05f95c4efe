//! `ctr plugins`.

use serde_json::{Value, json};

use super::created::RuncFlags;
use super::{connect, shown};
use crate::cli::Context;
use crate::containerd::Plugin;
use crate::error::{Error, Result};

/// What containerd says of a plugin that has nothing to do here.
const SKIPPED: &str = "skip plugin";

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Lists containerd plugins
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Display runtime info
    InspectRuntime(RuntimeArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr plugins ls\n  ctr plugins ls -d id==overlayfs")]
pub struct ListArgs {
    /// Print only the plugin ids
    #[arg(short, long)]
    quiet: bool,
    /// Print detailed information about each plugin
    #[arg(short, long)]
    detailed: bool,
    /// containerd's filters, one of which must match
    #[arg(value_name = "filter")]
    filters: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr plugins inspect-runtime --runtime io.containerd.runc.v2")]
pub struct RuntimeArgs {
    /// Runtime name or absolute path to runtime binary
    #[arg(long, value_name = "value", default_value = "io.containerd.runc.v2")]
    runtime: String,
    /// Optional runtime config path
    #[arg(long, value_name = "value")]
    runtime_config_path: Option<String>,
    #[command(flatten)]
    runc: RuncFlags,
}

pub(super) async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::List(args) => list(args, cx).await,
        Verb::InspectRuntime(args) => runtime(args, cx).await,
    }
}

async fn list(args: ListArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let plugins = engine.containerd.plugins(&args.filters).await?;
    if args.quiet {
        plugins.iter().try_for_each(|plugin| cx.ui.line(&plugin.id))?;
        return Ok(0);
    }
    if args.detailed {
        let told: Vec<String> = plugins.iter().map(detailed).collect();
        shown::wide(cx.ui, &told.join("\t\t\t\n"))?;
        return Ok(0);
    }
    let mut table = String::from("TYPE\tID\tPLATFORMS\tSTATUS\t\n");
    for plugin in plugins {
        let status = match &plugin.error {
            None => "ok",
            Some(error) if error.contains(SKIPPED) => "skip",
            Some(_) => "error",
        };
        let platforms = if plugin.platforms.is_empty() { "-".into() } else { plugin.platforms.join(",") };
        table += &format!("{}\t{}\t{platforms}\t{status}\t\n", plugin.kind, plugin.id);
    }
    shown::wide(cx.ui, &table)?;
    Ok(0)
}

fn detailed(plugin: &Plugin) -> String {
    let mut text = format!("Type:\t {}\nID:\t {}\n", plugin.kind, plugin.id);
    if !plugin.requires.is_empty() {
        text += "Requires:\t\n";
        plugin.requires.iter().for_each(|kind| text += &format!("\t {kind}\n"));
    }
    if !plugin.platforms.is_empty() {
        text += &format!("Platforms:\t {}\n", plugin.platforms.join(","));
    }
    if !plugin.exports.is_empty() {
        text += "Exports:\t\n";
        let sorted: std::collections::BTreeMap<_, _> = plugin.exports.iter().collect();
        sorted.iter().for_each(|(name, value)| text += &format!("\t {name} \t {value}\n"));
    }
    if !plugin.capabilities.is_empty() {
        text += &format!("Capabilities:\t {}\n", plugin.capabilities.join(","));
    }
    if let Some(error) = &plugin.error {
        text += &format!("Error:\t\n\t Code:\t {}\n\t Message:\t {error}\n", code(plugin.error_code));
    }
    text
}

/// gRPC's name for a kind of error.
fn code(number: i32) -> String {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    let known = usize::try_from(number).ok().and_then(|number| NAMES.get(number));
    known.map_or_else(|| format!("Code({number})"), |name| (*name).to_owned())
}

async fn runtime(args: RuntimeArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let options = args.runc.options();
    let asked = (options != Default::default()).then(|| options.encoded());
    if args.runtime_config_path.is_some() {
        return Err(Error::failed("--runtime-config-path is for runtimes that are not runc, and not here"));
    }
    let info = engine.containerd.runtime_info(&args.runtime, asked.as_ref()).await.map_err(|error| {
        let old = error.code == crate::containerd::Code::Unimplemented;
        let error = Error::from(error);
        if old { error.hint("containerd tells this from version 2.0 on") } else { error }
    })?;
    let features = info.features.as_deref().map(serde_json::from_slice::<Value>);
    let told = json!({
        "Name": info.name,
        "Version": { "Version": info.version, "Revision": info.revision },
        "Options": {},
        "Features": features.and_then(Result::ok).unwrap_or_default(),
        "Annotations": shown::labels_json(&info.annotations),
    });
    shown::json(cx.ui, &told)?;
    Ok(0)
}
