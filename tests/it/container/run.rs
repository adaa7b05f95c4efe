//! `run`: the process, its surroundings, its exit code, its streams.

use std::fs;

use rustix::process::Signal;

use super::{BUSYBOX, engine, run, sh, sleeper};

#[test]
fn the_command_gets_what_the_flags_say() {
    let engine = engine();
    let directory = engine.directory();
    fs::write(directory.join("vars"), "# a comment\nONE=1\nTWO=two words\nFROM_HERE\n").unwrap();
    let vars = directory.join("vars").display().to_string();

    // Streams stay apart, and nothing is added to either.
    let both = sh(&engine, &[], "echo out; echo err >&2");
    assert_eq!((both.code, both.stdout.as_str(), both.stderr.as_str()), (0, "out\n", "err\n"));

    let env = engine
        .call([
            "run",
            "--rm",
            "--env-file",
            &vars,
            "-e",
            "TWO=3",
            "-e",
            "FROM_HERE",
            "-e",
            "NOT_HERE",
            BUSYBOX,
            "env",
        ])
        .env("FROM_HERE", "yes")
        .run();
    let mut lines: Vec<&str> = env.ok().lines().filter(|line| !line.starts_with("HOSTNAME=")).collect();
    lines.sort_unstable();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(lines, ["FROM_HERE=yes", "HOME=/root", "ONE=1", path, "TWO=3"], "{env:?}");

    // A working directory that is not there is made; home and groups follow the user.
    assert_eq!(sh(&engine, &["-w", "/new/place"], "pwd; echo $PWD").ok(), "/new/place\n/new/place");
    assert_eq!(sh(&engine, &["-u", "www-data"], "id -u; id -g; echo $HOME").ok(), "33\n33\n/var/www");
    assert_eq!(sh(&engine, &["-u", "1234:5678"], "id -u; id -g; echo $HOME").ok(), "1234\n5678\n/");
    assert_eq!(sh(&engine, &["-u", "33", "--group-add", "users"], "id -G").ok(), "33 100");
    let unknown = run(&engine, &["-u", "nobody-here"], &["true"]);
    assert!(unknown.fails(125).contains("unable to find user nobody-here"), "{unknown:?}");

    assert_eq!(run(&engine, &["--entrypoint", "echo"], &["a", "b"]).ok(), "a b");
    assert_eq!(run(&engine, &["--entrypoint", ""], &["echo", "box"]).ok(), "box");
    assert_eq!(
        sh(&engine, &["--hostname", "harbour"], "hostname; cat /etc/hostname; echo $HOSTNAME").ok(),
        "harbour\nharbour\nharbour"
    );
    assert_eq!(
        sh(&engine, &["--domainname", "example.org", "--hostname", "h"], "cat /proc/sys/kernel/domainname")
            .ok(),
        "example.org"
    );
    assert_eq!(
        sh(&engine, &["--sysctl", "net.ipv4.ip_forward=0"], "cat /proc/sys/net/ipv4/ip_forward").ok(),
        "0"
    );

    // No input: /dev/null, whatever the user has.
    assert_eq!(engine.call(["run", "--rm", BUSYBOX, "cat"]).stdin("lost").run().ok(), "");
    // Only one of the streams.
    let only = sh(&engine, &["-a", "stderr"], "echo out; echo err >&2");
    assert_eq!((only.stdout.as_str(), only.stderr.as_str()), ("", "err\n"), "{only:?}");
    engine.assert_clean();
}

