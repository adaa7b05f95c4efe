//! Containers of ctr's: streams, terminals, signals, codes, and that nothing is left.

use std::fs;

use rustix::process::Signal;

use super::{IMAGE, id, named_ctr, ours, run_ours, with_image};

#[test]
fn input_output_and_the_code_are_the_process_s() {
    let engine = with_image();
    let one = id("io");
    let cat = ours(&engine, ["run", "--rm", IMAGE, &one, "cat"]).stdin("given\n").run();
    assert_eq!((cat.ok(), cat.stderr.as_str()), ("given", ""));
    let both = run_ours(&engine, ["run", "--rm", IMAGE, &one, "sh", "-c", "echo out; echo err >&2; exit 3"]);
    assert_eq!((both.code, both.stdout.as_str(), both.stderr.as_str()), (3, "out\n", "err\n"));
    let missing = run_ours(&engine, ["run", "--rm", IMAGE, &one, "nocmd"]);
    assert!(missing.fails(1).starts_with("ctr: "), "{}", missing.stderr);
    assert!(missing.stderr.contains("\"nocmd\": executable file not found in $PATH"), "{}", missing.stderr);
    // The same words below wharfie's own name.
    let sub = engine.wharfie(["ctr", "run", "--rm", IMAGE, &one, "echo", "--rm", "-q"]);
    assert_eq!(sub.ok(), "--rm -q");
    engine.assert_clean();
}

#[test]
fn signals_reach_the_process() {
    let engine = with_image();
    let one = id("signal");
    let script = "trap 'echo caught; exit 9' TERM; echo up; while :; do sleep 0.05; done";
    let running = ours(&engine, ["run", "--rm", IMAGE, &one, "sh", "-c", script]).spawn();
    running.expect("up");
    running.signal(Signal::TERM);
    let ended = running.wait();
    assert_eq!((ended.code, ended.stdout.as_str()), (9, "up\ncaught\n"));
    engine.assert_clean();
}

#[test]
fn a_terminal_is_one() {
    let engine = with_image();
    let one = id("tty");
    let program = named_ctr(&engine);
    let program = program.to_str().unwrap();
    let mut shell = engine.terminal_of(
        program,
        ["run", "--rm", "-t", IMAGE, &one, "sh", "-c", "read -r w; stty size; echo got $w"],
    );
    // The size is there once what was typed has come back.
    shell.send("word\n");
    shell.expect("24 80");
    shell.expect("got word");
    assert_eq!(shell.wait(), 0);
    let refused = run_ours(&engine, ["run", "--rm", "-t", IMAGE, &one, "sh"]);
    assert!(refused.fails(1).starts_with("ctr: provided file is not a console"), "{}", refused.stderr);
    engine.assert_clean();
}

#[test]
fn either_program_goes_on_with_what_the_other_began() {
    let engine = with_image();
    let (one, two) = (id("one"), id("two"));
    let script = "while read -r line; do echo got $line; [ $line = end ] && exit 4; done";
    run_ours(&engine, ["run", "-d", IMAGE, &one, "sh", "-c", script]).ok();
    let mut attached = engine.program("ctr", ["tasks", "attach", &one]).open_stdin().spawn();
    attached.send("a\n");
    attached.expect("got a");
    attached.send("end\n");
    assert_eq!(attached.wait().code, 4);
    engine.ctr(["containers", "rm", &one]).ok();

    engine.ctr(["run", "-d", IMAGE, &two, "sh", "-c", script]).ok();
    let mut attached = ours(&engine, ["tasks", "attach", &two]).open_stdin().spawn();
    attached.send("b\n");
    attached.expect("got b");
    attached.send("end\n");
    assert_eq!(attached.wait().code, 4);
    run_ours(&engine, ["containers", "rm", &two]).ok();
    assert_eq!(engine.sh("ls /run/containerd/fifo"), "");
    engine.assert_clean();
}

