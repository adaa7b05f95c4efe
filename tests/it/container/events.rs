//! `events`: what is told of each verb, live and afterwards, of our containers and of others'.

use super::{BUSYBOX, engine, sleeper};
use crate::engine::TestEngine;

/// What has happened so far, a line an event.
fn past(engine: &TestEngine, filters: &[&str], format: &str) -> Vec<String> {
    let now = engine.sh("date +%s.%N");
    let mut line = vec!["events", "--since", "1", "--until", now.trim(), "--format", format];
    for filter in filters {
        line.extend(["--filter", filter]);
    }
    engine.wharfie(line).ok().lines().map(str::to_owned).collect()
}

const ACTIONS: &str = "{{.Type}} {{.Action}}";

#[test]
fn every_verb_is_told_in_dockers_words_and_order() {
    let engine = engine();
    engine.wharfie(["run", "--rm", "-v", "/v", "--name", "one", BUSYBOX, "sh", "-c", "exit 3"]).fails(3);
    assert_eq!(
        past(&engine, &[], ACTIONS),
        [
            "volume create",
            "container create",
            "container attach",
            "network connect",
            "volume mount",
            "container start",
            "container die",
            "network disconnect",
            "volume unmount",
            "volume destroy",
            "container destroy",
        ]
    );
    let died =
        past(&engine, &["event=die"], "{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}} {{.From}}");
    assert_eq!(died, ["one 3 busybox:latest"]);

    let id = sleeper(&engine, &["--name", "two", "--label", "team=blue"]);
    engine.wharfie(["exec", "two", "sh", "-c", "exit 5"]).fails(5);
    engine.wharfie(["top", "two"]).ok();
    engine.wharfie(["pause", "two"]).ok();
    engine.wharfie(["unpause", "two"]).ok();
    engine.wharfie(["update", "--memory", "64m", "--memory-swap", "64m", "two"]).ok();
    engine.wharfie(["rename", "two", "second"]).ok();
    engine.wharfie(["rename", "second", "two"]).ok();
    engine.wharfie(["restart", "two"]).ok();
    engine.wharfie(["stop", "two"]).ok();
    engine.wharfie(["start", "two"]).ok();
    engine.wharfie(["kill", "two"]).ok();
    engine.wharfie(["wait", "two"]).ok();
    engine.wharfie(["rm", "-f", "two"]).ok();
    assert_eq!(
        past(&engine, &["container=two"], "{{.Action}}"),
        [
            "create",
            "start",
            "exec_create: sh -c exit 5",
            "exec_start: sh -c exit 5",
            "exec_die",
            "top",
            "pause",
            "unpause",
            "update",
            "rename",
            "kill",
            "die",
            "stop",
            "start",
            "restart",
            "kill",
            "die",
            "stop",
            "start",
            "kill",
            "die",
            "destroy",
        ]
    );
    assert_eq!(past(&engine, &["label=team=blue", "event=create"], "{{.ID}}"), [id]);
    assert!(past(&engine, &["label=team=red"], ACTIONS).is_empty());
    assert_eq!(past(&engine, &["type=network", "event=connect"], "{{.Actor.Attributes.name}}").len(), 4);

    // A container that is removed while it runs has died before.
    sleeper(&engine, &["--name", "three"]);
    engine.wharfie(["rm", "-f", "three"]).ok();
    let three = past(&engine, &["container=three"], "{{.Action}} {{.Actor.Attributes.exitCode}}");
    assert_eq!(
        three,
        ["create <no value>", "start <no value>", "kill <no value>", "die 137", "destroy <no value>"]
    );
    engine.assert_clean();
}

#[test]
fn images_are_told() {
    let engine = engine();
    engine.wharfie(["tag", BUSYBOX, "other:1"]).ok();
    engine.wharfie(["save", "-o", "/tmp/saved.tar", "other:1"]).ok();
    engine.wharfie(["rmi", "other:1"]).ok();
    engine.wharfie(["load", "-i", "/tmp/saved.tar"]).ok();
    engine.sh("cd /tmp && mkdir -p r && echo x > r/x && tar -C r -cf r.tar . && wharfie import r.tar made:1");
    let told = past(&engine, &["type=image"], "{{.Action}} {{.Actor.Attributes.name}}");
    let told: Vec<&str> = told.iter().map(|line| line.split(" sha256:").next().unwrap()).collect();
    assert_eq!(told, ["tag other:1", "save", "untag other:1", "load other:1", "import made:1"]);
    assert_eq!(past(&engine, &["image=other"], "{{.Action}}"), ["tag", "untag", "load"]);
}

