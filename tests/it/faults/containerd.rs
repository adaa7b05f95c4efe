//! containerd stopped, killed and started again in the middle of commands, and the whole machine.

use rustix::process::Signal;

use super::{BUSYBOX, engine};
use crate::engine::TestEngine;

#[track_caller]
fn list(engine: &TestEngine) -> String {
    let mut lines: Vec<String> = engine
        .wharfie(["ps", "-a", "--format", "{{.Names}} {{.State}}"])
        .ok()
        .lines()
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.join("\n")
}

#[track_caller]
fn everything_works(engine: &TestEngine) {
    assert_eq!(engine.wharfie(["exec", "web", "echo", "in"]).ok(), "in");
    assert!(engine.wharfie(["logs", "web"]).ok().contains("up"));
    engine.wharfie(["stop", "-t", "0", "web"]).ok();
    engine.wharfie(["start", "web"]).ok();
    engine.wharfie(["run", "--rm", "-p", "8081:80", BUSYBOX, "true"]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
}

#[test]
fn containers_outlive_containerd_and_its_absence_is_told() {
    let engine = engine();
    let script = "echo up; exec sleep 1000";
    engine.wharfie(["run", "-d", "--name", "web", "-p", "8080:80", BUSYBOX, "sh", "-c", script]).ok();
    let attached = engine.call(["run", "--rm", "--name", "attached", "-i", BUSYBOX, "cat"]).open_stdin();
    let mut attached = attached.spawn();
    attached.send("before\n");
    attached.expect("before");
    let follow = engine.call(["logs", "-f", "web"]).spawn();
    follow.expect("up");
    let exec = engine.call(["exec", "web", "sleep", "1000"]).spawn();
    let wait = engine.call(["wait", "web"]).spawn();
    engine.sh("until [ $(ps -eww -o args= | grep -c '^sleep 1000') = 2 ]; do sleep 0.02; done");
    engine.kill_containerd();
    for (command, code) in [(exec, 1), (wait, 1)] {
        let output = command.wait();
        assert!(output.fails(code).contains("containerd"), "{output:?}");
    }
    for arguments in [&["ps"][..], &["stop", "web"], &["rm", "-f", "web"], &["exec", "web", "true"]] {
        let output = engine.wharfie(arguments.iter().copied());
        assert!(output.fails(1).contains("cannot connect to containerd"), "{output:?}");
        assert!(output.stderr.contains("start it with"), "{output:?}");
    }
    assert!(engine.wharfie(["run", BUSYBOX]).fails(125).contains("cannot connect to containerd"));
    // Nobody needs containerd for the streams.
    attached.send("between\n");
    attached.expect("between");
    engine.start_containerd();
    assert_eq!(list(&engine), "attached running\nweb running");
    attached.close();
    let output = attached.wait();
    assert_eq!((output.code, output.stdout.as_str()), (0, "before\nbetween\n"), "{output:?}");
    follow.signal(Signal::INT);
    drop(follow);
    everything_works(&engine);
    engine.assert_clean();
}

#[test]
fn what_ends_while_containerd_is_away_is_dealt_with_when_it_is_back() {
    let engine = engine();
    let kill_all =
        "ps -eww -o pid=,args= | awk '/sleep 1000/ && !/awk/ && !/bash/ { print $1 }' | xargs kill -9";
    for (name, flag) in [("once", "--restart=no"), ("again", "--restart=always"), ("gone", "--rm")] {
        engine.wharfie(["run", "-d", "--name", name, flag, BUSYBOX, "sleep", "1000"]).ok();
    }
    engine.kill_containerd();
    engine.sh(kill_all);
    engine.start_containerd();
    engine.sh("until [ \"$(wharfie ps -a --format '{{.Names}} {{.State}}' | sort | xargs)\" = 'again running once exited' ]; do sleep 0.05; done");
    // containerd 1.7 and later throw away, when they start, what the shim knew of an ended process.
    let status = engine.wharfie(["wait", "once"]);
    assert!(matches!(status.ok(), "137" | "255"), "{status:?}");
    engine.wharfie(["rm", "-f", "once", "again"]).ok();
    engine.assert_clean();
}

#[test]
fn a_directory_in_the_place_of_the_next_snapshot_is_no_obstacle() {
    let engine = engine();
    // As a containerd leaves it that is killed before it has written down what it made.
    engine.sh("cd /var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots
         next=$(($(ls | sort -n | tail -n 1) + 1)); mkdir -p $next/fs $next/work");
    engine.wharfie(["run", "--rm", BUSYBOX, "true"]).ok();
    engine.assert_clean();
}

#[test]
fn a_run_that_loses_containerd_leaves_nothing() {
    let engine = engine();
    // At moments spread over the time that a run takes.
    for part in 1..=6 {
        let run = engine.call([
            "run",
            "--rm",
            "--name",
            "web",
            "-p",
            "8080:80",
            "-v",
            "/anonymous",
            BUSYBOX,
            "true",
        ]);
        let run = run.spawn();
        std::thread::sleep(std::time::Duration::from_millis(part * 40));
        engine.kill_containerd();
        engine.start_containerd();
        let output = run.wait();
        assert!(matches!(output.code, 0 | 125), "{output:?}");
        engine.wharfie(["ps", "-a"]).ok();
        engine.wharfie(["rm", "-fv", "web"]).ok();
        engine.wharfie(["run", "--rm", "--name", "web", "-p", "8080:80", BUSYBOX, "true"]).ok();
        // containerd's own, when it is killed while it removes a bundle (it never looks at them again), or before
        // its shim has written down the runtime (it fails to read that at each start, and keeps the bundle).
        engine.sh("cd /run/containerd/io.containerd.runtime.v2.task/default || exit 0; rm -rf .[0-9a-f]*
             for bundle in */; do [ -e $bundle/runtime ] || rm -rf ./$bundle; done");
        engine.assert_clean();
    }
}

#[test]
fn a_reboot_brings_back_what_the_policies_ask_for() {
    let engine = engine();
    for (name, policy) in [
        ("always", "always"),
        ("unless", "unless-stopped"),
        ("stopped", "unless-stopped"),
        ("failure", "on-failure"),
        ("never", "no"),
    ] {
        let run = ["run", "-d", "--name", name, "--restart", policy, "-p", "80", BUSYBOX, "sleep", "1000"];
        engine.wharfie(run).ok();
    }
    engine.wharfie(["stop", "-t", "0", "stopped"]).ok();
    engine.wharfie(["run", "-d", "--rm", "--name", "gone", BUSYBOX, "sleep", "1000"]).ok();
    engine.kill_containerd();
    // Everything is killed, /run is empty, links and rules are those of a fresh kernel.
    engine.sh(
        "ps -eww -o pid=,args= | awk '/containerd-shim|__monitor|sleep 1000/ && !/awk/ && !/bash/ { print $1 }' | xargs kill -9
         until ! ps -eww -o args= | grep -E '^sleep 1000|__monitor' | grep -qv grep; do sleep 0.02; done
         findmnt -rno TARGET | grep -E '^/run/|/lib/containerd' | tac | xargs -r -n1 umount -l 2>/dev/null || :
         rm -rf /run/* ; nft flush ruleset
         ip -o link show type bridge | awk -F': ' '{ print $2 }' | xargs -r -n1 ip link del
         ip -o link show type veth | awk -F'[:@] *' '{ print $2 }' | xargs -r -n1 ip link del",
    );
    engine.start_containerd();
    // Any command will do.
    engine.wharfie(["ps"]).ok();
    assert_eq!(
        list(&engine),
        "always running\nfailure running\nnever exited\nstopped exited\nunless running"
    );
    engine.wharfie(["start", "never", "stopped"]).ok();
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    let all = ["always", "failure", "never", "stopped", "unless"];
    let addresses = engine.wharfie(["inspect", "-f", format].iter().chain(&all).copied());
    let mut unique: Vec<&str> = addresses.ok().lines().collect();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), all.len(), "{addresses:?}");
    let kept = engine.sh("ls /var/lib/cni/networks/bridge | grep -c '^[0-9]'");
    assert_eq!(kept, "5", "one address each is kept");
    engine.wharfie(["rm", "-f"].iter().chain(&all).copied()).ok();
    engine.assert_clean();
}
