//! Processes that die or hang beside a running container: `ps` tells the truth, `rm -f` succeeds, the port is
//! free for the next one.

use std::time::{Duration, Instant};

use super::{BUSYBOX, engine};
use crate::engine::TestEngine;

/// A container that publishes a port: its id.
#[track_caller]
fn web(engine: &TestEngine, flags: &[&str]) -> String {
    let run = [&["run", "-d", "--name", "web", "-p", "8080:80"], flags, &[BUSYBOX, "sleep", "1000"]].concat();
    engine.wharfie(run).ok().to_owned()
}

/// Kills, inside, the processes whose command line has all of these words; one that was just started may not have it yet.
#[track_caller]
fn kill(engine: &TestEngine, signal: &str, words: &[&str]) {
    let tests: String = words.iter().map(|word| format!(" && index($0, \"{word}\")")).collect();
    engine.sh(&format!(
        "until pids=$(ps -eww -o pid=,args= | awk '!/awk/ && !/bash/{tests} {{ print $1 }}'); [ -n \"$pids\" ]; \
         do sleep 0.05; done; kill -{signal} $pids"
    ));
}

#[track_caller]
fn state(engine: &TestEngine) -> String {
    engine.wharfie(["ps", "-a", "--format", "{{.State}}", "--filter", "name=web"]).ok().to_owned()
}

#[track_caller]
fn wait_for_state(engine: &TestEngine, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let seen = state(engine);
        if seen == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{wanted} was never seen, but {seen}");
    }
}

/// The port serves the next one, and everything goes.
#[track_caller]
fn goes_on(engine: &TestEngine) {
    engine.wharfie(["run", "--rm", "-p", "8080:80", BUSYBOX, "true"]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn a_dead_monitor_leaves_a_container_that_is_seen_and_removed() {
    let engine = engine();
    let id = web(&engine, &[]);
    kill(&engine, "KILL", &["__monitor", &id]);
    assert_eq!(state(&engine), "running");
    engine.wharfie(["logs", "web"]).ok();
    engine.wharfie(["exec", "web", "true"]).ok();
    let attach = engine.wharfie(["attach", "web"]);
    assert!(attach.fails(1).contains("monitor"), "{attach:?}");
    engine.wharfie(["stop", "-t", "0", "web"]).ok();
    assert_eq!(state(&engine), "exited");
    engine.wharfie(["start", "web"]).ok();
    kill(&engine, "KILL", &["__monitor", &id]);
    // It ends, and nobody can tell: the port is found to be free when somebody wants it.
    kill(&engine, "KILL", &["sleep 1000"]);
    wait_for_state(&engine, "exited");
    goes_on(&engine);
}

#[test]
fn a_dead_monitor_is_replaced_by_the_next_start() {
    let engine = engine();
    let id = web(&engine, &["-i"]);
    kill(&engine, "KILL", &["__monitor", &id]);
    engine.wharfie(["restart", "-t", "0", "web"]).ok();
    assert_eq!(state(&engine), "running");
    goes_on_after_removal(&engine);
}

#[track_caller]
fn goes_on_after_removal(engine: &TestEngine) {
    engine.wharfie(["rm", "-f", "web"]).ok();
    goes_on(engine);
}

#[test]
fn a_dead_shim_ends_its_container() {
    let engine = engine();
    let id = web(&engine, &[]);
    kill(&engine, "KILL", &["containerd-shim", &id]);
    wait_for_state(&engine, "exited");
    goes_on(&engine);
    // With somebody attached.
    let run = engine.call(["run", "--name", "web", BUSYBOX, "sh", "-c", "echo up; exec sleep 1000"]).spawn();
    run.expect("up");
    kill(&engine, "KILL", &["containerd-shim", "-id"]);
    let output = run.wait();
    assert!(matches!(output.code, 137 | 255), "{output:?}");
    goes_on(&engine);
}

#[test]
fn a_dead_shim_is_no_obstacle_to_a_policy() {
    let engine = engine();
    let id = web(&engine, &["--restart", "always"]);
    let pid =
        |engine: &TestEngine| engine.wharfie(["inspect", "-f", "{{.State.Pid}}", "web"]).ok().to_owned();
    let first = pid(&engine);
    kill(&engine, "KILL", &["containerd-shim", &id]);
    let deadline = Instant::now() + Duration::from_secs(20);
    while state(&engine) != "running" || pid(&engine) == first {
        assert!(Instant::now() < deadline, "it never came back");
    }
    goes_on_after_removal(&engine);
}

#[test]
fn a_killed_init_is_an_exit_of_137() {
    let engine = engine();
    web(&engine, &[]);
    kill(&engine, "KILL", &["sleep 1000"]);
    wait_for_state(&engine, "exited");
    assert_eq!(engine.wharfie(["wait", "web"]).ok(), "137");
    goes_on(&engine);
}

#[test]
fn a_monitor_and_an_aftermath_that_are_killed_are_made_up_for() {
    let engine = engine();
    // The second process cannot even start: whatever it was to do is done by the next command that needs it.
    let id = web(&engine, &["--rm"]);
    kill(&engine, "KILL", &["__monitor", &id]);
    kill(&engine, "KILL", &["sleep 1000"]);
    wait_for_state(&engine, "exited");
    // As after a restart of containerd: the next command looks for what nobody has dealt with.
    engine.sh("rm /run/wharfie/*/recovered-default");
    engine.wharfie(["ps"]).ok();
    engine.assert_clean();
    goes_on(&engine);
}

#[test]
fn a_runtime_that_dies_midway_is_a_failed_start() {
    let engine = engine();
    let runc = engine.sh("command -v runc");
    let path = engine.directory().join("bin/runc");
    for (when, flags) in
        [("before", ""), ("midway", "timeout -s KILL 0.03"), ("midway", "timeout -s KILL 0.06")]
    {
        let body =
            if when == "before" { "kill -9 $$".to_owned() } else { format!("exec {flags} {runc} \"$@\"") };
        let script =
            format!("#!/bin/sh\ncase \" $* \" in *\" create \"*) {body};; esac\nexec {runc} \"$@\"\n");
        std::fs::write(&path, script).expect("write a runtime");
        engine.sh(&format!("chmod +x {}", path.display()));
        for flags in [&["--rm"][..], &["--rm", "-i"], &["--rm", "-d"]] {
            let run = [&["run", "-p", "8080:80"], flags, &[BUSYBOX, "true"]].concat();
            let output = engine.wharfie(run);
            assert!(matches!(output.code, 0 | 125), "{when}: {output:?}");
            assert!(when != "before" || output.code == 125, "{when}: {output:?}");
            engine.assert_clean();
        }
    }
    std::fs::remove_file(&path).expect("remove the runtime");
    goes_on(&engine);
}

#[test]
fn a_shim_that_hangs_hides_nobody_and_is_removed() {
    let engine = engine();
    engine.wharfie(["run", "-d", "--name", "other", BUSYBOX, "sleep", "1001"]).ok();
    let id = web(&engine, &[]);
    kill(&engine, "STOP", &["containerd-shim", &id]);
    let begin = Instant::now();
    let list = engine.wharfie(["ps", "--format", "{{.Names}} {{.State}}"]);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert_eq!(list.ok(), "web unknown\nother running", "{list:?}");
    let stop = engine.wharfie(["stop", "web"]);
    assert!(stop.fails(1).contains("shim does not answer"), "{stop:?}");
    let start = engine.wharfie(["start", "web"]);
    assert!(start.fails(1).contains("shim does not answer"), "{start:?}");
    engine.wharfie(["rm", "-f", "web", "other"]).ok();
    goes_on(&engine);
}
