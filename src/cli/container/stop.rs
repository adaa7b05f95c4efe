//! `stop`: ask containers to end.

use crate::cli::args::parse::number;
use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::container::{locate, permit, settle, stop};
use crate::error::Result;

/// Flags of `stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie stop -t 3 web")]
pub struct Args {
    /// Signal to send to the container
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Seconds to wait before killing the container (-1: for ever)
    #[arg(short = 't', long, visible_alias = "time", value_name = "SECONDS", value_parser = number::signed)]
    timeout: Option<i64>,
    /// Also a container that a kubelet manages
    #[arg(long)]
    force: bool,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::running_containers())]
    containers: Vec<String>,
}

/// Run the verb. Every container has its own grace at the same time, as they would end one after the other.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let stops = args.containers.iter().map(|reference| {
        let (engine, signal) = (&engine, args.signal.as_deref());
        async move {
            let (engine, mut container) = locate(engine, reference).await?;
            permit(&container, "stop", Some(args.force))?;
            stop(&engine, &mut container, signal, args.timeout).await
        }
    });
    let ended = futures_util::future::join_all(stops).await;
    let mut failures = Failures::default();
    for (reference, result) in args.containers.iter().zip(ended) {
        match result {
            Ok(()) => cx.ui.line(reference)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
