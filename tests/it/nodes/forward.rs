//! Verbs over another machine's forwarded socket.

use rustix::process::Signal;

use super::{BUSYBOX, FULL, Node, engine, nothing_forwarded};

#[test]
fn what_the_api_serves_goes_over_the_forwarded_socket() {
    let engine = engine();
    let node = Node::bare(&engine, "n1");
    node.load(&engine);
    let images = node.wharfie(&engine, ["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(images.ok(), BUSYBOX);
    let inspected = node.wharfie(&engine, ["image", "inspect", "-f", "{{.RepoTags}}", BUSYBOX]);
    assert_eq!(inspected.ok(), "[busybox:latest]");
    node.wharfie(&engine, ["tag", BUSYBOX, "again:1"]).ok();
    assert!(node.ctr(&engine, "images ls -q").contains("docker.io/library/again:1"));
    node.wharfie(&engine, ["rmi", "again:1"]).ok();
    // Files are this machine's.
    let archive = engine.directory().join("saved.tar");
    let archive = archive.to_str().unwrap();
    node.wharfie(&engine, ["save", "-o", archive, BUSYBOX]).ok();
    node.wharfie(&engine, ["rmi", BUSYBOX]).ok();
    assert_eq!(node.wharfie(&engine, ["images", "-q"]).ok(), "");
    node.wharfie(&engine, ["load", "-i", archive]).ok();
    node.wharfie(&engine, ["namespace", "create", "other"]).ok();
    assert!(node.wharfie(&engine, ["namespace", "ls", "-q"]).ok().contains("other"));
    // Nothing of the program is there, and nothing of that machine's lies here.
    assert_eq!(node.sh(&engine, "ls -A /root"), "");
    assert_eq!(engine.sh("ls /var/lib/wharfie 2>/dev/null || :"), "");
    nothing_forwarded(&engine);
}

#[test]
fn the_address_can_ask_for_the_socket() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    node.load(&engine);
    // ctr mounts the image itself: it must be there.
    let sock = "/run/containerd/containerd.sock";
    node.sh(&engine, &format!("ctr -a {sock} run -d {FULL} there sleep 1000 </dev/null >/dev/null 2>&1"));
    engine.accept();
    let socket = |arguments: &[&str]| {
        let address = "ssh://n1/run/containerd/containerd.sock?via=socket";
        engine.wharfie([&["-H", address], arguments].concat())
    };
    let listed = socket(&["ps", "--format", "{{.ID}} {{.Image}} {{.State}}"]);
    assert_eq!(listed.ok(), format!("there {FULL} running"));
    assert!(socket(&["inspect", "-f", "{{.State.Running}}", "there"]).ok().starts_with("true"));
    let version =
        socket(&["version", "--format", "{{range .Server.Components}}{{.Name}}={{.Version}};{{end}}"]);
    assert!(version.ok().contains("runc=;"), "this machine's runtime is not that one's: {version:?}");
    assert!(
        socket(&["exec", "there", "true"])
            .fails(125)
            .contains("needs more of ssh://n1 than containerd's socket")
    );
    let missing = engine.wharfie(["-H", "ssh://n1/nowhere.sock?via=socket", "ps"]);
    assert!(missing.fails(1).contains("none of the known sockets is there"), "{missing:?}");
    nothing_forwarded(&engine);
}

#[test]
fn a_killed_wharfie_leaves_no_ssh_and_no_socket() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    node.load(&engine);
    // Its output is not read: it waits, connected.
    let saving = engine
        .terminal_of("bash", ["-c", &format!("wharfie -H ssh://n1 save {BUSYBOX} | (sleep 1000; cat)")]);
    engine.sh("until pgrep -x wharfie >/dev/null && pgrep -x ssh >/dev/null && ! ls /run | grep -q wharfie-ssh; do sleep 0.02; done");
    engine.sh(
        "pkill -KILL -x wharfie; pkill -KILL -x sleep; while pgrep -x ssh >/dev/null; do sleep 0.02; done",
    );
    drop(saving);
    nothing_forwarded(&engine);
    // One that was still connecting leaves its directory to the next, and nothing that runs.
    engine.sh("printf 'Host slow\\n  ProxyCommand sed -n 4321p\\n' >>/root/.ssh/config");
    let connecting = engine.call(["-H", "ssh://slow", "images"]).spawn();
    engine.sh("until pgrep -f '[s]ed -n 4321p' >/dev/null; do sleep 0.02; done");
    connecting.signal(Signal::KILL);
    engine.sh("while pgrep -x ssh >/dev/null || pgrep -f '[s]ed -n 4321p' >/dev/null; do sleep 0.02; done");
    drop(connecting);
    node.wharfie(&engine, ["images"]).ok();
    nothing_forwarded(&engine);
}

#[test]
fn a_machine_that_is_away_is_named() {
    let engine = engine();
    engine.sh("printf 'Host gone\\n  HostName 127.0.0.1\\n  Port 9\\n' >>/root/.ssh/config");
    for verb in [["images"].as_slice(), &["rmi", "x"]] {
        let told = engine.wharfie([&["-H", "ssh://gone"], verb].concat());
        let words = told.fails(1);
        assert!(
            words.contains("cannot reach ssh://gone: ") && words.contains("Connection refused"),
            "{told:?}"
        );
        assert!(words.contains("hint: try `ssh gone true`"), "{told:?}");
    }
    // By the program ssh speaks for itself.
    let told = engine.wharfie(["-H", "ssh://gone", "ps"]);
    assert!(told.fails(255).contains("Connection refused"), "{told:?}");
    // No client at all.
    let told = engine
        .program(
            "/usr/bin/env",
            ["PATH=/nowhere", env!("CARGO_BIN_EXE_wharfie"), "-H", "ssh://gone", "images"],
        )
        .run();
    let words = told.fails(1);
    assert!(words.contains("cannot start ssh: no such file or directory"), "{told:?}");
    assert!(words.contains("hint: install the OpenSSH client"), "{told:?}");
    nothing_forwarded(&engine);
}

#[test]
fn an_unknown_key_is_never_accepted_silently() {
    let engine = engine();
    let _node = Node::start(&engine, "n1");
    engine.sh("printf '' >/root/.ssh/known_hosts");
    let told = engine.wharfie(["-H", "ssh://n1", "images"]);
    assert!(told.fails(1).contains("Host key verification failed"), "{told:?}");
    nothing_forwarded(&engine);
}
