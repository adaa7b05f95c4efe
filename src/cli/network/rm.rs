//! `network rm`: remove networks.

use crate::cli::errors::EngineResult;
use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::container::settle;
use crate::engine::network::remove;
use crate::error::{Kind, Result};

/// Flags of `network rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie network rm shop\n  wharfie network rm -f shop gone")]
pub struct Args {
    /// Do not error if the network does not exist; remove one that another tool wrote
    #[arg(short, long)]
    force: bool,
    /// The networks by name or id
    #[arg(required = true, value_name = "NETWORK", add = names::network_names())]
    networks: Vec<String>,
}

/// Run the verb: one that cannot be removed does not keep the others.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    settle(&engine).await.told()?;
    let mut failures = Failures::default();
    for name in &args.networks {
        match remove(&engine, name, args.force).await {
            Ok(()) => cx.ui.line(name)?,
            Err(error) if args.force && error.kind == Kind::NotFound => {}
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
