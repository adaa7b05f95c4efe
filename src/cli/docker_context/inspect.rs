//! `context inspect`: contexts as docker's JSON.

use serde_json::{Value, json};

use super::{contexts, endpoint};
use crate::cli::Context;
use crate::config::contexts::DEFAULT;
use crate::error::{Kind, Result};
use crate::output::{Inspector, Object};

/// Flags of `context inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie context inspect -f '{{.Endpoints.docker.Host}}' edge")]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template such as '{{.Name}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The contexts; the current one where none is named
    #[arg(value_name = "CONTEXT")]
    names: Vec<String>,
}

/// Run the verb: what is found is written, what is not is said.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse(args.format.as_deref())?;
    let contexts = contexts(cx);
    let names = if args.names.is_empty() { vec![cx.config.context.clone()] } else { args.names.clone() };
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &names {
        let stored = match endpoint::find(name, &contexts, cx) {
            Ok(stored) => stored,
            Err(error) if error.kind == Kind::NotFound => {
                missing.push(error);
                continue;
            }
            Err(error) => return Err(error),
        };
        let (meta, tls) = contexts.places(name);
        let mut object = stored.to_json();
        let (material, meta, tls) = match name.as_str() {
            DEFAULT => (json!({}), "<IN MEMORY>".to_owned(), "<IN MEMORY>".to_owned()),
            _ => (contexts.certificates(name), meta.display().to_string(), tls.display().to_string()),
        };
        object.insert("TLSMaterial".into(), material);
        object.insert("Storage".into(), json!({ "MetadataPath": meta, "TLSPath": tls }));
        found.push((Object::Other, Value::Object(object)));
    }
    crate::cli::exit::inspected(cx, &inspector, &found, &missing)
}
