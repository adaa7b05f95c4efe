//! `pod start`: start the containers of pods.

use crate::cli::Context;
use crate::cli::exit::Failures;
use crate::engine::pod::{find, kubelet, lifecycle};
use crate::error::Result;

/// Flags of `pod start`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pod start web\n  wharfie pod start shop/web kube-system/dns")]
pub struct Args {
    /// Also a pod that a kubelet manages
    #[arg(long)]
    force: bool,
    /// Pods by name, namespace/name or id
    #[arg(required = true, value_name = "POD")]
    pods: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.pod_engine().await?;
    let mut failures = Failures::default();
    for reference in &args.pods {
        let started = async {
            let pod = find(&engine, reference).await?;
            kubelet::permit(&pod, "start", args.force)?;
            lifecycle::start(&engine, &pod).await
        };
        match started.await {
            Ok(()) => cx.ui.line(reference)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
