//! `pod create`: make a pod whose containers are not started.

use super::parts::{self, Parts};
use crate::cli::Context;
use crate::error::Result;

/// Flags of `pod create`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie pod create --name web busybox httpd -f\n  wharfie pod create -f pod.yaml"
)]
pub struct Args {
    #[command(flatten)]
    parts: Parts,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    parts::run(args.parts, false, cx).await
}
