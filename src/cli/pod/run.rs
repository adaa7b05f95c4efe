//! `pod run`: make a pod and start it.

use super::parts::{self, Parts};
use crate::cli::Context;
use crate::error::Result;

/// Flags of `pod run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie pod run --name web busybox httpd -f\n  wharfie pod run -f pod.yaml"
)]
pub struct Args {
    #[command(flatten)]
    parts: Parts,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    parts::run(args.parts, true, cx).await
}
