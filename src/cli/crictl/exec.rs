//! `crictl exec`: run a command in a container; through containerd itself, which needs no streaming server.

use super::log::Level;
use super::select::{self, Select};
use super::session::{Answer, Done, Session, joined};
use super::tls::Tls;
use crate::cli::args::parse::keys;
use crate::cli::container::session::Executed;
use crate::cli::stream::{Ended, Join, LATE_OUTPUT, join};
use crate::cri::{Client, api};
use crate::engine::container::{Container, exec, find};
use crate::error::{Error, Kind, Result};
use crate::oci::request::ExecRequest;
use crate::output::notation::quote;
use crate::sys::terminal::is_terminal;

/// Flags of `crictl exec`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri exec -it 87d3992f84f74 sh\n  wharfie cri exec --name '^app' -s id\n\n\
    Without a CONTAINER-ID where one of --image, --label, --last, --latest, --name, --pod, --state is given."
)]
pub(super) struct Args {
    /// Ignore errors during command execution
    #[arg(short = 'e', long)]
    ignore_errors: bool,
    /// Exec command for all containers matching this container image filter
    #[arg(long)]
    image: Option<String>,
    /// Keep STDIN open
    #[arg(short, long)]
    interactive: bool,
    /// Exec command for all containers matching this key=value label filter
    #[arg(long, value_name = "KEY=VALUE", value_delimiter = ',')]
    label: Vec<String>,
    /// Exec command for all last n containers, set to 0 for unlimited
    #[arg(short = 'n', long)]
    last: Option<i64>,
    /// Exec command for the most recently created container
    #[arg(short, long)]
    latest: bool,
    /// Exec command for all containers matching this name filter regular expression pattern
    #[arg(long, value_name = "PATTERN")]
    name: Option<String>,
    /// Run the command in parallel if multiple containers are selected
    #[arg(short = 'x', long)]
    parallel: bool,
    /// Exec command for all containers matching this pod ID filter
    #[arg(short, long, value_name = "POD-ID")]
    pod: Option<String>,
    /// Do not print the container ID if multiple containers are selected
    #[arg(short, long)]
    quiet: bool,
    /// Exec command for all containers matching this container state filter
    #[arg(long)]
    state: Option<String>,
    /// Run the command synchronously
    #[arg(short, long)]
    sync: bool,
    /// Timeout in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    timeout: i64,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    #[command(flatten)]
    tls: Tls,
    /// A container's id unless a filter is given, and a command with its arguments
    #[arg(value_name = "CONTAINER-ID COMMAND ARG", num_args = 0..)]
    rest: Vec<String>,
}

/// The keys that leave the command running.
const DETACH: &str = "ctrl-p,ctrl-q";

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.rest.is_empty() {
        return Ok(Done::Help);
    }
    args.tls.check()?;
    if args.ignore_errors && !args.quiet {
        let message =
            "The `--ignore-errors` option has been set all errors returned by the command will be ignored.";
        session.say(Level::Warning, message)?;
    }
    let is_filtered = args.name.is_some()
        || args.pod.is_some()
        || args.image.is_some()
        || args.state.is_some()
        || args.last.is_some()
        || !args.label.is_empty()
        || args.latest;
    let (ids, command) = if is_filtered {
        let ids = selected(&args, session).await?;
        if ids.is_empty() {
            session.say(Level::Error, "No containers found per filter flags")?;
            return Ok(Done::Help);
        }
        (ids, args.rest.clone())
    } else {
        let [id, command @ ..] = args.rest.as_slice() else { return Ok(Done::Help) };
        if command.is_empty() {
            return Ok(Done::Help);
        }
        (vec![id.clone()], command.to_vec())
    };
    let failures = if args.parallel && ids.len() > 1 {
        parallel(&args, &ids, &command, session).await?
    } else {
        let mut failures = Vec::new();
        for id in &ids {
            if is_filtered && !args.quiet {
                session.cx.ui.line(format_args!("{id}:"))?;
            }
            let ran = if args.sync {
                synchronous(&args, id, &command, session).await
            } else {
                streaming(&args, id, &command, session).await
            };
            match ran {
                Err(error) if error.kind == Kind::BrokenPipe => return Err(error),
                ran => failures.extend(ran.err()),
            }
        }
        failures
    };
    if !args.ignore_errors {
        joined(failures)?;
    }
    Ok(Done::Well)
}

async fn selected(args: &Args, session: &mut Session<'_, '_>) -> Result<Vec<String>> {
    let runtime = session.runtime().await?;
    let select = Select {
        pod: args.pod.clone(),
        name: args.name.clone(),
        state: args.state.clone(),
        labels: args.label.clone(),
        image: args.image.clone(),
        latest: args.latest,
        last: args.last.unwrap_or_default(),
        ..Select::default()
    };
    let found = select::containers(session, &runtime, &select)
        .await
        .map_err(|error| error.context("listing containers"))?;
    Ok(found.into_iter().map(|container| container.id).collect())
}

async fn synchronous(args: &Args, id: &str, command: &[String], session: &mut Session<'_, '_>) -> Result<()> {
    let runtime = session.runtime().await?;
    let answer = ask(&runtime, args.timeout, id, command).await?;
    session.cx.ui.write(&answer.stdout)?;
    session.cx.ui.line("")?;
    session.cx.ui.write(&answer.stderr)?;
    session.cx.ui.line("")
}

