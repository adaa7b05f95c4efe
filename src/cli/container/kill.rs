//! `kill`: send a signal to containers.

use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::container::{kill, locate, permit, settle};
use crate::error::Result;

/// Flags of `kill`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie kill -s HUP web")]
pub struct Args {
    /// Signal to send to the container
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL", hide_default_value = true)]
    signal: String,
    /// Also a container that a kubelet manages
    #[arg(long)]
    force: bool,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::running_containers())]
    containers: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let mut failures = Failures::default();
    for reference in &args.containers {
        let killed = async {
            let (engine, mut container) = locate(&engine, reference).await?;
            permit(&container, "kill", Some(args.force))?;
            kill(&engine, &mut container, &args.signal).await
        };
        match killed.await {
            Ok(()) => cx.ui.line(reference)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
