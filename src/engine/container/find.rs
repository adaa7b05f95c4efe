//! From what the user wrote to a container: a name, an id, or the start of an id.

use super::list::{records, with_states};
use super::model::{Container, NAME_LABEL, Origin};
use crate::engine::{Engine, pod};
use crate::error::{Error, Kind, Result};

/// The length of ids that clients make up.
const ID_LENGTH: usize = 64;

/// The container that `reference` names, with its state: a container's name or id, then a pod's name.
pub async fn find(engine: &Engine, reference: &str) -> Result<Container> {
    match find_itself(engine, reference).await {
        Err(error) if error.kind == Kind::NotFound => pod_or(engine, reference, error).await,
        found => found,
    }
}

/// The container whose own name or id `reference` is.
pub async fn find_itself(engine: &Engine, reference: &str) -> Result<Container> {
    let reference = reference.strip_prefix('/').unwrap_or(reference);
    let chosen = choose(candidates(engine, reference).await?, reference)?;
    let mut chosen = with_states(engine, vec![chosen]).await;
    chosen.pop().ok_or_else(|| no_such(reference))
}

/// The container that `reference` names, and the engine of its namespace: where the user has chosen none and
/// containerd's default one has no such container, pods and their containers' ids are looked for where Kubernetes
/// keeps them.
pub async fn locate(engine: &Engine, reference: &str) -> Result<(Engine, Container)> {
    let error = match find(engine, reference).await {
        Ok(container) => return Ok((engine.clone(), container)),
        Err(error) => error,
    };
    let elsewhere = !engine.config.namespace_given && engine.containerd.namespace() != pod::NAMESPACE;
    if error.kind != Kind::NotFound || !elsewhere {
        return Err(error);
    }
    let kubernetes = engine.in_namespace(pod::NAMESPACE)?;
    match find(&kubernetes, reference).await {
        Ok(container) if container.origin == Origin::Cri => Ok((kubernetes, container)),
        Err(other) if other.kind != Kind::NotFound || pod::is_pod_form(reference) => Err(other),
        Ok(_) | Err(_) => Err(error),
    }
}

/// The pod's container of that name, or else `error`: one that says more about a pod that is there.
async fn pod_or(engine: &Engine, reference: &str, error: Error) -> Result<Container> {
    // Whole ids are asked for often, of what has just gone. No pod is called like one.
    let is_id = reference.len() == ID_LENGTH && reference.bytes().all(|byte| byte.is_ascii_hexdigit());
    if reference.is_empty() || is_id {
        return Err(error);
    }
    match pod::find_container(engine, reference).await {
        Err(other) if other.kind == Kind::NotFound && !pod::is_pod_form(reference) => Err(error),
        found => found,
    }
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
    records(engine, &filters).await
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
