//! The kubelet: whether it runs, and whether what it is told fits this containerd.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::daemon::flag;
use super::facts::Facts;
use super::finding::Finding;
use super::node::Node;
use crate::sys::process::{Process, all, command_line};

const CHECK: &str = "kubelet";
const CONFIG: &str = "/var/lib/kubelet/config.yaml";
const FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
const MANIFESTS: &str = "/etc/kubernetes/manifests";
const CERTIFICATES: &str = "/var/lib/kubelet/pki";
const KUBECONFIG: &str = "/etc/kubernetes/kubelet.conf";
/// A certificate is renewed long before this many seconds are left.
const SOON: i64 = 7 * 24 * 60 * 60;

/// What a kubelet has left on this machine.
#[derive(Debug, Clone, Default)]
pub struct Kubelet {
    /// Its process; of k3s and rke2, which have it inside, theirs.
    pub pid: Option<u32>,
    /// Whether it is a part of another program, which has no file for it.
    pub embedded: bool,
    /// Its configuration's file.
    pub path: PathBuf,
    /// What the file says; None without one.
    pub config: Option<Value>,
    /// Why the file cannot be read.
    pub broken: Option<String>,
    /// `cgroupfs` or `systemd`, where it is said.
    pub cgroup_driver: Option<String>,
    /// The socket that it speaks to, where it is said.
    pub endpoint: Option<String>,
    /// The directory of static pods.
    pub manifests: PathBuf,
    /// Whether anything of a kubelet is there beside its process.
    configured: bool,
}

impl Kubelet {
    /// The kubelet of this machine.
    pub(super) fn find(node: &Node) -> Self {
        let lines = all().into_iter().map(|pid| (pid, command_line(pid)));
        let process = lines.into_iter().find(|(_, line)| is_kubelet(line) || is_embedding(line));
        Self::read(node, process)
    }

    /// From the files below `node` and the process, if there is one.
    pub(super) fn read(node: &Node, process: Option<(u32, Vec<String>)>) -> Self {
        let (pid, line) = process.map_or((None, Vec::new()), |(pid, line)| (Some(pid), line));
        let embedded = is_embedding(&line);
        let kept = node.text(FLAGS).unwrap_or_default();
        let kept: Vec<String> = kept
            .split_once('=')
            .map_or("", |(_, flags)| flags)
            .split_whitespace()
            .map(|word| word.trim_matches('"').to_owned())
            .collect();
        let told = |name: &str| flag(&line, &[name]).or_else(|| flag(&kept, &[name])).map(str::to_owned);
        let path = PathBuf::from(told("--config").filter(|_| !embedded).unwrap_or_else(|| CONFIG.to_owned()));
        let (config, broken) = match node.text(&path).map(|text| parse(&text)) {
            Some(Ok(config)) => (Some(config), None),
            Some(Err(why)) => (None, Some(why)),
            None => (None, None),
        };
        let said = |key: &str| {
            config.as_ref()?.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Self {
            pid,
            embedded,
            cgroup_driver: told("--cgroup-driver").or_else(|| said("cgroupDriver")),
            endpoint: told("--container-runtime-endpoint").or_else(|| said("containerRuntimeEndpoint")),
            manifests: said("staticPodPath")
                .or_else(|| told("--pod-manifest-path"))
                .map_or_else(|| PathBuf::from(MANIFESTS), PathBuf::from),
            configured: config.is_some() || broken.is_some() || node.has(KUBECONFIG) || node.has(FLAGS),
            path,
            config,
            broken,
        }
    }

    /// Whether a kubelet runs here or is meant to.
    pub(super) fn is_there(&self) -> bool {
        self.pid.is_some() || self.configured
    }
}

fn name(line: &[String]) -> &str {
    line.first().and_then(|first| first.rsplit('/').next()).unwrap_or_default()
}

fn is_kubelet(line: &[String]) -> bool {
    name(line) == "kubelet"
}

/// `k3s server`, which has a kubelet inside.
fn is_embedding(line: &[String]) -> bool {
    matches!(name(line), "k3s" | "rke2")
        && line.get(1).is_some_and(|verb| verb == "server" || verb == "agent")
}

/// YAML as JSON's values.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let parsed: Result<Value, _> = serde_saphyr::from_str(text);
    match parsed {
        Ok(value @ Value::Object(_)) => Ok(value),
        Ok(_) => Err("is no mapping".into()),
        Err(cause) => Err(cause.to_string()),
    }
}

