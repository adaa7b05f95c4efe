//! From what the user wrote to a pod: `name`, `namespace/name`, `k8s://namespace/name`, an id or the start of one.

use super::list::list;
use super::model::Pod;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// The pod that `reference` names. Of several attempts of one pod it is the one that runs, or else the newest.
///
/// # Errors
/// None of that name; several of it, which the error lists.
pub async fn find(engine: &Engine, reference: &str) -> Result<Pod> {
    choose(list(engine).await?, reference)
}

fn choose(pods: Vec<Pod>, reference: &str) -> Result<Pod> {
    let plain = reference.strip_prefix("k8s://").unwrap_or(reference);
    let named = |pod: &Pod| match plain.split_once('/') {
        Some((namespace, name)) => pod.namespace == namespace && pod.name == name,
        None => pod.name == plain,
    };
    let mut found: Vec<Pod> = if let Some(exact) = pods.iter().position(|pod| pod.id == reference) {
        pods.into_iter().skip(exact).take(1).collect()
    } else if pods.iter().any(named) {
        pods.into_iter().filter(named).collect()
    } else {
        pods.into_iter().filter(|pod| !reference.is_empty() && pod.id.starts_with(reference)).collect()
    };
    // They come newest first; the running ones go before the others.
    found.sort_by_key(|pod| !pod.is_ready());
    let mut names: Vec<String> = found.iter().map(Pod::full_name).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > 1 {
        return Err(Error::failed(format!("several pods are meant by {reference}"))
            .hint(format!("it is one of {}", names.join(", "))));
    }
    found.into_iter().next().ok_or_else(|| {
        Error::not_found(format!("No such pod: {reference}")).hint("`wharfie pod ls -a` lists every pod")
    })
}
