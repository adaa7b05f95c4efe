//! `start`: again, several, and staying with one.

use super::{BUSYBOX, engine, sleeper};

#[test]
fn again_and_several() {
    let engine = engine();
    engine
        .wharfie([
            "create",
            "--name",
            "job",
            BUSYBOX,
            "sh",
            "-c",
            "echo run >> /count; wc -l < /count; exit 4",
        ])
        .ok();
    for round in 1..=3 {
        let output = engine.wharfie(["start", "-a", "job"]);
        assert_eq!(
            (output.code, output.stdout.trim()),
            (4, round.to_string().as_str()),
            "its files are kept"
        );
    }
    assert_eq!(engine.wharfie(["logs", "job"]).ok(), "1\n2\n3", "and its log");

    sleeper(&engine, &["--name", "one", "-p", "8080:80"]);
    sleeper(&engine, &["--name", "two"]);
    let running = engine.wharfie(["start", "one"]);
    assert_eq!((running.ok(), running.stderr.as_str()), ("one", ""), "one that runs is fine");
    engine.wharfie(["stop", "one", "two"]).ok();
    let some = engine.wharfie(["start", "one", "nobody", "two"]);
    assert!(some.fails(1).contains("No such container: nobody"), "{some:?}");
    assert_eq!(some.stdout, "one\ntwo\n");
    assert_eq!(
        engine.wharfie(["ps", "--format", "{{.Names}} {{.Ports}}"]).ok(),
        "two \none 0.0.0.0:8080->80/tcp"
    );
    // Two starts at once start it once.
    engine.wharfie(["stop", "one"]).ok();
    let calls: Vec<_> = (0..3).map(|_| engine.call(["start", "one"]).spawn()).collect();
    let pids: Vec<_> =
        calls.into_iter().map(|call| call.wait()).map(|output| output.ok().to_owned()).collect();
    assert_eq!(pids, ["one", "one", "one"]);
    assert_eq!(engine.sh("pgrep -fc '[c]ontainerd-shim'").trim(), "2");
    engine.wharfie(["rm", "-f", "one", "two", "job"]).ok();
    engine.assert_clean();
}

#[test]
fn attached() {
    let engine = engine();
    engine.wharfie(["create", "-i", "--name", "cat", BUSYBOX, "cat"]).ok();
    for text in ["first\n", "second\n"] {
        let output = engine.call(["start", "-ai", "cat"]).stdin(text).run();
        assert_eq!((output.code, output.stdout.as_str()), (0, text), "{output:?}");
    }
    let several = engine.wharfie(["start", "-a", "cat", "other"]);
    assert!(
        several.fails(1).contains("you cannot start and attach multiple containers at once"),
        "{several:?}"
    );
    engine.wharfie(["rm", "cat"]).ok();
    // --rm holds for what `create` made, too.
    engine.wharfie(["create", "--rm", "--name", "once", "-v", "/data", BUSYBOX, "echo", "x"]).ok();
    assert_eq!(engine.wharfie(["start", "-a", "once"]).ok(), "x");
    engine.assert_clean();
    engine.wharfie(["create", "--rm", "--name", "once", "-v", "/data", BUSYBOX, "echo", "x"]).ok();
    assert_eq!(engine.wharfie(["start", "once"]).ok(), "once");
    engine.assert_clean();
}
