//! `namespace create`: make a namespace.

use crate::cli::Context;
use crate::engine::namespace::create;
use crate::error::Result;

/// Flags of `namespace create`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie namespace create --label team=web staging")]
pub struct Args {
    /// Set a label on the namespace
    #[arg(short, long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// The name of the new namespace
    #[arg(value_name = "NAMESPACE")]
    namespace: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    create(&engine, &args.namespace, super::labels(&args.label)).await?;
    Ok(0)
}
