//! `pod exec`: run a command in a container of a pod.

use crate::cli::Context;
use crate::error::{Error, Result};

/// Flags of `pod exec`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pods by name, namespace/name or id
    #[arg(required = true, value_name = "POD")]
    pods: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let _ = (args.pods, cx);
    Err(Error::failed("`pod exec` comes in a later version"))
}
