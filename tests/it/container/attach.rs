//! `attach`: several clients, early and late ones.

use std::fs;

use rustix::process::Signal;

use super::{BUSYBOX, engine};
use crate::cri::{grpc, text};

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
    engine.sh("until grep -q '\"attach\"' /var/lib/wharfie/*/default/events/events; do sleep 0.02; done");
    // It listens to signals once something comes through it.
    engine.wharfie(["kill", "-s", "HUP", "box"]).ok();
    client.expect("got HUP");
    client.signal(Signal::TERM);
    assert_eq!(client.wait().code, 6);
    let ended = engine.wharfie(["attach", "box"]);
    assert!(ended.fails(1).contains("cannot attach to a stopped container, start it first"), "{ended:?}");
    engine.wharfie(["rm", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn containers_of_ctr_and_nerdctl() {
    let engine = engine();
    let image = "docker.io/library/busybox:latest";
    // ctr leaves FIFOs behind: input and output go through them, and the exit code is the container's.
    let script = "while read line; do echo got $line; echo warn $line >&2; done; exit 4";
    engine.ctr(["run", "-d", image, "theirs", "sh", "-c", script]).ok();
    let mut client = engine.call(["attach", "theirs"]).open_stdin().spawn();
    client.send("one\n");
    client.expect("got one\n");
    client.send("two\n");
    client.expect("got two\n");
    client.close();
    let output = client.wait();
    assert_eq!((output.code, output.stderr.as_str()), (4, "warn one\nwarn two\n"), "{output:?}");
    engine.wharfie(["rm", "-f", "theirs"]).ok();
    // ctr's own, which only ctr removes.
    engine.sh("rm -r /run/containerd/fifo/*");

    // Where only a log is there it is followed, and the user is told.
    let id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let directory = format!("/var/lib/nerdctl/1935db59/containers/default/{id}");
    let log = format!("{directory}/{id}-json.log");
    let entry = |text: &str| {
        format!("{{\"log\":\"{text}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}")
    };
    engine.sh(&format!("mkdir -p {directory}; echo '{}' > {log}", entry("old")));
    let state = format!("nerdctl/state-dir={directory}");
    engine
        .ctr([
            "run",
            "-d",
            "--null-io",
            "--label",
            "nerdctl/name=web",
            "--label",
            &state,
            image,
            id,
            "sleep",
            "1000",
        ])
        .ok();
    let client = engine.call(["attach", "web"]).spawn();
    // It listens from some moment on.
    let writing = engine
        .program("sh", ["-c", &format!("while sleep 0.05; do echo '{}' >> {log}; done", entry("new"))])
        .spawn();
    client.expect("new\n");
    writing.signal(Signal::KILL);
    writing.wait();
    engine.wharfie(["kill", "web"]).ok();
    let output = client.wait();
    assert!(output.stderr.contains("its log is followed, input is not possible"), "{output:?}");
    assert!(!output.stdout.contains("old") && output.code == 137, "{output:?}");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.sh("rm -r /var/lib/nerdctl");
    engine.assert_clean();
}

#[test]
fn input_through_a_fifo_beside_a_log() {
    let engine = engine();
    // As nerdctl makes a detached container that has a terminal: a FIFO for its input, and a program that logs.
    let id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let directory = format!("/var/lib/nerdctl/1935db59/containers/default/{id}");
    let rootfs = engine.directory().join("rootfs").display().to_string();
    engine.sh(&format!(
        "mkdir -p {directory} {rootfs}/bin; cp $(command -v busybox) {rootfs}/bin/busybox; \
         mkfifo {directory}/stdin.fifo; touch {directory}/{id}-json.log; \
         printf '#!/bin/sh\nexec 5>&-\nexec cat <&3 >>{directory}/{id}-json.log\n' >{directory}/logger; \
         chmod +x {directory}/logger"
    ));
    // What the terminal echoes is no entry of a log.
    let script = r#"
        while read line; do
            echo "{\"log\":\"got $line\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}"
            [ $line = end ] && exit 7
        done"#;
    fs::write(format!("{rootfs}/script"), script).unwrap();
    let labels = [format!("nerdctl/state-dir={directory}"), "nerdctl/name=web".into()];
    let line = ["container", "create", "-t", "--rootfs", "--label", &labels[0], "--label", &labels[1]];
    engine.ctr([&line[..], &[&rootfs, id, "/bin/busybox", "sh", "/script"]].concat()).ok();
    let create = [
        text(1, id),
        text(4, &format!("{directory}/stdin.fifo")),
        text(5, &format!("binary://{directory}/logger?a=b")),
        vec![7 << 3, 1],
    ];
    grpc(&engine, "containerd.services.tasks.v1.Tasks/Create", &create.concat());
    grpc(&engine, "containerd.services.tasks.v1.Tasks/Start", &text(1, id));
    let mut client = engine.terminal(["attach", "web"]);
    client.expect("nobody serves the output of container web: its log is followed");
    client.send("one\n");
    client.expect("got one");
    // A second client may type too, and leave.
    let mut second = engine.terminal(["attach", "web"]);
    second.expect("its log is followed");
    second.send("two\n");
    client.expect("got two");
    second.send([16, 17]);
    assert_eq!(second.wait(), 0);
    client.send("end\n");
    assert_eq!(client.wait(), 7);
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.sh("rm -r /var/lib/nerdctl");
    engine.assert_clean();
}
