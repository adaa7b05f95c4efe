//! `network connect` and `disconnect`.

use serde_json::Value;

use super::{BUSYBOX, address, bare, create, engine, field, inside, reaches, sleeper, taken};
use crate::engine::TestEngine;

/// The gateway of the default route in a container.
#[track_caller]
fn way_out(engine: &TestEngine, container: &str) -> String {
    inside(engine, container, "ip route | awk '/^default/ {print $3}'")
}

#[track_caller]
fn gateway(engine: &TestEngine, network: &str) -> String {
    field(engine, network, "{{(index .IPAM.Config 0).Gateway}}")
}

#[test]
fn a_running_container_joins_and_leaves() {
    let engine = engine();
    create(&engine, &["--subnet", "10.9.0.0/24"], "shop");
    sleeper(&engine, &["--name", "web"]);
    sleeper(&engine, &["--name", "db", "--network", "shop"]);
    let first = address(&engine, "web", "eth0");
    let before = way_out(&engine, "web");
    assert_eq!(
        engine.wharfie(["network", "connect", "--ip", "10.9.0.7", "--alias", "www,site", "shop", "web"]).ok(),
        ""
    );
    assert_eq!(address(&engine, "web", "eth1"), "10.9.0.7/24");
    assert_eq!(address(&engine, "web", "eth0"), first);
    // docker's order of names: bridge before shop.
    assert_eq!(way_out(&engine, "web"), before);
    assert!(reaches(&engine, "db", "10.9.0.7") && reaches(&engine, "web", &bare(&engine, "db", "eth0")));
    // By name too: it asks the resolver from now on, and is known there.
    assert!(reaches(&engine, "web", "db") && reaches(&engine, "db", "site"));
    let hosts = inside(&engine, "web", "cat /etc/hosts");
    assert!(hosts.lines().any(|line| line.starts_with("10.9.0.7\t") && line.contains("site")), "{hosts}");
    let networks: Value = serde_json::from_str(
        engine.wharfie(["inspect", "-f", "{{json .NetworkSettings.Networks}}", "web"]).ok(),
    )
    .unwrap();
    assert_eq!(networks["shop"]["IPAddress"], "10.9.0.7");
    assert_eq!(networks["shop"]["Aliases"], serde_json::json!(["www", "site"]));
    assert_eq!(networks["bridge"]["IPAddress"], first.split('/').next().unwrap());
    let twice = engine.wharfie(["network", "connect", "shop", "web"]);
    assert!(
        twice
            .fails(1)
            .contains("Error response from daemon: endpoint with name web already exists in network shop"),
        "{twice:?}"
    );
    // The next start has both, with the fixed address.
    engine.wharfie(["restart", "-t", "1", "web"]).ok();
    assert_eq!(address(&engine, "web", "eth1"), "10.9.0.7/24");
    assert_eq!(engine.wharfie(["network", "disconnect", "shop", "web"]).ok(), "");
    assert_eq!(inside(&engine, "web", "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo ");
    assert!(!inside(&engine, "web", "cat /etc/hosts").contains("10.9.0.7"));
    assert_eq!(taken(&engine, "shop").len(), 1, "db's alone");
    assert!(!inside(&engine, "web", "cat /etc/resolv.conf").contains("127.0.0.11"));
    assert!(!reaches(&engine, "db", "site"), "it is known there no more");
    let again = engine.wharfie(["network", "disconnect", "shop", "web"]);
    assert!(again.fails(1).contains("is not connected to network shop"), "{again:?}");
    assert!(reaches(&engine, "web", &way_out(&engine, "web")));
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
        "network=shop",
        "--format",
        "{{.Action}}",
    ]);
    // Of db's start and web's life: the restart leaves both networks and joins them again.
    assert_eq!(events.ok(), "create\nconnect\nconnect\ndisconnect\nconnect\ndisconnect");
    engine.wharfie(["rm", "-f", "web", "db"]).ok();
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.assert_clean();
}

