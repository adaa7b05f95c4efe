//! Control groups: which version, whether what pods need can be limited, and whether the kubelet and containerd agree
//! on who makes them.

use super::facts::Facts;
use super::finding::Finding;
use super::node::Node;

const CHECK: &str = "cgroup";
const ROOT: &str = "/sys/fs/cgroup";
const NEEDED: [&str; 4] = ["cpu", "cpuset", "memory", "pids"];

/// Which control groups there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

fn version(node: &Node) -> Version {
    if node.has(format!("{ROOT}/cgroup.controllers")) { Version::Two } else { Version::One }
}

/// What cannot be limited here.
fn missing(node: &Node, version: Version) -> Vec<&'static str> {
    match version {
        Version::Two => {
            let has = node.text(format!("{ROOT}/cgroup.controllers")).unwrap_or_default();
            let has: Vec<&str> = has.split_whitespace().collect();
            NEEDED.into_iter().filter(|wanted| !has.contains(wanted)).collect()
        }
        Version::One => {
            // Name, hierarchy, groups, whether it is on.
            let table = node.text("/proc/cgroups").unwrap_or_default();
            let on = |wanted: &str| {
                let mut rows = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
                rows.any(|row| {
                    row.first() == Some(&wanted) && row.get(1) != Some(&"0") && row.get(3) == Some(&"1")
                })
            };
            NEEDED.into_iter().filter(|wanted| !on(wanted)).collect()
        }
    }
}

/// Whether containerd and the kubelet agree, and the kernel has what both need.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let node = &facts.node;
    let version = version(node);
    let mut findings = Vec::new();
    let missing = missing(node, version);
    if !missing.is_empty() {
        let message =
            format!("the kernel cannot limit {}: limits on it fail or do nothing", missing.join(", "));
        let finding = if facts.is_kubernetes() {
            Finding::error(CHECK, message)
        } else {
            Finding::warning(CHECK, message)
        };
        findings.push(
            finding
                .of(ROOT)
                .next("cat /proc/cgroups /proc/cmdline (cgroup_enable=memory on the kernel's line)"),
        );
    }
    let systemd = facts.settings.runtime().systemd;
    let ours = if systemd { "systemd" } else { "cgroupfs" };
    if systemd && !node.has_systemd() {
        findings.push(
            Finding::error(
                CHECK,
                "SystemdCgroup is on, and this machine has no systemd: no container can start",
            )
            .of(facts.settings.path.display())
            .next(format!("set SystemdCgroup = false there, then {}", facts.daemon.restart)),
        );
    }
    if facts.is_kubernetes() {
        findings.extend(agreement(facts, ours));
        if version == Version::One {
            findings.push(Finding::note(
                CHECK,
                "control groups of version 1: kubelets from 1.35 on refuse to start with them",
            ));
        }
    }
    if findings.iter().all(|finding| !finding.is_problem()) {
        let number = if version == Version::Two { 2 } else { 1 };
        findings.push(Finding::ok(CHECK, format!("version {number}, made by {ours}")));
    }
    findings
}

/// Whether the kubelet makes them the same way. k3s and rke2 see to that themselves.
fn agreement(facts: &Facts, ours: &str) -> Option<Finding> {
    let kubelet = &facts.kubelet;
    if kubelet.embedded || kubelet.config.is_none() {
        return None;
    }
    // Without a word the kubelet takes cgroupfs, unless it is new enough to ask CRI.
    let (theirs, said) = match kubelet.cgroup_driver.as_deref() {
        Some(driver) => (driver, true),
        None => ("cgroupfs", false),
    };
    if theirs == ours {
        return None;
    }
    let message =
        format!("the kubelet uses {theirs}, containerd {ours}: pods fail, or are limited by nobody");
    let finding = if said { Finding::error(CHECK, message) } else { Finding::warning(CHECK, message) };
    let wanted = theirs == "systemd";
    Some(finding.of(kubelet.path.display()).next(format!(
        "set SystemdCgroup = {wanted} in {}, then {}; or cgroupDriver: {ours} for the kubelet",
        facts.settings.path.display(),
        facts.daemon.restart
    )))
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::super::{Facts, Severity};
    use super::*;

    const CONTROLLERS: (&str, &str) =
        ("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
    const SYSTEMD: (&str, &str) = (
        "/etc/containerd/config.toml",
        "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\nSystemdCgroup = true\n",
    );

    async fn found(files: &[(&str, &str)]) -> Vec<(Severity, String)> {
        let (_root, facts): (_, Facts) = facts(files).await;
        check(&facts).into_iter().map(|finding| (finding.severity, finding.message)).collect()
    }

    #[tokio::test]
    async fn version_two_is_read() {
        assert_eq!(found(&[CONTROLLERS]).await, [(Severity::Ok, "version 2, made by cgroupfs".to_owned())]);
        let without = found(&[("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n")]).await;
        assert_eq!(without[0].0, Severity::Warning);
        assert!(without[0].1.starts_with("the kernel cannot limit memory:"), "{without:?}");
    }

    #[tokio::test]
    async fn version_one_is_read() {
        let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t3\t1\t1\ncpu\t1\t1\t1\nmemory\t0\t1\t0\npids\t8\t5\t1\n";
        let found = found(&[("/proc/cgroups", table)]).await;
        assert!(found[0].1.starts_with("the kernel cannot limit memory:"), "{found:?}");
    }

    #[tokio::test]
    async fn drivers_are_compared() {
        let kubelet = |text| ("/var/lib/kubelet/config.yaml", text);
        let systemd = ("/run/systemd/system/x", "");
        let same = [CONTROLLERS, SYSTEMD, systemd, kubelet("cgroupDriver: systemd\n")];
        assert_eq!(found(&same).await, [(Severity::Ok, "version 2, made by systemd".to_owned())]);
        let other = found(&[CONTROLLERS, SYSTEMD, systemd, kubelet("cgroupDriver: cgroupfs\n")]).await;
        assert_eq!(other[0].0, Severity::Error);
        assert!(other[0].1.contains("the kubelet uses cgroupfs, containerd systemd"), "{other:?}");
        let unsaid = found(&[CONTROLLERS, SYSTEMD, systemd, kubelet("kind: X\n")]).await;
        assert_eq!(unsaid[0].0, Severity::Warning);
        let absent = found(&[CONTROLLERS, SYSTEMD]).await;
        assert!(absent[0].1.contains("has no systemd"), "{absent:?}");
    }
}
