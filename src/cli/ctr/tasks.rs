//! `ctr tasks`: what runs.

use std::path::PathBuf;
use std::time::Duration;

use super::session::{self, StreamFlags};
use super::{connect, containers, metrics, shown};
use crate::cli::Context;
use crate::cli::container::session::InContainer;
use crate::containerd::{Client, Task, TaskStatus};
use crate::engine::Engine;
use crate::engine::container::{PlainExec, open_streams_of, plain_process, remove_fifos, signal_number};
use crate::error::{Error, Result};

/// How long all shims together may take for a list.
const LIST: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Attach to the IO of a running container
    Attach(AttachArgs),
    /// Checkpoint a container: not here
    Checkpoint(CheckpointArgs),
    /// Delete one or more tasks
    #[command(visible_aliases = ["del", "remove", "rm"])]
    Delete(DeleteArgs),
    /// Execute additional processes in an existing container
    Exec(Box<ExecArgs>),
    /// List tasks
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Signal a container (default: SIGTERM)
    Kill(KillArgs),
    /// Get a single data point of metrics for a task with the built-in Linux runtime
    #[command(visible_alias = "metric")]
    Metrics(MetricsArgs),
    /// Pause an existing container
    Pause(PauseArgs),
    /// List processes for container
    Ps(PsArgs),
    /// Resume a paused container
    Resume(ResumeArgs),
    /// Start a container that has been created
    Start(StartArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks attach one")]
pub struct AttachArgs {
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks pause one")]
pub struct PauseArgs {
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks resume one")]
pub struct ResumeArgs {
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks ps one")]
pub struct PsArgs {
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks checkpoint one")]
pub struct CheckpointArgs {
    /// Stop the container after the checkpoint
    #[arg(long)]
    exit: bool,
    /// Path to criu image files
    #[arg(long, value_name = "value")]
    image_path: Option<String>,
    /// Path to criu work files and logs
    #[arg(long, value_name = "value")]
    work_path: Option<String>,
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks rm one two\n  ctr tasks rm --force one")]
pub struct DeleteArgs {
    /// Force delete task process
    #[arg(short, long)]
    force: bool,
    /// Process ID to kill
    #[arg(long, value_name = "value")]
    exec_id: Option<String>,
    /// The containers
    #[arg(value_name = "CONTAINER")]
    ids: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks exec --exec-id shell -t one sh")]
pub struct ExecArgs {
    /// Working directory of the new process
    #[arg(long, value_name = "value")]
    cwd: Option<String>,
    /// Allocate a TTY for the container
    #[arg(short, long)]
    tty: bool,
    /// Detach from the task after it has started execution
    #[arg(short, long)]
    detach: bool,
    /// Exec specific id for the process
    #[arg(long, value_name = "value", required = true)]
    exec_id: String,
    /// Directory used for storing IO FIFOs
    #[arg(long, value_name = "value")]
    fifo_dir: Option<PathBuf>,
    /// Log uri for custom shim logging
    #[arg(long, value_name = "value")]
    log_uri: Option<String>,
    /// User id or name
    #[arg(long, value_name = "value")]
    user: Option<String>,
    /// The container, then a command
    #[arg(value_name = "CONTAINER CMD ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks ls")]
pub struct ListArgs {
    /// Print only the task id
    #[arg(short, long)]
    quiet: bool,
    #[arg(hide = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks kill -s KILL one")]
pub struct KillArgs {
    /// Signal to send to the container
    #[arg(short, long, value_name = "value")]
    signal: Option<String>,
    /// Process ID to kill
    #[arg(long, value_name = "value")]
    exec_id: Option<String>,
    /// Send signal to all processes inside the container
    #[arg(short, long)]
    all: bool,
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks metrics --format json one")]
pub struct MetricsArgs {
    /// "table" or "json"
    #[arg(long, value_name = "value", default_value = "table")]
    format: String,
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr tasks start -d one")]
pub struct StartArgs {
    #[command(flatten)]
    streams: StreamFlags,
    /// Detach from the task after it has started execution
    #[arg(short, long)]
    detach: bool,
    /// Disable use of pivot-root (linux only)
    #[arg(long)]
    no_pivot: bool,
    /// File path to write the task's pid
    #[arg(long, value_name = "value")]
    pid_file: Option<PathBuf>,
    /// The container
    #[arg(value_name = "CONTAINER")]
    id: Option<String>,
}

pub(super) async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Attach(args) => attach(args, cx).await,
        Verb::Checkpoint(args) => containers::unbuilt(args.id.as_ref(), "taking checkpoints", cx).await,
        Verb::Delete(args) => delete(args, cx).await,
        Verb::Exec(args) => exec(*args, cx).await,
        Verb::List(args) => list(args, cx).await,
        Verb::Kill(args) => kill(args, cx).await,
        Verb::Metrics(args) => read_metrics(args, cx).await,
        Verb::Pause(args) => {
            let (engine, id) = running(args.id, cx).await?;
            engine.containerd.pause(&id).await?;
            Ok(0)
        }
        Verb::Ps(args) => ps(args, cx).await,
        Verb::Resume(args) => {
            let (engine, id) = running(args.id, cx).await?;
            engine.containerd.resume(&id).await?;
            Ok(0)
        }
        Verb::Start(args) => start(args, cx).await,
    }
}

/// ctr's word for a state.
pub(super) fn status(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::Created => "CREATED",
        TaskStatus::Running => "RUNNING",
        TaskStatus::Stopped => "STOPPED",
        TaskStatus::Paused => "PAUSED",
        TaskStatus::Pausing => "PAUSING",
        TaskStatus::Unknown => "UNKNOWN",
    }
}

/// A container that must exist: a task alone is not enough of one for ctr.
async fn running(id: Option<String>, cx: &Context<'_>) -> Result<(Engine, String)> {
    let engine = connect(cx).await?;
    let id = id.unwrap_or_default();
    engine.containerd.container(&id).await.map_err(|error| absent(&engine.containerd, &id, error))?;
    load(&engine.containerd, &id).await?;
    Ok((engine, id))
}

/// containerd finds fault with an empty id before it looks; ctr's library looks.
fn absent(client: &Client, id: &str, error: crate::containerd::Error) -> Error {
    match id {
        "" => Error::not_found(format!("container \"\" in namespace {:?}: not found", client.namespace())),
        _ => error.into(),
    }
}

/// A container's task, with ctr's words for one that is not there.
async fn load(client: &Client, id: &str) -> Result<Task> {
    client.task(id, None).await.map_err(|error| match error.is_not_found() {
        true => Error::from(error).context("no running task found"),
        false => error.into(),
    })
}

fn named(id: Option<String>) -> Result<Option<String>> {
    match id.filter(|id| !id.is_empty()) {
        Some(id) => Ok(Some(id)),
        None => Err(Error::failed("container id must be provided")),
    }
}

async fn list(args: ListArgs, cx: &mut Context<'_>) -> Result<u8> {
    let mut table = String::from("TASK\tPID\tSTATUS\t\n");
    for task in connect(cx).await?.containerd.tasks(LIST).await? {
        match args.quiet {
            true => cx.ui.line(task.id)?,
            false => table += &format!("{}\t{}\t{}\n", task.id, task.pid, status(task.status)),
        }
    }
    if !args.quiet {
        shown::wide(cx.ui, &table)?;
    }
    Ok(0)
}

async fn ps(args: PsArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (engine, id) = running(named(args.id)?, cx).await?;
    let mut table = String::from("PID\tINFO\n");
    for (pid, exec) in engine.containerd.processes(&id).await? {
        let told = exec.map_or_else(|| "-".to_owned(), |exec| format!("exec_id:{exec:?}"));
        table += &format!("{pid}\t{told}\n");
    }
    shown::wide(cx.ui, &table)?;
    Ok(0)
}

async fn read_metrics(args: MetricsArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (engine, id) = running(args.id, cx).await?;
    let readings = engine.containerd.readings(&id).await?;
    metrics::print(&readings, &args.format, cx)?;
    Ok(0)
}

async fn kill(args: KillArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (engine, id) = running(named(args.id)?, cx).await?;
    let text = match args.signal.filter(|text| !text.is_empty()) {
        Some(text) => text,
        None => {
            let labels = engine.containerd.container(&id).await?.labels;
            let noted = labels.get("io.containerd.image.config.stop-signal").cloned();
            noted.unwrap_or_else(|| "SIGTERM".into())
        }
    };
    let number = signal_number(&text).map_err(|_| Error::failed(format!("unknown signal {text:?}")))?;
    let exec = args.exec_id.unwrap_or_default();
    if args.all && !exec.is_empty() {
        return Err(Error::failed("specify an exec-id or all; not both"));
    }
    engine.containerd.kill(&id, &exec, number, args.all).await?;
    Ok(0)
}

async fn start(args: StartArgs, cx: &mut Context<'_>) -> Result<u8> {
    let id = named(args.id)?.unwrap_or_default();
    let engine = connect(cx).await?;
    let container = engine.containerd.container(&id).await?;
    let spec: serde_json::Value = serde_json::from_slice(&container.spec).unwrap_or_default();
    let tty = spec.pointer("/process/terminal").and_then(serde_json::Value::as_bool).unwrap_or(false);
    args.streams.check(tty, args.detach)?;
    let start = session::Start {
        engine: &engine,
        container: &container,
        streams: &args.streams,
        tty,
        detach: args.detach,
        no_pivot: args.no_pivot,
        pid_file: args.pid_file.map(|path| cx.environment.directory.join(path)),
    };
    session::start(start, cx).await
}

async fn exec(args: ExecArgs, cx: &mut Context<'_>) -> Result<u8> {
    let id = args.words.first().cloned().filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| Error::failed("container id must be provided"))?;
    let engine = connect(cx).await?;
    let container = engine.containerd.container(&id).await?;
    let task = load(&engine.containerd, &id).await?;
    let asked = PlainExec {
        command: args.words[1..].to_vec(),
        cwd: args.cwd.filter(|cwd| !cwd.is_empty()),
        user: args.user,
        tty: args.tty,
    };
    let process = plain_process(&container.spec, &asked, task.pid)?;
    let streams = StreamFlags::new(args.log_uri, args.fifo_dir);
    streams.check(args.tty, args.detach)?;
    let exec = session::Exec {
        engine: &engine,
        container: &id,
        id: &args.exec_id,
        process,
        streams: &streams,
        tty: args.tty,
        detach: args.detach,
    };
    session::exec(exec, cx).await
}

async fn attach(args: AttachArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (engine, id) = running(args.id, cx).await?;
    let task = load(&engine.containerd, &id).await?;
    let streams = open_streams_of(&task, true)?;
    let (client, of) = (engine.containerd.clone(), id.clone());
    let waiting = tokio::spawn(async move { client.wait(&of, "").await.ok() });
    let process = InContainer { engine: &engine, id: &id, exec: "" };
    let ended = session::serve(streams, process, waiting, task.terminal, cx).await;
    if engine.containerd.delete_task(&id).await.is_ok() {
        remove_fifos(&task);
    }
    ended
}

async fn delete(args: DeleteArgs, cx: &mut Context<'_>) -> Result<u8> {
    if args.ids.is_empty() {
        return Ok(0);
    }
    let engine = connect(cx).await?;
    let client = &engine.containerd;
    if let Some(exec) = args.exec_id.filter(|exec| !exec.is_empty()) {
        let id = args.ids.first().cloned().unwrap_or_default();
        client.container(&id).await?;
        if args.force {
            // It may have ended already.
            let _ = client.kill(&id, &exec, 9, false).await;
            let _ = client.wait(&id, &exec).await;
        }
        let process = client.process(&id, &exec, None).await?;
        let exit = client.delete_exec(&id, &exec).await?;
        remove_fifos(&process);
        return Ok(crate::cli::exit::of_process(exit.status));
    }
    let mut first = None;
    for id in &args.ids {
        let task = async { Ok::<_, Error>((client.container(id).await?, load(client, id).await?)) };
        let task = match task.await {
            Ok((_, task)) => task,
            Err(error) => {
                shown::log(cx.ui, "error", &format!("failed to load task from {id}"), Some(&error))?;
                first.get_or_insert(error);
                continue;
            }
        };
        match delete_one(client, id, args.force, task.status).await {
            Ok(exit) => {
                remove_fifos(&task);
                if exit.status != 0 {
                    let message = format!("task {id} exit with non-zero exit code {}", exit.status);
                    shown::log(cx.ui, "warning", &message, None)?;
                }
            }
            Err(error) => {
                shown::log(cx.ui, "error", &format!("unable to delete {id}"), Some(&error))?;
                first.get_or_insert(error);
            }
        }
    }
    first.map_or(Ok(0), Err)
}

async fn delete_one(
    client: &Client,
    id: &str,
    force: bool,
    state: TaskStatus,
) -> Result<crate::containerd::Exit> {
    if !matches!(state, TaskStatus::Stopped | TaskStatus::Created) {
        if !force {
            let state = status(state).to_lowercase();
            return Err(Error::failed(format!(
                "task must be stopped before deletion: {state}: failed precondition"
            )));
        }
        let _ = client.kill(id, "", 9, true).await;
        let _ = client.wait(id, "").await;
    }
    Ok(client.delete_task(id).await?)
}
