//! Registries: whether their settings can be read, and whether they answer. Those that are configured, and those of
//! the images that static pods want.

use std::collections::BTreeMap;
use std::path::PathBuf;

use futures_util::future::join_all;

use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::{Budget, images};
use crate::config::Config;
use crate::registry::{Answer, ping};

const CHECK: &str = "registries";

/// Why a registry is looked at, and how bad it is when it is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// All its images are here.
    HasBeenUsed,
    /// A directory of settings names it.
    IsConfigured,
    /// A static pod's image is to be fetched from it.
    IsNeeded,
}

/// Ask all of them side by side.
pub(super) async fn check(facts: &Facts, budget: Budget) -> Vec<Finding> {
    let directories = directories(facts);
    let mut reasons: BTreeMap<String, Reason> = BTreeMap::new();
    for name in directories.iter().flat_map(|directory| facts.node.names(directory)) {
        // `_default` is for those without their own.
        if let Some(registry) = name.to_str().filter(|name| *name != "_default" && !name.starts_with('.')) {
            reasons.insert(from_directory(registry), Reason::IsConfigured);
        }
    }
    if facts.is_kubernetes() {
        let present: Vec<&str> = facts
            .kubernetes()
            .iter()
            .flat_map(|kept| &kept.images)
            .map(|image| image.name.as_str())
            .collect();
        for wanted in images::wanted(facts).0 {
            let needed = wanted.always || !present.contains(&wanted.image.as_str());
            let reason = if needed { Reason::IsNeeded } else { Reason::HasBeenUsed };
            let known = reasons.entry(wanted.domain).or_insert(reason);
            *known = (*known).max(reason);
        }
    }
    let config = Config {
        hosts_dirs: directories.iter().map(|directory| facts.node.at(directory)).collect(),
        containerd_config: Some(facts.node.at(&facts.settings.path)),
        ..Config::clone(&facts.config)
    };
    let limit = budget.part(40);
    let asked = reasons.iter().map(async |(registry, reason)| {
        match tokio::time::timeout_at(budget.until(93), ping(&config, registry, limit)).await {
            Ok(Ok(answers)) => judge(registry, *reason, &answers),
            Ok(Err(error)) => vec![
                Finding::error(CHECK, format!("its settings cannot be read: {}", error.message))
                    .of(registry)
                    .next("see https://github.com/containerd/containerd/blob/main/docs/hosts.md"),
            ],
            Err(_) => vec![Finding::warning(CHECK, "no answer in time").of(registry)],
        }
    });
    let mut findings: Vec<Finding> = join_all(asked).await.into_iter().flatten().collect();
    findings.extend(unread(facts));
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "none is configured, and no static pod wants one"));
    }
    findings
}

/// The directories that count: CRI's, where it is said; else this program's.
fn directories(facts: &Facts) -> Vec<PathBuf> {
    match &facts.settings.cri.certs_d {
        Some(directories) if !directories.is_empty() && facts.is_kubernetes() => directories.clone(),
        _ => facts.config.hosts_dirs.clone(),
    }
}

/// A directory's name may write the colon of a port as underscores.
fn from_directory(name: &str) -> String {
    let port = name.strip_suffix('_').and_then(|rest| rest.rsplit_once('_'));
    match port {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit()) => {
            format!("{host}:{port}")
        }
        _ => name.to_owned(),
    }
}

fn judge(registry: &str, reason: Reason, answers: &[Answer]) -> Vec<Finding> {
    let failed: Vec<(&Answer, &String)> =
        answers.iter().filter_map(|answer| Some((answer, answer.failure.as_ref()?))).collect();
    let nobody = failed.len() == answers.len();
    let next = |answer: &Answer| format!("curl -v {}/", answer.address);
    if nobody && let Some((last, why)) = failed.last() {
        let severity = match reason {
            Reason::IsNeeded => Severity::Error,
            Reason::IsConfigured => Severity::Warning,
            Reason::HasBeenUsed => Severity::Note,
        };
        return vec![
            Finding::new(CHECK, severity, format!("cannot be reached: {why}")).of(registry).next(next(last)),
        ];
    }
    let mut findings: Vec<Finding> = failed
        .into_iter()
        .map(|(answer, why)| {
            Finding::warning(CHECK, format!("a host of it cannot be reached: {why}"))
                .of(registry)
                .next(next(answer))
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "answers").of(registry));
    }
    findings
}

/// Settings that lie where CRI does not look.
fn unread(facts: &Facts) -> Option<Finding> {
    const USUAL: &str = "/etc/containerd/certs.d";
    let settings = &facts.settings;
    let silent = match &settings.cri.certs_d {
        Some(directories) => directories.is_empty(),
        // Newer ones may look there without being told.
        None => settings.version.is_none_or(|version| version < 3),
    };
    if !facts.is_kubernetes() || !silent || facts.node.names(USUAL).is_empty() {
        return None;
    }
    Some(
        Finding::warning(CHECK, "CRI does not look there: config_path of its registries is not set")
            .of(USUAL)
            .next(format!(
                "set config_path = \"{USUAL}\" in {}, then {}",
                settings.path.display(),
                facts.daemon.restart
            )),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::facts::tests::facts;
    use super::*;

    fn answer(failure: Option<&str>) -> Answer {
        Answer { address: "https://x/v2".into(), failure: failure.map(str::to_owned) }
    }

    #[test]
    fn who_answers_decides() {
        let severities = |reason, answers: &[Answer]| -> Vec<Severity> {
            judge("x", reason, answers).iter().map(|finding| finding.severity).collect()
        };
        let (well, ill) = (|| answer(None), || answer(Some("refused")));
        assert_eq!(severities(Reason::IsConfigured, &[well(), well()]), [Severity::Ok]);
        assert_eq!(severities(Reason::IsConfigured, &[ill(), well()]), [Severity::Warning]);
        assert_eq!(severities(Reason::IsConfigured, &[ill(), ill()]), [Severity::Warning]);
        assert_eq!(severities(Reason::IsNeeded, &[ill()]), [Severity::Error]);
        assert_eq!(severities(Reason::HasBeenUsed, &[ill()]), [Severity::Note]);
        assert_eq!(from_directory("host_5000_"), "host:5000");
        assert_eq!(
            (from_directory("docker.io"), from_directory("a_b_")),
            ("docker.io".into(), "a_b_".into())
        );
    }

    #[tokio::test]
    async fn settings_that_cannot_be_read_or_are_not_looked_at() {
        let (_root, mut facts) = facts(&[
            ("/etc/containerd/certs.d/broken.example/hosts.toml", "server = 3"),
            ("/var/lib/kubelet/config.yaml", "kind: x\n"),
        ])
        .await;
        let budget = || Budget::new(Duration::from_secs(30));
        let found = check(&facts, budget()).await;
        assert_eq!((found[0].severity, found[0].subject.as_str()), (Severity::Error, "broken.example"));
        assert!(found[1].message.starts_with("CRI does not look there"), "{found:?}");
        facts.settings.cri.certs_d = Some(vec!["/etc/containerd/certs.d".into()]);
        assert_eq!(check(&facts, budget()).await.len(), 1);
    }
}
