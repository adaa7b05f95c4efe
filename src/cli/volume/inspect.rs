//! `volume inspect`: volumes as JSON or through a template.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::cli::errors::from_engine;
use crate::cli::{Context, names};
use crate::engine::Engine;
use crate::engine::volume::{get, usage};
use crate::error::{Kind, Result};
use crate::output::{Inspector, Object};

/// Flags of `volume inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie volume inspect data\n  wharfie volume inspect -f '{{.Mountpoint}}' data"
)]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template such as '{{.Mountpoint}}'
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    /// Display the disk usage of the volume
    #[arg(short, long)]
    size: bool,
    /// The volumes
    #[arg(required = true, value_name = "VOLUME", add = names::volume_names())]
    volumes: Vec<String>,
}

/// Run the verb: what is found is written, what is not is said.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse(args.format.as_deref())?;
    let engine = cx.engine().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for name in &args.volumes {
        match describe(&engine, name, args.size).await {
            Ok(described) => found.push((Object::Volume, described)),
            Err(error) if error.kind == Kind::Unavailable => return Err(error),
            Err(error) => missing.push(from_engine(error)),
        }
    }
    crate::cli::exit::inspected(cx, &inspector, &found, &missing)
}

/// docker's JSON of a volume; with `sizes` also who uses it and its bytes, -1 where they are not known.
pub async fn describe(engine: &Engine, name: &str, sizes: bool) -> Result<Value> {
    let volume = get(engine, name)?;
    let map = |map: &std::collections::BTreeMap<String, String>| match map.is_empty() {
        true => Value::Null,
        false => json!(map),
    };
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    let mut value = json!({
        "CreatedAt": volume.created_at.map(|time| whole(time).to_string()).unwrap_or_default(),
        "Driver": "local",
        "Labels": map(&volume.labels),
        "Mountpoint": volume.data(),
        "Name": volume.name,
        "Options": map(&volume.options),
        "Scope": "local",
    });
    if sizes {
        let one = usage(engine, volume).await?;
        let size = one.bytes.and_then(|bytes| i64::try_from(bytes).ok()).unwrap_or(-1);
        value["UsageData"] = json!({ "RefCount": one.links, "Size": size });
    }
    Ok(value)
}
