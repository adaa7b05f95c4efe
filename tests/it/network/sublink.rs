//! macvlan and ipvlan networks.

use super::{BUSYBOX, address, bare, create, engine, field, inside, reaches, sleeper};
use crate::engine::TestEngine;

/// A wire whose other end is a host of the outside: `lan0` here, 192.168.77.1 there.
fn lan(engine: &TestEngine) {
    engine.sh(
        "ip netns add outside; ip link add lan0 type veth peer name eth0 netns outside; ip link set lan0 up; \
         ip -n outside link set eth0 up; ip -n outside addr add 192.168.77.1/24 dev eth0",
    );
    engine.accept();
}

/// Whether this kernel can make a link of the kind.
fn kernel_has(engine: &TestEngine, kind: &str) -> bool {
    let script = format!("ip link add probe0 link lan0 type {kind} && ip link del probe0");
    engine.program("bash", ["-c", &script]).run().code == 0
}

#[test]
fn containers_stand_in_the_hosts_own_network() {
    let engine = engine();
    lan(&engine);
    create(
        &engine,
        &[
            "-d",
            "macvlan",
            "-o",
            "parent=lan0",
            "--subnet",
            "192.168.77.0/24",
            "--gateway",
            "192.168.77.1",
            "--ip-range",
            "192.168.77.128/25",
        ],
        "lan",
    );
    assert_eq!(field(&engine, "lan", "{{.Driver}} {{.Options.parent}}"), "macvlan lan0");
    sleeper(&engine, &["--name", "one", "--network", "lan", "-p", "8080:80"]);
    sleeper(
        &engine,
        &["--name", "two", "--network", "lan", "--ip", "192.168.77.9", "--mac-address", "02:00:00:00:00:09"],
    );
    assert_eq!(address(&engine, "one", "eth0"), "192.168.77.128/24");
    assert_eq!(inside(&engine, "two", "cat /sys/class/net/eth0/address"), "02:00:00:00:00:09");
    assert_eq!(inside(&engine, "one", "ip route | awk '/^default/ {print $3}'"), "192.168.77.1");
    assert!(reaches(&engine, "one", "192.168.77.1") && reaches(&engine, "one", "192.168.77.9"));
    engine.sh("ip netns exec outside busybox ping -c1 -W2 192.168.77.128 >/dev/null");
    assert_eq!(engine.wharfie(["port", "one"]).ok(), "", "it is reached on its own address");
    // Joined and left while it runs, and started again.
    sleeper(&engine, &["--name", "three"]);
    engine.wharfie(["network", "connect", "lan", "three"]).ok();
    assert!(reaches(&engine, "three", "192.168.77.1"));
    engine.wharfie(["network", "disconnect", "lan", "three"]).ok();
    assert_eq!(inside(&engine, "three", "ls /sys/class/net | tr '\\n' ' '"), "eth0 lo ");
    engine.wharfie(["restart", "-t", "0", "one"]).ok();
    assert!(reaches(&engine, "one", "192.168.77.1"));
    engine.wharfie(["rm", "-f", "one", "two", "three"]).ok();
    engine.wharfie(["network", "rm", "lan"]).ok();
    engine.sh("ip link show lan0 >/dev/null");
    engine.assert_clean();
}

#[test]
fn without_a_parent_one_is_made_and_removed() {
    let engine = engine();
    let id = create(&engine, &["-d", "macvlan"], "alone");
    let parent = format!("dm-{}", &id[..12]);
    engine.sh(&format!("ip link show {parent} >/dev/null"));
    sleeper(&engine, &["--name", "one", "--network", "alone"]);
    sleeper(&engine, &["--name", "two", "--network", "alone"]);
    assert!(reaches(&engine, "one", &bare(&engine, "two", "eth0")));
    // A reboot takes the parent: the next start makes it again.
    engine.wharfie(["rm", "-f", "one", "two"]).ok();
    engine.sh(&format!("ip link del {parent}"));
    engine.wharfie(["run", "--rm", "--network", "alone", BUSYBOX, "true"]).ok();
    engine.sh(&format!("ip link show {parent} >/dev/null"));
    engine.wharfie(["network", "rm", "alone"]).ok();
    engine.sh(&format!("! ip link show {parent} 2>/dev/null"));
    engine.assert_clean();
}

#[test]
fn vlans_of_a_parent_are_made_where_the_kernel_can() {
    let engine = engine();
    lan(&engine);
    let line =
        ["network", "create", "-d", "macvlan", "-o", "parent=lan0.10", "--subnet", "10.10.0.0/24", "ten"];
    if !kernel_has(&engine, "vlan id 10") {
        let refused = engine.wharfie(line);
        assert!(
            refused.fails(1).contains("create the vlan link lan0.10: this kernel has no 8021q"),
            "{refused:?}"
        );
        engine.wharfie(["network", "inspect", "ten"]).fails(1);
        engine.assert_clean();
        return;
    }
    engine.wharfie(line).ok();
    engine.sh("ip link show lan0.10 >/dev/null");
    engine.wharfie(["run", "--rm", "--network", "ten", BUSYBOX, "true"]).ok();
    engine.wharfie(["network", "rm", "ten"]).ok();
    engine.assert_clean();
}

#[test]
fn ipvlan_in_both_layers_where_the_kernel_can() {
    let engine = engine();
    lan(&engine);
    let has = kernel_has(&engine, "ipvlan mode l2");
    for (mode, subnet) in [("l2", "192.168.77.0/24"), ("l3", "10.20.0.0/24")] {
        create(
            &engine,
            &[
                "-d",
                "ipvlan",
                "-o",
                "parent=lan0",
                "-o",
                &format!("ipvlan_mode={mode}"),
                "--subnet",
                subnet,
                "--aux-address",
                "outside=192.168.77.1",
            ][..if mode == "l2" { 10 } else { 8 }],
            mode,
        );
        if !has {
            let refused = engine.wharfie(["run", "--rm", "--network", mode, BUSYBOX, "true"]);
            assert!(refused.fails(125).contains("this kernel has no ipvlan"), "{refused:?}");
            engine.wharfie(["network", "rm", mode]).ok();
            continue;
        }
        sleeper(&engine, &["--name", "one", "--network", mode]);
        sleeper(&engine, &["--name", "two", "--network", mode]);
        assert!(reaches(&engine, "one", &bare(&engine, "two", "eth0")), "{mode}");
        let route = inside(&engine, "one", "ip route | grep ^default");
        assert_eq!(route.contains("via"), mode == "l2", "{route}");
        engine.wharfie(["rm", "-f", "one", "two"]).ok();
        engine.wharfie(["network", "rm", mode]).ok();
    }
    engine.assert_clean();
}
