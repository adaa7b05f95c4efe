//! kill -9 of the command line at each step of `run`. The steps are its system calls: strace kills it at the
//! n-th of each kind that matters, for growing n, until a run comes through.

use super::{BUSYBOX, engine};
use crate::engine::TestEngine;

/// What changes something outside of the process: requests to containerd and the kernel's network, files,
/// mounts, processes.
const CALLS: [&str; 9] =
    ["sendmsg", "writev", "sendto", "mount", "rename", "mkdir", "openat", "execve", "unlink"];

/// At most so many kills a kind of call, spread over how often it is made.
const KILLS: usize = 5;

/// `run` with these flags is killed at many steps; after each the next commands work, and all goes away.
#[track_caller]
fn killed_at_each_step(flags: &[&str]) {
    let engine = engine();
    let run =
        [&["run", "--name", "web", "-p", "8080:80", "-v", "/anonymous", "-v", "named:/bin"], flags].concat();
    let command = [BUSYBOX, "sh", "-c", "echo started; exec sleep 0.3"];
    let line = [&run[..], &command].concat();
    // Networks, copies of the program and the named volume are made once.
    engine.wharfie(line.iter().copied()).ok();
    engine.sh("until [ -z \"$(wharfie ps -q)\" ]; do sleep 0.02; done");
    engine.sh("wharfie ps -aq | xargs -r wharfie rm -fv >/dev/null");
    engine.accept();
    for call in CALLS {
        let total = count(&engine, call, &line);
        for step in steps(total) {
            let inject = format!("inject={call}:signal=SIGKILL:when={step}");
            let trace = format!("trace={call}");
            let strace = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "wharfie"];
            // strace stays with the monitor, which is none of the command's any more: it must not hold the output.
            let quiet = ["-c", "exec strace \"$@\" >said 2>&1", "strace"];
            let killed = engine.program("bash", quiet.iter().chain(&strace).chain(&line).copied()).run();
            // The monitor of an interactive run is traced too: killed before its container, it is a failed start.
            assert!(matches!(killed.code, 0 | 125 | 137), "{killed:?}\n{}", engine.sh("cat said"));
            let at = format!("after a kill at {call} {step} of {total}");
            goes_on(&engine, &line, &at);
        }
    }
}

/// How often a whole `run` makes the call.
#[track_caller]
fn count(engine: &TestEngine, call: &str, line: &[&str]) -> usize {
    let log = engine.directory().join("strace.log");
    let trace = format!("trace={call}");
    let strace = ["-f", "-qq", "-o", log.to_str().expect("UTF-8"), "-e", &trace, "wharfie"];
    engine.program("strace", strace.iter().chain(line).copied()).run().ok();
    goes_on(engine, line, "after an undisturbed run");
    let text = std::fs::read_to_string(&log).expect("read strace's log");
    text.lines().filter(|line| line.contains(&format!(" {call}("))).count()
}

fn steps(total: usize) -> Vec<usize> {
    let mut steps: Vec<usize> =
        (0..KILLS).map(|part| 1 + part * total.saturating_sub(1) / (KILLS - 1)).collect();
    steps.dedup();
    steps.retain(|step| *step <= total);
    steps
}

/// The next commands work: the list, and a run of the same name and port once the first is removed; then
/// nothing is left.
#[track_caller]
fn goes_on(engine: &TestEngine, line: &[&str], at: &str) {
    let list = engine.wharfie(["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
    assert!(list.code == 0, "{at}: {list:?}");
    let removed = engine.wharfie(["rm", "-fv", "web"]);
    assert!(removed.code == 0, "{at}: {removed:?}");
    let again = engine.wharfie(line.iter().copied());
    assert!(again.code == 0, "{at}: {again:?}");
    let removed = engine.wharfie(["rm", "-fv", "web"]);
    assert!(removed.code == 0, "{at}: {removed:?}");
    eprintln!("{at}: it goes on");
    engine.assert_clean();
}

#[test]
fn a_foreground_run_killed_at_each_step_leaves_nothing() {
    killed_at_each_step(&[]);
}

#[test]
fn a_detached_run_killed_at_each_step_leaves_nothing() {
    killed_at_each_step(&["-d"]);
}

#[test]
fn a_run_with_automatic_removal_killed_at_each_step_leaves_nothing() {
    killed_at_each_step(&["--rm"]);
}

#[test]
fn an_interactive_run_killed_at_each_step_leaves_nothing() {
    killed_at_each_step(&["-i", "--rm"]);
}
