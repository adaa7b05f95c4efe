//! `namespace remove`: remove empty namespaces.

use crate::cli::{Context, names};
use crate::engine::namespace::remove;
use crate::error::{Kind, Result};

/// Flags of `namespace remove`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie namespace rm staging")]
pub struct Args {
    /// Delete the namespace's control group too
    #[arg(short, long)]
    cgroup: bool,
    /// The namespaces
    #[arg(required = true, value_name = "NAMESPACE", add = names::namespaces())]
    namespaces: Vec<String>,
}

/// Run the verb: one that cannot be removed does not keep the others.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    let mut code = 0;
    for name in &args.namespaces {
        match remove(&engine, name, args.cgroup).await {
            Ok(()) => cx.ui.line(name)?,
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            Err(error) => {
                code = 1;
                cx.ui.flush()?;
                cx.ui.error(&error)?;
            }
        }
    }
    Ok(code)
}
