//! `namespace inspect`: namespaces as JSON.

use crate::cli::{Context, names};
use crate::engine::namespace::get;
use crate::error::{Error, Kind, Result};
use crate::output::{Inspector, Object};

/// Flags of `namespace inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie namespace inspect k8s.io")]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template such as '{{.Labels}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The namespaces
    #[arg(required = true, value_name = "NAMESPACE", add = names::namespaces())]
    namespaces: Vec<String>,
}

/// Run the verb: what is found is written, what is not is said.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse(args.format.as_deref())?;
    let engine = cx.engine().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.namespaces {
        match get(&engine, name).await {
            Ok(namespace) => {
                let value = serde_json::to_value(namespace)
                    .map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
                found.push((Object::Other, value));
            }
            Err(error) if error.kind == Kind::NotFound => missing.push(error),
            Err(error) => return Err(error),
        }
    }
    crate::cli::exit::inspected(cx, &inspector, &found, &missing)
}
