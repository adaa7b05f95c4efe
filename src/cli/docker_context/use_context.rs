//! `context use`: the context of commands that name none.

use super::contexts;
use crate::cli::Context;
use crate::config::contexts::DEFAULT;
use crate::error::Result;

/// Arguments of `context use`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie context use edge\n  wharfie context use default")]
pub struct Args {
    /// The context
    #[arg(value_name = "CONTEXT", required = true)]
    name: String,
}

/// Run the verb.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let contexts = contexts(cx);
    let name = (args.name != DEFAULT).then_some(args.name.as_str());
    if let Some(name) = name {
        contexts.get(name)?;
    }
    contexts.use_context(name)?;
    cx.ui.line(&args.name)?;
    if name.is_some() && cx.environment.set("DOCKER_HOST").is_some() {
        cx.ui.say(format_args!(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use {:?}, either set the \
             global --context flag, or unset DOCKER_HOST environment variable.",
            args.name
        ))?;
    }
    cx.ui.say(format_args!("Current context is now {:?}", args.name))?;
    Ok(0)
}