#[test]
fn live_and_of_other_clients() {
    let engine = engine();
    let live = engine.call(["events", "--format", "{{.Type}} {{.Action}} {{.ID}}"]).spawn();
    // It listens when it has made its watch on the journal.
    engine.sh("until grep -q inotify /proc/$(pgrep -fx 'wharfie events.*')/fdinfo/* 2>/dev/null; do sleep 0.02; done");
    engine.ctr(["run", "-d", "docker.io/library/busybox:latest", "foreign", "/bin/sleep", "1000"]).ok();
    let id = engine.wharfie(["run", "-d", BUSYBOX, "true"]).ok().to_owned();
    engine.wharfie(["wait", &id]).ok();
    engine.ctr(["task", "kill", "-s", "9", "foreign"]).ok();
    live.expect("container die foreign");
    live.expect(&format!("die {id}"));
    live.signal(rustix::process::Signal::INT);
    let seen = live.wait().stdout;
    let lines: Vec<&str> = seen.lines().collect();
    let of = |id: &str| -> Vec<String> {
        let about = |line: &&&str| line.ends_with(id) && line.starts_with("container");
        lines.iter().filter(about).map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect()
    };
    assert_eq!(of("foreign"), ["create", "start", "die"], "{seen}");
    assert_eq!(of(&id), ["create", "start", "die"], "{seen}");
    engine.wharfie(["rm", &id]).ok();
}

#[test]
fn the_default_line_json_and_errors() {
    let engine = engine();
    engine.wharfie(["create", "--name", "web", BUSYBOX]).ok();
    let now = engine.sh("date +%s.%N");
    let line = engine.wharfie(["events", "--since", "1", "--until", now.trim()]);
    let parts: Vec<&str> = line.ok().splitn(5, ' ').collect();
    assert_eq!(parts[1..3], ["container", "create"]);
    assert!(parts[0].len() >= 30 && parts[3].len() == 64, "{line:?}");
    assert_eq!(parts[4], "(image=busybox:latest, name=web)");
    let json = past(&engine, &[], "json").join("\n");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["Action"], "create");
    assert!(json["timeNano"].is_i64() && json["time"].is_i64() && json["scope"] == "local");
    let wrong = engine.wharfie(["events", "--filter", "colour=red"]);
    assert!(wrong.fails(1).contains("invalid filter 'colour'"));
    let wrong = engine.wharfie(["events", "--format", "{{.Nope}}"]);
    assert!(wrong.fails(1).contains("Nope"), "{wrong:?}");
    engine.wharfie(["system", "events", "--since", "1", "--until", now.trim()]).ok();
    engine.wharfie(["rm", "web"]).ok();
}

#[test]
fn the_end_of_a_process_that_nobody_waits_for() {
    let engine = engine();
    sleeper(&engine, &["--name", "box", "--label", "team=blue"]);
    let format =
        "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.team}} {{.Actor.Attributes.exitCode}};";
    let events = engine.call(["events", "--filter", "container=box", "--format", format]).spawn();
    engine.sh("until grep -q inotify /proc/$(pgrep -fx 'wharfie events.*')/fdinfo/* 2>/dev/null; do sleep 0.02; done");
    engine.wharfie(["exec", "box", "sh", "-c", "exit 4"]).fails(4);
    events.expect("exec_die box blue 4;");
    engine.wharfie(["exec", "-d", "box", "sh", "-c", "exit 3"]).ok();
    events.expect("exec_die box blue 3;");
    events.signal(rustix::process::Signal::KILL);
    let told = events.wait().stdout;
    assert_eq!(told.matches("exec_die").count(), 2, "each is told once: {told}");
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}