/// All that a command writes, at once.
async fn ask(runtime: &Client, timeout: i64, id: &str, command: &[String]) -> Result<api::ExecSyncResponse> {
    let seconds = u64::try_from(timeout).ok().filter(|seconds| *seconds > 0);
    // Without a limit the command may take as long as it likes.
    let patience = seconds
        .map(|seconds| runtime.deadline().unwrap_or_default() + std::time::Duration::from_secs(seconds));
    let request =
        api::ExecSyncRequest { container_id: id.to_owned(), cmd: command.to_vec(), timeout: timeout.max(0) };
    let lead = format!("execing command in container {id} synchronously");
    let answer = runtime.within(patience).exec_sync(request).await.during(&lead)?;
    if answer.exit_code == 0 {
        return Ok(answer);
    }
    Err(Error::failed(format!(
        "{lead}: command '{}' exited with {}: {}",
        command.join(" "),
        answer.exit_code,
        String::from_utf8_lossy(&answer.stderr)
    )))
}

async fn parallel(
    args: &Args,
    ids: &[String],
    command: &[String],
    session: &mut Session<'_, '_>,
) -> Result<Vec<Error>> {
    let runtime = session.runtime().await?;
    let calls = ids.iter().map(|id| ask(&runtime, args.timeout, id, command));
    let mut failures = Vec::new();
    for answer in futures_util::future::join_all(calls).await {
        match answer {
            Ok(answer) => {
                session.cx.ui.write(&answer.stdout)?;
                session.cx.ui.write_err(&answer.stderr)?;
            }
            Err(error) => failures.push(error),
        }
    }
    Ok(failures)
}

async fn streaming(args: &Args, id: &str, command: &[String], session: &mut Session<'_, '_>) -> Result<()> {
    let lead = format!("execing command in container {id}");
    let code = attached(args, id, command, session).await.map_err(|error| error.context(&lead))?;
    if code == 0 {
        return Ok(());
    }
    Err(Error::failed(format!("{lead}: command terminated with exit code {code}")))
}

async fn attached(args: &Args, id: &str, command: &[String], session: &mut Session<'_, '_>) -> Result<u32> {
    if args.tty && !args.interactive {
        return Err(Error::failed("tty=true must be specified with interactive=true"));
    }
    if args.tty && !is_terminal(std::io::stdin()) {
        return Err(Error::failed("input is not a terminal"));
    }
    let engine = session.cx.engine().await?;
    let container = find(&engine, id).await.map_err(|error| missing(id, error))?;
    let request =
        ExecRequest { args: command.to_vec(), tty: args.tty, interactive: args.interactive, ..request() };
    let (process, streams) = match exec(&engine, &container, &request).await {
        Ok(made) => made,
        Err(error) => return Err(not_run(&container, error, session).await),
    };
    if let Err(error) = process.start().await {
        return Err(not_run(&container, error, session).await);
    }
    let mut remote = Executed::new(&process, streams);
    let detach = keys::detach_keys(DETACH).unwrap_or_default();
    let how = Join { tty: args.tty, input: args.interactive, proxy: false, detach };
    session.cx.ui.flush()?;
    match join(session.cx.ui, &mut remote, &how).await? {
        Ended::Detached => return Ok(0),
        Ended::Forced(code) => return Err(Error::silent(code)),
        Ended::Output => {}
    }
    let exit = remote.exit().await?;
    // The shim waits for a child that holds the streams open; nobody else has to, nor is its answer missed.
    let _ = tokio::time::timeout(LATE_OUTPUT, process.delete()).await;
    Ok(exit.status)
}

/// A request that asks for nothing beside a command.
fn request() -> ExecRequest {
    ExecRequest {
        args: Vec::new(),
        env: Vec::new(),
        user: None,
        working_dir: None,
        tty: false,
        interactive: false,
        detach: false,
        privileged: false,
        detach_keys: None,
    }
}

/// CRI's words for a container that is not there.
pub(super) fn missing(id: &str, error: Error) -> Error {
    if error.kind != Kind::NotFound {
        return error;
    }
    Error::not_found(format!(
        "rpc error: code = NotFound desc = an error occurred when try to find container {}: not found",
        quote(id)
    ))
}

/// Why a process cannot be started in a container, in CRI's words.
async fn not_run(container: &Container, error: Error, session: &mut Session<'_, '_>) -> Error {
    match error.kind {
        Kind::Conflict => in_state(container, session).await,
        _ => error.context("rpc error: code = Unknown desc = failed to exec in container"),
    }
}

/// CRI's refusal of a container that does not run. CRI tells best in which state it is; without CRI it has ended.
pub(super) async fn in_state(container: &Container, session: &mut Session<'_, '_>) -> Error {
    let asked = async {
        let request = api::ContainerStatusRequest { container_id: container.id.clone(), verbose: false };
        let runtime = session.runtime().await?;
        Ok::<_, Error>(runtime.container_status(request).await.during("")?.status.unwrap_or_default().state)
    };
    let state = asked.await.ok().and_then(|state| api::ContainerState::try_from(state).ok());
    // CRI hears of an end a moment after containerd.
    let state = state.filter(|state| *state != api::ContainerState::ContainerRunning);
    let state = state.unwrap_or(api::ContainerState::ContainerExited).as_str_name();
    Error::conflict(format!("rpc error: code = Unknown desc = container is in {state} state"))
}
