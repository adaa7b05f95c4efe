//! Terminals: raw mode, size, keys, and the terminal as it was, whatever happens.

use rustix::process::Signal;

use super::{BUSYBOX, engine, sleeper};

#[test]
fn a_shell_at_a_terminal() {
    let engine = engine();
    let mut shell = engine.terminal(["run", "--rm", "-it", "--name", "box", BUSYBOX, "sh"]);
    let before = engine.terminal(["ps"]);
    shell.expect("/ # ");
    assert!(shell.is_raw() && !before.is_raw());
    drop(before);
    shell.send("stty size; echo $TERM; tty; ls -l /dev/console | cut -c1-5\n");
    for text in ["24 80", "xterm", "/dev/pts/0", "crw--"] {
        shell.expect(text);
    }
    shell.expect("/ # ");
    shell.resize(40, 100);
    shell.send("until stty size | grep '40 100'; do sleep 0.05; done\n");
    shell.expect("\n40 100");
    // Ctrl-C is for what runs inside.
    shell.send("sleep 1000\n");
    shell.expect("sleep 1000");
    engine.sh("until wharfie exec box pidof sleep >/dev/null; do sleep 0.02; done");
    shell.send([3]);
    shell.expect("/ # ");
    shell.send("echo after $?\n");
    shell.expect("after 130");
    // Ctrl-D ends the shell.
    shell.send("(exit 5)\n");
    shell.expect("/ # ");
    shell.send([4]);
    assert_eq!(shell.wait(), 5);
    assert!(!shell.is_raw(), "the terminal is as before");
    engine.assert_clean();
}

#[test]
fn detached_by_keys_and_attached_again() {
    let engine = engine();
    let mut shell = engine.terminal(["run", "-it", "--name", "box", BUSYBOX, "sh"]);
    shell.expect("/ # ");
    shell.send("x=kept\n");
    shell.expect("/ # ");
    shell.send([16]);
    shell.send([17]);
    assert_eq!(shell.wait(), 0);
    assert!(!shell.is_raw());
    assert_eq!(engine.wharfie(["ps", "--format", "{{.Names}} {{.State}}"]).ok(), "box running");
    let mut again = engine.terminal(["attach", "--detach-keys", "ctrl-a,x", "box"]);
    again.send("echo it is $x\n");
    again.expect("it is kept");
    // The usual keys are not special now: the shell gets them.
    again.send([1]);
    again.send("x");
    assert_eq!(again.wait(), 0);
    let mut last = engine.terminal(["attach", "box"]);
    last.send("exit 4\n");
    assert_eq!(last.wait(), 4);
    assert_eq!(engine.wharfie(["wait", "box"]).ok(), "4");
    // And at the start of a stopped one.
    let mut started = engine.terminal(["start", "-ai", "box"]);
    started.expect("/ # ");
    started.send("exit 6\n");
    assert_eq!(started.wait(), 6);
    engine.wharfie(["rm", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn the_terminal_is_restored_after_errors_and_signals() {
    let engine = engine();
    let mut failed = engine.terminal(["run", "--rm", "-it", BUSYBOX, "no-such-command"]);
    assert_eq!(failed.wait(), 127);
    assert!(!failed.is_raw());
    failed.expect("executable file not found");

    // SIGTERM goes to the process: a shell with a terminal does not mind it, `cat` ends of it unless it is
    // number 1. So the one that hears it says so.
    let script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut termed = engine.terminal(["run", "--rm", "-it", BUSYBOX, "sh", "-c", script]);
    termed.expect("ready");
    termed.signal(Signal::TERM);
    assert_eq!(termed.wait(), 9);
    assert!(!termed.is_raw());

    // A client that is told three times goes, with the terminal in order.
    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let mut forced = engine.terminal(["run", "--rm", "-it", "--name", "deaf", BUSYBOX, "sh", "-c", deaf]);
    forced.expect("ready");
    for _ in 0..3 {
        forced.signal(Signal::TERM);
        // Signals of one kind merge while they wait.
        engine.sh("sleep 0.1");
    }
    assert_eq!(forced.wait(), 143);
    assert!(!forced.is_raw());
    engine.wharfie(["rm", "-f", "deaf"]).ok();

    // The container is removed under the client.
    let mut removed = engine.terminal(["run", "-it", "--name", "gone", BUSYBOX, "sh"]);
    removed.expect("/ # ");
    engine.wharfie(["rm", "-f", "gone"]).ok();
    assert_eq!(removed.wait(), 137, "{}", removed.screen());
    assert!(!removed.is_raw());

    // exec as well.
    sleeper(&engine, &["--name", "box"]);
    let mut exec = engine.terminal(["exec", "-it", "box", "no-such-command"]);
    assert_eq!(exec.wait(), 127);
    assert!(!exec.is_raw());
    let mut exec = engine.terminal(["exec", "-it", "box", "sh"]);
    exec.expect("/ # ");
    assert!(exec.is_raw());
    engine.wharfie(["rm", "-f", "box"]).ok();
    assert_eq!(exec.wait(), 137, "{}", exec.screen());
    assert!(!exec.is_raw());
    engine.assert_clean();
}

#[test]
fn without_a_terminal_docker_refuses_it() {
    let engine = engine();
    let refused = engine.wharfie(["run", "--rm", "-it", BUSYBOX, "true"]);
    assert!(
        refused.fails(1).contains("input device is not a TTY")
            || refused.stderr.contains("stdin is not a terminal"),
        "{refused:?}"
    );
    // -t alone works everywhere.
    assert_eq!(engine.wharfie(["run", "--rm", "-t", BUSYBOX, "echo", "x"]).stdout, "x\r\n");
    engine.assert_clean();
}
