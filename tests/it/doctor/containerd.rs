//! containerd: away, hung, misconfigured; and an engine where all is well.

use std::time::{Duration, Instant};

use super::{OF_THE_MACHINE, USUAL, diagnose, diagnose_within, node_with};
use crate::engine::TestEngine;

#[test]
fn doctor_finds_nothing_wrong_with_a_healthy_engine() {
    let engine = TestEngine::new();
    engine.busybox();
    engine.wharfie(["run", "-d", "--name", "web", "busybox:latest", "sleep", "1000"]).ok();
    let found = diagnose(&engine);
    assert!(found.problems(&OF_THE_MACHINE).is_empty(), "{:#?}", found.findings);
    for (check, severity, words) in [
        ("containerd", "ok", "/run/containerd/containerd.sock: containerd "),
        ("plugins", "ok", "the snapshotter overlayfs among them"),
        ("config", "note", "disabled_plugins names CRI"),
        ("cri", "note", "only Kubernetes needs it"),
        ("runtime", "ok", "ran a container in"),
        ("cgroup", "ok", "made by cgroupfs"),
        ("cni", "note", "not a Kubernetes node"),
        ("images", "note", "not a Kubernetes node"),
        ("kubelet", "note", "not a Kubernetes node"),
        ("shims", "ok", "1 shim, all known"),
        ("tasks", "ok", "1 container, 1 run"),
        ("snapshots", "ok", "every one is used"),
        ("leftovers", "ok", "no container has left any"),
        ("registries", "ok", "none is configured"),
    ] {
        found.has(check, severity, words);
    }
    let screen = engine.wharfie(["doctor", "--timeout", "60s"]);
    assert_eq!(screen.code, found.code, "{screen:?}");
    assert!(
        screen.stdout.contains("\nok    runtime     io.containerd.runc.v2: ran a container"),
        "{screen:?}"
    );
    if found.code == 0 {
        assert!(screen.stdout.ends_with("\nNothing is wrong\n"), "{screen:?}");
        assert_eq!(engine.wharfie(["doctor", "-q", "--timeout", "60s"]).ok(), "");
    }
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
    assert_eq!(engine.ctr(["namespaces", "ls", "-q"]).ok(), "default");
}

#[test]
fn doctor_says_that_containerd_is_away() {
    let engine = TestEngine::without_containerd("");
    let found = diagnose(&engine);
    assert_eq!(found.code, 2);
    let told = found.has("containerd", "error", "no socket at /run/containerd/containerd.sock, /run/k3s/");
    assert!(told["next"].as_str().unwrap().contains("containerd"), "{told}");
    found.has("runtime", "note", "not tried");
    found.has("disk", "ok", "left");
    engine.start_containerd();
    engine.kill_containerd();
    let found = diagnose(&engine);
    assert_eq!(found.code, 2);
    found.has("containerd", "error", "containerd.sock: containerd is not running: connection refused");
}

#[test]
fn doctor_says_that_containerd_hangs_and_is_in_time() {
    let engine = TestEngine::without_containerd("");
    // Not below nsenter, which follows a child that is stopped and stays so.
    engine.sh(
        "printf 'version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n' > /var/lib/containerd.toml
         setsid -f containerd --config /var/lib/containerd.toml > /var/lib/log 2>&1 < /dev/null
         until ctr version > /dev/null 2>&1; do sleep 0.02; done",
    );
    engine.busybox();
    engine.wharfie(["run", "-d", "--name", "web", "busybox:latest", "sleep", "1000"]).ok();
    engine.sh("kill -STOP $(pgrep -f '[c]ontainerd-shim') $(pgrep -x containerd)");
    let begin = Instant::now();
    let found = diagnose_within(&engine, "3s");
    // Three seconds, and as much again for a busy machine.
    assert!(begin.elapsed() < Duration::from_secs(6), "{:?}", begin.elapsed());
    assert_eq!(found.code, 2);
    let next = found.next("containerd", "error", "containerd.sock: containerd does not answer: its process");
    found.has("shims", "error", "is stopped");
    found.has("cgroup", "ok", "made by");
    engine.sh(&next);
    engine.sh("kill -CONT $(pgrep -f '[c]ontainerd-shim')");
    diagnose(&engine).has("containerd", "ok", "answers");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn doctor_reads_the_configuration_and_what_it_imports() {
    let node = node_with(&format!("imports = [\"/var/lib/more/*.toml\"]\n{USUAL}"));
    diagnose(&node.engine).has("config", "ok", "version 2, no imports");
    node.engine.sh("mkdir /var/lib/more; printf 'version = 2\\nx = = 3\\n' > /var/lib/more/a.toml");
    let found = diagnose(&node.engine);
    assert_eq!(found.code, 2);
    let told = found.has(
        "config",
        "error",
        "/var/lib/more/a.toml: containerd will not start with it again: line 2: ",
    );
    assert!(told["next"].as_str().unwrap().contains("containerd.toml config dump"), "{told}");
    node.engine.sh(
        "printf 'version = 2\\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\\n' > /var/lib/more/a.toml",
    );
    diagnose(&node.engine).has("config", "error", "disabled_plugins names CRI");
}

#[test]
fn doctor_names_a_plugin_that_failed() {
    let config = format!(
        "{USUAL}\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"http://x\"]\n"
    );
    let node = node_with(&config);
    let found = diagnose(&node.engine);
    assert_eq!(found.code, 2);
    found.has("plugins", "error", "io.containerd.");
    found.has("plugins", "error", "mirrors");
    found.has("cri", "error", "CRI v1 is not served");
}

#[test]
fn doctor_finds_a_snapshotter_that_is_not_there() {
    let engine = TestEngine::new();
    let output = engine.wharfie(["--snapshotter", "zfsx", "doctor", "-q", "--timeout", "60s"]);
    assert_eq!(output.code, 2, "{output:?}");
    assert!(
        output.stdout.contains("ERROR plugins     io.containerd.snapshotter.v1.zfsx: there is no such"),
        "{output:?}"
    );
}