#[test]
fn exit_codes_and_messages_are_dockers() {
    let engine = engine();
    // A process 1 does not hear its own signals, so this one is not number 1.
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
    {
        assert_eq!(sh(&engine, &["--pid", "host"], script).code, code, "{script}");
    }
    let cases: [(&[&str], &[&str], i32, &str); 10] = [
        (&["--no-such-flag"], &["true"], 125, "unknown flag: --no-such-flag"),
        (&["--network", "nowhere"], &["true"], 125, "network nowhere not found"),
        (&["--memory", "1x"], &["true"], 125, "invalid"),
        (
            &["--name", "-x"],
            &["true"],
            125,
            "Invalid container name (-x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (&["-v", "/etc:relative"], &["true"], 125, "invalid volume specification"),
        (
            &["--mount", "type=bind,source=/not/there,target=/x"],
            &["true"],
            125,
            "bind source path does not exist: /not/there",
        ),
        (&["--network", "container:nobody"], &["true"], 125, "No such container: nobody"),
        (&[], &["/etc/passwd"], 126, "permission denied"),
        (&[], &["/etc"], 126, ""),
        (&[], &["no-such-command"], 127, "exec: \"no-such-command\": executable file not found in $PATH"),
    ];
    for (flags, command, code, words) in cases {
        let output = run(&engine, flags, command);
        assert!(output.fails(code).contains(words), "{words:?} is missing: {output:?}");
        // docker leads with its name, except for a command line that it does not understand.
        assert!(
            output.stderr.starts_with("wharfie: ") || words.starts_with("unknown flag") || words == "invalid",
            "{output:?}"
        );
        assert_eq!(output.stdout, "", "{output:?}");
    }
    let missing = run(&engine, &[], &["/no/such/file"]);
    assert!(missing.fails(127).contains("no such file or directory"), "{missing:?}");
    let absent = engine.wharfie(["run", "--rm", "--pull", "never", "nothing-here"]);
    assert!(absent.fails(125).contains("No such image: nothing-here:latest"), "{absent:?}");
    let platform = run(&engine, &["--pull", "never", "--platform", "linux/s390x"], &["true"]);
    assert!(platform.fails(125).contains("linux/s390x"), "{platform:?}");
    engine.assert_clean();
}

#[test]
fn a_failed_start_leaves_a_created_container_as_with_docker() {
    let engine = engine();
    assert_eq!(engine.wharfie(["run", "--name", "broken", BUSYBOX, "no-such-command"]).code, 127);
    assert_eq!(engine.wharfie(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok(), "broken created");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.State.ExitCode}}", "broken"]).ok(), "127");
    assert_eq!(engine.wharfie(["rm", "broken"]).ok(), "broken");
    engine.assert_clean();
}

#[test]
fn names_ids_and_the_file_of_the_id() {
    let engine = engine();
    let cidfile = engine.directory().join("cid");
    let path = cidfile.display().to_string();
    let id = sleeper(&engine, &["--name", "taken", "--cidfile", &path, "--label", "a=b", "-l", "c"]);
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(fs::read_to_string(&cidfile).unwrap(), id, "no newline");
    let again = run(&engine, &["--cidfile", &path], &["true"]);
    assert!(
        again
            .fails(125)
            .contains("container ID file found, make sure the other container isn't running or delete")
    );
    assert!(cidfile.exists(), "an older file is not ours to remove");

    let conflict = run(&engine, &["--name", "taken"], &["true"]);
    let words = format!(
        "Conflict. The container name \"/taken\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    );
    assert!(conflict.fails(125).contains(&words), "{conflict:?}");

    // The container goes, the file stays; where no container came of it, there is no file.
    let other = engine.directory().join("other").display().to_string();
    run(&engine, &["--cidfile", &other], &["true"]).ok();
    assert_eq!(fs::read_to_string(&other).unwrap().len(), 64);
    let none = engine.directory().join("none").display().to_string();
    assert_eq!(engine.wharfie(["run", "--pull", "never", "--cidfile", &none, "nothing-here"]).code, 125);
    assert!(!fs::exists(&none).unwrap());

    // A name without --name has docker's form.
    engine.wharfie(["create", BUSYBOX]).ok();
    let name = engine.wharfie(["ps", "-l", "--format", "{{.Names}}"]).ok().to_owned();
    assert!(name.split('_').count() == 2, "{name}");
    let all = engine.wharfie(["ps", "-aq"]).ok().to_owned();
    engine.wharfie(["rm", "-f"].into_iter().chain(all.lines())).ok();
    engine.assert_clean();
}

#[test]
fn two_with_one_name_at_once_make_one_container() {
    let engine = engine();
    for round in 0..3 {
        let calls: Vec<_> = (0..4)
            .map(|_| engine.call(["run", "-d", "--name", "one", BUSYBOX, "sleep", "1000"]).spawn())
            .collect();
        let outputs: Vec<_> = calls.into_iter().map(|call| call.wait()).collect();
        let won = outputs.iter().filter(|output| output.code == 0).count();
        assert_eq!(won, 1, "round {round}: {outputs:?}");
        for lost in outputs.iter().filter(|output| output.code != 0) {
            assert!(
                lost.fails(125).contains("Conflict. The container name \"/one\" is already in use"),
                "{lost:?}"
            );
        }
        assert_eq!(engine.wharfie(["ps", "-a", "--format", "{{.Names}}"]).ok(), "one");
        engine.wharfie(["rm", "-f", "one"]).ok();
    }
    engine.assert_clean();
}

#[test]
fn input_that_ends_at_once_is_neither_lost_nor_waited_for() {
    let engine = engine();
    for round in 0..50 {
        // As `echo x | wharfie run …` does it: the network is left out for speed in most rounds.
        let network = if round % 10 == 0 { "bridge" } else { "none" };
        let output =
            engine.call(["run", "--rm", "-i", "--network", network, BUSYBOX, "cat"]).stdin("x\n").run();
        assert_eq!((output.code, output.stdout.as_str()), (0, "x\n"), "round {round}: {output:?}");
    }
    assert_eq!(engine.call(["run", "--rm", "-i", BUSYBOX, "cat"]).run().ok(), "", "/dev/null");
    // Nobody reads it.
    assert_eq!(engine.call(["run", "--rm", "-i", BUSYBOX, "true"]).stdin("x\n").run().ok(), "");
    assert_eq!(engine.sh("yes | wharfie run --rm -i busybox sh -c 'exit 7' || echo $?").trim(), "7");
    let long = "0123456789abcde\n".repeat(1 << 20);
    let echoed = engine.call(["run", "--rm", "-i", BUSYBOX, "cat"]).stdin(long.as_bytes()).run();
    assert!(
        echoed.ok().len() + 1 == long.len() && echoed.stdout == long,
        "16 MiB through cat: {} bytes",
        echoed.stdout.len()
    );
    // Input that stays open does not hold the end up.
    let open =
        engine.call(["run", "--rm", "-i", BUSYBOX, "sh", "-c", "read line; echo got $line"]).open_stdin();
    let mut open = open.spawn();
    open.send("a line\n");
    open.expect("got a line\n");
    assert_eq!(open.wait().code, 0);
    engine.assert_clean();
}

#[test]
fn a_million_lines_are_exact_attached_and_in_the_log() {
    let engine = engine();
    let count = |output: &str| (output.lines().count(), output.len());
    let exact = (1_000_000, 6_888_896);
    let attached = engine.wharfie(["run", "--name", "job", BUSYBOX, "seq", "1", "1000000"]);
    assert_eq!((attached.code, count(&attached.stdout)), (0, exact), "attached");
    let logged = engine.wharfie(["logs", "job"]);
    assert!(logged.stdout == attached.stdout, "in the log: {:?}", count(&logged.stdout));
    let tail = engine.wharfie(["logs", "-n", "2", "job"]);
    assert_eq!(tail.ok(), "999999\n1000000");
    engine.wharfie(["rm", "job"]).ok();
    // Through a terminal and through FIFOs it is as exact.
    let with_input = engine.call(["run", "--rm", "-i", BUSYBOX, "seq", "1", "1000000"]).stdin("").run();
    assert_eq!(count(&with_input.stdout), exact, "with input");
    let mut terminal = engine.terminal(["run", "--rm", "-t", BUSYBOX, "seq", "1", "1000000"]);
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.screen().ends_with("999999\r\r\n1000000\r\r\n"));
    assert_eq!(terminal.screen().lines().count(), 1_000_000);
    engine.assert_clean();
}

