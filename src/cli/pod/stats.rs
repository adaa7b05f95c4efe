//! `pod stats`: what the containers of pods use.

use crate::cli::container::stats::{self, Flags};
use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::pod;
use crate::error::Result;

/// Flags of `pod stats`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pod stats\n  wharfie pod stats --no-stream shop/web")]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Pods by name, namespace/name or id
    #[arg(value_name = "POD", add = names::pods())]
    pods: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = stats::format(&args.flags, cx)?;
    let engine = cx.pod_engine().await?;
    if args.pods.is_empty() {
        return stats::show(&engine, (&args.flags, format), None, cx).await;
    }
    let mut containers = Vec::new();
    for reference in &args.pods {
        let found = pod::find(&engine, reference).await.told()?;
        for member in found.current() {
            if args.flags.all || member.container.status.is_alive() {
                containers.push((format!("{}/{}", found.full_name(), member.name), member.container.clone()));
            }
        }
    }
    stats::show(&engine, (&args.flags, format), Some(containers), cx).await
}
