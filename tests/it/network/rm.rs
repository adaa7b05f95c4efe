//! `network rm` and `network prune`.

use super::{BUSYBOX, create, engine, sleeper};

#[test]
fn networks_go_and_what_cannot_stays() {
    let engine = engine();
    create(&engine, &[], "one");
    create(&engine, &[], "two");
    for name in ["bridge", "host", "none"] {
        let refused = engine.wharfie(["network", "rm", name]);
        let words =
            format!("Error response from daemon: {name} is a pre-defined network and cannot be removed");
        assert!(refused.fails(1).contains(&words), "{refused:?}");
    }
    let some = engine.wharfie(["network", "rm", "one", "absent", "two"]);
    assert!(some.code == 1 && some.stdout == "one\ntwo\n", "{some:?}");
    assert!(some.stderr.contains("Error response from daemon: network absent not found"), "{some:?}");
    assert_eq!(engine.wharfie(["network", "rm", "-f", "absent"]).ok(), "");
    // Another tool's, a cluster's say, is used and not removed unless that is asked for outright.
    engine.sh(
        r#"mkdir -p /etc/cni/net.d; echo '{"cniVersion": "1.0.0", "name": "cluster", "plugins": [{"type": "bridge",
        "bridge": "br-cluster", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.77.0.0/24"}}]}' \
        > /etc/cni/net.d/10-cluster.conflist"#,
    );
    engine.wharfie(["run", "--rm", "--network", "cluster", BUSYBOX, "true"]).ok();
    let refused = engine.wharfie(["network", "rm", "cluster"]);
    assert!(refused.fails(1).contains("was written by another tool"), "{refused:?}");
    assert_eq!(engine.wharfie(["network", "prune", "-f"]).ok(), "");
    engine.sh("test -e /etc/cni/net.d/10-cluster.conflist");
    assert_eq!(engine.wharfie(["network", "rm", "--force", "cluster"]).ok(), "cluster");
    engine.sh("! test -e /etc/cni/net.d/10-cluster.conflist");
    engine.assert_clean();
}

#[test]
fn prune_takes_what_nobody_refers_to() {
    let engine = engine();
    create(&engine, &["--label", "keep=1"], "kept");
    create(&engine, &[], "idle");
    create(&engine, &[], "busy");
    create(&engine, &[], "later");
    sleeper(&engine, &["--name", "web", "--network", "busy"]);
    engine.wharfie(["create", "--name", "stopped", "--network", "later", BUSYBOX]).ok();
    let prune =
        |flags: &[&str]| engine.wharfie(["network", "prune"].iter().chain(flags).copied()).ok().to_owned();
    let asked = engine.call(["network", "prune"]).stdin("n\n").run();
    assert_eq!(
        asked.ok(),
        "WARNING! This will remove all custom networks not used by at least one container.\n\
         Are you sure you want to continue? [y/N] "
    );
    assert_eq!(prune(&["--dry-run"]), "Networks that would be deleted:\nidle\nkept\n");
    assert_eq!(prune(&["-f", "--filter", "until=1h"]), "");
    assert_eq!(prune(&["-f", "--filter", "label!=keep"]), "Deleted Networks:\nidle\n");
    // What would be free once the stopped container is gone goes with it.
    let look = engine.wharfie(["system", "prune", "--dry-run"]).ok().to_owned();
    assert!(look.contains("Networks that would be deleted:\nkept\nlater\n"), "{look}");
    let all = engine.wharfie(["system", "prune", "-f"]).ok().to_owned();
    assert!(all.contains("Deleted Networks:\nkept\nlater\n"), "{all}");
    let left = engine.wharfie(["network", "ls", "-f", "type=custom", "--format", "{{.Name}}"]);
    assert_eq!(left.ok(), "busy");
    let now = engine.sh("date +%s.%N");
    let events = engine.wharfie([
        "events",
        "--since",
        "1",
        "--until",
        now.trim(),
        "--filter",
        "type=network",
        "--filter",
        "network=idle",
        "--format",
        "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}",
    ]);
    assert_eq!(events.ok(), "create idle bridge\ndestroy idle bridge");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.wharfie(["network", "rm", "busy"]).ok();
    engine.assert_clean();
}

#[test]
fn an_address_of_a_dead_container_does_not_hold_a_network() {
    let engine = engine();
    create(&engine, &["--subnet", "10.6.0.0/24"], "shop");
    sleeper(&engine, &["--name", "web", "--network", "shop"]);
    // Everything that could tell of its end is killed with it.
    engine.sh("pkill -9 -f '[_]_monitor'; pkill -9 -f '[c]ontainerd-shim'");
    engine.sh("until [ -z \"$(wharfie ps -q)\" ]; do sleep 0.02; done");
    assert_eq!(engine.wharfie(["network", "rm", "shop"]).ok(), "shop");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}
