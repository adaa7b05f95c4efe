//! What only a kubelet needs: CRI, the network's configuration, images, control groups, the kubelet itself.

use super::{CNI, OF_THE_MACHINE, PAUSE, diagnose, node};
use crate::engine::TestEngine;
use crate::registry::Guard;

#[test]
fn doctor_finds_nothing_wrong_with_a_healthy_node() {
    let node = node();
    let found = diagnose(&node.engine);
    assert!(found.problems(&OF_THE_MACHINE).is_empty(), "{:#?}", found.findings);
    for (check, words) in [
        ("cri", "CRI v1 answers and is ready"),
        ("cni", "10-pods.conflist with the plugins bridge, host-local"),
        ("images", "0 images of static pods"),
        ("kubelet", "runs as process"),
        ("kernel", "packets are forwarded"),
    ] {
        found.has(check, "ok", words);
    }
}

#[test]
fn doctor_knows_what_pods_networks_need() {
    let node = node();
    node.engine.sh("rm /var/lib/cni-bin/host-local");
    let found = diagnose(&node.engine);
    assert_eq!(found.code, 2);
    let next = found.next("cni", "error", "10-pods.conflist: no program host-local in /var/lib/cni-bin");
    assert_eq!(next, "ls -l /var/lib/cni-bin");
    node.engine.sh(&format!("echo '{{' > {CNI}"));
    diagnose(&node.engine).has("cni", "error", "10-pods.conflist: not a network configuration");
    node.engine.sh(&format!("rm {CNI}"));
    let found = diagnose(&node.engine);
    found.has("cni", "error", "/etc/cni/net.d: no network configuration");
    node.engine.sh("echo 0 > /proc/sys/net/ipv4/ip_forward");
    let found = diagnose(&node.engine);
    let next = found.next("kernel", "error", "net.ipv4.ip_forward: packets are not forwarded");
    node.engine.sh(&next);
    diagnose(&node.engine).has("kernel", "ok", "");
}

#[test]
fn doctor_asks_cri_whether_it_is_ready() {
    // Without a configuration at the start CRI has no network.
    let node = node();
    node.engine.sh(&format!("mv {CNI} /var/lib/away"));
    node.engine.kill_containerd();
    node.engine.start_containerd();
    let found = diagnose(&node.engine);
    found.has("cri", "error", "NetworkReady: not ready: ");
    let engine = TestEngine::new();
    engine.sh("mkdir -p /var/lib/kubelet; echo 'kind: KubeletConfiguration' > /var/lib/kubelet/config.yaml");
    let found = diagnose(&engine);
    let next = found.next("cri", "error", "switched off by disabled_plugins");
    assert!(next.starts_with("take cri out of disabled_plugins in "), "{next}");
    found.has("config", "error", "disabled_plugins names CRI");
}

#[test]
fn doctor_looks_for_the_images_that_the_node_needs() {
    let node = node();
    let engine = &node.engine;
    engine.sh(
        "printf 'kind: Pod\\nspec:\\n  containers:\\n  - image: registry.local/etcd:3\\n  - image: registry.local/pause:1\\n' \
         > /etc/kubernetes/manifests/etcd.yaml",
    );
    let found = diagnose(engine);
    assert_eq!(found.code, 2);
    let next = found.next(
        "images",
        "error",
        "registry.local/etcd:3: not here, and the static pod of /etc/kubernetes/",
    );
    assert_eq!(next, "wharfie -n k8s.io pull registry.local/etcd:3");
    assert_eq!(found.problems(&OF_THE_MACHINE).iter().filter(|one| one["check"] == "images").count(), 1);
    // The registry of what is to be fetched must answer.
    found.has("registries", "error", "registry.local: cannot be reached");
    engine.sh("echo '- x' > /etc/kubernetes/manifests/etcd.yaml");
    diagnose(engine).has("images", "error", "etcd.yaml: not the manifest of a pod");
    engine.sh("rm /etc/kubernetes/manifests/etcd.yaml");

    // CRI of 1.7 and later pins it again when it hears of the change.
    let found = diagnose(engine);
    found.has("images", "ok", "");
    engine.ctr(["-n", "k8s.io", "images", "rm", PAUSE]).ok();
    let found = diagnose(engine);
    assert_eq!(found.code, 2);
    let next = found.next("images", "error", "registry.local/pause:1: the image of sandboxes is not here");
    assert_eq!(next, format!("wharfie -n k8s.io pull {PAUSE}"));
}

