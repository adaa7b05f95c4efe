//! `pod inspect`: everything known of pods, as JSON or through a template.

use serde_json::Value;

use crate::cli::errors::{EngineResult, from_engine};
use crate::cli::{Context, exit, names};
use crate::engine::{Engine, pod};
use crate::error::{Error, Kind, Result};
use crate::output::inspect::{Inspector, Object};

/// Flags of `pod inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie pod inspect shop/web\n  wharfie pod inspect -f '{{.Addresses}}' web"
)]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template such as '{{.Uid}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Pods by name, namespace/name or id
    #[arg(required = true, value_name = "POD", add = names::pods())]
    pods: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse(args.format.as_deref())?;
    let engine = cx.pod_engine().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for reference in &args.pods {
        match one(&engine, reference).await {
            Ok(pod) => found.push((Object::Other, pod)),
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Failed) => {
                missing.push(from_engine(error))
            }
            Err(error) => return Err(error).told(),
        }
    }
    exit::inspected(cx, &inspector, &found, &missing)
}

async fn one(engine: &Engine, reference: &str) -> Result<Value> {
    let pod = pod::find(engine, reference).await?;
    let pod = pod::inspect::inspect(engine, pod).await?;
    serde_json::to_value(pod).map_err(|cause| Error::failed(format!("encode JSON: {cause}")))
}