#[test]
fn signals_reach_the_process() {
    let engine = engine();
    let script = "trap 'echo got TERM; exit 3' TERM; trap 'echo got HUP' HUP; echo ready; while :; do sleep 0.05; done";
    let running = engine.call(["run", "--rm", BUSYBOX, "sh", "-c", script]).spawn();
    running.expect("ready");
    running.signal(Signal::HUP);
    running.expect("got HUP");
    running.signal(Signal::TERM);
    let output = running.wait();
    assert_eq!((output.code, output.stdout.as_str()), (3, "ready\ngot HUP\ngot TERM\n"));

    // Without the proxy the signal is the client's own, and the container goes on.
    let running =
        engine.call(["run", "--name", "left", "--sig-proxy=false", BUSYBOX, "sh", "-c", script]).spawn();
    running.expect("ready");
    running.signal(Signal::TERM);
    assert_eq!(running.wait().code, 143);
    assert_eq!(engine.wharfie(["ps", "--format", "{{.Names}}"]).ok(), "left");
    engine.wharfie(["rm", "-f", "left"]).ok();
    engine.assert_clean();
}

#[test]
fn what_ran_in_the_foreground_is_recorded() {
    let engine = engine();
    assert_eq!(engine.wharfie(["run", "--name", "job", BUSYBOX, "sh", "-c", "exit 5"]).code, 5);
    assert_eq!(engine.ctr(["tasks", "ls", "-q"]).ok(), "", "the shim is not kept for what has ended");
    let status = engine.wharfie(["ps", "-a", "--format", "{{.Status}}"]);
    assert!(status.ok().starts_with("Exited (5) "), "{status:?}");
    assert_eq!(engine.wharfie(["wait", "job"]).ok(), "5");
    engine.wharfie(["rm", "job"]).ok();
    engine.assert_clean();
}
