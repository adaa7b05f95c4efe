//! A volume as a row of a list.

use serde_json::Value;

use crate::engine::volume::Volume;
use crate::output::units::human_size;
use crate::output::{Column, Listing, Method};

/// What docker says where it does not know, or where only a swarm would.
const UNKNOWN: &str = "N/A";

/// One volume.
#[derive(Debug)]
pub struct Row {
    /// What is known of it.
    pub volume: Volume,
    /// How many containers have it, where that was asked for, and its bytes, where they are known.
    pub usage: Option<(usize, Option<u64>)>,
}

/// docker's columns.
pub const LISTING: Listing<Row> = Listing {
    type_name: "*formatter.volumeContext",
    columns: &[
        Column { name: "Availability", header: "AVAILABILITY", value: |_| UNKNOWN.into() },
        Column { name: "Driver", header: "DRIVER", value: |_| "local".into() },
        Column { name: "Group", header: "GROUP", value: |_| UNKNOWN.into() },
        Column { name: "Labels", header: "LABELS", value: |row| labels(row).into() },
        Column { name: "Links", header: "LINKS", value: |row| links(row).into() },
        Column {
            name: "Mountpoint",
            header: "MOUNTPOINT",
            value: |row| row.volume.data().display().to_string().into(),
        },
        Column { name: "Name", header: "VOLUME NAME", value: |row| row.volume.name.as_str().into() },
        Column { name: "Scope", header: "SCOPE", value: |_| "local".into() },
        Column { name: "Size", header: "SIZE", value: |row| size(row).into() },
        Column { name: "Status", header: "STATUS", value: |_| UNKNOWN.into() },
    ],
    methods: &[Method {
        name: "Label",
        call: |row, key| Value::String(row.volume.labels.get(key).cloned().unwrap_or_default()),
    }],
    table: &["Driver", "Name"],
    quiet: "Name",
    raw: "name: {{.Name}}\ndriver: {{.Driver}}\n",
};

fn labels(row: &Row) -> String {
    let labels = row.volume.labels.iter().map(|(key, value)| format!("{key}={value}"));
    labels.collect::<Vec<_>>().join(",")
}

fn links(row: &Row) -> String {
    row.usage.map_or_else(|| UNKNOWN.into(), |(links, _)| links.to_string())
}

fn size(row: &Row) -> String {
    let bytes = row.usage.and_then(|(_, bytes)| bytes);
    bytes.map_or_else(|| UNKNOWN.into(), |bytes| human_size(bytes as f64))
}
