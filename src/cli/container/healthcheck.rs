//! `container healthcheck`: check a container's health at once.

use std::future::pending;

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{Status, health, locate};
use crate::error::{Error, Result};

/// Flags of `healthcheck`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wharfie container healthcheck web     (the exit code is 1 unless the check succeeds)"
)]
pub struct Args {
    /// A container by name or id
    #[arg(value_name = "CONTAINER", add = names::running_containers())]
    container: String,
}

/// Run the verb: what the check said, and 0 when it succeeded. The result counts as any other.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    let (engine, container) = locate(&engine, &args.container).await.told()?;
    let name = &container.name;
    if container.status != Status::Running {
        return Err(Error::conflict(format!("container {name} is {}", container.status.word()))
            .hint("only a container that runs can be checked"))
        .told();
    }
    if health::of(&container).is_none() {
        return Err(Error::failed(format!("container {name} has no health check"))
            .hint("`--health-cmd` of `run`, or HEALTHCHECK of its image, give it one"))
        .told();
    }
    let checked = health::check(&engine, &container, pending()).await.told()?;
    let last = checked
        .and_then(|(_, health)| health.log.last().cloned())
        .ok_or_else(|| Error::conflict(format!("container {name} was stopped before its check ended")));
    let last = last.told()?;
    if !last.output.is_empty() {
        cx.ui.line(last.output.trim_end_matches('\n'))?;
    }
    Ok(u8::from(last.exit_code != 0))
}
