//! `--nodes`: a reading verb on many machines at once.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{BUSYBOX, FULL, Node, engine, nothing_forwarded};
use crate::images::Image;

#[test]
fn many_machines_are_one_table() {
    let engine = engine();
    engine.load_with_ctr(FULL, &Image::busybox());
    engine.accept();
    let (one, two) = (Node::start(&engine, "n1"), Node::start(&engine, "n2"));
    for node in [&one, &two] {
        node.load(&engine);
        node.wharfie(&engine, ["run", "-d", "--name", "web", BUSYBOX, "sleep", "1000"]).ok();
    }
    engine.sh("printf '# all of them\\nlocal\\nn1 # first\\n\\nroot@n2\\n' >nodes");
    let file = engine.wharfie(["--nodes", "@nodes", "ps", "--format", "table {{.Names}}\t{{.State}}"]);
    assert_eq!(
        file.ok(),
        "NODE      NAMES     STATE\nn1        web       running\nroot@n2   web       running"
    );
    let table = engine.wharfie(["--nodes", "n1,n2", "ps"]);
    let head = table.ok().lines().next().unwrap();
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>().join(" "),
        "NODE CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES"
    );
    assert_eq!(table.ok().lines().count(), 3, "{table:?}");
    let json = engine.wharfie(["--nodes", "n1,n2", "ps", "--format", "json"]);
    let nodes: Vec<serde_json::Value> =
        json.ok().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(nodes.iter().map(|row| row["Node"].as_str().unwrap()).collect::<Vec<_>>(), ["n1", "n2"]);
    assert_eq!(nodes[1]["Names"], "web");
    let inspected = engine.wharfie(["--nodes", "n2,local,n1", "inspect", BUSYBOX]);
    let all: Vec<serde_json::Value> = serde_json::from_str(inspected.ok()).expect("one array");
    assert_eq!(
        all.iter().map(|one| one["Node"].as_str().unwrap()).collect::<Vec<_>>(),
        ["n2", "local", "n1"]
    );
    let lines = engine.wharfie(["--nodes", "n1,n2", "images", "--format", "{{.Repository}}"]);
    assert_eq!(lines.ok(), "n1: busybox\nn2: busybox");
    for (verb, why) in [
        (["rm", "-f", "web"].as_slice(), "only verbs that read do"),
        (&["stats", "web"], "needs --no-stream"),
    ] {
        let refused = engine.wharfie([&["--nodes", "n1,n2"], verb].concat());
        assert!(refused.fails(125).contains(why), "{refused:?}");
    }
    assert!(
        engine.wharfie(["--nodes", "n1", "-H", "ssh://n2", "ps"]).fails(125).contains("conflicting options")
    );
    for node in [&one, &two] {
        node.wharfie(&engine, ["rm", "-f", "web"]).ok();
    }
    nothing_forwarded(&engine);
}

#[test]
fn what_fails_is_named_and_the_rest_is_shown() {
    let engine = engine();
    let (one, two) = (Node::start(&engine, "n1"), Node::start(&engine, "n2"));
    one.load(&engine);
    engine.sh("printf 'Host gone\\n  HostName 127.0.0.1\\n  Port 9\\n' >>/root/.ssh/config");
    // n2 takes connections and answers none.
    two.sh(&engine, "kill -STOP $(pgrep -f [n]2/sshd_config)");
    let began = Instant::now();
    let told = engine
        .call(["--nodes", "gone,n1,n2", "--node-timeout", "5s", "images", "--format", "{{.Repository}}"])
        .run();
    assert_eq!(told.stdout, "n1: busybox\n", "{told:?}");
    let words = told.fails(1);
    assert!(words.contains("gone: ") && words.contains("Connection refused"), "{words}");
    assert!(words.contains("n2: "), "{words}");
    assert!(words.ends_with("2 of 3 nodes failed: gone, n2"), "{words}");
    assert!(began.elapsed() < Duration::from_secs(30), "the deadline held nobody");
    two.sh(&engine, "kill -CONT $(pgrep -f [n]2/sshd_config)");
    nothing_forwarded(&engine);
}

#[test]
fn logs_are_followed_on_all() {
    let engine = engine();
    let (one, two) = (Node::start(&engine, "n1"), Node::start(&engine, "n2"));
    for node in [&one, &two] {
        node.load(&engine);
        let script = "echo began; until [ -e /go ]; do sleep 0.05; done; echo went; sleep 1000";
        node.wharfie(&engine, ["run", "-d", "--name", "web", BUSYBOX, "sh", "-c", script]).ok();
    }
    let following = engine.call(["--nodes", "n1,n2", "logs", "-f", "web"]).spawn();
    following.expect("n1: began");
    following.expect("n2: began");
    two.wharfie(&engine, ["exec", "web", "touch", "/go"]).ok();
    following.expect("n2: went");
    following.signal(Signal::KILL);
    drop(following);
    engine.sh("while pgrep -x wharfie >/dev/null || pgrep -x ssh >/dev/null; do sleep 0.02; done");
    for node in [&one, &two] {
        node.wharfie(&engine, ["rm", "-f", "web"]).ok();
    }
    nothing_forwarded(&engine);
}