#[test]
fn create_start_exec_and_the_rest() {
    let engine = with_image();
    let one = id("life");
    let pid_file = engine.directory().join("pid");
    run_ours(
        &engine,
        ["containers", "create", "--user", "1000:1000", "--env", "A=b", IMAGE, &one, "sleep", "1000"],
    )
    .ok();
    run_ours(&engine, ["tasks", "start", "-d", "--pid-file", pid_file.to_str().unwrap(), &one]).ok();
    let told = run_ours(&engine, ["tasks", "ls"]);
    let pid = fs::read_to_string(&pid_file).unwrap();
    assert!(told.ok().contains(&format!("{pid} ")) && told.stdout.contains("RUNNING"), "{}", told.stdout);
    let exec = |words: &[&str]| {
        let head = ["tasks", "exec", "--exec-id", "e"];
        run_ours(&engine, head.into_iter().chain(words.iter().copied()))
    };
    assert_eq!(exec(&[&one, "sh", "-c", "echo $A $(id -u)"]).ok(), "b 1000");
    assert_eq!(exec(&["--user", "root", &one, "id", "-u"]).ok(), "0");
    assert_eq!(exec(&[&one, "sh", "-c", "exit 5"]).code, 5);
    run_ours(&engine, ["tasks", "exec", "-d", "--exec-id", "kept", &one, "sleep", "1000"]).ok();
    assert!(run_ours(&engine, ["tasks", "ps", &one]).ok().contains("exec_id:\"kept\""));
    run_ours(&engine, ["tasks", "kill", "--exec-id", "kept", "-s", "9", &one]).ok();
    engine.sh(&format!("until [ \"$(ctr tasks ps {one} | wc -l)\" = 2 ]; do sleep 0.02; done"));
    assert_eq!(run_ours(&engine, ["tasks", "rm", "--exec-id", "kept", &one]).code, 137);
    let metrics = run_ours(&engine, ["tasks", "metrics", "--format", "json", &one]);
    assert!(
        serde_json::from_str::<serde_json::Value>(metrics.ok()).unwrap()["pids"]["current"].as_u64()
            > Some(0)
    );
    assert!(run_ours(&engine, ["tasks", "metrics", &one]).ok().contains("pids.current"));
    let refused = run_ours(&engine, ["containers", "rm", &one]);
    assert!(refused.fails(1).contains("ctr: cannot delete a non stopped container: {running 0"));
    run_ours(&engine, ["tasks", "rm", "--force", &one]).ok();
    run_ours(&engine, ["containers", "rm", &one]).ok();
    engine.assert_clean();
}

#[test]
fn flags_of_the_specification_work() {
    let engine = with_image();
    let one = id("spec");
    let run = |words: &[&str]| {
        let all: Vec<&str> = ["run", "--rm"].iter().chain(words).copied().collect();
        run_ours(&engine, all).ok().to_owned()
    };
    fs::write(engine.directory().join("shared"), "seen").unwrap();
    let bind = format!("type=bind,src={},dst=/host,options=rbind:ro", engine.directory().display());
    assert_eq!(run(&["--mount", &bind, IMAGE, &one, "cat", "/host/shared"]), "seen");
    assert_eq!(run(&["--hostname", "named", IMAGE, &one, "hostname"]), "named");
    assert_eq!(run(&["--cwd", "/bin", IMAGE, &one, "pwd"]), "/bin");
    assert_eq!(run(&["--rlimit-nofile", "100:200", IMAGE, &one, "sh", "-c", "ulimit -n"]), "100");
    assert_eq!(
        run(&["--cap-drop", "CAP_CHOWN", IMAGE, &one, "sh", "-c", "chown 1 /bin 2>/dev/null || echo no"]),
        "no"
    );
    assert_eq!(run(&["--seccomp", IMAGE, &one, "grep", "Seccomp:", "/proc/self/status"]), "Seccomp:\t2");
    assert_eq!(run(&[IMAGE, &one, "grep", "Seccomp:", "/proc/self/status"]), "Seccomp:\t0");
    assert_eq!(
        run(&["--allow-new-privs", IMAGE, &one, "grep", "NoNewPrivs", "/proc/self/status"]),
        "NoNewPrivs:\t0"
    );
    assert_eq!(run(&["--null-io", IMAGE, &one, "echo", "unheard"]), "");
    let config = engine.directory().join("config.json");
    let config = config.to_str().unwrap();
    run_ours(&engine, ["run", "--dump-config", config, IMAGE, &one, "true"]).ok();
    assert!(fs::read_to_string(config).unwrap().contains("\"ociVersion\""));
    for (flag, value) in
        [("--gpus", "0"), ("--cni", "true"), ("--uidmap", "0:1000:1"), ("--runtime-config-path", "x")]
    {
        let flag = if flag == "--cni" { flag.to_owned() } else { format!("{flag}={value}") };
        let refused = run_ours(&engine, ["run", "--rm", &flag, IMAGE, &one, "true"]);
        assert!(refused.fails(1).contains("not here"), "{}", refused.stderr);
    }
    engine.assert_clean();
}
