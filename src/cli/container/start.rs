//! `start`: start stopped containers, and stay with one when asked.

use crate::cli::container::{attach, create, wait};
use crate::cli::exit::Failures;
use crate::cli::stream::Join;
use crate::cli::{Context, errors, names};
use crate::engine::container::{StartOptions, locate, settle, start};
use crate::error::{Error, Result};
use crate::monitor::client::Wants;

/// Flags of `start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie start web db\n  wharfie start -ai shell")]
pub struct Args {
    /// Attach STDOUT/STDERR and forward signals
    #[arg(short, long)]
    attach: bool,
    /// Attach container's STDIN
    #[arg(short, long)]
    interactive: bool,
    /// Override the key sequence for detaching a container
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Return when the containers are healthy, or run where they have no health check
    #[arg(long)]
    wait: bool,
    /// Give up --wait after this time (seconds, or as in 1m30s)
    #[arg(long, value_name = "duration")]
    wait_timeout: Option<String>,
    /// Restore from this checkpoint; refused
    #[arg(long, value_name = "CHECKPOINT", hide = true)]
    checkpoint: Option<String>,
    /// Use a custom checkpoint storage directory; refused
    #[arg(long, value_name = "DIR", hide = true)]
    checkpoint_dir: Option<String>,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::stopped_containers())]
    containers: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let limit = args.wait_timeout.as_deref().map(wait::limit).transpose()?;
    if !args.wait && limit.is_some() {
        return Err(Error::usage("--wait-timeout needs --wait"));
    }
    for (flag, value) in [("--checkpoint", &args.checkpoint), ("--checkpoint-dir", &args.checkpoint_dir)] {
        if value.as_deref().is_some_and(|value| !value.is_empty()) {
            return Err(errors::unbuilt_flag(flag, "checkpoints come in a later version"));
        }
    }
    if args.attach || args.interactive {
        if args.wait {
            return Err(Error::usage("conflicting options: --wait and --attach"));
        }
        return stay(args, cx).await;
    }
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let (mut started_ids, mut failures, mut failed) = (Vec::new(), Failures::default(), Vec::new());
    for reference in &args.containers {
        let started = async {
            let (engine, mut container) = locate(&engine, reference).await?;
            start(&engine, &mut container, StartOptions::default()).await?;
            Ok(container)
        };
        match started.await {
            Ok(container) => {
                cx.ui.line(reference)?;
                super::run::tell_forwarding(&container, cx)?;
                started_ids.push((container.id, reference));
            }
            Err(error) => {
                failures.add(cx, error)?;
                failed.push(reference.as_str());
            }
        }
    }
    if args.wait {
        cx.ui.flush()?;
        let ready = started_ids.iter().map(|(id, name)| wait::until_it_is_ready(&engine, (id, name), limit));
        for result in futures_util::future::join_all(ready).await {
            if let Err(error) = result {
                failures.add(cx, error)?;
            }
        }
    }
    if !failed.is_empty() {
        // docker's last word, where more may have failed than is seen.
        cx.ui.flush()?;
        cx.ui.error(&Error::failed(format!("Error: failed to start containers: {}", failed.join(", "))))?;
    }
    Ok(failures.code())
}

async fn stay(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let [reference] = args.containers.as_slice() else {
        return Err(Error::failed("you cannot start and attach multiple containers at once"));
    };
    let engine = cx.engine().await?;
    let keys = create::detach_keys(cx, args.detach_keys.as_deref())?;
    let (engine, mut container) =
        locate(&engine, reference).await.map_err(crate::cli::errors::from_engine)?;
    let input = args.interactive && container.record()?.request.open_stdin;
    crate::cli::stream::check_terminal(container.tty, input)?;
    let wants = Wants { stdin: input, stdout: true, stderr: true };
    let how = Join { tty: container.tty, input, proxy: true, detach: keys };
    let options = StartOptions { attach: Some(wants), own: true, ..StartOptions::default() };
    let started = start(&engine, &mut container, options).await.map_err(crate::cli::errors::from_engine)?;
    super::run::tell_forwarding(&container, cx)?;
    match started.attachment {
        Some(mut attachment) => super::run::stay(&engine, &mut container, &mut attachment, &how, cx).await,
        None => attach::to_running(&engine, &mut container, &how, cx).await,
    }
}
