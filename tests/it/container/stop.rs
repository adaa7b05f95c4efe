//! `stop`: the signal, the grace, the end.

use std::time::{Duration, Instant};

use super::{BUSYBOX, engine, sleeper};

#[test]
fn signals_and_grace() {
    let engine = engine();
    let deaf = |name: &str, flags: &[&str]| {
        let script = "trap 'echo TERM' TERM; trap 'exit 8' HUP; trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done";
        engine.wharfie([&["run", "-d", "--name", name], flags, &[BUSYBOX, "sh", "-c", script]].concat()).ok();
        engine.sh(&format!("until wharfie logs {name} | grep -q ready; do sleep 0.02; done"));
    };
    let took = |act: &dyn Fn()| {
        let begun = Instant::now();
        act();
        begun.elapsed()
    };
    let code = |name: &str| {
        engine
            .wharfie(["ps", "-a", "--filter", &format!("name=^{name}$"), "--format", "{{.Status}}"])
            .ok()
            .split(' ')
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    };
    deaf("given", &[]);
    assert_eq!(engine.wharfie(["stop", "-s", "HUP", "given"]).ok(), "given");
    assert_eq!(code("given"), "(8)");
    deaf("own", &["--stop-signal", "USR1"]);
    engine.wharfie(["stop", "own"]).ok();
    assert_eq!(code("own"), "(9)");
    deaf("short", &["--stop-timeout", "1"]);
    let time = took(&|| {
        engine.wharfie(["stop", "short"]).ok();
    });
    assert!(time >= Duration::from_secs(1) && time < Duration::from_secs(6), "{time:?}");
    assert_eq!(code("short"), "(137)");
    assert_eq!(engine.wharfie(["logs", "short"]).ok(), "ready\nTERM", "asked first, killed then");
    deaf("now", &[]);
    let time = took(&|| {
        engine.wharfie(["stop", "--time", "0", "now"]).ok();
    });
    assert!(time < Duration::from_secs(3), "{time:?}");
    assert_eq!(code("now"), "(137)");
    engine.wharfie(["rm", "given", "own", "short", "now"]).ok();
    engine.assert_clean();
}

#[test]
fn several_at_once_and_what_does_not_run() {
    let engine = engine();
    for name in ["one", "two", "three"] {
        engine.wharfie(["run", "-d", "--name", name, BUSYBOX, "sleep", "1000"]).ok();
    }
    let begun = Instant::now();
    let stopped = engine.wharfie(["stop", "-t", "2", "one", "nobody", "two", "three"]);
    assert!(stopped.fails(1).contains("No such container: nobody"), "{stopped:?}");
    assert_eq!(stopped.stdout, "one\ntwo\nthree\n");
    assert!(begun.elapsed() < Duration::from_secs(6), "their graces run side by side: {:?}", begun.elapsed());
    assert_eq!(engine.wharfie(["stop", "one"]).ok(), "one", "one that has ended is fine");
    assert_eq!(
        engine.wharfie(["ps", "-a", "--filter", "status=exited", "--format", "{{.Names}}"]).ok(),
        "three\ntwo\none"
    );
    engine.wharfie(["rm", "one", "two", "three"]).ok();
    // Stopped with --rm it is gone.
    sleeper(&engine, &["--rm", "--name", "once"]);
    assert_eq!(engine.wharfie(["stop", "once"]).ok(), "once");
    engine.assert_clean();
}
