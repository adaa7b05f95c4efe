//! `ctr sandboxes`: containerd 2's service. An older one without it is told so.

use jiff::tz::TimeZone;
use serde_json::json;

use super::{connect, shown};
use crate::cli::Context;
use crate::containerd::{self, Code, Sandbox};
use crate::error::{Error, Result};
use crate::output::units::go_time;

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Run a new sandbox
    #[command(visible_aliases = ["create", "c", "r"])]
    Run(RunArgs),
    /// List sandboxes
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Remove sandboxes
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Get info about a sandbox
    #[command(visible_alias = "i")]
    Info(InfoArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr sandboxes run pod-config.json one")]
pub struct RunArgs {
    /// Runtime name
    #[arg(long, value_name = "value", default_value = "io.containerd.runc.v2")]
    runtime: String,
    /// A file with the specification, and the sandbox's id; or the id alone
    #[arg(value_name = "pod-config.json sandbox-id")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr sandboxes ls")]
pub struct ListArgs {
    /// The list of filters to apply when querying sandboxes from the store
    #[arg(long, value_name = "value")]
    filters: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr sandboxes rm -f one")]
pub struct RemoveArgs {
    /// Ignore shutdown errors when removing sandbox
    #[arg(short, long)]
    force: bool,
    /// The sandboxes
    #[arg(value_name = "id")]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr sandboxes info one")]
pub struct InfoArgs {
    /// The sandbox
    #[arg(value_name = "sandbox id")]
    id: Option<String>,
}

pub(super) async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Run(args) => start(args, cx).await,
        Verb::List(args) => list(args, cx).await,
        Verb::Remove(args) => remove(args, cx).await,
        Verb::Info(args) => info(args, cx).await,
    }
}

fn told(error: containerd::Error) -> Error {
    let old = error.code == Code::Unimplemented;
    let error = Error::from(error);
    if old {
        error.hint("this containerd has no sandbox service: it came with 1.7 and is used from 2.0 on")
    } else {
        error
    }
}

async fn list(args: ListArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let sandboxes = engine.containerd.sandboxes(args.filters).await.map_err(told);
    let sandboxes = sandboxes.map_err(|error| error.context("failed to list sandboxes"))?;
    let mut table = String::from("ID\tCREATED\tRUNTIME\t\n");
    for sandbox in sandboxes {
        let created = go_time(sandbox.created_at.unwrap_or_default(), &TimeZone::UTC);
        table += &format!("{}\t{created}\t{}\t\n", sandbox.id, sandbox.runtime);
    }
    shown::narrow(cx.ui, &table)?;
    Ok(0)
}

async fn start(args: RunArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (file, id) = match args.words.as_slice() {
        [id] => (None, id.clone()),
        [file, id] => (Some(cx.environment.directory.join(file)), id.clone()),
        _ => return Err(Error::failed("sandbox config and sandbox id must be provided")),
    };
    let spec = match &file {
        Some(path) => crate::engine::container::spec_file(path)?,
        None => json!({}),
    };
    let engine = connect(cx).await?;
    let sandbox = Sandbox {
        id,
        runtime: args.runtime,
        spec: spec.to_string().into_bytes(),
        sandboxer: "shim".into(),
        ..Sandbox::default()
    };
    let made = engine.containerd.run_sandbox(&sandbox).await.map_err(told);
    made.map_err(|error| error.context("failed to create new sandbox"))?;
    cx.ui.line(sandbox.id)?;
    Ok(0)
}

async fn remove(args: RemoveArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    for id in &args.ids {
        let sandbox = match engine.containerd.sandbox(id).await.map_err(told) {
            Ok(sandbox) => sandbox,
            Err(error) => {
                shown::log(cx.ui, "error", &format!("failed to load sandbox {id}"), Some(&error))?;
                continue;
            }
        };
        if let Err(error) = engine.containerd.stop_sandbox(&sandbox).await.map_err(told) {
            shown::log(cx.ui, "error", &format!("failed to stop sandbox {id}"), Some(&error))?;
            if !args.force {
                continue;
            }
        }
        match engine.containerd.remove_sandbox(&sandbox).await.map_err(told) {
            Ok(()) => shown::log(cx.ui, "info", &format!("deleted: {id}"), None)?,
            Err(error) => {
                shown::log(cx.ui, "error", &format!("failed to shutdown sandbox {id}"), Some(&error))?;
            }
        }
    }
    Ok(0)
}

async fn info(args: InfoArgs, cx: &mut Context<'_>) -> Result<u8> {
    let id = args.id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::failed("sandbox id must be provided: invalid argument"))?;
    let sandbox = connect(cx).await?.containerd.sandbox(&id).await.map_err(told)?;
    let told = json!({
        "ID": sandbox.id,
        "Labels": shown::labels_json(&sandbox.labels),
        "Runtime": { "Name": sandbox.runtime, "Options": null },
        "Spec": serde_json::from_slice::<serde_json::Value>(&sandbox.spec).unwrap_or_default(),
        "Sandboxer": sandbox.sandboxer,
        "CreatedAt": shown::time(sandbox.created_at),
        "UpdatedAt": shown::time(sandbox.updated_at),
    });
    shown::json(cx.ui, &told)?;
    Ok(0)
}