/// Whether it runs, and its settings fit.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let kubelet = &facts.kubelet;
    if !facts.is_kubernetes() {
        return vec![Finding::note(CHECK, "not a Kubernetes node: what only a kubelet needs is not checked")];
    }
    let mut findings = Vec::new();
    let log = match facts.node.has_systemd() {
        true => "journalctl -u kubelet -n 50 --no-pager",
        false => "look at the kubelet's own output",
    };
    if let Some(why) = &kubelet.broken {
        findings.push(
            Finding::error(CHECK, format!("the kubelet cannot read it: {why}")).of(kubelet.path.display()),
        );
    }
    match kubelet.pid.map(|pid| (pid, Process::read(pid).map(|process| process.state))) {
        None if kubelet.is_there() => findings.push(
            Finding::error(
                CHECK,
                "the kubelet does not run: no pod is started, and the cluster takes the node for lost",
            )
            .next(if facts.node.has_systemd() {
                "systemctl status kubelet; systemctl start kubelet"
            } else {
                log
            }),
        ),
        Some((pid, Some('T' | 't'))) => findings.push(
            Finding::error(CHECK, format!("the kubelet's process {pid} is stopped"))
                .next(format!("kill -CONT {pid}")),
        ),
        _ => {}
    }
    if let Some(socket) = kubelet.endpoint.as_deref().map(|text| text.trim_start_matches("unix://"))
        && !is_same(&facts.node, Path::new(socket), &facts.daemon.socket)
    {
        findings.push(
            Finding::error(
                CHECK,
                format!("the kubelet speaks to {socket}, not to the containerd looked at here"),
            )
            .of(facts.daemon.socket.display())
            .next(format!("wharfie --address {socket} doctor")),
        );
    }
    let fails_on_swap = kubelet
        .config
        .as_ref()
        .is_some_and(|config| config.get("failSwapOn").is_none_or(|on| on == &Value::Bool(true)));
    let swaps = facts.node.text("/proc/swaps").unwrap_or_default().lines().count();
    if fails_on_swap && swaps > 1 {
        findings.push(
            Finding::error(CHECK, "swap is on, and failSwapOn lets the kubelet refuse to start with it")
                .of("/proc/swaps")
                .next("swapoff -a, and take it out of /etc/fstab"),
        );
    }
    findings.extend(certificates(&facts.node, jiff::Timestamp::now().as_second()));
    if findings.is_empty() {
        let message = match (kubelet.pid, kubelet.embedded) {
            (Some(pid), true) => format!("runs inside process {pid}"),
            (Some(pid), false) => format!("runs as process {pid}"),
            (None, _) => "no kubelet's files here; its containers are".to_owned(),
        };
        findings.push(Finding::ok(CHECK, message));
    }
    findings
}

fn is_same(node: &Node, one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(node.at(path)).unwrap_or_else(|_| path.to_path_buf());
    one == other || real(one) == real(other)
}

/// Certificates that have ended or soon will.
fn certificates(node: &Node, now: i64) -> Vec<Finding> {
    let mut findings = Vec::new();
    for path in node.files(CERTIFICATES, &["pem", "crt"]) {
        // Earlier ones stay beside the one in use, which a link names.
        let current = path.file_name().is_some_and(|name| name.to_string_lossy().contains("-current"));
        if !current && path.extension().is_some_and(|end| end == "pem") {
            continue;
        }
        let Some(end) = node.text(&path).and_then(|pem| crate::config::certificate::ends(&pem)) else {
            continue;
        };
        let next = "kubeadm certs check-expiration; systemctl restart kubelet";
        let day = jiff::Timestamp::from_second(end)
            .map(|end| end.strftime("%Y-%m-%d").to_string())
            .unwrap_or_default();
        let finding = match end - now {
            left if left <= 0 => Finding::error(CHECK, format!("the certificate ended on {day}")),
            left if left < SOON => Finding::warning(CHECK, format!("the certificate ends on {day}")),
            _ => continue,
        };
        findings.push(finding.of(path.display()).next(next));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::super::node::tests::node;
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn its_files_and_flags_are_read() {
        let (_root, node) = node(&[
            (CONFIG, "kind: KubeletConfiguration\ncgroupDriver: systemd\nstaticPodPath: /manifests\n"),
            (FLAGS, "KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/c.sock --x=y\"\n"),
        ]);
        let kubelet = Kubelet::read(&node, None);
        assert!(kubelet.is_there());
        assert_eq!(
            (kubelet.cgroup_driver.as_deref(), kubelet.manifests.to_str()),
            (Some("systemd"), Some("/manifests"))
        );
        assert_eq!(kubelet.endpoint.as_deref(), Some("unix:///run/c.sock"));
        let line = words("/usr/bin/kubelet --cgroup-driver=cgroupfs --config /elsewhere");
        let kubelet = Kubelet::read(&node, Some((7, line)));
        assert_eq!(
            (kubelet.cgroup_driver.as_deref(), kubelet.path.to_str()),
            (Some("cgroupfs"), Some("/elsewhere"))
        );
        let kubelet =
            Kubelet::read(&Node::new("/nonexistent"), Some((7, words("/usr/local/bin/k3s server"))));
        assert!(kubelet.embedded && kubelet.is_there());
        assert!(!Kubelet::read(&Node::new("/nonexistent"), None).is_there());
    }

    #[tokio::test]
    async fn what_does_not_fit_is_found() {
        let (_root, none) = facts(&[]).await;
        assert_eq!(check(&none)[0].severity, super::super::Severity::Note);
        let (_root, facts) = facts(&[
            (CONFIG, "kind: KubeletConfiguration\ncontainerRuntimeEndpoint: unix:///run/other.sock\n"),
            ("/proc/swaps", "Filename Type\n/swap file\n"),
        ])
        .await;
        let messages: Vec<String> = check(&facts).into_iter().map(|finding| finding.message).collect();
        assert_eq!(messages.len(), 3, "{messages:?}");
        assert!(messages[0].contains("does not run") && messages[1].contains("/run/other.sock"));
        assert!(messages[2].contains("swap is on"));
        let (_root, broken) = super::super::facts::tests::facts(&[(CONFIG, "- a\n- b\n")]).await;
        assert!(check(&broken)[0].message.contains("is no mapping"));
    }
}
