//! From what the user wrote to a container: a name, an id, or the start of an id.

use super::list::with_states;
use super::model::{Container, NAME_LABEL};
use super::origin::adapt;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The container that `reference` names, with its state.
pub async fn find(engine: &Engine, reference: &str) -> Result<Container> {
    let reference = reference.strip_prefix('/').unwrap_or(reference);
    let matches = candidates(engine, reference).await?;
    let chosen = choose(matches, reference)?;
    let mut chosen = with_states(engine, vec![chosen]).await;
    chosen.pop().ok_or_else(|| no_such(reference))
}

/// docker's error for what is not there.
pub(super) fn no_such(reference: &str) -> Error {
    Error::not_found(format!("No such container: {reference}"))
}

async fn candidates(engine: &Engine, reference: &str) -> Result<Vec<Container>> {
    if reference.is_empty() {
        return Err(Error::not_found("No such container: ").hint("`wharfie ps -a` lists every container"));
    }
    let quoted = quote(reference);
    let mut filters = vec![
        format!("labels.\"{NAME_LABEL}\"=={quoted}"),
        format!("labels.\"nerdctl/name\"=={quoted}"),
        format!("id=={quoted}"),
    ];
    if reference.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        filters.push(format!("id~=/^{reference}/"));
    }
    let found = engine.containerd.containers(&filters).await?;
    Ok(found.into_iter().map(|raw| adapt(raw, &engine.paths, engine.containerd.namespace())).collect())
}

/// docker's order: the whole id, then the name, then an unambiguous start of an id.
fn choose(mut found: Vec<Container>, reference: &str) -> Result<Container> {
    for exact in [|c: &Container, r: &str| c.id == r, |c: &Container, r: &str| c.name == r] {
        if let Some(index) = found.iter().position(|container| exact(container, reference)) {
            return Ok(found.swap_remove(index));
        }
    }
    match found.len() {
        0 => Err(no_such(reference).hint("`wharfie ps -a` lists every container")),
        1 => Ok(found.swap_remove(0)),
        _ => {
            let list: Vec<String> = found.iter().map(|c| format!("{} ({})", short(&c.id), c.name)).collect();
            Err(Error::failed(format!("multiple IDs found with provided prefix: {reference}"))
                .hint(format!("it is one of {}", list.join(", "))))
        }
    }
}

/// A value in containerd's filter language.
pub(super) fn quote(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
