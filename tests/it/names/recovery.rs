//! What a kill, a reboot or a lost container leaves: nothing that hinders the next start.

use super::answers::ask;
use super::{BUSYBOX, address, engine, network, sleeper};
use crate::engine::TestEngine;

const FIXED: &str = "10.91.0.50";

#[track_caller]
fn fixed(engine: &TestEngine) -> String {
    sleeper(engine, "web", &["--network", "front", "--ip", FIXED, "-p", "8080:80"])
}

/// Links, rules, namespaces and /run as after a reboot: everything is killed, nothing is taken down.
#[track_caller]
fn reboot(engine: &TestEngine) {
    engine.kill_containerd();
    engine.sh(
        "ps -eww -o pid=,args= | awk '/containerd-shim|__monitor|__names|sleep 10000/ && !/awk/ && !/bash/ { print $1 }' | xargs -r kill -9
         until ! ps -eww -o args= | grep -E '^sleep 10000|__monitor|__names' | grep -qv grep; do sleep 0.02; done
         findmnt -rno TARGET | grep -E '^/run/|/lib/containerd' | tac | xargs -r -n1 umount -l 2>/dev/null || :
         rm -rf /run/* ; nft flush ruleset
         ip -o link show type bridge | awk -F': ' '{ print $2 }' | xargs -r -n1 ip link del
         ip -o link show type veth | awk -F'[:@] *' '{ print $2 }' | xargs -r -n1 ip link del",
    );
    engine.start_containerd();
}

#[test]
fn after_a_reboot_it_has_its_address_its_ports_and_its_names() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    fixed(&engine);
    sleeper(&engine, "db", &["--network", "front", "--restart", "always"]);
    reboot(&engine);
    // No command was there in between, and what belongs to the dead is in the register still.
    assert_eq!(engine.sh(&format!("ls /var/lib/cni/networks/front | grep -c '^{FIXED}$'")), "1");
    engine.wharfie(["start", "web"]).ok();
    assert_eq!(address(&engine, "web", "eth0"), FIXED);
    assert_eq!(engine.wharfie(["port", "web"]).ok(), "80/tcp -> 0.0.0.0:8080");
    assert_eq!(ask(&engine, "db", &["A", "web"]), format!("NOERROR {FIXED}"));
    assert_eq!(ask(&engine, "web", &["A", "db"]), format!("NOERROR {}", address(&engine, "db", "eth0")));
    // Once more, with a containerd that was killed alone.
    engine.kill_containerd();
    engine.start_containerd();
    assert_eq!(ask(&engine, "db", &["A", "web"]), format!("NOERROR {FIXED}"));
    engine.wharfie(["restart", "-t0", "web"]).ok();
    assert_eq!(address(&engine, "web", "eth0"), FIXED);
    engine.wharfie(["rm", "-f", "web", "db"]).ok();
    engine.assert_clean();
}

#[test]
fn what_the_dead_own_never_blocks() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    let id = fixed(&engine);
    let register = "/var/lib/cni/networks/front";
    // Addresses of a container of ours that nobody knows any more, and its port.
    let lost = "f".repeat(64);
    engine.sh(&format!("sed 's/{id}/{lost}/' {register}/{FIXED} > {register}/10.91.0.60"));
    engine.sh(&format!(
        "nft -a list map ip wharfie published_any > /dev/null
         mark=$(tail -n 1 {register}/{FIXED})
         nft \"add element ip wharfie published_any {{ tcp . 8090 comment \\\"default-{lost} $mark\\\" : 10.91.0.60 . 80 }}\""
    ));
    let line = ["run", "--rm", "--network", "front", "--ip", "10.91.0.60", "-p", "8090:80", BUSYBOX, "true"];
    engine.wharfie(line).ok();
    // Alive ones and other tools' are kept, and said to be there.
    engine.sh(&format!("printf '0123456789abcdef\\r\\neth0' > {register}/10.91.0.61"));
    for taken in [FIXED, "10.91.0.61"] {
        let refused = engine.wharfie(["run", "--rm", "--network", "front", "--ip", taken, BUSYBOX, "true"]);
        assert!(refused.fails(125).contains(&format!("Address already in use: {taken}")), "{refused:?}");
    }
    engine.sh(&format!("rm {register}/10.91.0.61"));
    // One's own from a start that was killed, with nothing else left of it, is one's own.
    engine.wharfie(["stop", "-t0", "web"]).ok();
    let mark = engine.sh("ls -d /run/wharfie/*/names > /dev/null; wharfie run -d --name other --network front busybox sleep 10000 > /dev/null; tail -q -n 1 /var/lib/cni/networks/front/10.* | head -n 1");
    engine.sh(&format!("printf 'default-{id}\\r\\neth0\\r\\n{}' > {register}/{FIXED}", mark.trim()));
    engine.wharfie(["start", "web"]).ok();
    assert_eq!(address(&engine, "web", "eth0"), FIXED);
    engine.wharfie(["rm", "-f", "web", "other"]).ok();
    engine.assert_clean();
}

#[test]
fn a_killed_monitor_leaves_nothing_that_lasts() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    let id = fixed(&engine);
    sleeper(&engine, "db", &["--network", "front"]);
    engine.sh(&format!("pkill -KILL -f '[_]_monitor.*{id}'"));
    engine.wharfie(["kill", "web"]).ok();
    engine.wharfie(["wait", "web"]).ok();
    // Its address and its port are another one's at once.
    let line = [
        "run",
        "-d",
        "--name",
        "next",
        "--network",
        "front",
        "--ip",
        FIXED,
        "-p",
        "8080:80",
        BUSYBOX,
        "sleep",
        "10000",
    ];
    engine.wharfie(line).ok();
    assert_eq!(ask(&engine, "db", &["A", "next"]), format!("NOERROR {FIXED}"));
    assert_ne!(ask(&engine, "db", &["A", "web"]), format!("NOERROR {FIXED}"));
    engine.wharfie(["rm", "-f", "web", "db", "next"]).ok();
    engine.assert_clean();
}

