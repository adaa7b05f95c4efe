//! kill -9 at each step of create, connect, disconnect and rm: the next command finds all or nothing, and
//! nothing is left at the end. The steps are system calls, at which strace kills.

use super::{BUSYBOX, create, engine, inside, sleeper, taken};
use crate::engine::TestEngine;

/// What changes something outside of the process: containerd, the kernel's network, files.
const CALLS: [&str; 6] = ["sendmsg", "writev", "sendto", "rename", "openat", "unlink"];

/// At most so many kills a kind of call, from its last one back.
const KILLS: usize = 5;

/// Runs `line` killed at chosen steps, `after` each, and `before` each.
#[track_caller]
fn killed_at_each_step(engine: &TestEngine, line: &[&str], before: &dyn Fn(), after: &dyn Fn(&str)) {
    let mut kills = 0;
    for call in CALLS {
        let log = engine.directory().join("strace.log");
        let trace = format!("trace={call}");
        before();
        let strace = ["-f", "-qq", "-o", log.to_str().expect("UTF-8"), "-e", &trace, "wharfie"];
        engine.program("strace", strace.iter().chain(line).copied()).run().ok();
        after(&format!("an undisturbed {line:?}"));
        let text = std::fs::read_to_string(&log).expect("read strace's log");
        let total = text.lines().filter(|line| line.contains(&format!(" {call}("))).count();
        let mut steps: Vec<usize> =
            (0..KILLS).map(|back| total.saturating_sub(back * total / (2 * KILLS))).collect();
        steps.retain(|step| *step > 0);
        steps.dedup();
        for step in steps {
            before();
            let inject = format!("inject={call}:signal=SIGKILL:when={step}");
            let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "wharfie"];
            kills +=
                usize::from(engine.program("strace", strace.iter().chain(line).copied()).run().code != 0);
            let at = format!("{line:?} killed at {call} {step} of {total}");
            eprintln!("{at}");
            after(&at);
        }
    }
    assert!(kills >= 5, "{kills} kills hit");
}

#[test]
fn a_killed_create_leaves_a_network_or_none() {
    let engine = engine();
    killed_at_each_step(&engine, &["network", "create", "--ipv6", "shop"], &|| {}, &|at| {
        let there = engine.wharfie(["network", "ls", "-q", "-f", "name=^shop$"]).ok().lines().count();
        if there == 0 {
            create(&engine, &["--ipv6"], "shop");
        }
        let run = engine.wharfie(["run", "--rm", "--network", "shop", BUSYBOX, "true"]);
        assert!(run.code == 0, "{at}: {run:?}");
        let removed = engine.wharfie(["network", "rm", "shop"]);
        assert!(removed.code == 0, "{at}: {removed:?}");
        engine.assert_clean();
    });
}

#[test]
fn a_killed_rm_is_completed_by_the_next() {
    let engine = engine();
    let before = || drop(create(&engine, &["--ipv6"], "shop"));
    killed_at_each_step(&engine, &["network", "rm", "shop"], &before, &|at| {
        let again = engine.wharfie(["network", "rm", "-f", "shop"]);
        assert!(again.code == 0, "{at}: {again:?}");
        engine.assert_clean();
    });
}

#[test]
fn a_killed_connect_is_done_or_taken_back() {
    let engine = engine();
    create(&engine, &[], "alpha");
    // It has the resolver started, which strace would else wait for.
    sleeper(&engine, &["--name", "db", "--network", "alpha"]);
    engine.wharfie(["run", "-d", "--name", "web", "-p", "8080:80", BUSYBOX, "sleep", "1000"]).ok();
    killed_at_each_step(&engine, &["network", "connect", "alpha", "web"], &|| {}, &|at| {
        let next = engine.wharfie(["network", "disconnect", "alpha", "web"]);
        let was_on = next.code == 0;
        assert!(was_on || next.stderr.contains("is not connected to network alpha"), "{at}: {next:?}");
        assert_eq!(inside(&engine, "web", "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo ", "{at}");
        assert_eq!(inside(&engine, "web", "ip route | grep -c ^default"), "1", "{at}");
        assert_eq!(taken(&engine, "alpha").len(), 1, "db's alone: {at}");
        assert!(!inside(&engine, "web", "cat /etc/hosts").contains("172.17."), "{at}");
        let ports = engine.wharfie(["port", "web"]).ok().to_owned();
        assert!(ports.contains(":8080"), "{at}: {ports}");
        let own = inside(&engine, "web", "ip -4 -o addr show eth0 | awk '{print $4}' | cut -d/ -f1");
        let rules = engine.sh("nft list map ip wharfie published_any");
        assert!(rules.contains(&own), "{at}: {rules}");
    });
    engine.wharfie(["rm", "-f", "web", "db"]).ok();
    engine.wharfie(["network", "rm", "alpha"]).ok();
    engine.assert_clean();
}

#[test]
fn a_killed_disconnect_is_completed_by_the_next_command() {
    let engine = engine();
    create(&engine, &[], "alpha");
    engine.wharfie(["run", "-d", "--name", "web", "-p", "8080:80", BUSYBOX, "sleep", "1000"]).ok();
    let before = || {
        engine.wharfie(["network", "connect", "alpha", "web"]).ok();
    };
    killed_at_each_step(&engine, &["network", "disconnect", "alpha", "web"], &before, &|at| {
        let next = engine.wharfie(["network", "disconnect", "alpha", "web"]);
        assert!(
            next.code == 0 || next.stderr.contains("is not connected to network alpha"),
            "{at}: {next:?}"
        );
        assert_eq!(inside(&engine, "web", "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo ", "{at}");
        assert_eq!(inside(&engine, "web", "ip route | grep -c ^default"), "1", "{at}");
        assert_eq!(taken(&engine, "alpha"), Vec::<String>::new(), "{at}");
        let ports = engine.wharfie(["port", "web"]).ok().to_owned();
        assert!(ports.contains(":8080"), "{at}: {ports}");
    });
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.wharfie(["network", "rm", "alpha"]).ok();
    engine.assert_clean();
}
