//! `namespace ls`: containerd's namespaces and how much is in them.

use serde_json::Value;

use crate::cli::Context;
use crate::engine::namespace::{Namespace, list};
use crate::error::Result;
use crate::output::{Column, Format, Listing, Method};

/// Flags of `namespace ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie namespace ls\n  wharfie namespace ls --format '{{.Name}}: {{.Containers}}'"
)]
pub struct Args {
    /// Only display names
    #[arg(short, long)]
    quiet: bool,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

const LISTING: Listing<Namespace> = Listing {
    type_name: "*namespace.Row",
    columns: &[
        Column { name: "Name", header: "NAME", value: |row| row.name.clone().into() },
        Column { name: "Containers", header: "CONTAINERS", value: |row| row.containers.into() },
        Column { name: "Images", header: "IMAGES", value: |row| row.images.into() },
        Column { name: "Volumes", header: "VOLUMES", value: |row| row.volumes.into() },
        Column { name: "Labels", header: "LABELS", value: |row| labels(row).into() },
    ],
    methods: &[Method {
        name: "Label",
        call: |row, key| row.labels.get(key).cloned().map_or(Value::String(String::new()), Value::String),
    }],
    table: &["Name", "Containers", "Images", "Volumes", "Labels"],
    quiet: "Name",
    raw: "",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), args.quiet, LISTING)?;
    let engine = cx.engine().await?;
    format.write(cx.ui, &list(&engine).await?)?;
    Ok(0)
}

fn labels(namespace: &Namespace) -> String {
    let labels: Vec<String> = namespace.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.join(",")
}