#[test]
fn the_default_route_and_the_ports_move_as_dockers() {
    let engine = engine();
    for name in ["alpha", "beta", "gamma"] {
        create(&engine, &[], name);
    }
    create(&engine, &["--internal"], "aaa");
    let script = "mkdir /w; echo here > /w/name; exec httpd -f -p 80 -h /w";
    engine
        .wharfie([
            "run",
            "-d",
            "--name",
            "web",
            "--network",
            "beta",
            "-p",
            "8080:80",
            BUSYBOX,
            "sh",
            "-c",
            script,
        ])
        .ok();
    engine.sh("until wharfie exec web grep -q ':0050 ' /proc/net/tcp6 /proc/net/tcp; do sleep 0.02; done");
    let answers = || engine.sh("curl -fsS --max-time 5 http://127.0.0.1:8080/name").trim().to_owned();
    assert_eq!(way_out(&engine, "web"), gateway(&engine, "beta"));
    assert_eq!(answers(), "here");
    // An earlier name takes it, a later one and an internal one do not.
    for (name, expected) in [("gamma", "beta"), ("aaa", "beta"), ("alpha", "alpha")] {
        engine.wharfie(["network", "connect", name, "web"]).ok();
        assert_eq!(way_out(&engine, "web"), gateway(&engine, expected), "after {name}");
        assert_eq!(answers(), "here", "after {name}");
    }
    assert_eq!(inside(&engine, "web", "ip route | grep -c ^default"), "1");
    engine.wharfie(["network", "disconnect", "alpha", "web"]).ok();
    assert_eq!(way_out(&engine, "web"), gateway(&engine, "beta"));
    assert_eq!(answers(), "here");
    engine.wharfie(["network", "disconnect", "gamma", "web"]).ok();
    engine.wharfie(["network", "connect", "--gw-priority", "7", "gamma", "web"]).ok();
    assert_eq!(way_out(&engine, "web"), gateway(&engine, "gamma"));
    // The same after a start.
    engine.wharfie(["restart", "-t", "0", "web"]).ok();
    assert_eq!(way_out(&engine, "web"), gateway(&engine, "gamma"));
    engine.sh("until curl -fsS --max-time 2 http://127.0.0.1:8080/name 2>/dev/null; do sleep 0.05; done");
    // Off its last network it has none, and gets its ports back with the next one.
    for name in ["gamma", "aaa", "beta"] {
        engine.wharfie(["network", "disconnect", name, "web"]).ok();
    }
    assert_eq!(inside(&engine, "web", "ls /sys/class/net"), "lo");
    assert_eq!(engine.wharfie(["inspect", "-f", "{{len .NetworkSettings.Networks}}", "web"]).ok(), "0");
    engine.wharfie(["restart", "-t", "0", "web"]).ok();
    assert_eq!(inside(&engine, "web", "ls /sys/class/net"), "lo");
    engine.wharfie(["network", "connect", "beta", "web"]).ok();
    engine.sh("until curl -fsS --max-time 2 http://127.0.0.1:8080/name 2>/dev/null; do sleep 0.05; done");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.wharfie(["network", "rm", "aaa", "alpha", "beta", "gamma"]).ok();
    engine.assert_clean();
}

#[test]
fn a_stopped_container_is_connected_at_its_start() {
    let engine = engine();
    create(&engine, &["--subnet", "10.9.0.0/24", "--ipv6", "--subnet", "fd09::/64"], "shop");
    engine.wharfie(["create", "--name", "web", BUSYBOX, "sleep", "1000"]).ok();
    engine
        .wharfie([
            "network",
            "connect",
            "--ip",
            "10.9.0.7",
            "--ip6",
            "fd09::7",
            "--link-local-ip",
            "169.254.8.8",
            "--driver-opt",
            "com.docker.network.endpoint.ifname=shop0",
            "shop",
            "web",
        ])
        .ok();
    let foreign = engine.wharfie(["network", "connect", "--ip", "10.1.1.1", "bridge", "web"]);
    assert!(foreign.fails(1).contains("already exists in network bridge"), "{foreign:?}");
    engine.wharfie(["network", "disconnect", "bridge", "web"]).ok();
    let elsewhere = engine.wharfie(["network", "connect", "--ip", "10.1.1.1", "bridge", "web"]);
    assert!(
        elsewhere.code != 0 && elsewhere.stderr.contains("no configured subnet contains IP address 10.1.1.1"),
        "{elsewhere:?}"
    );
    assert_eq!(engine.wharfie(["ps", "-a", "--format", "{{.Networks}}"]).ok(), "shop");
    engine.wharfie(["start", "web"]).ok();
    assert_eq!(inside(&engine, "web", "ls /sys/class/net | tr '\\n' ' '"), "lo shop0 ");
    let addresses = inside(&engine, "web", "ip -o addr show shop0 | awk '{print $4}'");
    for one in ["10.9.0.7/24", "169.254.8.8/16", "fd09::7/64"] {
        assert!(addresses.lines().any(|line| line == one), "{one}: {addresses}");
    }
    // And one that runs, with the same wishes.
    sleeper(&engine, &["--name", "db"]);
    engine
        .wharfie([
            "network",
            "connect",
            "--link-local-ip",
            "169.254.9.9",
            "--driver-opt",
            "com.docker.network.endpoint.ifname=shop0",
            "--driver-opt",
            "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1",
            "--link",
            "web:www",
            "shop",
            "db",
        ])
        .ok();
    assert_eq!(inside(&engine, "db", "cat /proc/sys/net/ipv4/conf/shop0/log_martians"), "1");
    assert!(inside(&engine, "db", "ip -o addr show shop0").contains("169.254.9.9/16"));
    assert!(inside(&engine, "db", "cat /etc/hosts").lines().any(|line| line.starts_with("10.9.0.7\twww")));
    engine.wharfie(["rm", "-f", "web", "db"]).ok();
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.assert_clean();
}

