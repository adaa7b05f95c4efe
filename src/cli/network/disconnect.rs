//! `network disconnect`: one network less for a container, whether or not it runs.

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{disconnect, locate, permit, settle};
use crate::error::{Kind, Result};

/// Flags of `network disconnect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie network disconnect shop web\n  wharfie network disconnect -f shop web"
)]
pub struct Args {
    /// Force the container to disconnect from a network
    #[arg(short, long)]
    force: bool,
    /// The network
    #[arg(value_name = "NETWORK", add = names::network_names())]
    network: String,
    /// The container
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let (engine, mut container) = match locate(&engine, &args.container).await.told() {
        Ok(found) => found,
        // docker's force is for ends that outlived their container: what is left of those is freed.
        Err(error) if args.force && error.kind == Kind::NotFound => {
            crate::engine::network::get(&engine, &args.network).await.told()?;
            crate::engine::container::reap(&engine).await.told()?;
            return Ok(0);
        }
        Err(error) => return Err(error),
    };
    permit(&container, "disconnect", None).told()?;
    disconnect(&engine, &mut container, &args.network).await.told()?;
    Ok(0)
}
