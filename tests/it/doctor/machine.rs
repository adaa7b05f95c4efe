//! Room on disks, and what is left over in containerd.

use super::{OF_THE_MACHINE, diagnose};
use crate::engine::TestEngine;

#[test]
fn doctor_sees_a_full_disk() {
    let engine = TestEngine::without_containerd("");
    engine.sh(
        "mkdir -p /var/lib/containerd; mount -t tmpfs -o size=150m,nr_inodes=10000 tmpfs /var/lib/containerd",
    );
    engine.start_containerd();
    diagnose(&engine).has("disk", "ok", "/var/lib/containerd: ");
    engine.sh("head -c 80000000 /dev/zero > /var/lib/containerd/filler");
    let found = diagnose(&engine);
    assert_eq!(found.code, 2);
    found.has("disk", "error", "/var/lib/containerd: no room for images and containers");
    engine.sh("rm /var/lib/containerd/filler; mkdir /var/lib/containerd/many; cd /var/lib/containerd/many; touch $(seq 9700)");
    diagnose(&engine).has("disk", "warning", "inodes left for images and containers");
}

#[test]
fn doctor_finds_snapshots_that_nobody_uses() {
    let engine = TestEngine::new();
    engine.busybox();
    engine.wharfie(["create", "--name", "web", "busybox:latest"]).ok();
    let layer = engine
        .ctr(["snapshots", "ls"])
        .ok()
        .lines()
        .find(|line| line.contains("Committed"))
        .unwrap()
        .to_owned();
    let layer = layer.split_whitespace().next().unwrap();
    engine.ctr(["snapshots", "prepare", "left-1", layer]).ok();
    engine.ctr(["snapshots", "prepare", "left-2"]).ok();
    let found = diagnose(&engine);
    let next =
        found.next("snapshots", "warning", "default/overlayfs: 2 snapshots that no container or image uses");
    engine.sh(next.strip_prefix("wharfie ").unwrap());
    diagnose(&engine).has("snapshots", "ok", "every one is used");
    engine.wharfie(["rm", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn doctor_finds_what_containers_that_are_gone_have_left_of_their_networks() {
    let engine = TestEngine::new();
    engine.busybox();
    engine.wharfie(["run", "-d", "--name", "kept", "busybox:latest", "sleep", "1000"]).ok();
    let flags = ["run", "-d", "--name", "web", "-p", "8080:80", "busybox:latest", "sleep", "1000"];
    let id = engine.wharfie(flags).ok().to_owned();
    diagnose(&engine).has("leftovers", "ok", "no container has left any");
    // Its monitor first: nobody is there to free its network when it goes behind our back.
    engine.sh(&format!("kill -9 $(pgrep -f '[_]_monitor.*{id}'); ctr tasks kill -s 9 {id}"));
    engine.sh(&format!("until ctr tasks rm {id} 2>/dev/null; do sleep 0.02; done; ctr containers rm {id}"));
    let found = diagnose(&engine);
    let words = format!(
        "1 container gone, and not all of its network: default-{id} (address, link, network namespace, published port)"
    );
    let next = found.next("leftovers", "warning", &words);
    engine.sh(&next);
    diagnose(&engine).has("leftovers", "ok", "no container has left any");
    assert!(!engine.sh("nft list ruleset").contains(&id));
    engine.wharfie(["rm", "-f", "kept"]).ok();
    engine.ctr(["snapshots", "rm", &id]);
    engine.assert_clean();
}

#[test]
fn doctor_finds_a_hung_shim_and_the_others_are_not_hidden() {
    let engine = TestEngine::new();
    engine.busybox();
    for name in ["one", "two"] {
        engine.wharfie(["run", "-d", "--name", name, "busybox:latest", "sleep", "1000"]).ok();
    }
    let id = engine.wharfie(["inspect", "--format", "{{.Id}}", "one"]).ok().to_owned();
    engine.sh(&format!("kill -STOP $(pgrep -f '[c]ontainerd-shim.*-id {id}')"));
    let found = super::diagnose_within(&engine, "12s");
    assert_eq!(found.code, 2);
    let next = found.next("shims", "error", &format!("default/{}: process ", &id[..12]));
    found.has("runtime", "ok", "ran a container");
    engine.sh(&next);
    let found = diagnose(&engine);
    assert!(found.problems(&OF_THE_MACHINE).is_empty(), "{:#?}", found.findings);
    engine.wharfie(["rm", "-f", "one", "two"]).ok();
    engine.assert_clean();
}

#[test]
fn doctor_finds_a_shim_that_containerd_has_forgotten() {
    let engine = TestEngine::new();
    engine.busybox();
    let id = format!("forgotten-{}", std::process::id());
    engine.ctr(["run", "-d", "docker.io/library/busybox:latest", &id, "sleep", "1000"]).ok();
    engine.kill_containerd();
    engine.sh(&format!("mv /run/containerd/io.containerd.runtime.v2.task/default/{id} /run/away"));
    engine.start_containerd();
    let name = format!("default/{id}: process ");
    let found = loop {
        // A shim that was just started may be in the middle of its start.
        let found = diagnose(&engine);
        if found.findings.iter().any(|one| one["check"] == "shims" && one["severity"] == "warning") {
            break found;
        }
        engine.sh("sleep 0.2");
    };
    assert!(found.next("shims", "warning", &name).contains("kill -9 "));
}

#[test]
fn doctor_tells_of_tasks_that_nobody_deletes() {
    let engine = TestEngine::new();
    engine.busybox();
    let id = format!("ended-{}", std::process::id());
    engine.ctr(["run", "-d", "docker.io/library/busybox:latest", &id, "true"]).ok();
    engine.sh(&format!("until ctr tasks ls | grep -q '{id} .*STOPPED'; do sleep 0.02; done"));
    let found = diagnose(&engine);
    assert!(found.problems(&OF_THE_MACHINE).is_empty(), "{:#?}", found.findings);
    let next = found.next("tasks", "note", &format!("default: 1 task ended and never deleted: {id}"));
    engine.sh(&next);
    diagnose(&engine).has("tasks", "ok", "0 containers");
    engine.sh("rm -r /run/containerd/fifo/*"); // ctr's own, which it leaves
    engine.assert_clean();
}
