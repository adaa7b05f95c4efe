//! `rm`: in every state.

use super::{BUSYBOX, engine, run, sleeper};

#[test]
fn states_and_several() {
    let engine = engine();
    sleeper(&engine, &["--name", "runs", "-p", "8080:80"]);
    engine.wharfie(["create", "--name", "made", BUSYBOX]).ok();
    engine.wharfie(["run", "--name", "ended", BUSYBOX, "true"]).ok();
    let refused = engine.wharfie(["rm", "runs", "made", "nobody", "ended"]);
    assert!(refused.fails(1).contains("cannot remove container \"/runs\": container is running: stop the container before removing or force remove"), "{refused:?}");
    assert!(refused.stderr.contains("No such container: nobody"), "{refused:?}");
    assert_eq!(refused.stdout, "made\nended\n");
    let forced = engine.wharfie(["rm", "-f", "runs", "nobody"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert_eq!(forced.stdout, "runs\n");
    run(&engine, &["-p", "8080:80"], &["true"]).ok();
    engine.assert_clean();
}

#[test]
fn many_at_once_by_several_hands() {
    let engine = engine();
    let ids: Vec<String> = (0..6).map(|_| sleeper(&engine, &[])).collect();
    let arguments = || ["rm", "-f"].into_iter().chain(ids.iter().map(String::as_str));
    let calls = [engine.call(arguments()).spawn(), engine.call(arguments()).spawn()];
    for call in calls {
        let output = call.wait();
        assert_eq!(output.code, 0, "{output:?}");
    }
    // One that restarts for ever, one that is paused, one whose monitor and one whose shim is dead.
    engine.wharfie(["run", "-d", "--name", "again", "--restart", "always", BUSYBOX, "true"]).ok();
    engine.sh("until test $(wharfie ps -a --format '{{.Status}}' --filter name=again | grep -c Restarting) = 1; do sleep 0.05; done");
    for name in ["frozen", "alone", "lost"] {
        sleeper(&engine, &["--name", name]);
    }
    let id = |name: &str| {
        engine.wharfie(["ps", "-q", "--no-trunc", "--filter", &format!("name=^{name}$")]).ok().to_owned()
    };
    engine.ctr(["tasks", "pause", &id("frozen")]).ok();
    engine.sh(&format!("pkill -9 -f '__monitor.*{}'", id("alone")));
    engine.sh(&format!("pkill -9 -f 'containerd-shim.*{}'", id("lost")));
    for name in ["again", "frozen", "alone", "lost"] {
        assert_eq!(engine.wharfie(["rm", "-f", name]).ok(), name);
    }
    engine.assert_clean();
}

#[test]
fn half_made_and_half_gone() {
    let engine = engine();
    let create = |name: &str| {
        let line = ["create", "--name", name, "-v", "/data", "-p", "8080:80", BUSYBOX, "sleep", "1000"];
        engine.wharfie(line).ok().to_owned()
    };
    let start = |name: &str| {
        let id = create(name);
        engine.wharfie(["start", name]).ok();
        id
    };
    let remove = |reference: &str| assert_eq!(engine.wharfie(["rm", "-fv", reference]).ok(), reference);
    // A record without its snapshot, at rest and with its process running.
    let id = create("bare");
    engine.ctr(["snapshots", "rm", &id]).ok();
    remove("bare");
    let id = start("torn");
    engine.ctr(["snapshots", "rm", &id]);
    remove("torn");
    // A snapshot, directories and a volume without their record: by the whole id, and by its beginning.
    for cut in [64, 12] {
        let id = create("gone");
        engine.ctr(["containers", "rm", "--keep-snapshot", &id]).ok();
        assert!(engine.ctr(["snapshots", "ls"]).ok().contains(&id));
        remove(&id[..cut]);
    }
    let id = create("only");
    engine.ctr(["containers", "rm", "--keep-snapshot", &id]).ok();
    engine.sh(&format!("rm -r /var/lib/wharfie/*/default/containers/{id}"));
    remove(&id);
    // Records of ours that tell nothing, or nonsense.
    let image = "docker.io/library/busybox:latest";
    engine.ctr(["containers", "create", "--label", "wharfie/name=empty", image, "empty-id", "true"]).ok();
    assert_eq!(engine.wharfie(["ps", "-a", "--format", "{{.Names}} {{.State}}"]).ok(), "empty created");
    engine.wharfie(["inspect", "empty"]).ok();
    remove("empty");
    // Its directories went, its process runs.
    let id = start("homeless");
    engine.sh(&format!("rm -r /var/lib/wharfie/*/default/containers/{id} /run/wharfie/*/default/{id}"));
    remove("homeless");
    // One whose shim, and one whose process died.
    let id = start("begun");
    engine.sh(&format!("pkill -9 -f 'containerd-shim.*{id}'"));
    remove("begun");
    start("dead");
    engine.sh("kill -9 $(wharfie inspect -f '{{.State.Pid}}' dead)");
    remove("dead");
    for nothing in ["nobody", &"0".repeat(64), "0123"] {
        let none = engine.wharfie(["rm", "-f", nothing]);
        assert_eq!((none.code, none.stdout.as_str()), (0, ""), "{none:?}");
    }
    run(&engine, &["-p", "8080:80"], &["true"]).ok();
    engine.assert_clean();
}
