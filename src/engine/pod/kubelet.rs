//! Whose a pod is: what a kubelet manages is changed only when that is asked for outright.

use super::model::Pod;
use super::request::OWN_LABEL;
use crate::error::{Error, Result};
use crate::sys::process;

/// The label by which a kubelet knows a pod again.
const UID: &str = "io.kubernetes.pod.uid";

/// Where a kubelet has a pod from: a file, an API server, …
const SOURCE: &str = "kubernetes.io/config.source";

/// Programs that a kubelet is, or is a part of.
const PROGRAMS: [&str; 7] = ["kubelet", "k3s", "k3s-server", "k3s-agent", "rke2", "kubelite", "k0s"];

/// Whether a kubelet runs on this machine.
pub fn runs() -> bool {
    process::all().into_iter().any(|pid| is_kubelet(&process::command_line(pid)))
}

fn is_kubelet(command: &[String]) -> bool {
    let Some(program) = command.first().and_then(|program| program.split(' ').next()) else { return false };
    let name = program.rsplit('/').next().unwrap_or(program);
    PROGRAMS.contains(&name)
}

/// Whether `act` ("stop", "remove", …) may be done to the pod: always, unless it is a kubelet's and nobody said `force`.
///
/// # Errors
/// A conflict that says who manages the pod and how it is asked to do the same.
pub fn permit(pod: &Pod, act: &str, force: bool) -> Result<()> {
    if force || !is_managed(pod, runs) {
        return Ok(());
    }
    let undone = match act {
        "stop" | "remove" => "would make it again",
        _ => "does not know of it and may undo it",
    };
    Err(Error::conflict(format!(
        "cannot {act} pod {}: a kubelet manages it, which {undone}",
        pod.full_name()
    ))
    .hint(format!("`kubectl delete pod -n {} {}` ends the pod", pod.namespace, pod.name))
    .hint("--force does it all the same"))
}

fn is_managed(pod: &Pod, kubelet_runs: impl Fn() -> bool) -> bool {
    pod.labels.contains_key(UID)
        && !pod.labels.contains_key(OWN_LABEL)
        && (pod.annotations.contains_key(SOURCE) || kubelet_runs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelets_are_known_by_their_program() {
        for (command, expected) in [
            ("/usr/bin/kubelet --config x", true),
            ("/usr/local/bin/k3s server", true),
            ("/snap/microk8s/1/kubelite --x", true),
            ("vi /etc/kubelet.yaml", false),
            ("/opt/kubelet-exporter", false),
            ("", false),
        ] {
            let command: Vec<String> =
                command.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
            assert_eq!(is_kubelet(&command), expected, "{command:?}");
        }
    }
}
