//! `ctr containers`: records of containers.

use serde_json::{Map, Value, json};

use super::created::ContainerFlags;
use super::{connect, connect_for, shown};
use crate::cli::Context;
use crate::containerd::{Container, Extension, TaskStatus};
use crate::engine::Engine;
use crate::engine::container::remove_fifos;
use crate::error::{Error, Kind, Result};

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create container
    Create(Box<CreateArgs>),
    /// Delete one or more existing containers
    #[command(visible_aliases = ["del", "remove", "rm"])]
    Delete(DeleteArgs),
    /// Get info about a container
    Info(InfoArgs),
    /// List containers
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Set and clear labels for a container
    Label(LabelArgs),
    /// Checkpoint a container: not here
    Checkpoint(CheckpointArgs),
    /// Restore a container from checkpoint: not here
    Restore(RestoreArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctr containers create docker.io/library/busybox:latest one sleep 100\n  \
                        ctr tasks start -d one"
)]
pub struct CreateArgs {
    #[command(flatten)]
    flags: ContainerFlags,
    /// The image (or a directory, with --rootfs), the container's id, its command
    #[arg(
        value_name = "Image|RootFS CONTAINER COMMAND ARG",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr containers rm one two")]
pub struct DeleteArgs {
    /// Do not clean up snapshot with container
    #[arg(long)]
    keep_snapshot: bool,
    /// The containers
    #[arg(value_name = "CONTAINER")]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr containers info one\n  ctr containers info --spec one")]
pub struct InfoArgs {
    /// Only display the spec
    #[arg(long)]
    spec: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr containers ls\n  ctr containers ls -q 'labels.team==ci'")]
pub struct ListArgs {
    /// Print only the container id
    #[arg(short, long)]
    quiet: bool,
    /// containerd's filters, one of which must match
    #[arg(value_name = "filter")]
    filters: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr containers label one team=ci old=")]
pub struct LabelArgs {
    /// The container, then labels; an empty value clears one
    #[arg(value_name = "CONTAINER key=value")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr containers checkpoint one docker.io/library/one:checkpoint")]
pub struct CheckpointArgs {
    /// Include the rw layer in the checkpoint
    #[arg(long)]
    rw: bool,
    /// Include the image in the checkpoint
    #[arg(long)]
    image: bool,
    /// Checkpoint container task
    #[arg(long)]
    task: bool,
    /// The container, then a name for the checkpoint
    #[arg(value_name = "CONTAINER REF")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr containers restore one docker.io/library/one:checkpoint")]
pub struct RestoreArgs {
    /// Restore the rw layer from the checkpoint
    #[arg(long)]
    rw: bool,
    /// Restore the runtime and memory data from the checkpoint
    #[arg(long)]
    live: bool,
    /// The container, then the checkpoint's name
    #[arg(value_name = "CONTAINER REF")]
    words: Vec<String>,
}

pub(super) async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Create(args) => create(*args, cx).await,
        Verb::Delete(args) => delete(args, cx).await,
        Verb::Info(args) => info(args, cx).await,
        Verb::List(args) => list(args, cx).await,
        Verb::Label(args) => label(args, cx).await,
        Verb::Checkpoint(args) => unbuilt(args.words.first(), "taking checkpoints", cx).await,
        Verb::Restore(args) => match args.words.len() {
            2.. => Err(no_checkpoints("restoring from checkpoints")),
            _ => Err(Error::failed("container id and checkpoint reference must be provided")),
        },
    }
}

/// A checkpoint wants CRIU beside the runtime; what is not there is said after what is wrong with the words.
pub(super) async fn unbuilt(id: Option<&String>, what: &str, cx: &mut Context<'_>) -> Result<u8> {
    let id = id.filter(|id| !id.is_empty()).ok_or_else(|| Error::failed("container id must be provided"))?;
    connect(cx).await?.containerd.container(id).await?;
    Err(no_checkpoints(what))
}

fn no_checkpoints(what: &str) -> Error {
    Error::failed(format!("{what} is not here: it needs CRIU in the runtime"))
        .hint("containerd's own ctr does it where CRIU is installed")
}

async fn create(args: CreateArgs, cx: &mut Context<'_>) -> Result<u8> {
    let wanted = args.flags.request(&args.words, ": invalid argument", cx)?;
    let engine = connect_for(cx, args.flags.snapshotter.as_deref()).await?;
    crate::engine::container::create_plain(&engine, &wanted).await?;
    Ok(0)
}

async fn list(args: ListArgs, cx: &mut Context<'_>) -> Result<u8> {
    let mut table = String::from("CONTAINER\tIMAGE\tRUNTIME\t\n");
    for container in connect(cx).await?.containerd.containers(&args.filters).await? {
        if args.quiet {
            cx.ui.line(container.id)?;
            continue;
        }
        let image = if container.image.is_empty() { "-" } else { &container.image };
        table += &format!("{}\t{image}\t{}\t\n", container.id, container.runtime);
    }
    if !args.quiet {
        shown::wide(cx.ui, &table)?;
    }
    Ok(0)
}

async fn label(args: LabelArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (id, labels) = shown::object(&args.words);
    if id.is_empty() {
        return Err(Error::failed("container id must be provided: invalid argument"));
    }
    let engine = connect(cx).await?;
    let mut container = engine.containerd.container(&id).await?;
    let fields: Vec<String> = labels.keys().map(|key| format!("labels.{key}")).collect();
    container.labels.extend(labels);
    if !fields.is_empty() {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        engine.containerd.update_container(&container, &fields).await?;
    }
    cx.ui.line(shown::pairs(&engine.containerd.container(&id).await?.labels))?;
    Ok(0)
}

async fn delete(args: DeleteArgs, cx: &mut Context<'_>) -> Result<u8> {
    if args.ids.is_empty() {
        return Err(Error::failed("must specify at least one container to delete: invalid argument"));
    }
    let engine = connect(cx).await?;
    let mut first = None;
    for id in &args.ids {
        if let Err(error) = delete_one(&engine, id, args.keep_snapshot).await {
            shown::log(cx.ui, "error", &format!("failed to delete container {id:?}"), Some(&error))?;
            first.get_or_insert(error);
        }
    }
    first.map_or(Ok(0), Err)
}

async fn delete_one(engine: &Engine, id: &str, keep_snapshot: bool) -> Result<()> {
    let client = &engine.containerd;
    let container = client.container(id).await?;
    if let Ok(task) = client.task(id, None).await {
        if !matches!(task.status, TaskStatus::Stopped | TaskStatus::Created) {
            let status = super::tasks::status(task.status).to_lowercase();
            let message = format!(
                "cannot delete a non stopped container: {{{status} 0 0001-01-01 00:00:00 +0000 UTC}}"
            );
            return Err(Error::failed(message));
        }
        client.delete_task(id).await?;
        remove_fifos(&task);
    }
    remove(engine, &container, keep_snapshot).await
}

/// Remove the snapshot, then the record.
pub(super) async fn remove(engine: &Engine, container: &Container, keep_snapshot: bool) -> Result<()> {
    if !keep_snapshot && !container.snapshot_key.is_empty() {
        let removed =
            engine.containerd.remove_snapshot(&container.snapshotter, &container.snapshot_key).await;
        match removed.map_err(Error::from) {
            Err(error) if error.kind != Kind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(engine.containerd.delete_container(&container.id).await?)
}

async fn info(args: InfoArgs, cx: &mut Context<'_>) -> Result<u8> {
    let id = args.id.filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::failed("container id must be provided: invalid argument"))?;
    let container = connect(cx).await?.containerd.container(&id).await?;
    let spec: Value = serde_json::from_slice(&container.spec).unwrap_or_default();
    let shown = if args.spec { spec } else { described(&container, spec) };
    shown::json(cx.ui, &shown)?;
    Ok(0)
}

fn described(container: &Container, spec: Value) -> Value {
    let extensions: Map<String, Value> =
        container.extensions.iter().map(|(name, value)| (name.clone(), extension(value))).collect();
    let mut told = json!({
        "ID": container.id,
        "Labels": shown::labels_json(&container.labels),
        "Image": container.image,
        "Runtime": {
            "Name": container.runtime,
            "Options": container.runtime_options.as_ref().map(extension),
        },
        "SnapshotKey": container.snapshot_key,
        "Snapshotter": container.snapshotter,
        "CreatedAt": shown::time(container.created_at),
        "UpdatedAt": shown::time(container.updated_at),
        "Extensions": extensions,
        "SandboxID": container.sandbox,
    });
    if !spec.is_null() {
        told["Spec"] = spec;
    }
    told
}

fn extension(extension: &Extension) -> Value {
    use base64::Engine as _;
    let mut fields = Map::new();
    fields.insert("type_url".into(), json!(extension.type_url));
    if !extension.value.is_empty() {
        let value = base64::engine::general_purpose::STANDARD.encode(&extension.value);
        fields.insert("value".into(), json!(value));
    }
    Value::Object(fields)
}
