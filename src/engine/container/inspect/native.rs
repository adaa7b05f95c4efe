//! containerd's own record of a container, decoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::containerd::Extension;
use crate::engine::container::model::Container;

/// containerd's record and task as JSON, the specification and JSON extensions decoded.
pub fn native(container: &Container) -> Value {
    let raw = &container.raw;
    let extensions: serde_json::Map<String, Value> =
        raw.extensions.iter().map(|(name, extension)| (name.clone(), decoded(extension))).collect();
    json!({
        "ID": raw.id,
        "Labels": std::collections::BTreeMap::from_iter(&raw.labels),
        "Image": raw.image,
        "Runtime": { "Name": raw.runtime, "Options": raw.runtime_options.as_ref().map(decoded) },
        "SnapshotKey": raw.snapshot_key,
        "Snapshotter": raw.snapshotter,
        "CreatedAt": super::state::time(raw.created_at),
        "UpdatedAt": super::state::time(raw.updated_at),
        "Extensions": extensions,
        "Spec": serde_json::from_slice::<Value>(&raw.spec).unwrap_or_default(),
        "Process": (container.pid != 0).then(|| json!({ "Pid": container.pid, "Status": container.status.word() })),
    })
}

/// A typed value: JSON as it is, anything else in base64.
fn decoded(extension: &Extension) -> Value {
    let value = match serde_json::from_slice::<Value>(&extension.value) {
        Ok(value) => value,
        Err(_) => Value::String(STANDARD.encode(&extension.value)),
    };
    json!({ "TypeUrl": extension.type_url, "Value": value })
}
