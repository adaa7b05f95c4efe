//! `pod logs`: what the containers of pods have written. It works without containerd as long as the files are there.

use crate::cli::container::logs::{self, Flags, Target};
use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::pod::logs::{PodLog, Wanted, files, logs};
use crate::error::{Error, Kind, Result};

/// Flags of `pod logs`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie pod logs -f web\n  wharfie pod logs shop/web -c app --previous\n  \
    wharfie pod logs --since 10m web db"
)]
pub struct Args {
    #[command(flatten)]
    flags: Flags,
    /// Only of this container
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Pods by name, namespace/name or id; the lines of several containers are led by their names
    #[arg(required = true, value_name = "POD", add = names::pods())]
    pods: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let wanted = Wanted { all: args.flags.all_containers || args.container.is_some(), ..args.flags.wanted() };
    let engine = match cx.pod_engine().await {
        Ok(engine) => Some(engine),
        Err(error) if error.kind == Kind::Unavailable => {
            cx.ui.warn(format!("{}; reading the files that a kubelet names", error.message))?;
            None
        }
        Err(error) => return Err(error),
    };
    let mut targets: Vec<Target> = Vec::new();
    for reference in &args.pods {
        let found = match &engine {
            Some(engine) => logs(engine, reference, wanted).await,
            None => files(reference, wanted),
        };
        let mut found = of_container(found.told()?, reference, args.container.as_deref()).told()?;
        if args.pods.len() > 1 {
            for log in &mut found {
                log.container = format!("{}/{}", log.pod, log.container);
            }
        }
        targets.extend(logs::of_pod(engine.as_ref(), found));
    }
    logs::show(targets, &args.flags, cx)
}

fn of_container(found: Vec<PodLog>, reference: &str, name: Option<&str>) -> Result<Vec<PodLog>> {
    let Some(name) = name else { return Ok(found) };
    let known: Vec<String> = found.iter().map(|log| log.container.clone()).collect();
    let found: Vec<PodLog> = found.into_iter().filter(|log| log.container == name).collect();
    if found.is_empty() {
        return Err(Error::not_found(format!("pod {reference} has no log of a container {name}"))
            .hint(format!("it has logs of {}", known.join(", "))));
    }
    Ok(found)
}
