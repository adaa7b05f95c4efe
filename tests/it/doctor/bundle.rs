//! `doctor --bundle`: what is in the archive, and that no secret is.

use super::node;

const SECRET: &str = "s3cr3t-V4lue";

#[test]
fn a_bundle_holds_everything_but_secrets() {
    let node = node();
    let engine = &node.engine;
    engine.sh(&format!(
        r#"mkdir -p /etc/containerd/certs.d/r.example /var/log/pods/shop_web_1/app
        printf 'server = "http://me:{SECRET}@127.0.0.1:1"\n[host."http://127.0.0.1:1".header]\nx-own = ["{SECRET}"]\n' > /etc/containerd/certs.d/r.example/hosts.toml
        printf -- '-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n' > /etc/containerd/certs.d/r.example/client.key
        printf 'runtime-endpoint: unix:///run/containerd/containerd.sock\n' > /etc/crictl.yaml
        printf '{{"name":"x","type":"y","auth":"{SECRET}"}}' > /etc/cni/net.d/50-x.conf
        printf 'kind: KubeletConfiguration\nfailSwapOn: false\nbootstrapToken: {SECRET}\n' > /var/lib/kubelet/config.yaml"#
    ));
    let config = engine.directory().join("containerd.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let more = format!(
        "\n[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"r:1\".auth]\nidentitytoken = \"{SECRET}\"\n"
    );
    std::fs::write(&config, text + &more).unwrap();
    let id = format!("bundled-{}", std::process::id());
    let token = format!("API_TOKEN={SECRET}");
    let mut run = vec!["-n", "k8s.io", "run", "-d", "--env", &token, "--env", "PLAIN=s3cr3t-too"];
    run.extend([super::PAUSE, &id, "sleep", "1000"]);
    engine.ctr(run).ok();
    let output = engine.wharfie(["doctor", "--timeout", "60s", "--bundle", "out.tar.gz"]);
    assert!(
        output.stderr.contains("out.tar.gz: ") && output.stderr.contains("secrets removed"),
        "{output:?}"
    );
    engine.sh(&format!("kill -9 $(pgrep -f '[c]ontainerd-shim.*-id {id}')"));

    assert_eq!(engine.sh("stat -c %a out.tar.gz").trim(), "600");
    assert_eq!(engine.sh("ls -A").trim(), "out.tar.gz", "nothing else is left there");
    let names = engine.sh("tar -tzf out.tar.gz");
    for name in [
        "findings.json",
        "node.json",
        "containerd.toml.json",
        "cni/etc/cni/net.d/10-pods.conflist",
        "cni/etc/cni/net.d/50-x.conf",
        "registries/etc/containerd/certs.d/r.example/hosts.toml.json",
        "etc/crictl.yaml.json",
        "kubelet/var/lib/kubelet/config.yaml.json",
        "lists/k8s.io/containers.json",
        "lists/k8s.io/images.json",
        "lists/k8s.io/tasks.json",
        "lists/k8s.io/snapshots.json",
        "proc/meminfo",
        "proc/mounts",
    ] {
        assert!(
            names.lines().any(|line| line.starts_with("wharfie-doctor/") && line.ends_with(name)),
            "{name}: {names}"
        );
    }
    assert!(!names.contains("client.key") && !names.contains(".."), "{names}");
    engine.sh("mkdir /var/lib/out; tar -xzf out.tar.gz -C /var/lib/out");
    let leaks = engine.sh("grep -rla 's3cr3t' /var/lib/out || true");
    assert_eq!(leaks, "", "secrets in these");
    let spec = engine.sh("cat /var/lib/out/wharfie-doctor/lists/k8s.io/containers.json");
    assert!(
        spec.contains("API_TOKEN=***") && spec.contains("PLAIN=***") && spec.contains("\"sleep\""),
        "{spec}"
    );
    engine.sh("grep -q registry.local /var/lib/out/wharfie-doctor/*/*/containerd.toml.json || grep -rq registry.local /var/lib/out/wharfie-doctor/containerd");
}

#[test]
fn a_bundle_that_cannot_be_written_is_an_error() {
    let node = node();
    let output = node.engine.wharfie(["doctor", "--timeout", "60s", "--bundle", "/nowhere/out.tar.gz"]);
    assert!(output.fails(1).contains("write /nowhere/out.tar.gz: no such file or directory"), "{output:?}");
}
