//! `attach`: join the user to a container that runs.

use crate::cli::container::session::Attached;
use crate::cli::container::{create, foreign};
use crate::cli::errors::EngineResult;
use crate::cli::stream::{Ended, Join, check_terminal, join};
use crate::cli::{Context, exit, names};
use crate::engine::container::{Container, Origin, Status, find, locate, takes_input};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::monitor::client::{Attachment, Wants};

/// Flags of `attach`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie attach web     (leave it running with ctrl-p ctrl-q)")]
pub struct Args {
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Do not attach STDIN
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals to the process: done, but for a kubelet's containers
    #[arg(long = "sig-proxy", value_name = "BOOL", action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    sig_proxy: Option<bool>,
    /// A container by name or id
    #[arg(value_name = "CONTAINER", add = names::running_containers())]
    container: String,
}

/// Run the verb: the exit code is the container's.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    let detach = create::detach_keys(cx, args.detach_keys.as_deref())?;
    let (engine, mut container) = locate(&engine, &args.container).await.told()?;
    match container.status {
        Status::Running | Status::Unknown => {}
        Status::Paused => {
            return Err(Error::conflict("cannot attach to a paused container, unpause it first"));
        }
        Status::Restarting => {
            return Err(Error::conflict("cannot attach to a restarting container, wait until it is running"));
        }
        _ => return Err(Error::conflict("cannot attach to a stopped container, start it first")),
    }
    let input = takes_input(&container) && !args.no_stdin;
    // Ctrl-C leaves a kubelet's container running, as kubectl's does: it would count as a crash.
    let proxy = args.sig_proxy.unwrap_or(container.origin != Origin::Cri);
    let how = Join { tty: container.tty, input, proxy, detach };
    check_terminal(how.tty, how.input)?;
    to_running(&engine, &mut container, &how, cx).await
}

/// Join a container that runs; its end is the monitor's affair.
pub(super) async fn to_running(
    engine: &Engine,
    container: &mut Container,
    how: &Join,
    cx: &mut Context<'_>,
) -> Result<u8> {
    if container.origin != Origin::Wharfie {
        return foreign::attach(engine, container, how, cx).await;
    }
    let wants = Wants { stdin: how.input, stdout: true, stderr: true };
    let mut attachment = Attachment::connect(&engine.paths.container_run(&container.id), wants).await?;
    engine.note(&[event::of_container(container, "attach")]);
    let ended = engine.containerd.clone();
    let id = container.id.clone();
    // Asked now: once the container has ended, its task goes at once.
    let waiting = tokio::spawn(async move { ended.wait(&id, "").await });
    let mut remote = Attached { engine, id: &container.id, attachment: &mut attachment };
    match join(cx.ui, &mut remote, how).await? {
        Ended::Detached => {
            engine.note(&[event::of_container(container, "detach")]);
            return Ok(0);
        }
        Ended::Forced(code) => return Err(Error::silent(code)),
        Ended::Output => {}
    }
    match waiting.await {
        Ok(Ok(exit)) => Ok(exit::of_process(exit.status)),
        _ => {
            let container = find(engine, &container.id).await.told()?;
            Ok(exit::of_process(container.state.exit_code.unwrap_or_default()))
        }
    }
}
