//! `netns`: a program of this machine in a container's network.

use rustix::process::Signal;

use super::{end, engine, target};
use crate::cri;

#[test]
fn a_program_of_the_machine_in_the_containers_network() {
    let engine = engine();
    target(&engine, &[]);
    let pid = engine.wharfie(["inspect", "-f", "{{.State.Pid}}", "web"]).ok().to_owned();
    let theirs = engine.sh(&format!("nsenter --net=/proc/{pid}/ns/net ip -4 addr"));
    assert!(theirs.contains("eth0"));
    assert_eq!(engine.wharfie(["netns", "web", "ip", "-4", "addr"]).ok(), theirs);
    assert_eq!(engine.wharfie(["netns", "web", "--", "ip", "-4", "addr"]).ok(), theirs);
    // Only the network is another one.
    assert_eq!(
        engine.wharfie(["netns", "web", "readlink", "/proc/self/ns/mnt", "/proc/self/ns/pid"]).ok(),
        engine.sh("readlink /proc/self/ns/mnt /proc/self/ns/pid")
    );
    let cat = engine.call(["netns", "web", "sh", "-c", "cat; echo err >&2; exit 9"]).stdin("in").run();
    assert_eq!((cat.code, cat.stdout.as_str(), cat.stderr.as_str()), (9, "in", "err\n"));
    let mut shell = engine.terminal(["netns", "web", "sh", "-c", "stty size; test -t 0 && exit 4"]);
    assert_eq!(shell.wait(), 4);
    let sleep = engine
        .call(["netns", "web", "sh", "-c", "trap 'exit 6' TERM; echo up; while :; do sleep 0.05; done"])
        .spawn();
    sleep.expect("up");
    sleep.signal(Signal::TERM);
    assert_eq!(sleep.wait().code, 6);
    engine.wharfie(["pause", "web"]).ok();
    assert_eq!(engine.wharfie(["netns", "web", "ip", "-4", "addr"]).ok(), theirs);
    for (line, code, message) in [
        (&["web", "nonsense"][..], 127, "exec: \"nonsense\": no such file or directory"),
        (&["web", "/etc/passwd"], 126, "exec: \"/etc/passwd\": permission denied"),
        (&["web", "--"], 125, "which program?"),
        (&["web"], 1, "'wharfie netns' requires at least 2 arguments"),
        (&["nope", "true"], 125, "No such container: nope"),
    ] {
        let refused = engine.wharfie([&["netns"], line].concat());
        assert!(refused.fails(code).contains(message), "{refused:?}");
    }
    engine.wharfie(["unpause", "web"]).ok();
    engine.wharfie(["stop", "-t", "0", "web"]).ok();
    let stopped = engine.wharfie(["netns", "web", "true"]);
    assert!(stopped.fails(125).contains("container web is not running"), "{stopped:?}");
    engine.wharfie(["rm", "web"]).ok();
    for (mode, same) in [("none", false), ("host", true)] {
        target(&engine, &["--network", mode]);
        let seen = engine.wharfie(["netns", "web", "readlink", "/proc/self/ns/net"]).ok().to_owned();
        assert_eq!(seen == engine.sh("readlink /proc/self/ns/net"), same, "{mode}");
        engine.wharfie(["rm", "-f", "web"]).ok();
    }
    engine.assert_clean();
}

#[test]
fn a_hung_shim_hides_nothing() {
    let engine = engine();
    target(&engine, &[]);
    let id = engine.wharfie(["ps", "-q", "--no-trunc"]).ok().to_owned();
    let theirs = engine.wharfie(["netns", "web", "ip", "-4", "addr"]).ok().to_owned();
    engine.sh(&format!("pkill -STOP -f 'containerd-shim.*{id}'"));
    assert_eq!(engine.wharfie(["netns", "web", "ip", "-4", "addr"]).ok(), theirs);
    let debug = engine.wharfie(["debug", "web", "--", "cat", "/target/mark"]);
    assert_eq!(debug.ok(), "of the target");
    assert!(debug.stderr.contains("the shim of web does not answer"), "{debug:?}");
    end(&engine);
}

#[test]
fn a_pods_network() {
    let engine = cri::engine();
    let pod = cri::pod(&engine);
    let netns = |id: &str| {
        engine.wharfie(["-n", "k8s.io", "netns", id, "readlink", "/proc/self/ns/net"]).ok().to_owned()
    };
    let host = engine.sh("readlink /proc/self/ns/net");
    assert_eq!((netns(&pod.container), netns(&pod.sandbox)), (host.clone(), host));
    cri::remove(&engine, &pod);
}
