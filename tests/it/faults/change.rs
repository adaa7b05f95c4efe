//! kill -9 of commands that change a container, at each step: it has the old or the new, whole, and the next
//! command gives it the new.

use super::{BUSYBOX, engine};
use crate::engine::TestEngine;

/// What changes something outside of the process.
const CALLS: [&str; 5] = ["sendmsg", "writev", "rename", "openat", "unlink"];

/// At most so many kills a kind of call, spread over how often it is made.
const KILLS: usize = 6;

/// Runs `line` traced, killed at the `step`-th `call`. False when it came through.
#[track_caller]
fn killed(engine: &TestEngine, line: &[&str], call: &str, step: usize) -> bool {
    let (trace, inject) = (format!("trace={call}"), format!("inject={call}:signal=SIGKILL:when={step}"));
    let strace = ["-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "wharfie"];
    engine.program("strace", strace.iter().chain(line).copied()).run().code != 0
}

/// The steps at which to kill, out of as many as an undisturbed `line` makes.
#[track_caller]
fn steps(engine: &TestEngine, line: &[&str], call: &str) -> Vec<usize> {
    let log = engine.directory().join("strace.log");
    let trace = format!("trace={call}");
    let strace = ["-f", "-qq", "-o", log.to_str().expect("UTF-8"), "-e", &trace, "wharfie"];
    engine.program("strace", strace.iter().chain(line).copied()).run().ok();
    let text = std::fs::read_to_string(&log).expect("read strace's log");
    let total = text.lines().filter(|line| line.contains(&format!(" {call}("))).count();
    // The first ones are the loader's; the last ones are nearest to what matters.
    let mut steps: Vec<usize> = (0..KILLS).map(|back| total.saturating_sub(back * total / KILLS)).collect();
    steps.retain(|step| *step > 0);
    steps.dedup();
    steps
}

#[test]
fn a_rename_killed_at_each_step_is_done_or_not() {
    let engine = engine();
    engine.wharfie(["run", "-d", "--name", "one", BUSYBOX, "sleep", "1000"]).ok();
    let mut kills = 0;
    for call in CALLS {
        let back_and_forth = ["rename", "one", "two"];
        let steps = steps(&engine, &back_and_forth, call);
        engine.wharfie(["rename", "two", "one"]).ok();
        for step in steps {
            kills += usize::from(killed(&engine, &back_and_forth, call, step));
            let name = engine.wharfie(["ps", "--format", "{{.Names}}"]).ok().to_owned();
            assert_eq!(
                engine.wharfie(["inspect", "-f", "{{.Name}}", &name]).ok(),
                format!("/{name}"),
                "label and record say the same after {call} {step}"
            );
            if name == "one" {
                // The name that was reserved is free.
                engine.wharfie(["create", "--name", "two", BUSYBOX]).ok();
                engine.wharfie(["rm", "two"]).ok();
            } else {
                engine.wharfie(["rename", "two", "one"]).ok();
            }
            let hosts = engine.wharfie(["exec", "one", "cat", "/etc/hosts"]).ok().to_owned();
            assert!(hosts.contains("localhost"), "{hosts}");
        }
    }
    assert!(kills >= 8, "{kills} kills hit");
    engine.wharfie(["rm", "-f", "one"]).ok();
    engine.assert_clean();
}

#[test]
fn an_update_killed_at_each_step_is_made_up_for_by_the_next() {
    let engine = engine();
    engine.wharfie(["run", "-d", "--name", "box", BUSYBOX, "sleep", "1000"]).ok();
    let limit = "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max";
    let seen = || {
        let kept = engine.wharfie(["inspect", "-f", "{{.HostConfig.PidsLimit}}", "box"]).ok().to_owned();
        (kept, engine.wharfie(["exec", "box", "sh", "-c", limit]).ok().to_owned())
    };
    let mut kills = 0;
    for call in ["sendmsg", "writev"] {
        let update = ["update", "--pids-limit", "50", "box"];
        for step in steps(&engine, &update, call) {
            engine.wharfie(["update", "--pids-limit", "40", "box"]).ok();
            kills += usize::from(killed(&engine, &update, call, step));
            let (kept, holds) = seen();
            assert!(["40", "50"].contains(&&*kept) && ["40", "50"].contains(&&*holds), "{kept} {holds}");
            engine.wharfie(update).ok();
            assert_eq!(seen(), ("50".into(), "50".into()));
        }
    }
    assert!(kills >= 4, "{kills} kills hit");
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}
