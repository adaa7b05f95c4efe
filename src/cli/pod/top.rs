//! `pod top`: the processes of a pod.

use crate::cli::Context;
use crate::error::{Error, Result};

/// Flags of `pod top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pods by name, namespace/name or id
    #[arg(required = true, value_name = "POD")]
    pods: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let _ = (args.pods, cx);
    Err(Error::failed("`pod top` comes in a later version"))
}
