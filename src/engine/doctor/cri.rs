//! CRI, what a kubelet speaks to: whether it answers, and what it says of itself.

use super::facts::{CriState, Facts};
use super::finding::Finding;

const CHECK: &str = "cri";

/// Whether a kubelet could work with it.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let kubernetes = facts.is_kubernetes();
    // Without Kubernetes nobody needs it.
    let weigh = |message: &str| match kubernetes {
        true => Finding::error(CHECK, message),
        false => Finding::note(CHECK, format!("{message} (only Kubernetes needs it)")),
    };
    match &facts.cri {
        CriState::Unknown => vec![Finding::note(CHECK, "not checked: containerd does not answer")],
        CriState::Absent if facts.settings.cri_is_disabled() => {
            vec![weigh("switched off by disabled_plugins").next(format!(
                "take cri out of disabled_plugins in {}, then {}",
                facts.settings.path.display(),
                facts.daemon.restart
            ))]
        }
        CriState::Absent => vec![
            weigh("CRI v1 is not served: its plugin did not start, or this containerd is too old")
                .next(facts.daemon.log(&facts.node)),
        ],
        CriState::Hangs => vec![
            Finding::error(CHECK, "CRI takes calls and does not answer; reading without it works")
                .next(facts.daemon.restart.clone()),
        ],
        CriState::Fails(why) => {
            vec![weigh(&format!("CRI answers with an error: {why}")).next(facts.daemon.log(&facts.node))]
        }
        CriState::Answers { conditions, .. } => {
            let unmet = conditions.iter().filter(|condition| !condition.status);
            let mut findings: Vec<Finding> = unmet
                .filter(|condition| condition.kind != "ContainerdHasNoDeprecationWarnings")
                .map(|condition| {
                    let next = match condition.kind.as_str() {
                        "NetworkReady" => format!("ls -l {}", facts.settings.cri.cni_conf_dir.display()),
                        _ => facts.daemon.log(&facts.node),
                    };
                    weigh(&format!("not ready: {}", condition.message)).of(&condition.kind).next(next)
                })
                .collect();
            if findings.is_empty() {
                findings.push(Finding::ok(CHECK, "CRI v1 answers and is ready"));
            }
            findings
        }
    }
}
