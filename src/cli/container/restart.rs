//! `restart`: stop and start again.

use crate::cli::args::parse::number;
use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::container::{locate, permit, restart, settle};
use crate::error::Result;

/// Flags of `restart`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie restart -t 3 web")]
pub struct Args {
    /// Signal to send to the container
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Seconds to wait before killing the container (-1: for ever)
    #[arg(short = 't', long, visible_alias = "time", value_name = "SECONDS", value_parser = number::signed)]
    timeout: Option<i64>,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let mut failures = Failures::default();
    for reference in &args.containers {
        let restarted = async {
            let (engine, mut container) = locate(&engine, reference).await?;
            permit(&container, "restart", None)?;
            let restarted = restart(&engine, &mut container, args.signal.as_deref(), args.timeout).await;
            restarted.map_err(|error| error.context(format!("Cannot restart container {reference}")))
        };
        match restarted.await {
            Ok(()) => cx.ui.line(reference)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
