//! `network inspect`: networks as JSON, with the containers in them.

use serde_json::Value;

use crate::cli::errors::from_engine;
use crate::cli::{Context, names};
use crate::engine::network::{describe, get, native, users};
use crate::error::{Error, Kind, Result};
use crate::output::{Inspector, Object};

/// Flags of `network inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie network inspect bridge\n  \
                  wharfie network inspect -f '{{range .IPAM.Config}}{{.Subnet}}{{end}}' shop")]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template such as '{{.Driver}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show docker's view (dockercompat) or the CNI configuration itself (native)
    #[arg(long, value_name = "MODE", default_value = "dockercompat")]
    mode: String,
    /// Verbose output for diagnostics: a swarm's services, of which there are none here
    #[arg(short, long)]
    verbose: bool,
    /// The networks by name or id
    #[arg(required = true, value_name = "NETWORK", add = names::network_names())]
    networks: Vec<String>,
}

/// Run the verb: what is found is written, what is not is said.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse(args.format.as_deref())?;
    let as_native = match args.mode.as_str() {
        "dockercompat" => false,
        "native" => true,
        other => {
            return Err(Error::usage(format!(
                "unknown mode {other:?}: must be one of \"dockercompat\", \"native\""
            )));
        }
    };
    let engine = cx.engine().await?;
    let users = users(&engine).await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.networks {
        match get(&engine, name).await {
            Ok(listed) if as_native => found.push((Object::Other, native(&listed))),
            Ok(listed) => {
                let value: Value = serde_json::to_value(describe(&engine, &listed, &users))
                    .map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
                found.push((Object::Network, value));
            }
            Err(error) if matches!(error.kind, Kind::NotFound | Kind::Failed) => {
                missing.push(from_engine(error))
            }
            Err(error) => return Err(error),
        }
    }
    crate::cli::exit::inspected(cx, &inspector, &found, &missing)
}
