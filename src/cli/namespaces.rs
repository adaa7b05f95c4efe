//! Lists over containerd's namespaces, and the word to those who look into the wrong one.

use futures_util::future::try_join_all;

use super::Context;
use crate::engine::container::{Container, list};
use crate::engine::{Engine, pod};
use crate::error::Result;

/// The engine as it is, or one for each of containerd's namespaces, by name.
pub(super) async fn engines(engine: &Engine, all: bool) -> Result<Vec<Engine>> {
    if !all {
        return Ok(vec![engine.clone()]);
    }
    let mut names: Vec<String> =
        engine.containerd.namespaces().await?.into_iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.iter().map(|name| engine.in_namespace(name)).collect()
}

/// The containers of the engine's namespace, or of all of them, by namespace.
pub(super) async fn containers(engine: &Engine, all: bool) -> Result<Vec<Container>> {
    let engines = engines(engine, all).await?;
    Ok(try_join_all(engines.iter().map(list)).await?.into_iter().flatten().collect())
}

/// Who sees nothing where they have not chosen to look may be looking for Kubernetes' containers.
pub(super) async fn hint_at_kubernetes(engine: &Engine, cx: &mut Context<'_>) -> Result<()> {
    if cx.config.namespace_given || engine.containerd.namespace() == pod::NAMESPACE {
        return Ok(());
    }
    let kubernetes = engine.in_namespace(pod::NAMESPACE)?;
    // Nothing depends on it.
    if kubernetes.containerd.containers(&[]).await.is_ok_and(|found| !found.is_empty()) {
        cx.ui.hint(format!(
            "the namespace {0} is empty, {1} is not: `{2} -n {1} ps`, or `{2} pod ls` for its pods",
            engine.containerd.namespace(),
            pod::NAMESPACE,
            cx.program
        ))?;
    }
    Ok(())
}
