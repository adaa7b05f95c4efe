//! `context rm`: forget contexts.

use super::contexts;
use crate::cli::Context;
use crate::config::contexts::DEFAULT;
use crate::error::{Error, Kind, Result};

/// Flags of `context rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie context rm edge")]
pub struct Args {
    /// Force the removal of a context in use
    #[arg(short, long)]
    force: bool,
    /// The contexts
    #[arg(value_name = "CONTEXT", required = true)]
    names: Vec<String>,
}

/// Run the verb: one that cannot be removed does not keep the others.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let mut code = 0;
    for name in &args.names {
        match remove(name, args.force, cx) {
            Ok(()) => cx.ui.line(name)?,
            Err(error) => {
                code = 1;
                cx.ui.flush()?;
                cx.ui.error(&error)?;
            }
        }
    }
    Ok(code)
}

fn remove(name: &str, force: bool, cx: &Context<'_>) -> Result<()> {
    if name == DEFAULT {
        return Err(Error::failed("context \"default\" cannot be removed"));
    }
    let contexts = contexts(cx);
    match contexts.get(name) {
        Err(error) if error.kind == Kind::NotFound && !force => {
            return Err(Error::not_found(format!("context {name:?} does not exist")));
        }
        // With force also one whose file is damaged.
        Err(error) if error.kind != Kind::NotFound && !force => return Err(error),
        _ => {}
    }
    if contexts.current()?.as_deref() == Some(name) {
        if !force {
            return Err(Error::conflict(format!("context {name:?} is in use, set -f flag to force remove")));
        }
        contexts.use_context(None)?;
    }
    contexts.remove(name)
}
