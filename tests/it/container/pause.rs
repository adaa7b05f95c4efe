//! `pause` and `unpause`, and what the other verbs do with a paused container.

use super::{BUSYBOX, engine, inside, sleeper};

#[test]
fn freezes_and_thaws() {
    let engine = engine();
    let id = sleeper(&engine, &["--name", "box"]);
    let script = "i=0; while :; do i=$((i+1)); echo $i > /count; sleep 0.02; done";
    engine.wharfie(["exec", "-d", "box", "sh", "-c", script]).ok();
    inside(&engine, "box", "until test -s /count; do sleep 0.02; done");
    let status = || engine.wharfie(["ps", "--format", "{{.State}} {{.Status}}"]).ok().to_owned();
    assert_eq!(engine.wharfie(["pause", "box"]).ok(), "box");
    let paused = status();
    assert!(paused.starts_with("paused Up ") && paused.ends_with(" (Paused)"), "{paused}");
    assert_eq!(
        engine
            .wharfie(["inspect", "-f", "{{.State.Status}} {{.State.Paused}} {{.State.Running}}", "box"])
            .ok(),
        "paused true true"
    );
    assert_eq!(engine.wharfie(["ps", "-q", "--filter", "status=paused"]).ok(), &id[..12]);
    // Nothing of it runs: the count stands still for as long as fifty turns take.
    let count =
        || engine.sh(&format!("cat /proc/$(wharfie inspect -f '{{{{.State.Pid}}}}' {id})/root/count"));
    let before = count();
    engine.sh("sleep 0.5");
    assert_eq!(count(), before);

    let again = engine.wharfie(["pause", "box", "nobody"]);
    assert!(
        again.fails(1).contains(&format!("Error response from daemon: Container {id} is already paused")),
        "{again:?}"
    );
    assert!(again.stderr.contains("No such container: nobody"), "{again:?}");
    for (line, words) in [
        (
            &["exec", "box", "true"][..],
            format!("container {id} is paused, unpause the container before exec"),
        ),
        (&["attach", "box"], "cannot attach to a paused container, unpause it first".into()),
        (&["start", "box"], "cannot start a paused container, try unpause instead".into()),
        (
            &["rm", "box"],
            "cannot remove container \"/box\": container is paused and must be unpaused first".into(),
        ),
    ] {
        let output = engine.wharfie(line.to_vec());
        assert!(output.fails(1).contains(&words), "{output:?}");
    }
    assert!(engine.wharfie(["top", "box"]).ok().contains("sh -c"));
    assert_eq!(engine.wharfie(["container", "unpause", "box"]).ok(), "box");
    assert!(status().starts_with("running Up ") && !status().contains("Paused"));
    inside(&engine, "box", &format!("until test $(cat /count) -gt {before}; do sleep 0.02; done"));
    let again = engine.wharfie(["unpause", "box"]);
    assert!(again.fails(1).contains(&format!("Container {id} is not paused")), "{again:?}");

    engine.wharfie(["create", "--name", "made", BUSYBOX]).ok();
    let made = engine.wharfie(["pause", "made"]);
    assert!(made.fails(1).contains(" is not running"), "{made:?}");
    let made = engine.wharfie(["unpause", "made"]);
    assert!(made.fails(1).contains(" is not paused"), "{made:?}");
    assert!(engine.wharfie(["pause"]).fails(1).contains("requires at least 1 argument"));
    engine.wharfie(["rm", "-f", "box", "made"]).ok();
    engine.assert_clean();
}

#[test]
fn ends_all_the_same() {
    let engine = engine();
    for name in ["stopped", "killed", "told", "waits", "removed", "again"] {
        sleeper(&engine, &["--name", name]);
        engine.wharfie(["pause", name]).ok();
    }
    let state = |name: &str| {
        engine.wharfie(["inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", name]).ok().to_owned()
    };
    // The signal is there when it thaws: it ends by itself, before the grace is over.
    engine.wharfie(["stop", "-t", "600", "stopped"]).ok();
    assert_eq!(state("stopped"), "exited 0");
    engine.wharfie(["kill", "killed"]).ok();
    assert_eq!(engine.wharfie(["wait", "killed"]).ok(), "137");
    engine.wharfie(["kill", "-s", "TERM", "told"]).ok();
    assert_eq!(engine.wharfie(["wait", "told"]).ok(), "0");
    // As docker's does: a signal that is not its end thaws it too, where no other stop signal is said.
    engine.wharfie(["kill", "-s", "WINCH", "waits"]).ok();
    assert_eq!(state("waits"), "running 0");
    engine.wharfie(["rm", "-f", "removed"]).ok();
    engine.wharfie(["restart", "again"]).ok();
    assert_eq!(state("again"), "running 0");
    engine.wharfie(["rm", "-f", "stopped", "killed", "told", "waits", "again"]).ok();

    sleeper(&engine, &["--name", "own", "--stop-signal", "TERM"]);
    engine.wharfie(["pause", "own"]).ok();
    engine.wharfie(["kill", "-s", "WINCH", "own"]).ok();
    assert_eq!(state("own"), "paused 0");
    engine.wharfie(["rm", "-f", "own"]).ok();
    // However soon the shim learns of it.
    for _ in 0..10 {
        sleeper(&engine, &["--name", "again"]);
        engine.wharfie(["pause", "again"]).ok();
        engine.wharfie(["kill", "again"]).ok();
        engine.wharfie(["rm", "-f", "again"]).ok();
    }
    engine.assert_clean();
}
