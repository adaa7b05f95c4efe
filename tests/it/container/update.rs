//! `update`: live, kept, and refused.

use super::{BUSYBOX, engine, inside, sleeper};
use crate::engine::TestEngine;

/// Let the container end. What tells it may be ended with it.
fn end(engine: &TestEngine, container: &str) {
    let _ = engine.wharfie(["exec", container, "touch", "/end"]);
}

#[test]
fn limits_hold_at_once_and_after_the_next_start() {
    let engine = engine();
    let id = sleeper(&engine, &["--name", "box", "--memory", "64m", "--pids-limit", "100"]);
    let read = |v1: &str, v2: &str| {
        inside(&engine, "box", &format!("cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}"))
    };
    let memory = || read("memory/memory.limit_in_bytes", "memory.max");
    let pids = || read("pids/pids.max", "pids.max");
    assert_eq!((memory().as_str(), pids().as_str()), ("67108864", "100"));
    let updated = engine.wharfie([
        "update",
        "--memory",
        "96m",
        "--memory-swap",
        "256m",
        "--memory-reservation",
        "32m",
        "--cpus",
        "0.5",
        "--cpu-shares",
        "512",
        "--cpuset-cpus",
        "0",
        "--pids-limit",
        "50",
        "box",
    ]);
    assert_eq!((updated.ok(), updated.stderr.as_str()), ("box", ""));
    let seen = || {
        assert_eq!((memory().as_str(), pids().as_str()), ("100663296", "50"));
        assert_eq!(read("cpuset/cpuset.cpus", "cpuset.cpus"), "0");
        assert_eq!(
            read("cpu/cpu.cfs_quota_us", "cpu.max").split(' ').next(),
            Some("50000"),
            "half of a period of 100 ms"
        );
        assert_eq!(
            engine
                .wharfie([
                    "inspect",
                    "-f",
                    "{{with .HostConfig}}{{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.NanoCpus}} {{.CpuShares}} {{.CpusetCpus}} {{.PidsLimit}}{{end}}",
                    "box"
                ])
                .ok(),
            "100663296 268435456 33554432 500000000 512 0 50"
        );
    };
    seen();
    engine.wharfie(["restart", "-t", "0", "box"]).ok();
    seen();
    // Without limits again, in docker's way of saying it.
    engine.wharfie(["update", "--pids-limit", "-1", "--memory-swap", "-1", "box"]).ok();
    assert_eq!(pids(), "max");
    // containerd's own record says the same to other clients.
    let spec = engine.ctr(["containers", "info", &id]).ok().to_owned();
    let spec: serde_json::Value = serde_json::from_str(&spec).unwrap();
    let resources = spec.pointer("/Spec/linux/resources").unwrap();
    assert_eq!(resources["memory"]["limit"], 100_663_296);
    assert_eq!(resources["pids"]["limit"], -1);
    assert!(resources["devices"].as_array().is_some_and(|rules| !rules.is_empty()), "{resources}");
    // Frozen, it takes them too.
    engine.wharfie(["pause", "box"]).ok();
    engine.wharfie(["update", "--memory", "100m", "--memory-swap", "-1", "box"]).ok();
    engine.wharfie(["unpause", "box"]).ok();
    assert_eq!(memory(), "104857600");

    engine.wharfie(["create", "--name", "made", BUSYBOX, "sleep", "1000"]).ok();
    let several = engine.wharfie(["container", "update", "-c", "100", "made", "nobody", "box"]);
    assert!(
        several.fails(1).contains("Error response from daemon: No such container: nobody"),
        "{several:?}"
    );
    assert_eq!(several.stdout, "made\nbox\n");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.HostConfig.CpuShares}}", "made"]).ok(), "100");
    let swap = "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time";
    for (flags, words) in [
        (&[][..], "you must provide one or more flags when using this command"),
        (&["--memory", "8m"], swap),
        (&["--cpus", "100"], "Range of CPUs is from 0.01 to"),
        (&["--memory", "1m", "--memory-swap", "-1"], "Minimum memory limit allowed is 6MB"),
        (&["--cpuset-cpus", "999"], "Requested CPUs are not available"),
        (&["--blkio-weight", "5"], "Range of blkio weight is from 10 to 1000"),
    ] {
        let output = engine.wharfie([&["update"], flags, &["made"]].concat());
        assert!(output.fails(1).contains(words), "{output:?}");
    }
    for (flags, words) in [
        (["--kernel-memory", "1g"], "--kernel-memory is not supported"),
        (["--restart", "sometimes"], "invalid restart policy: unknown policy 'sometimes'"),
        (["--memory", "much"], "invalid argument \"much\" for \"-m, --memory\" flag"),
    ] {
        let output = engine.wharfie([&["update"], &flags[..], &["made"]].concat());
        assert!(output.code != 0 && output.stderr.contains(words), "{output:?}");
    }
    engine.wharfie(["rm", "-f", "box", "made"]).ok();
    engine.assert_clean();
}

