//! `context create`: a name for another machine or socket.

use super::{contexts, endpoint};
use crate::cli::Context;
use crate::config::contexts::{DEFAULT, check_name};
use crate::error::{Error, Kind, Result};

/// Flags of `context create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie context create edge --docker host=ssh://root@edge-1\n  \
    wharfie context create k3s --docker host=unix:///run/k3s/containerd/containerd.sock --description 'this machine'")]
pub struct Args {
    /// Description of the context
    #[arg(long, value_name = "string")]
    description: Option<String>,
    /// Set the docker endpoint: host=ssh://[user@]node[:port], host=unix://SOCKET or from=CONTEXT
    #[arg(long, value_name = "KEY=VALUE")]
    docker: Vec<String>,
    /// Create context from a named context
    #[arg(long, value_name = "string")]
    from: Option<String>,
    /// The context's name
    #[arg(value_name = "CONTEXT", required = true)]
    name: String,
}

/// Run the verb.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    check_name(&args.name)?;
    let contexts = contexts(cx);
    match contexts.get(&args.name) {
        Ok(_) => return Err(Error::conflict(format!("context {:?} already exists", args.name))),
        Err(error) if error.kind == Kind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Without an endpoint of its own it is a copy, of the current context where none is named.
    let mut stored = if args.docker.is_empty() {
        let from = args.from.as_deref().unwrap_or(&cx.config.context);
        let mut copy = endpoint::find(from, &contexts, cx)?;
        if from == DEFAULT {
            copy.describe(endpoint::DEFAULT_DESCRIPTION);
        }
        copy.named(&args.name)
    } else {
        let host = endpoint::parse(&args.docker, &contexts, cx)?.unwrap_or_default();
        crate::config::contexts::Stored::new(&args.name, "", &host)
    };
    if let Some(description) = args.description.as_deref().filter(|description| !description.is_empty()) {
        stored.describe(description);
    }
    contexts.put(&stored)?;
    cx.ui.line(&args.name)?;
    cx.ui.say(format_args!("Successfully created context {:?}", args.name))?;
    Ok(0)
}
