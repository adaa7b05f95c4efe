//! `exec`: a command in a running container.

use std::time::{Duration, Instant};

use super::{BUSYBOX, engine, sleeper};

#[test]
fn the_command_gets_what_the_flags_say() {
    let engine = engine();
    sleeper(
        &engine,
        &["--name", "box", "-e", "OF=container", "-e", "BOTH=container", "-w", "/tmp", "-u", "www-data"],
    );
    let exec = |flags: &[&str], script: &str| {
        engine.wharfie([&["exec"], flags, &["box", "sh", "-c", script]].concat())
    };
    let both = exec(&[], "echo out; echo err >&2; exit 7");
    assert_eq!((both.code, both.stdout.as_str(), both.stderr.as_str()), (7, "out\n", "err\n"));
    assert_eq!(
        exec(&["-e", "BOTH=exec", "-e", "NEW=1"], "echo $OF $BOTH $NEW; pwd; id -un; echo $HOME").ok(),
        "container exec 1\n/tmp\nwww-data\n/var/www"
    );
    let vars = engine.directory().join("vars");
    std::fs::write(&vars, "A=1\n").unwrap();
    assert_eq!(
        exec(&["--env-file", &vars.display().to_string(), "-w", "/etc"], "echo $A; pwd").ok(),
        "1\n/etc"
    );
    assert_eq!(exec(&["-u", "root"], "id -u; echo $HOME").ok(), "0\n/root");
    assert_eq!(exec(&["-u", "12:34"], "id -u; id -g").ok(), "12\n34");
    assert_eq!(exec(&["-u", "root"], "grep CapEff /proc/self/status | cut -f2").ok(), "00000000a80425fb");
    let privileged = exec(&["-u", "root", "--privileged"], "grep CapEff /proc/self/status | cut -f2");
    assert!(privileged.ok() > "00000000a80425fb", "{privileged:?}");
    assert_eq!(exec(&["-t"], "test -t 1 && echo terminal $TERM").stdout, "terminal xterm\r\n");
    assert_eq!(exec(&[], "grep Seccomp: /proc/self/status | cut -f2").ok(), "2");
    // In the background: nothing is printed, and it goes on.
    let detached = exec(&["-d"], "echo lost; touch /tmp/done; sleep 1000");
    assert_eq!((detached.ok(), detached.stderr.as_str()), ("", ""));
    engine.sh("until wharfie exec box test -e /tmp/done; do sleep 0.02; done");

    for (arguments, code, words) in [
        (["box", "no-such-command"], 127, "executable file not found in $PATH"),
        (["box", "/etc/passwd"], 126, "permission denied"),
        (["nobody", "true"], 1, "No such container: nobody"),
    ] {
        let output = engine.wharfie(["exec"].into_iter().chain(arguments));
        assert!(output.fails(code).contains(words), "{output:?}");
    }
    assert!(exec(&["-u", "nobody-here"], "true").fails(126).contains("unable to find user nobody-here"));
    assert_eq!(exec(&[], "sh -c 'kill -9 $$'").code, 137);
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn streams_are_exact_and_children_are_not_waited_for() {
    let engine = engine();
    sleeper(&engine, &["--name", "box"]);
    for round in 0..20 {
        let output = engine.call(["exec", "-i", "box", "cat"]).stdin("x\n").run();
        assert_eq!((output.code, output.stdout.as_str()), (0, "x\n"), "round {round}: {output:?}");
    }
    assert_eq!(engine.call(["exec", "-i", "box", "cat"]).run().ok(), "");
    assert_eq!(engine.call(["exec", "box", "cat"]).stdin("lost").run().ok(), "");
    assert_eq!(engine.sh("yes | wharfie exec -i box sh -c 'exit 7' || echo $?").trim(), "7");
    let many = engine.wharfie(["exec", "box", "seq", "1", "1000000"]);
    assert_eq!((many.stdout.lines().count(), many.stdout.len()), (1_000_000, 6_888_896));
    let long = "0123456789abcde\n".repeat(1 << 20);
    assert!(engine.call(["exec", "-i", "box", "cat"]).stdin(long.as_bytes()).run().stdout == long);
    // A reader that takes its time loses nothing.
    assert_eq!(engine.sh("wharfie exec box seq 1 50000 | (sleep 1.5; wc -l)").trim(), "50000");
    // A child holds the streams open.
    let begun = Instant::now();
    let output = engine.wharfie(["exec", "box", "sh", "-c", "sleep 1000 & echo started"]);
    assert_eq!(output.ok(), "started");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // The container ends under it.
    let running = engine.call(["exec", "box", "sh", "-c", "echo ready; sleep 1000"]).spawn();
    running.expect("ready");
    engine.wharfie(["rm", "-f", "box"]).ok();
    assert_eq!(running.wait().code, 137);
    engine.assert_clean();
    let _ = BUSYBOX;
}
