//! `run`: make a container, start it, and stay with it unless told otherwise.

use crate::cli::args::RunArgs;
use crate::cli::args::container::ATTACH_AND_DETACH;
use crate::cli::container::create::{self, Extras};
use crate::cli::container::session::Attached;
use crate::cli::container::wait;
use crate::cli::stream::{Ended, Join, check_terminal, join};
use crate::cli::{Context, errors, exit};
use crate::engine::Engine;
use crate::engine::container::{
    Container, RemoveOptions, StartOptions, Status, exit_status, finish, remove, restart_policy, start,
};
use crate::error::{Error, Kind, Result};
use crate::monitor::client::{Attachment, Wants};
use crate::oci::request::RestartPolicy;

/// Flags of `run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie run --rm -it busybox sh\n  wharfie run -d --name web -p 8080:80 nginx\n  \
    wharfie run --rm -v \"$PWD\":/work -w /work alpine ls"
)]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
}

/// Run the verb: the exit code is the container's.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let program = cx.program.clone();
    match attempt(args.run, cx).await {
        Ok(code) => Ok(code),
        Err(error) => {
            let (error, code) = errors::from_run(&program, "run", error);
            cx.ui.flush()?;
            cx.ui.error(&error)?;
            Err(Error::silent(code))
        }
    }
}

async fn attempt(args: RunArgs, cx: &mut Context<'_>) -> Result<u8> {
    let extras = Extras::of(&args.container)?;
    for warning in args.container.warnings() {
        cx.ui.warn(warning)?;
    }
    let (streams, proxy, detach) = (args.streams()?, args.sig_proxy, args.detach);
    if detach && !args.container.lifecycle.attach.is_empty() {
        cx.ui.error(&Error::failed(ATTACH_AND_DETACH))?;
        return Err(Error::silent(1));
    }
    let keys = create::detach_keys(cx, args.detach_keys.as_deref())?;
    let limit = args.wait_timeout.as_deref().map(wait::limit).transpose()?;
    let waits = args.wait;
    let request = create::with_surroundings(cx, "run", |surroundings| args.into_request(surroundings))?;
    let request = create::with_proxies(cx, request)?;
    let (tty, auto_remove) = (request.tty, request.auto_remove);
    let how = Join { tty, input: streams.stdin, proxy, detach: keys };
    if !detach && let Err(error) = check_terminal(tty, streams.stdin) {
        // docker says this without its usual lead and code: it has asked nobody yet.
        cx.ui.error(&error)?;
        return Err(Error::silent(1));
    }
    let engine = cx.engine().await?;
    let created = create::make(&engine, request, &extras, cx, true).await?;
    let (mut container, mounts, connecting, unsettled) = created.into_parts();
    let options = StartOptions {
        attach: (!detach).then_some(Wants {
            stdin: streams.stdin,
            stdout: streams.stdout,
            stderr: streams.stderr,
        }),
        own: !detach,
        by_policy: false,
        connecting,
        mounts: Some(mounts),
    };
    if let Err(error) = extras.write_id(&container.id) {
        if let Some(connecting) = options.connecting {
            let _ = connecting.finish().await;
        }
        // Its id would be known to nobody. What cannot be taken down now is left to the next command.
        let _ = unsettled.roll_back(&engine, &container).await;
        return Err(error);
    }
    match start(&engine, &mut container, options).await.map_err(errors::of_request) {
        Ok(started) => {
            unsettled.settle()?;
            tell_forwarding(&container, cx)?;
            match started.attachment {
                Some(mut attachment) => stay(&engine, &mut container, &mut attachment, &how, cx).await,
                None => {
                    cx.ui.line(&container.id)?;
                    if waits {
                        // Whoever waits for the id may have it while it is waited for the rest.
                        cx.ui.flush()?;
                        let named = (container.id.as_str(), container.name.as_str());
                        if let Err(error) = wait::until_it_is_ready(&engine, named, limit).await {
                            // It was made and started: the failure is its own, not this command's (125).
                            cx.ui.error(&error)?;
                            return Err(Error::silent(1));
                        }
                    }
                    Ok(0)
                }
            }
        }
        Err(error) => {
            // docker keeps a container that could not be started, unless it was to be removed.
            if auto_remove {
                let _ = unsettled.roll_back(&engine, &container).await;
            } else {
                let _ = unsettled.settle();
            }
            Err(error)
        }
    }
}

/// Stay with a container that this command has started until it ends, then record the end or remove it.
pub(in crate::cli) async fn stay(
    engine: &Engine,
    container: &mut Container,
    attachment: &mut Attachment,
    how: &Join,
    cx: &mut Context<'_>,
) -> Result<u8> {
    let id = container.id.clone();
    // Asked now: when another command removes the container, its exit status is known to those who wait.
    let (containerd, waited) = (engine.containerd.clone(), id.clone());
    let waiting = tokio::spawn(async move { containerd.wait(&waited, "").await });
    match join(cx.ui, &mut Attached { engine, id: &id, attachment }, how).await? {
        Ended::Detached => return Ok(0),
        Ended::Forced(code) => return Err(Error::silent(code)),
        Ended::Output => {}
    }
    let status = match waiting.await {
        Ok(Ok(exit)) => Some(exit.status),
        _ => exit_status(engine, &id).await?,
    };
    let recorded = match container.record()?.request.auto_remove {
        true => {
            container.status = Status::Exited;
            remove(engine, container, RemoveOptions { force: true, volumes: true }).await?;
            status
        }
        // Asked now: an update may have given it another policy since it was started.
        false if restart_policy(engine, container).await? == RestartPolicy::No => {
            match finish(engine, container).await {
                Err(error) if error.kind == Kind::NotFound => None,
                recorded => recorded?,
            }
        }
        // Its policy is the monitor's affair: it takes over when this connection breaks.
        _ => return Ok(exit::of_process(status.unwrap_or_default())),
    };
    attachment.input.disown_done().await.or_else(gone)?;
    Ok(exit::of_process(status.or(recorded).unwrap_or_default()))
}

/// A monitor that has left already needs no word from us.
fn gone(error: Error) -> Result<()> {
    if matches!(error.kind, Kind::BrokenPipe) { Ok(()) } else { Err(error) }
}

/// Say so where this machine was made to forward packets: it changes more than containers.
pub(super) fn tell_forwarding(container: &Container, cx: &mut Context<'_>) -> Result<()> {
    let connection = container.state.connection.as_ref();
    if connection.is_some_and(|connection| connection.forwarding_switched_on) {
        cx.ui.warn("this machine did not forward IPv4 packets and does now (net.ipv4.ip_forward=1): containers need it")?;
    }
    Ok(())
}
