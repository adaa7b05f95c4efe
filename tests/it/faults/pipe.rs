//! Readers and terminals that go away.

use super::{BUSYBOX, engine};

#[test]
fn a_broken_pipe_is_silent() {
    let engine = engine();
    engine.wharfie(["run", "-d", "--name", "many", BUSYBOX, "seq", "100000"]).ok();
    engine.wharfie(["wait", "many"]).ok();
    for command in [
        "wharfie logs many | head -n1",
        "wharfie logs -f many | head -n1",
        "wharfie run --rm busybox seq 100000 | head -n1",
    ] {
        let output = engine.program("bash", ["-c", command]).run();
        assert_eq!((output.ok(), output.stderr.as_str()), ("1", ""), "{output:?}");
    }
    for command in [
        "wharfie ps -a | true",
        "wharfie images | true",
        "wharfie inspect many | true",
        "wharfie --help | true",
    ] {
        let output = engine.program("bash", ["-c", command]).run();
        assert_eq!((output.ok(), output.stderr.as_str()), ("", ""), "{output:?}");
    }
    engine.wharfie(["rm", "-f", "many"]).ok();
    engine.assert_clean();
}

#[test]
fn closed_streams_are_no_panic() {
    let engine = engine();
    for redirection in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"] {
        for command in
            ["ps -a", "run --rm busybox echo x", "run --rm -i busybox cat", "images", "no-such-verb"]
        {
            let output = engine.program("bash", ["-c", &format!("wharfie {command} {redirection}")]).run();
            assert!(
                !output.stderr.contains("panicked") && output.code < 128 && output.code != 101,
                "{output:?}"
            );
        }
        engine.assert_clean();
    }
}

#[test]
fn a_terminal_that_hangs_up_leaves_nothing() {
    let engine = engine();
    let mut shell = engine.terminal(["run", "--rm", "-it", "--name", "shell", BUSYBOX, "sh"]);
    shell.expect("/ #");
    drop(shell);
    engine.sh(
        "until [ -z \"$(wharfie ps -aq)\" ]; do wharfie kill shell >/dev/null 2>&1 || :; sleep 0.05; done",
    );
    engine.assert_clean();
}
