//! What another manager looks after: a kubelet's containers are changed only when that is asked for outright,
//! because the kubelet undoes it, or takes it for a failure.

use super::model::{Container, Origin};
use crate::error::{Error, Result};

/// Whether `act` ("stop", "remove", …) may be done to the container: always, unless it is a kubelet's and
/// nobody said `force` (None: there is no such flag, because there is no way to do it).
///
/// # Errors
/// A conflict that says who manages the container and how it is asked to do the same.
pub fn permit(container: &Container, act: &str, force: Option<bool>) -> Result<()> {
    if force == Some(true) || container.origin != Origin::Cri {
        return Ok(());
    }
    let label = |key: &str| container.raw.labels.get(key).map(String::as_str).unwrap_or_default();
    let what = if is_sandbox(container) { "the sandbox of a pod" } else { "a container of a pod" };
    let short = container.id.get(..12).unwrap_or(&container.id);
    let undone = match act {
        "remove" => "would start it again, and whose CRI may then fail to remove the pod",
        "stop" | "kill" | "restart" => "would start it again, or count it as a crash",
        _ => "does not know of it and may undo it",
    };
    let error = Error::conflict(format!(
        "cannot {act} container {}: it is {what} that a kubelet manages, which {undone}",
        container.name
    ));
    let error = match (label("io.kubernetes.pod.name"), label("io.kubernetes.pod.namespace")) {
        ("", _) => error,
        (pod, namespace) => error.hint(format!("`kubectl delete pod -n {namespace} {pod}` ends the pod")),
    };
    let by_hand = if is_sandbox(container) { "stopp" } else { "stop" };
    let error = error.hint(format!("without a cluster: `crictl {by_hand} {short}`"));
    Err(if force.is_some() { error.hint("--force does it all the same") } else { error })
}

/// Whether it is the sandbox that holds a pod's namespaces.
pub fn is_sandbox(container: &Container) -> bool {
    container.origin == Origin::Cri
        && container.raw.labels.get("io.cri-containerd.kind").is_some_and(|kind| kind == "sandbox")
}
