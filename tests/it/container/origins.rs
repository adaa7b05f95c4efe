//! Containers that ctr and nerdctl have made.

use super::engine;

#[test]
fn made_by_ctr() {
    let engine = engine();
    let image = "docker.io/library/busybox:latest";
    engine
        .ctr([
            "run",
            "-d",
            "--null-io",
            "--label",
            "kind=a",
            image,
            "theirs",
            "sh",
            "-c",
            "trap 'exit 3' TERM; while :; do sleep 0.05; done",
        ])
        .ok();
    assert_eq!(
        engine
            .wharfie(["ps", "--format", "{{.ID}} {{.Names}} {{.Image}} {{.State}} {{.Label \"kind\"}}"])
            .ok(),
        format!("theirs theirs {image} running a")
    );
    assert_eq!(engine.wharfie(["ps", "-q", "-f", "label=kind=a"]).ok(), "theirs");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.Id}} {{.State.Running}}", "theirs"]).ok(), "theirs true");
    assert_eq!(engine.wharfie(["exec", "theirs", "sh", "-c", "echo in; exit 4"]).stdout, "in\n");
    assert_eq!(engine.call(["exec", "-i", "theirs", "cat"]).stdin("x").run().ok(), "x");
    let logs = engine.wharfie(["logs", "theirs"]);
    assert!(logs.fails(1).contains("keeps no log that can be read"), "{logs:?}");
    assert!(engine.wharfie(["attach", "theirs"]).fails(1).contains("nobody serves its streams"));
    let refused = engine.wharfie(["rm", "theirs"]);
    assert!(refused.fails(1).contains("container is running"), "{refused:?}");
    assert_eq!(engine.wharfie(["stop", "theirs"]).ok(), "theirs");
    assert_eq!(engine.wharfie(["ps", "-q"]).ok(), "");
    let again = engine.wharfie(["start", "theirs"]);
    assert!(again.fails(1).contains("was not made by wharfie"), "{again:?}");
    assert_eq!(engine.wharfie(["rm", "theirs"]).ok(), "theirs");
    engine.ctr(["run", "-d", "--null-io", image, "theirs", "sleep", "1000"]).ok();
    assert_eq!(engine.wharfie(["kill", "theirs"]).ok(), "theirs");
    assert_eq!(engine.wharfie(["wait", "theirs"]).ok(), "137");
    assert_eq!(engine.wharfie(["rm", "-f", "theirs"]).ok(), "theirs");
    engine.assert_clean();
}

#[test]
fn made_by_nerdctl_as_far_as_its_records_tell() {
    let engine = engine();
    let id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let directory = format!("/var/lib/nerdctl/1935db59/containers/default/{id}");
    engine.sh(&format!(
        "mkdir -p {directory}; echo '{{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}' > {directory}/{id}-json.log"
    ));
    let state = format!("nerdctl/state-dir={directory}");
    engine
        .ctr([
            "run",
            "-d",
            "--null-io",
            "--label",
            "nerdctl/name=web",
            "--label",
            "nerdctl/namespace=default",
            "--label",
            &state,
            "--label",
            "mine=1",
            "docker.io/library/busybox:latest",
            id,
            "sleep",
            "1000",
        ])
        .ok();
    assert_eq!(
        engine
            .wharfie(["ps", "--format", "{{.ID}} {{.Names}} {{.Labels}}"])
            .ok()
            .split(',')
            .next()
            .unwrap()
            .split(' ')
            .take(2)
            .collect::<Vec<_>>()
            .join(" "),
        format!("{} web", &id[..12])
    );
    assert!(!engine.wharfie(["ps", "--format", "{{.Labels}}"]).stdout.contains("nerdctl/"));
    assert_eq!(engine.wharfie(["logs", "web"]).ok(), "hello");
    assert_eq!(engine.wharfie(["exec", "web", "echo", "in"]).ok(), "in");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.Name}}", "web"]).ok(), "/web");
    // Its name is taken for ours, too.
    let conflict = engine.wharfie(["create", "--name", "web", "busybox"]);
    assert!(conflict.fails(125).contains("\"/web\" is already in use"), "{conflict:?}");
    assert_eq!(engine.wharfie(["stop", "-t", "0", &id[..6]]).ok(), &id[..6]);
    assert_eq!(engine.wharfie(["rm", "web"]).ok(), "web");
    engine.assert_clean();
}