#[test]
fn a_policy_holds_from_then_on() {
    let engine = engine();
    let status = |name: &str| {
        engine.wharfie(["inspect", "-f", "{{.State.Status}} {{.RestartCount}}", name]).ok().to_owned()
    };
    let runs_for = |name: &str, starts: u32| {
        engine.sh(&format!(
            "until test $(wharfie inspect -f '{{{{.RestartCount}}}}{{{{.State.Running}}}}' {name}) = {starts}true; do sleep 0.02; done"
        ));
    };
    let ended = |name: &str| {
        engine.sh(&format!(
            "until test $(wharfie inspect -f '{{{{.State.Status}}}}' {name}) = exited; do sleep 0.02; done"
        ));
    };
    let script = "trap 'exit 0' TERM; while test ! -e /end; do sleep 0.02; done; rm /end; exit 7";
    let start = |name: &str, policy: &str| {
        engine.wharfie(["run", "-d", "--name", name, "--restart", policy, BUSYBOX, "sh", "-c", script]).ok();
    };
    // It was started with none, and gets one while it runs.
    start("box", "no");
    engine.wharfie(["update", "--restart", "on-failure:1", "box"]).ok();
    assert_eq!(
        engine.wharfie(["inspect", "-f", "{{json .HostConfig.RestartPolicy}}", "box"]).ok(),
        r#"{"Name":"on-failure","MaximumRetryCount":1}"#
    );
    end(&engine, "box");
    runs_for("box", 1);
    end(&engine, "box");
    ended("box");
    assert_eq!(status("box"), "exited 1", "once, no more");
    // It loses it while it runs.
    start("other", "always");
    engine.wharfie(["update", "--restart", "no", "other"]).ok();
    end(&engine, "other");
    ended("other");
    assert_eq!(status("other"), "exited 0");
    // And while it waits to be started again.
    engine.wharfie(["run", "-d", "--name", "crash", "--restart", "always", BUSYBOX, "false"]).ok();
    // By then it waits for more than a second.
    engine.sh(
        "until test $(wharfie inspect -f '{{.State.Status}}{{.RestartCount}}' crash) = restarting4; do sleep 0.02; done",
    );
    engine.wharfie(["update", "--restart", "no", "crash"]).ok();
    ended("crash");
    assert_eq!(status("crash"), "exited 4", "it was not started once more");
    // A foreground run leaves it to the new policy.
    let run = engine.call(["run", "--name", "front", BUSYBOX, "sh", "-c", script]).spawn();
    engine.sh("until wharfie exec front true 2>/dev/null; do sleep 0.02; done");
    engine.wharfie(["update", "--restart", "always", "front"]).ok();
    end(&engine, "front");
    assert_eq!(run.wait().code, 7);
    runs_for("front", 1);
    // --rm and a policy exclude each other.
    sleeper(&engine, &["--rm", "--name", "once"]);
    let refused = engine.wharfie(["update", "--restart", "always", "once"]);
    assert!(
        refused
            .fails(1)
            .contains("Restart policy cannot be updated because AutoRemove is enabled for the container"),
        "{refused:?}"
    );
    engine.wharfie(["rm", "-f", "box", "other", "crash", "front", "once"]).ok();
    engine.assert_clean();
}
