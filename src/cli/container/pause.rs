//! `pause` and `unpause`: freeze containers, and let them go on.

use futures_util::future::join_all;

use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::container::{locate, pause, permit, unpause};
use crate::error::Result;

/// Flags of `pause`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pause web\n  wharfie pause $(wharfie ps -q)")]
pub struct Args {
    /// Also a container that a kubelet manages
    #[arg(long)]
    force: bool,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::running_containers())]
    containers: Vec<String>,
}

/// Flags of `unpause`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie unpause web\n  wharfie unpause $(wharfie ps -q -f status=paused)"
)]
pub struct UnpauseArgs {
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::running_containers())]
    containers: Vec<String>,
}

/// Run `pause`.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = &cx.engine().await?;
    let paused = join_all(args.containers.iter().map(async |reference| {
        let (engine, container) = locate(engine, reference).await?;
        permit(&container, "pause", Some(args.force))?;
        pause(&engine, &container).await
    }))
    .await;
    told(&args.containers, paused, cx)
}

/// Run `unpause`.
pub async fn run_unpause(args: UnpauseArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = &cx.engine().await?;
    let thawed = join_all(args.containers.iter().map(async |reference| {
        let (engine, container) = locate(engine, reference).await?;
        unpause(&engine, &container).await
    }))
    .await;
    told(&args.containers, thawed, cx)
}

/// The names of those with which it went well, and what was wrong with the others.
fn told(containers: &[String], outcomes: Vec<Result<()>>, cx: &mut Context<'_>) -> Result<u8> {
    let mut failures = Failures::default();
    for (reference, outcome) in containers.iter().zip(outcomes) {
        match outcome {
            Ok(()) => cx.ui.line(reference)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
