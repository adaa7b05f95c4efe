//! `create`: a container that is made and not started.

use std::fs;

use super::{BUSYBOX, engine};

#[test]
fn it_is_made_whole_and_started_later() {
    let engine = engine();
    let cidfile = engine.directory().join("cid").display().to_string();
    let created = engine.wharfie([
        "create",
        "--name",
        "box",
        "--cidfile",
        &cidfile,
        "-p",
        "8080:80",
        "-v",
        "/data",
        BUSYBOX,
        "sh",
        "-c",
        "exit 3",
    ]);
    let id = created.ok();
    assert_eq!((id.len(), fs::read_to_string(&cidfile).unwrap().as_str()), (64, id));
    assert_eq!(
        engine.wharfie(["ps", "-a", "--format", "{{.ID}} {{.Status}} {{.Ports}}"]).ok(),
        format!("{} Created ", &id[..12])
    );
    assert_eq!(engine.wharfie(["ps", "-q"]).ok(), "");
    assert_eq!(engine.wharfie(["logs", "box"]).ok(), "");
    assert_eq!(engine.wharfie(["stop", "box"]).ok(), "box", "nothing to do");
    assert_eq!(engine.wharfie(["wait", "box"]).ok(), "0");
    for (verb, words) in [("kill", "is not running"), ("attach", "cannot attach to a stopped container")] {
        assert!(engine.wharfie([verb, "box"]).fails(1).contains(words), "{verb}");
    }
    let exec = engine.wharfie(["exec", "box", "true"]);
    assert!(exec.fails(1).contains(&format!("container {id} is not running")), "{exec:?}");
    // Not even an address is taken before it starts.
    assert_eq!(engine.sh("ls /var/lib/cni/networks/* 2>/dev/null | grep -c '^10[.]' || :").trim(), "0");
    assert_eq!(engine.wharfie(["start", "-a", "box"]).code, 3);
    assert_eq!(engine.wharfie(["rm", "-v", "box"]).ok(), "box");
    engine.assert_clean();
}

#[test]
fn what_fails_leaves_nothing() {
    let engine = engine();
    let directory = engine.directory().display().to_string();
    let cidfile = format!("{directory}/not/there/cid");
    let cases: [(&[&str], &str); 5] = [
        (&["--cidfile", &cidfile], "not/there"),
        (&["-u", "nobody-here"], "unable to find user"),
        (&["--mount", "type=bind,src=/not/there,dst=/x"], "bind source path does not exist"),
        (&["-v", "/data", "--device", "/dev/not-there"], "/dev/not-there"),
        (&["--network", "container:nobody"], "No such container: nobody"),
    ];
    for (flags, words) in cases {
        let output = engine.wharfie([&["create"], flags, &[BUSYBOX]].concat());
        assert!(output.code != 0 && output.stderr.contains(words), "{output:?}");
        assert_eq!(output.stdout, "");
    }
    engine.assert_clean();
}

#[test]
fn two_with_one_name_at_once() {
    let engine = engine();
    let calls: Vec<_> = (0..4).map(|_| engine.call(["create", "--name", "one", BUSYBOX]).spawn()).collect();
    let codes: Vec<i32> = calls.into_iter().map(|call| call.wait().code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    engine.wharfie(["rm", "one"]).ok();
    engine.assert_clean();
}
