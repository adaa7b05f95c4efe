//! `doctor`: each thing that it names is broken here once, and found.

mod bundle;
mod containerd;
mod kubernetes;
mod machine;
mod runtime;

use std::fs;

use serde_json::Value;

use crate::engine::TestEngine;
use crate::images::Image;

/// The image of sandboxes.
const PAUSE: &str = "registry.local/pause:1";
const CNI: &str = "/etc/cni/net.d/10-pods.conflist";

/// What doctor said, and its exit code.
struct Diagnosis {
    code: i32,
    findings: Vec<Value>,
}

/// Ask doctor, with so much time that a busy machine is not taken for a hung one.
#[track_caller]
fn diagnose(engine: &TestEngine) -> Diagnosis {
    diagnose_within(engine, "60s")
}

#[track_caller]
fn diagnose_within(engine: &TestEngine, limit: &str) -> Diagnosis {
    let output = engine.wharfie(["doctor", "--json", "--timeout", limit]);
    assert!((0..=2).contains(&output.code), "{output:?}");
    let value: Value = serde_json::from_str(&output.stdout).unwrap();
    let words = ["ok", "warning", "error"];
    let severity = value["severity"].as_str().unwrap().replace("note", "ok");
    assert_eq!(words[usize::try_from(output.code).unwrap()], severity, "{output:?}");
    Diagnosis { code: output.code, findings: value["findings"].as_array().unwrap().clone() }
}

impl Diagnosis {
    /// The finding of `check` with that severity whose subject or message contains `words`.
    #[track_caller]
    fn has(&self, check: &str, severity: &str, words: &str) -> &Value {
        let found = self.findings.iter().find(|finding| {
            let text = |key: &str| finding[key].as_str().unwrap_or_default();
            finding["check"] == check
                && finding["severity"] == severity
                && format!("{}: {}", text("subject"), text("message")).contains(words)
        });
        found.unwrap_or_else(|| panic!("no {severity} of {check} with {words:?}: {:#?}", self.findings))
    }

    /// The next command of the finding of [`Diagnosis::has`].
    #[track_caller]
    fn next(&self, check: &str, severity: &str, words: &str) -> String {
        self.has(check, severity, words)["next"].as_str().unwrap_or_default().to_owned()
    }

    /// Warnings and errors, without those of `but`.
    fn problems(&self, but: &[&str]) -> Vec<&Value> {
        let is_problem =
            |finding: &&Value| finding["severity"] == "warning" || finding["severity"] == "error";
        let other = |finding: &&Value| !but.iter().any(|check| finding["check"] == *check);
        self.findings.iter().filter(is_problem).filter(other).collect()
    }
}

/// A machine that is a node: containerd with CRI, a network's configuration, a process that is called kubelet.
struct Node {
    engine: TestEngine,
}

/// Settings of CRI beside the usual ones, in the second form.
const USUAL: &str = r#"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "registry.local/pause:1"
disable_apparmor = true
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/var/lib/cni-bin"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "/etc/containerd/certs.d"
"#;

#[track_caller]
fn node() -> Node {
    node_with(USUAL)
}

#[track_caller]
fn node_with(config: &str) -> Node {
    let engine = TestEngine::without_containerd(config);
    engine.sh(&format!(
        r#"mkdir -p /etc/cni/net.d /var/lib/cni-bin /var/lib/kubelet /etc/kubernetes/manifests
        printf '%s' '{{"cniVersion":"0.4.0","name":"pods","plugins":[{{"type":"bridge","ipam":{{"type":"host-local"}}}}]}}' > {CNI}
        for name in bridge host-local loopback; do printf '#!/bin/sh\n' > /var/lib/cni-bin/$name; chmod 755 /var/lib/cni-bin/$name; done
        printf 'kind: KubeletConfiguration\ncgroupDriver: cgroupfs\nfailSwapOn: false\n' > /var/lib/kubelet/config.yaml
        echo 1 > /proc/sys/net/ipv4/ip_forward"#
    ));
    engine.start_containerd();
    // Not below nsenter, which follows a child that is stopped and stays so.
    engine.sh("setsid -f bash -c 'exec -a /usr/bin/kubelet sleep 100000' > /dev/null 2>&1 < /dev/null");
    engine.sh("until pgrep -f ^/usr/bin/kubelet; do sleep 0.01; done");
    let archive = engine.directory().join("pause.tar");
    fs::write(&archive, Image::busybox().oci_archive(PAUSE)).unwrap();
    engine.ctr(["-n", "k8s.io", "images", "import", archive.to_str().unwrap()]).ok();
    engine.ctr(["-n", "k8s.io", "images", "label", PAUSE, "io.cri-containerd.pinned=pinned"]).ok();
    Node { engine }
}

/// A line of the machine's own, that depends on who runs the tests.
const OF_THE_MACHINE: [&str; 3] = ["clock", "disk", "pressure"];
