//! A session at a terminal, and its end, however it comes.

use rustix::process::Signal;

use super::{end, engine, target};

#[test]
fn a_shell_at_a_terminal() {
    let engine = engine();
    target(&engine, &[]);
    for flags in [&["-it"][..], &[]] {
        let mut shell = engine.terminal([&["debug", "--tools", "toolbox"], flags, &["web"]].concat());
        shell.expect("/ # ");
        assert!(shell.is_raw());
        shell.send("stty size; cat /target/mark\n");
        shell.expect("24 80");
        shell.expect("of the target");
        shell.expect("/ # ");
        // The keys that leave a run are keys here: a session is not left behind.
        shell.send([16, 17, 21]);
        shell.send("exit 5\n");
        assert_eq!(shell.wait(), 5);
        assert!(!shell.is_raw());
    }
    end(&engine);
}

#[test]
fn it_is_listed_and_labelled_and_gone_at_its_end() {
    let engine = engine();
    target(&engine, &["--pid", "host"]);
    let mut debug = engine
        .call(["debug", "web", "--", "sh", "-c", "sleep 4321 & echo up; read x; echo $x"])
        .open_stdin()
        .spawn();
    debug.expect("up");
    let id = engine.wharfie(["ps", "-q", "--no-trunc", "--filter", "name=web"]).ok().to_owned();
    assert_eq!(
        engine
            .wharfie(["ps", "--filter", "label=wharfie.debug", "--format", "{{.Label \"wharfie.debug\"}}"])
            .ok(),
        id
    );
    // Not for the taking by whoever cleans up.
    engine.wharfie(["container", "prune", "-f"]).ok();
    engine.wharfie(["run", "--rm", "busybox", "true"]).ok();
    debug.send("said\n");
    assert_eq!(debug.wait().ok(), "up\nsaid");
    // What was left in the background went too, although its first process was not the first of its world.
    assert_eq!(engine.sh("ps -e -o args= | grep -c '[s]leep 4321' || true"), "0");
    end(&engine);
}

#[test]
fn killed_at_a_terminal_and_without() {
    let engine = engine();
    target(&engine, &[]);
    // Once, so that what is made once is there. Then nothing may be left, and no command is there to help.
    for tools in ["host", "image", "toolbox"] {
        engine.wharfie(["debug", "--tools", tools, "web", "--", "true"]).ok();
    }
    engine.accept();
    for tools in ["host", "image", "toolbox"] {
        let mut shell = engine.terminal(["debug", "--tools", tools, "web"]);
        shell.expect("# ");
        shell.send("sleep 4321\n");
        engine.sh("until pgrep -f '^sleep 4321' > /dev/null; do sleep 0.02; done");
        shell.signal(Signal::KILL);
        drop(shell);
        engine.assert_clean();
        let line = ["debug", "--tools", tools, "web", "--", "sh", "-c", "sleep 4321 & echo up; wait"];
        let debug = engine.call(line).open_stdin().spawn();
        debug.expect("up");
        debug.signal(Signal::KILL);
        engine.assert_clean();
    }
    end(&engine);
}

#[test]
fn killed_together_with_its_monitor() {
    let engine = engine();
    target(&engine, &[]);
    let debug = engine.call(["debug", "web", "--", "sh", "-c", "echo up; sleep 4321"]).open_stdin().spawn();
    debug.expect("up");
    let id = engine.wharfie(["ps", "-q", "--no-trunc", "--filter", "label=wharfie.debug"]).ok().to_owned();
    engine.sh(&format!("pkill -STOP -f '__monitor.*{id}'"));
    debug.signal(Signal::KILL);
    engine.sh(&format!("pkill -KILL -f '__monitor.*{id}'"));
    // The next command that makes something takes it down.
    engine.wharfie(["run", "--rm", "busybox", "true"]).ok();
    end(&engine);
}

#[test]
fn killed_at_each_step() {
    let engine = engine();
    target(&engine, &[]);
    let line = ["debug", "-q", "web", "--", "sh", "-c", "exit 0"];
    engine.wharfie(line).ok();
    engine.accept();
    for call in ["sendmsg", "writev", "mkdir", "symlink", "openat", "execve", "rename"] {
        for step in [1, 2, 4, 8, 16, 32] {
            let inject = format!("inject={call}:signal=SIGKILL:when={step}");
            let trace = format!("trace={call}");
            let strace = ["-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, "wharfie"];
            let quiet = ["-c", "exec strace \"$@\" >said 2>&1", "strace"];
            let killed = engine.program("bash", quiet.iter().chain(&strace).chain(&line).copied()).run();
            assert!(
                matches!(killed.code, 0 | 125 | 137),
                "{call} {step}: {killed:?}\n{}",
                engine.sh("cat said")
            );
            engine.wharfie(line).ok();
            engine.assert_clean();
        }
    }
    engine.wharfie(["rm", "-f", "web"]).ok();
}

#[test]
fn an_interrupt_and_an_end_of_the_target() {
    let engine = engine();
    target(&engine, &[]);
    let debug = engine
        .call([
            "debug",
            "web",
            "--",
            "sh",
            "-c",
            "trap 'echo told; exit 7' INT; echo up; while :; do sleep 0.05; done",
        ])
        .open_stdin()
        .spawn();
    debug.expect("up");
    debug.signal(Signal::INT);
    let output = debug.wait();
    assert_eq!((output.code, output.stdout.as_str()), (7, "up\ntold\n"), "{output:?}");
    // Its world ends with the target's first process.
    let debug = engine.call(["debug", "web", "--", "sh", "-c", "echo up; sleep 4321"]).open_stdin().spawn();
    debug.expect("up");
    engine.wharfie(["kill", "web"]).ok();
    assert_eq!(debug.wait().code, 137);
    end(&engine);
}