#[test]
fn what_cannot_be_connected_says_why() {
    let engine = engine();
    create(&engine, &["--subnet", "10.9.0.0/24"], "shop");
    sleeper(&engine, &["--name", "web", "--network", "shop", "--ip", "10.9.0.5"]);
    sleeper(&engine, &["--name", "open", "--network", "host"]);
    sleeper(&engine, &["--name", "shut", "--network", "none"]);
    sleeper(&engine, &["--name", "guest", "--network", "container:web"]);
    sleeper(&engine, &["--name", "plain"]);
    engine.ctr(["run", "-d", "docker.io/library/busybox:latest", "foreign", "sleep", "1000"]).ok();
    let connect = |words: &[&str]| engine.wharfie(["network", "connect"].iter().chain(words).copied());
    for (line, words) in [
        (&["absent", "web"][..], "network absent not found"),
        (&["shop", "absent"], "No such container: absent"),
        (&["shop", "open"], "host network"),
        (&["shop", "shut"], "private (none) mode"),
        (&["shop", "guest"], "container sharing network namespace with another container or host"),
        (&["shop", "foreign"], "another client of containerd made it"),
        (&["--ip", "10.8.0.1", "shop", "plain"], "no configured subnet contains IP address 10.8.0.1"),
        (&["--ip", "10.9.0.5", "shop", "plain"], "Address already in use: 10.9.0.5"),
        (&["--ip", "x", "shop", "plain"], "invalid argument \"x\" for \"--ip\" flag"),
        (
            &["--driver-opt", "com.docker.network.endpoint.ifname=eth0", "shop", "plain"],
            "the container has an interface eth0 already",
        ),
        (
            &[
                "--driver-opt",
                "com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.absent=1",
                "shop",
                "plain",
            ],
            "No such file or directory",
        ),
        (
            &["host", "plain"],
            "container cannot be disconnected from host network or connected to host network",
        ),
        (&["--alias", "x", "bridge", "shut"], "private (none) mode"),
    ] {
        let refused = connect(line);
        let said = refused.stderr.to_lowercase();
        assert!(refused.code != 0 && said.contains(&words.to_lowercase()), "{line:?} {refused:?}");
    }
    // Nothing is left of what failed.
    assert_eq!(taken(&engine, "shop"), ["10.9.0.5"]);
    assert_eq!(inside(&engine, "plain", "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo ");
    connect(&["shop", "plain"]).ok();
    for (name, words) in [("open", "host network"), ("guest", "sharing network namespace")] {
        let refused = engine.wharfie(["network", "disconnect", "shop", name]);
        assert!(refused.fails(1).contains(words), "{refused:?}");
    }
    engine.wharfie(["network", "disconnect", "-f", "shop", "absent"]).ok();
    engine.wharfie(["network", "disconnect", "-f", "shop", "plain"]).ok();
    engine.wharfie(["rm", "-f", "guest", "web", "open", "shut", "plain"]).ok();
    engine.ctr(["tasks", "kill", "-s", "9", "foreign"]).ok();
    engine.sh("until ctr tasks rm foreign 2>/dev/null; do sleep 0.05; done; ctr containers rm foreign");
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.assert_clean();
}

#[test]
fn the_end_of_a_container_frees_what_it_joined_while_it_ran() {
    let engine = engine();
    create(&engine, &[], "shop");
    for end in ["exit", "kill", "rm"] {
        engine
            .wharfie([
                "run",
                "-d",
                "--name",
                "web",
                BUSYBOX,
                "sh",
                "-c",
                "until [ -e /end ]; do sleep 0.02; done",
            ])
            .ok();
        engine.wharfie(["network", "connect", "shop", "web"]).ok();
        assert_eq!(taken(&engine, "shop").len(), 1);
        match end {
            "exit" => {
                engine.wharfie(["exec", "web", "touch", "/end"]).ok();
                engine.wharfie(["wait", "web"]).ok();
            }
            "kill" => {
                engine.wharfie(["kill", "web"]).ok();
            }
            _ => {}
        }
        engine.wharfie(["rm", "-f", "web"]).ok();
        assert_eq!(taken(&engine, "shop").len(), 0, "{end}");
    }
    // With nobody there: the monitor frees it.
    engine
        .wharfie([
            "run",
            "-d",
            "--rm",
            "--name",
            "web",
            BUSYBOX,
            "sh",
            "-c",
            "until [ -e /end ]; do sleep 0.02; done",
        ])
        .ok();
    engine.wharfie(["network", "connect", "shop", "web"]).ok();
    engine.wharfie(["exec", "web", "touch", "/end"]).ok();
    engine.sh("until [ -z \"$(ls /var/lib/cni/networks/shop | grep '^[0-9]*[.]')\" ]; do sleep 0.02; done");
    engine.sh("until [ -z \"$(wharfie ps -aq)\" ]; do sleep 0.02; done");
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.assert_clean();
}
