//! `logs`: docker's files, read whole, in part and as they grow.

use std::fs;
use std::path::PathBuf;

use super::{BUSYBOX, engine, sleeper};
use crate::engine::TestEngine;

/// The log file of a container, seen from outside.
fn file(engine: &TestEngine, id: &str) -> PathBuf {
    let path = engine.sh(&format!("ls /var/lib/wharfie/*/default/containers/{id}/{id}-json.log"));
    engine.world().lib().join(path.trim().strip_prefix("/var/lib/").unwrap())
}

#[test]
fn the_whole_and_parts() {
    let engine = engine();
    let script =
        "echo one; echo two >&2; printf 'quote \" back \\\\ tab\\t byte \\377\\n'; printf unfinished";
    engine.wharfie(["run", "--name", "box", BUSYBOX, "sh", "-c", script]);
    let id = engine.wharfie(["ps", "-aq", "--no-trunc"]).ok().to_owned();
    let logs = engine.wharfie(["logs", "box"]);
    assert_eq!(logs.stderr, "two\n");
    assert!(
        logs.stdout.starts_with("one\nquote \" back \\ tab\t byte ") && logs.stdout.ends_with("\nunfinished"),
        "{logs:?}"
    );
    // docker's form, a line an entry.
    let text = fs::read_to_string(file(&engine, &id)).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |stream: &str| {
        lines
            .iter()
            .filter(|line| line["stream"] == stream)
            .map(|line| line["log"].as_str().unwrap())
            .collect::<String>()
    };
    assert_eq!(of("stderr"), "two\n");
    assert!(of("stdout").starts_with("one\nquote"));
    assert!(
        text.starts_with("{\"log\":\"") && text.contains("\",\"stream\":\"stdout\",\"time\":\""),
        "{text}"
    );
    for line in &lines {
        let time = line["time"].as_str().unwrap();
        assert!(time.len() >= 20 && time.ends_with('Z') && time.starts_with("20"), "{time}");
    }
    engine.wharfie(["rm", "box"]).ok();

    engine
        .wharfie(["run", "--name", "box", BUSYBOX, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 1.1; done"])
        .ok();
    let logs = |flags: &[&str]| engine.wharfie([&["logs"], flags, &["box"]].concat()).ok().replace('\n', " ");
    assert_eq!(logs(&["-n", "2"]), "2 3");
    assert_eq!(logs(&["--tail", "0"]), "");
    for all in ["all", "x", "", "-1"] {
        assert_eq!(logs(&["--tail", all]), "1 2 3", "{all:?}");
    }
    assert_eq!(logs(&["-n", "-1"]), "1 2 3");
    let stamped = engine.wharfie(["logs", "-t", "box"]);
    let stamps: Vec<&str> = stamped.ok().lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert!(stamps.iter().all(|stamp| stamp.len() == 30 && stamp.ends_with('Z')), "nanoseconds: {stamps:?}");
    assert_eq!(logs(&["--since", stamps[1]]), "2 3");
    assert_eq!(logs(&["--until", stamps[1]]), "1 2");
    assert_eq!(logs(&["--since", stamps[1], "--until", stamps[1]]), "2");
    assert_eq!(logs(&["--since", "1h"]), "1 2 3");
    assert_eq!(logs(&["--until", "1h"]), "");
    assert_eq!(logs(&["-f"]), "1 2 3", "following what has ended ends");
    assert!(engine.wharfie(["logs", "-n", "many", "box"]).code != 0);
    assert!(engine.wharfie(["logs", "nobody"]).fails(1).contains("No such container: nobody"));
    engine.wharfie(["rm", "box"]).ok();

    engine.wharfie(["run", "--name", "box", "--log-driver", "none", BUSYBOX, "echo", "seen"]).ok();
    let none = engine.wharfie(["logs", "box"]);
    assert!(none.fails(1).contains("configured logging driver does not support reading"), "{none:?}");
    engine.wharfie(["rm", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn rotation_and_following() {
    let engine = engine();
    let flags = ["--log-opt", "max-size=20k", "--log-opt", "max-file=3"];
    // Slow enough for a reader: what is rotated away unseen is lost, as with docker.
    let script = "mkfifo /go; read x < /go; for i in $(seq 0 29); do seq $((i*100+1)) $((i*100+100)); sleep 0.05; done; read x < /go; seq 3001 3005";
    let id = engine
        .wharfie([&["run", "-d", "--name", "box"], &flags[..], &[BUSYBOX, "sh", "-c", script]].concat())
        .ok()
        .to_owned();
    let following = engine.call(["logs", "-f", "box"]).spawn();
    engine.sh("until wharfie exec box test -p /go; do sleep 0.02; done; wharfie exec box sh -c 'echo > /go'");
    following.expect("\n3000\n");
    // The container may end before the command that ended it.
    engine.wharfie(["exec", "box", "sh", "-c", "echo > /go"]);
    let output = following.wait();
    let expected: String = (1..=3005).map(|number| format!("{number}\n")).collect();
    assert!(
        output.stdout == expected,
        "every line, through every rotation: {} lines",
        output.stdout.lines().count()
    );
    let file = file(&engine, &id);
    let mut files: Vec<String> = fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("-json.log"))
        .collect();
    files.sort_unstable();
    assert_eq!(files, [format!("{id}-json.log"), format!("{id}-json.log.1"), format!("{id}-json.log.2")]);
    for name in &files {
        assert!(fs::metadata(file.with_file_name(name)).unwrap().len() <= 21_000, "{name}");
    }
    let kept = engine.wharfie(["logs", "box"]);
    assert!(
        expected.ends_with(&kept.stdout) && kept.stdout.lines().count() > 400,
        "the last of it: {}",
        kept.stdout.lines().count()
    );
    assert_eq!(
        engine.wharfie(["logs", "-n", "1500", "box"]).stdout.lines().count(),
        kept.stdout.lines().count().min(1500)
    );
    engine.wharfie(["rm", "box"]).ok();

    // Following ends with the container, also when that is removed or killed, and goes on over restarts.
    for end in ["stop", "kill"] {
        sleeper(&engine, &["--name", "box"]);
        let following = engine.call(["logs", "-f", "box"]).spawn();
        engine.wharfie([end, "box"]).ok();
        assert_eq!(following.wait().code, 0, "{end}");
        engine.wharfie(["rm", "box"]).ok();
    }
    engine
        .wharfie(["run", "-d", "--rm", "--name", "box", BUSYBOX, "sh", "-c", "echo ready; sleep 1000"])
        .ok();
    let following = engine.call(["logs", "-f", "box"]).spawn();
    following.expect("ready");
    engine.wharfie(["rm", "-f", "box"]).ok();
    assert_eq!(following.wait().code, 0, "removed");
    engine.assert_clean();
}

#[test]
fn several_as_one() {
    let engine = engine();
    let script = "mkfifo /go; exec 3<>/go; while read line <&3; do echo $line; done";
    for name in ["first", "second"] {
        engine.wharfie(["run", "-d", "--name", name, BUSYBOX, "sh", "-c", script]).ok();
        engine.sh(&format!("until wharfie exec {name} test -p /go; do sleep 0.02; done"));
    }
    let say = |name: &str, text: &str| {
        engine.wharfie(["exec", name, "sh", "-c", &format!("echo {text} > /go")]).ok();
        engine.sh(&format!("until wharfie logs {name} | grep -q {text}; do sleep 0.02; done"));
    };
    say("first", "one");
    say("second", "two");
    say("first", "three");
    // In the order of time, each line led by its name; one alone stays as it is.
    let merged = "first  | one\nsecond | two\nfirst  | three";
    assert_eq!(engine.wharfie(["logs", "first", "second"]).ok(), merged);
    assert_eq!(engine.wharfie(["logs", "first"]).ok(), "one\nthree");
    assert_eq!(engine.wharfie(["logs", "-n", "1", "first", "second"]).ok(), "second | two\nfirst  | three");
    let some = engine.wharfie(["logs", "first", "nobody", "second"]);
    assert!(some.fails(1).contains("No such container: nobody"), "{some:?}");
    assert_eq!(some.stdout.trim_end(), merged);

    let following = engine.call(["logs", "-f", "first", "second"]).spawn();
    following.expect("first  | three\n");
    say("second", "four");
    following.expect("second | four\n");
    engine.wharfie(["stop", "-t", "0", "first"]).ok();
    say("second", "five");
    following.expect("second | five\n");
    engine.wharfie(["stop", "-t", "0", "second"]).ok();
    assert_eq!(following.wait().code, 0);
    let mut coloured = engine.terminal(["logs", "first", "second"]);
    coloured.expect("\u{1b}[36mfirst  | \u{1b}[0mone");
    assert_eq!(coloured.wait(), 0);
    engine.wharfie(["rm", "first", "second"]).ok();
    engine.assert_clean();
}

#[test]
fn following_goes_on_over_a_restart_and_details_are_shown() {
    let engine = engine();
    let flags = [
        "--log-opt",
        "labels=app",
        "--log-opt",
        "env=A",
        "--log-opt",
        "tag={{.Name}}",
        "-l",
        "app=x y",
        "-e",
        "A=1",
    ];
    sleeper(&engine, &[&["--name", "quiet"], &flags[..]].concat());
    let script = "echo started; trap 'exit 0' TERM; while :; do sleep 0.05; done";
    engine
        .wharfie([&["run", "-d", "--name", "box"], &flags[..], &[BUSYBOX, "sh", "-c", script]].concat())
        .ok();
    let following = engine.call(["logs", "-f", "box"]).spawn();
    following.expect("started\n");
    engine.wharfie(["restart", "box"]).ok();
    following.expect("started\nstarted\n");
    engine.wharfie(["stop", "box"]).ok();
    assert_eq!(following.wait().ok(), "started\nstarted");
    assert_eq!(engine.wharfie(["logs", "--details", "-n", "1", "box"]).ok(), "A=1,app=x+y,tag=box started");
    engine.wharfie(["rm", "-f", "box", "quiet"]).ok();
    engine.assert_clean();
}