#[test]
fn doctor_tells_of_an_unpinned_pause_image() {
    // With CRI off nobody pins it behind our back.
    let engine = TestEngine::new();
    engine.sh("mkdir -p /var/lib/kubelet; echo 'kind: KubeletConfiguration' > /var/lib/kubelet/config.yaml");
    let config = engine.directory().join("containerd.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(
        &config,
        format!("{text}\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"{PAUSE}\"\n"),
    )
    .unwrap();
    let archive = engine.directory().join("pause.tar");
    std::fs::write(&archive, crate::images::Image::busybox().oci_archive(PAUSE)).unwrap();
    engine.ctr(["-n", "k8s.io", "images", "import", archive.to_str().unwrap()]).ok();
    let found = diagnose(&engine);
    let severity = if engine.ctr(["version"]).ok().contains("Version:  1.6.") { "note" } else { "warning" };
    let next = found.next("images", severity, "registry.local/pause:1: the image of sandboxes is not pinned");
    engine.sh(next.strip_prefix("wharfie ").unwrap());
    diagnose(&engine).has("images", "ok", "");
}

#[test]
fn doctor_compares_the_kubelet_with_containerd() {
    let node = node();
    let engine = &node.engine;
    engine.sh("printf 'kind: KubeletConfiguration\\ncgroupDriver: systemd\\ncontainerRuntimeEndpoint: unix:///run/x.sock\\nfailSwapOn: false\\n' > /var/lib/kubelet/config.yaml");
    let found = diagnose(engine);
    assert_eq!(found.code, 2);
    let next = found.next("cgroup", "error", "config.yaml: the kubelet uses systemd, containerd cgroupfs");
    assert!(next.starts_with("set SystemdCgroup = true in "), "{next}");
    found.has("kubelet", "error", "the kubelet speaks to /run/x.sock");
    engine.sh("printf 'kind: [\\n' > /var/lib/kubelet/config.yaml");
    diagnose(engine).has("kubelet", "error", "config.yaml: the kubelet cannot read it");
    engine.sh("echo 'failSwapOn: false' > /var/lib/kubelet/config.yaml");
    engine.sh("kill -STOP $(pgrep -f ^/usr/bin/kubelet)");
    diagnose(engine).has("kubelet", "error", "is stopped");
    engine.sh(
        "kill -KILL $(pgrep -f ^/usr/bin/kubelet); while pgrep -f ^/usr/bin/kubelet; do sleep 0.01; done",
    );
    diagnose(&node.engine).has("kubelet", "error", "the kubelet does not run");
}

#[test]
fn doctor_finds_a_certificate_that_ends_soon() {
    let node = node();
    node.engine.sh(
        "mkdir -p /var/lib/kubelet/pki; cd /var/lib/kubelet/pki; openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 \
         -nodes -keyout /dev/null -subj /CN=node -days 2 -out kubelet-client-current.pem 2> /dev/null",
    );
    diagnose(&node.engine).has("kubelet", "warning", "kubelet-client-current.pem: the certificate ends on ");
}

#[test]
fn doctor_asks_the_registries() {
    let node = node();
    let engine = &node.engine;
    let registry = engine.registry(Guard::Plain);
    let address = registry.host.clone();
    engine.sh(&format!(
        "cd /etc/containerd 2> /dev/null || mkdir -p /etc/containerd && cd /etc/containerd; mkdir -p certs.d/good.example certs.d/bad.example certs.d/dead.example certs.d/half.example
         printf '[host.\"http://{address}\"]\\n' > certs.d/half.example/hosts.toml
         printf 'server = \"http://127.0.0.1:1\"\\n' >> certs.d/dead.example/hosts.toml
         printf 'server = \"http://127.0.0.1:1\"\\n[host.\"http://{address}\"]\\n' > certs.d/half.example/hosts.toml
         printf 'server = \"http://{address}\"\\n' > certs.d/good.example/hosts.toml
         printf 'server = 3\\n' > certs.d/bad.example/hosts.toml"
    ));
    let found = diagnose(engine);
    assert_eq!(found.code, 2);
    found.has("registries", "ok", "good.example: answers");
    found.has("registries", "error", "bad.example: its settings cannot be read");
    let next = found.next("registries", "warning", "dead.example: cannot be reached");
    assert_eq!(next, "curl -v http://127.0.0.1:1/v2/");
    found.has("registries", "warning", "half.example: a host of it cannot be reached");
}
