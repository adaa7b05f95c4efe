//! `pod rm`: remove pods.

use crate::cli::Context;
use crate::cli::exit::Failures;
use crate::engine::pod::{find, lifecycle};
use crate::error::{Kind, Result};

/// Flags of `pod rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pod rm web\n  wharfie pod rm -f shop/web")]
pub struct Args {
    /// Also a pod that runs (its containers are killed), or that a kubelet manages
    #[arg(short, long)]
    force: bool,
    /// Pods by name, namespace/name or id
    #[arg(required = true, value_name = "POD")]
    pods: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.pod_engine().await?;
    let removals = args.pods.iter().map(|reference| {
        let engine = &engine;
        async move {
            let pod = find(engine, reference).await?;
            lifecycle::remove(engine, &pod, args.force).await
        }
    });
    let removed = futures_util::future::join_all(removals).await;
    let mut failures = Failures::default();
    for (reference, result) in args.pods.iter().zip(removed) {
        match result {
            Ok(()) => cx.ui.line(reference)?,
            // As with containers: what is not there is no failure of `rm -f`.
            Err(error) if args.force && error.kind == Kind::NotFound => {}
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
