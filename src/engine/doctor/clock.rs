//! The clock: certificates, leases and logs mean nothing when it is wrong.

use std::time::{Duration, SystemTime};

use super::facts::Facts;
use super::finding::Finding;
use crate::sys::clock::is_synchronised;

const CHECK: &str = "clock";
/// No node had this program before.
const EARLIEST: u64 = 1_735_689_600;
/// How far a file may seem to be from the future: time zones and small corrections.
const TOLERANCE: Duration = Duration::from_secs(60 * 60);

/// Whether the time is plausible and kept by somebody.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let now = SystemTime::now();
    if now < SystemTime::UNIX_EPOCH + Duration::from_secs(EARLIEST) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let year = 1970 + since.as_secs() / (365 * 24 * 60 * 60);
        return vec![
            Finding::error(CHECK, format!("the clock says {year}: no certificate is valid then"))
                .next("timedatectl"),
        ];
    }
    let files = [
        facts.settings.root.join("io.containerd.metadata.v1.bolt/meta.db"),
        "/var/lib/kubelet/config.yaml".into(),
        "/etc/kubernetes/kubelet.conf".into(),
    ];
    for path in files {
        let written = std::fs::metadata(facts.node.at(&path)).and_then(|data| data.modified());
        if written.is_ok_and(|written| written > now + TOLERANCE) {
            return vec![
                Finding::error(CHECK, "written in the future: the clock went back")
                    .of(path.display())
                    .next("timedatectl"),
            ];
        }
    }
    match is_synchronised() {
        Some(true) => vec![Finding::ok(CHECK, "synchronised")],
        Some(false) if facts.is_kubernetes() => vec![
            Finding::warning(
                CHECK,
                "nobody keeps the clock synchronised: certificates and leases depend on it",
            )
            .next("timedatectl set-ntp true"),
        ],
        Some(false) => vec![Finding::note(CHECK, "nobody keeps the clock synchronised")],
        None => vec![Finding::note(CHECK, "the kernel does not tell whether the clock is synchronised")],
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::*;

    #[tokio::test]
    async fn a_file_from_the_future_tells() {
        let (_root, facts) = facts(&[("/var/lib/kubelet/config.yaml", "{}")]).await;
        let file = std::fs::File::open(facts.node.at("/var/lib/kubelet/config.yaml")).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(86_400)).unwrap();
        let found = check(&facts);
        assert_eq!((found.len(), found[0].subject.as_str()), (1, "/var/lib/kubelet/config.yaml"));
        assert_eq!(found[0].severity, super::super::Severity::Error);
    }
}
