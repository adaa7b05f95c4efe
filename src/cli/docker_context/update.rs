//! `context update`: another endpoint or description.

use super::{contexts, endpoint};
use crate::cli::Context;
use crate::config::contexts::{DEFAULT, check_name};
use crate::error::Result;

/// Flags of `context update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie context update edge --docker host=ssh://root@edge-2")]
pub struct Args {
    /// Description of the context
    #[arg(long, value_name = "string")]
    description: Option<String>,
    /// Set the docker endpoint: host=ssh://[user@]node[:port], host=unix://SOCKET or from=CONTEXT
    #[arg(long, value_name = "KEY=VALUE")]
    docker: Vec<String>,
    /// The context
    #[arg(value_name = "CONTEXT", required = true)]
    name: String,
}

/// Run the verb.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    if args.name == DEFAULT {
        check_name(&args.name)?;
    }
    let contexts = contexts(cx);
    let mut stored = contexts.get(&args.name)?;
    if let Some(description) = args.description.as_deref().filter(|description| !description.is_empty()) {
        stored.describe(description);
    }
    if let Some(host) = endpoint::parse(&args.docker, &contexts, cx)? {
        stored.point_at(&host);
    }
    contexts.put(&stored)?;
    cx.ui.line(&args.name)?;
    cx.ui.say(format_args!("Successfully updated context {:?}", args.name))?;
    Ok(0)
}