/// `line` is killed at steps of each kind of call; after each the container can be made and removed, and then
/// nothing is left.
#[track_caller]
fn killed_at_each_step(engine: &TestEngine, prepare: &[&str], line: &[&str]) {
    let run = [
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "front",
        "--ip",
        FIXED,
        "-p",
        "8080:80",
        BUSYBOX,
        "sleep",
        "10000",
    ];
    for call in ["sendto", "sendmsg", "rename", "openat", "unlink", "connect", "umount2"] {
        for step in [1, 3, 7, 15, 40] {
            if !prepare.is_empty() {
                engine.wharfie(prepare.iter().copied()).ok();
            }
            let inject = format!("inject={call}:signal=SIGKILL:when={step}");
            let trace = format!("trace={call}");
            let strace = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "wharfie"];
            let quiet = ["-c", "exec strace \"$@\" >said 2>&1", "strace"];
            let killed = engine.program("bash", quiet.iter().chain(&strace).chain(line).copied()).run();
            assert!(
                matches!(killed.code, 0 | 1 | 125 | 137),
                "{call} {step}: {killed:?}\n{}",
                engine.sh("cat said")
            );
            let at = format!("after a kill at {call} {step}");
            let removed = engine.wharfie(["rm", "-f", "web"]);
            assert!(removed.code == 0 || removed.stderr.contains("No such container"), "{at}: {removed:?}");
            let again = engine.wharfie(run);
            assert!(again.code == 0, "{at}: {again:?}");
            assert_eq!(ask(engine, "web", &["A", "web"]), format!("NOERROR {FIXED}"), "{at}");
            engine.wharfie(["rm", "-f", "web"]).ok();
            engine.assert_clean();
        }
    }
}

const RUN: [&str; 12] =
    ["run", "-d", "--name", "web", "--network", "front", "--ip", FIXED, "-p", "8080:80", BUSYBOX, "sleep"];

#[test]
fn a_start_with_names_killed_at_each_step() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    let line = [&RUN[..], &["10000"]].concat();
    engine.wharfie(line.iter().copied()).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.accept();
    killed_at_each_step(&engine, &[], &line);
}

#[test]
fn a_removal_with_names_killed_at_each_step() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    let line = [&RUN[..], &["10000"]].concat();
    killed_at_each_step(&engine, &line, &["rm", "-f", "web"]);
}
