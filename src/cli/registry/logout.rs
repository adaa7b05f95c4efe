//! `logout`: a log-in is forgotten.

use super::{login, server};
use crate::cli::Context;
use crate::engine::registry;
use crate::error::Result;
use crate::registry::DOCKER_HUB;

/// Flags of `logout`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without a server, Docker Hub is meant.\n\nExamples:\n  wharfie logout registry.example:5000"
)]
pub struct Args {
    /// The registry
    #[arg(value_name = "SERVER")]
    server: Option<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    login::warn_of_environment(cx)?;
    let server = server(args.server.as_deref());
    let shown = if server == DOCKER_HUB { "https://index.docker.io/v1/" } else { server };
    cx.ui.line(format_args!("Removing login credentials for {shown}"))?;
    if let Err(error) = registry::log_out(&cx.config, server).await {
        // As docker does: what is not there any more, or never was, is no failure of `logout`.
        cx.ui.warn(format_args!("could not erase credentials:\n{shown}: {}", error.message))?;
    }
    Ok(0)
}
