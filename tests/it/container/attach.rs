//! `attach`: several clients, early and late ones.

use rustix::process::Signal;

use super::{BUSYBOX, engine};

#[test]
fn several_clients_see_and_type() {
    let engine = engine();
    // The ticks tell when a client has arrived.
    let script = "(while sleep 0.1; do echo tick; done) & echo early; while read line; do echo got $line; done; echo end; exit 5";
    engine.wharfie(["run", "-d", "-i", "--name", "box", BUSYBOX, "sh", "-c", script]).ok();
    engine.sh("until wharfie logs box | grep -q early; do sleep 0.02; done");
    let mut first = engine.call(["attach", "box"]).open_stdin().spawn();
    let mut second = engine.call(["attach", "box"]).open_stdin().spawn();
    let watcher = engine.call(["attach", "--no-stdin", "box"]).spawn();
    for client in [&first, &second, &watcher] {
        client.expect("tick\n");
    }
    first.send("one\n");
    second.send("two\n");
    for client in [&first, &second, &watcher] {
        client.expect("got one\n");
        client.expect("got two\n");
    }
    // A client that leaves, or is killed, takes nothing along.
    second.signal(Signal::KILL);
    assert_eq!(second.wait().code, 137);
    first.send("still\n");
    watcher.expect("got still\n");
    engine.wharfie(["stop", "-t", "0", "box"]).ok();
    assert_eq!((first.wait().code, watcher.wait().code), (137, 137));
    engine.wharfie(["rm", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn the_exit_code_and_signals_are_the_containers() {
    let engine = engine();
    let script = "trap 'echo got HUP' HUP; trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done";
    engine.wharfie(["run", "-d", "--name", "box", BUSYBOX, "sh", "-c", script]).ok();
    engine.sh("until wharfie logs box | grep -q ready; do sleep 0.02; done");
    let client = engine.call(["attach", "box"]).spawn();
    // It listens to signals once it is attached, which shows only in what comes through it.
    engine.sh("until wharfie kill -s HUP box >/dev/null; do :; done");
    client.expect("got HUP");
    client.signal(Signal::TERM);
    assert_eq!(client.wait().code, 6);
    let ended = engine.wharfie(["attach", "box"]);
    assert!(ended.fails(1).contains("cannot attach to a stopped container, start it first"), "{ended:?}");
    engine.wharfie(["rm", "box"]).ok();
    engine.assert_clean();
}
