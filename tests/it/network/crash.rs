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
fn a_killed_change_of_ports_is_done_or_taken_back() {
    let engine = engine();
    engine.wharfie(["run", "-d", "--name", "web", "-p", "8080:80", BUSYBOX, "sleep", "1000"]).ok();
    let line = ["update", "--publish-rm", "8080:80", "--publish-add", "8081:80", "web"];
    killed_at_each_step(&engine, &line, &|| {}, &|at| {
        // Any command that changes something; the record, the monitor's duty and the rules then say the same.
        engine.wharfie(["volume", "create", "other"]).ok();
        engine.wharfie(["container", "update", "--pids-limit", "100", "web"]).ok();
        let ports = engine.wharfie(["port", "web"]).ok().to_owned();
        let asked =
            engine.wharfie(["inspect", "-f", "{{json .HostConfig.PortBindings}}", "web"]).ok().to_owned();
        let rules = engine.sh("nft list map ip wharfie published_any");
        let duty = engine.sh("cat /var/lib/wharfie/*/default/containers/*/monitor.json");
        let (is, is_not) = if ports.contains("8081") { ("8081", "8080") } else { ("8080", "8081") };
        for told in [&ports, &asked, &rules, &duty] {
            assert!(told.contains(is) && !told.contains(is_not), "{at}: {ports} {asked} {rules} {duty}");
        }
        if is == "8081" {
            engine.wharfie(["update", "--publish-rm", "8081:80", "--publish-add", "8080:80", "web"]).ok();
        }
    });
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.wharfie(["volume", "rm", "other"]).ok();
    engine.assert_clean();
}

#[test]
fn a_container_that_ends_takes_ports_of_a_killed_change_along() {
    let engine = engine();
    let id = engine.wharfie(["create", "--name", "web", BUSYBOX, "sleep", "1000"]).ok().to_owned();
    let before = || {
        engine.wharfie(["start", "web"]).ok();
    };
    killed_at_each_step(&engine, &["update", "--publish-add", "8081:80", "web"], &before, &|at| {
        // It ends by itself: its monitor frees what it knows of.
        engine.ctr(["tasks", "kill", "-s", "9", &id]).ok();
        engine.wharfie(["wait", "web"]).ok();
        engine.wharfie(["update", "--restart", "no", "web"]).ok();
        let rules = engine.sh("nft list map ip wharfie published_any");
        assert!(!rules.contains("8081"), "{at}: {rules}");
        engine.wharfie(["update", "--publish-rm", "8081:80", "web"]);
    });
    engine.wharfie(["rm", "-f", "web"]).ok();
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
