//! `wait`: block until containers end, then print their exit codes.

use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::Engine;
use crate::engine::container::{find, wait};
use crate::error::Result;

/// Flags of `wait`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie wait job && echo done")]
pub struct Args {
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

/// Run the verb: one exit code a line, in the order of the names.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    let waits = args.containers.iter().map(|reference| one(&engine, reference));
    let ended = futures_util::future::join_all(waits).await;
    let mut failures = Failures::default();
    for result in ended {
        match result {
            Ok(status) => cx.ui.line(status)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}

async fn one(engine: &Engine, reference: &str) -> Result<u32> {
    wait(engine, &find(engine, reference).await?).await
}
