//! `namespace update`: set labels of a namespace.

use crate::cli::{Context, names};
use crate::engine::namespace::update;
use crate::error::Result;

/// Flags of `namespace update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie namespace update --label team=ops staging")]
pub struct Args {
    /// Set a label on the namespace; an empty value removes it
    #[arg(short, long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// The namespace
    #[arg(value_name = "NAMESPACE", add = names::namespaces())]
    namespace: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    update(&engine, &args.namespace, super::labels(&args.label)).await?;
    Ok(0)
}
