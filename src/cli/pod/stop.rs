//! `pod stop`: stop pods.

use crate::cli::Context;
use crate::cli::exit::Failures;
use crate::engine::pod::{find, lifecycle};
use crate::error::Result;

/// Flags of `pod stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pod stop web\n  wharfie pod stop -t 3 shop/web")]
pub struct Args {
    /// Also a pod that a kubelet manages
    #[arg(long)]
    force: bool,
    /// Seconds to wait before killing the pod's containers
    #[arg(short = 't', long, visible_alias = "time", value_name = "SECONDS", default_value = "10")]
    timeout: u32,
    /// Pods by name, namespace/name or id
    #[arg(required = true, value_name = "POD")]
    pods: Vec<String>,
}

/// Run the verb. Every pod has its own grace at the same time.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.pod_engine().await?;
    let stops = args.pods.iter().map(|reference| {
        let engine = &engine;
        async move {
            let pod = find(engine, reference).await?;
            lifecycle::stop(engine, &pod, args.timeout, args.force).await
        }
    });
    let ended = futures_util::future::join_all(stops).await;
    let mut failures = Failures::default();
    for (reference, result) in args.pods.iter().zip(ended) {
        match result {
            Ok(()) => cx.ui.line(reference)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
