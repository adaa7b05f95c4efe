//! What is left of a container whose record is gone: its snapshot, its directories, its addresses.

use super::recover::{is_being_made, is_id, remove_traces};
use crate::containerd::SnapshotKind;
use crate::engine::Engine;
use crate::error::Result;

/// Remove what is left of the container that `reference` means, an id or the beginning of one, when containerd
/// has no record of it any more. Says whether there was anything.
pub async fn remove_remains(engine: &Engine, reference: &str) -> Result<bool> {
    let Some(id) = remains(engine, reference).await? else { return Ok(false) };
    // Asked once more: a command may be making it, and a record that is there is the other removal's affair.
    let recorded = match engine.containerd.container(&id).await {
        Ok(_) => true,
        Err(error) if error.is_not_found() => false,
        Err(error) => return Err(error.into()),
    };
    if recorded || is_being_made(engine, &id) {
        return Ok(false);
    }
    remove_traces(engine, &id, &engine.config.snapshotter, true).await?;
    Ok(true)
}

/// The id of which something is left. Two that begin alike are nobody's.
async fn remains(engine: &Engine, reference: &str) -> Result<Option<String>> {
    if !reference.is_empty() && reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let entries = std::fs::read_dir(engine.paths.containers()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let found: Vec<String> =
            names.filter(|name| is_id(name) && name.starts_with(reference)).take(2).collect();
        if let [id] = &found[..] {
            return Ok(Some(id.clone()));
        }
    }
    if !is_id(reference) {
        return Ok(None);
    }
    match engine.containerd.snapshot(&engine.config.snapshotter, reference).await {
        Ok(snapshot) => Ok((snapshot.kind == SnapshotKind::Active).then(|| reference.to_owned())),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
