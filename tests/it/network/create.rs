//! `network create`.

use serde_json::{Value, json};

use super::{BUSYBOX, address, bare, create, engine, field, inside, reaches, sh, sleeper};

#[test]
fn a_network_is_made_used_and_removed() {
    let engine = engine();
    let id = create(&engine, &["--label", "team=blue"], "shop");
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(
        field(&engine, "shop", "{{.Id}} {{.Driver}} {{.Scope}} {{.Labels.team}}"),
        format!("{id} bridge local blue")
    );
    // As nerdctl keeps it, for this namespace.
    let list: Value =
        serde_json::from_str(&engine.sh("cat /etc/cni/net.d/default/nerdctl-shop.conflist")).unwrap();
    assert_eq!((&list["nerdctlID"], &list["nerdctlLabels"]), (&json!(id), &json!({"team": "blue"})));
    assert_eq!(list["plugins"][0]["bridge"], format!("br-{}", &id[..12]));
    // The bridge is there before the first container, with the gateway.
    let gateway = field(&engine, "shop", "{{(index .IPAM.Config 0).Gateway}}");
    let link = format!("ip -4 -o addr show br-{}", &id[..12]);
    assert!(engine.sh(&link).contains(&format!("{gateway}/16")), "{}", engine.sh(&link));
    sleeper(&engine, &["--name", "web", "--network", "shop"]);
    assert!(reaches(&engine, "web", &gateway));
    assert_eq!(inside(&engine, "web", "ip route | awk '/default/ {print $3}'"), gateway);
    // Two containers of it reach one another.
    sleeper(&engine, &["--name", "db", "--network", "shop"]);
    assert!(reaches(&engine, "web", &bare(&engine, "db", "eth0")));
    let in_use = engine.wharfie(["network", "rm", "shop"]);
    assert!(
        in_use.fails(1).contains("error while removing network: network shop has active endpoints (name:\"")
            && in_use.stderr.contains("name:\"web\" id:\""),
        "{in_use:?}"
    );
    engine.wharfie(["rm", "-f", "web", "db"]).ok();
    assert_eq!(engine.wharfie(["network", "rm", "shop"]).ok(), "shop");
    engine.wharfie(["network", "inspect", "shop"]).fails(1);
    engine.assert_clean();
}

#[test]
fn what_is_asked_of_addresses_holds() {
    let engine = engine();
    create(
        &engine,
        &[
            "--subnet",
            "10.9.0.0/24",
            "--gateway",
            "10.9.0.254",
            "--ip-range",
            "10.9.0.128/29",
            "--aux-address",
            "printer=10.9.0.129",
            "--ipv6",
            "--subnet",
            "fd09::/64",
            "--attachable",
            "--ipam-opt",
            "x=y",
            "-o",
            "com.docker.network.driver.mtu=1400",
        ],
        "shop",
    );
    let described: Value = serde_json::from_str(engine.wharfie(["network", "inspect", "shop"]).ok()).unwrap();
    assert_eq!(
        described[0]["IPAM"],
        json!({"Driver": "default", "Options": {"x": "y"}, "Config": [
            {"Subnet": "10.9.0.0/24", "IPRange": "10.9.0.128/29", "Gateway": "10.9.0.254",
             "AuxiliaryAddresses": {"printer": "10.9.0.129"}},
            {"Subnet": "fd09::/64", "Gateway": "fd09::1"}]})
    );
    assert_eq!((&described[0]["Attachable"], &described[0]["EnableIPv6"]), (&json!(true), &json!(true)));
    // The range's first address is the printer's here, and the second one is the first container's.
    let script = "ip -4 -o addr show eth0 | awk '{print $4}'; ip -6 -o addr show eth0 scope global | awk '{print $4}'; \
                  ip route | awk '/default/ {print $3}'; cat /sys/class/net/eth0/mtu";
    let seen = sh(&engine, &["--network", "shop"], script);
    let lines: Vec<&str> = seen.ok().lines().collect();
    assert_eq!(lines, ["10.9.0.128/24", "fd09::2/64", "10.9.0.254", "1400"], "{seen:?}");
    let next = sh(&engine, &["--network", "shop"], "ip -4 -o addr show eth0 | awk '{print $4}'");
    assert_eq!(next.ok(), "10.9.0.130/24", "the printer's is left out");
    let printer = sh(&engine, &["--network", "shop", "--ip", "10.9.0.129"], "true");
    assert!(printer.fails(125).contains("Address already in use"), "{printer:?}");
    let fixed = sh(
        &engine,
        &["--network", "name=shop,ip=10.9.0.7,ip6=fd09::7,mac-address=02:00:00:00:00:07"],
        "ip -o addr show eth0 | awk '{print $4}' | head -2; cat /sys/class/net/eth0/address",
    );
    assert_eq!(fixed.ok(), "10.9.0.7/24\nfd09::7/64\n02:00:00:00:00:07");
    let foreign = sh(&engine, &["--network", "shop", "--ip", "10.8.0.7"], "true");
    assert!(foreign.fails(125).contains("no configured subnet contains IP address 10.8.0.7"), "{foreign:?}");
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.assert_clean();
}

#[test]
fn pools_are_dockers_and_touch_nothing() {
    let engine = engine();
    engine
        .sh("ip link add outside type bridge; ip link set outside up; ip addr add 172.18.5.1/24 dev outside");
    let subnet = |name: &str| {
        create(&engine, &[], name);
        field(&engine, name, "{{(index .IPAM.Config 0).Subnet}}")
    };
    assert_eq!([subnet("one"), subnet("two")], ["172.17.0.0/16", "172.19.0.0/16"]);
    for (taken, hint) in [("172.17.5.0/24", "the network one"), ("172.18.5.128/25", "172.18.5.")] {
        let refused = engine.wharfie(["network", "create", "--subnet", taken, "three"]);
        let words = "Error response from daemon: invalid pool request: Pool overlaps with other one on this address space";
        assert!(refused.fails(1).contains(words) && refused.stderr.contains(hint), "{refused:?}");
    }
    // IPv6 without a wish: this machine's own share of the private addresses; alone where it is wanted.
    create(&engine, &["--ipv6", "--ipv4=false"], "six");
    let subnet = field(&engine, "six", "{{range .IPAM.Config}}{{.Subnet}} {{end}}");
    assert!(subnet.starts_with("fd") && subnet.trim().ends_with("/64"), "{subnet}");
    assert_eq!(field(&engine, "six", "{{.EnableIPv4}} {{.EnableIPv6}}"), "false true");
    let addresses = sh(
        &engine,
        &["--network", "six"],
        "ip -o addr show eth0 scope global; ip -6 route | grep -c ^default",
    );
    assert!(!addresses.ok().contains("inet ") && addresses.ok().ends_with("\n1"), "{addresses:?}");
    engine.wharfie(["network", "rm", "one", "two", "six"]).ok();
    engine.assert_clean();
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let engine = engine();
    create(&engine, &["-o", "com.docker.network.bridge.name=br-one"], "one");
    engine.sh("ip link add wire type veth peer name other");
    engine.accept();
    for (line, words) in [
        (&["one"][..], "Error response from daemon: network with name one already exists"),
        (&["host"], "operation is not permitted on predefined host network"),
        (&["-d", "overlay", "x"], "This node is not a swarm manager"),
        (&["-d", "host", "x"], "only one instance of \"host\" network is allowed"),
        (&["-d", "weave", "x"], "plugin \"weave\" not found"),
        (&["-o", "com.docker.network.bridge.name=br-one", "x"], "networks have same bridge name"),
        (
            &["-o", "com.docker.network.bridge.name=wire", "x"],
            "a link of that name is there and is no bridge",
        ),
        (
            &["-d", "macvlan", "-o", "parent=absent0", "x"],
            "-o parent interface was not found on the host: absent0",
        ),
        (&["--gateway", "10.1.0.1", "x"], "every ip-range or gateway must have a corresponding subnet"),
        (&["--subnet", "10.1.0.5/24", "x"], "invalid subnet 10.1.0.5/24: it should be 10.1.0.0/24"),
        (&["--ingress", "x"], "--ingress is not supported: there is no swarm"),
    ] {
        let refused = engine.wharfie(["network", "create"].iter().chain(line).copied());
        assert!(refused.code != 0 && refused.stderr.contains(words), "{refused:?}");
    }
    engine.sh("test \"$(ls /etc/cni/net.d/default)\" = nerdctl-one.conflist");
    engine.assert_clean();
    // Many at once: one of each name is made, and no subnet twice.
    let calls: Vec<_> = (0..8)
        .map(|number| engine.call(["network", "create", &format!("n{}", number % 4)]).spawn())
        .collect();
    let made = calls.into_iter().map(crate::call::Running::wait).filter(|output| output.code == 0).count();
    assert_eq!(made, 4);
    let subnets: std::collections::BTreeSet<String> = (0..4)
        .map(|number| field(&engine, &format!("n{number}"), "{{(index .IPAM.Config 0).Subnet}}"))
        .collect();
    assert_eq!(subnets.len(), 4);
    engine.wharfie(["network", "rm", "n0", "n1", "n2", "n3"]).ok();
    engine.assert_clean();
}

#[test]
fn options_of_a_bridge_hold() {
    let engine = engine();
    // Without traffic between its containers, and ports on one address of the host alone.
    create(
        &engine,
        &[
            "-o",
            "com.docker.network.bridge.name=br-quiet",
            "-o",
            "com.docker.network.bridge.enable_icc=false",
            "-o",
            "com.docker.network.bridge.host_binding_ipv4=127.0.0.1",
            "-o",
            "com.docker.network.bridge.enable_ip_masquerade=false",
        ],
        "quiet",
    );
    assert_eq!(
        field(&engine, "quiet", "{{index .Options \"com.docker.network.bridge.enable_icc\"}}"),
        "false"
    );
    sleeper(&engine, &["--name", "one", "--network", "quiet", "-p", "8080:80"]);
    sleeper(&engine, &["--name", "two", "--network", "quiet"]);
    assert!(!reaches(&engine, "two", &bare(&engine, "one", "eth0")));
    assert!(reaches(&engine, "two", &field(&engine, "quiet", "{{(index .IPAM.Config 0).Gateway}}")));
    assert_eq!(engine.wharfie(["port", "one"]).ok(), "80/tcp -> 127.0.0.1:8080");
    engine.sh("nft -j list set ip wharfie masqueraded | grep -vq br-quiet");
    engine.wharfie(["rm", "-f", "one", "two"]).ok();
    engine.wharfie(["network", "rm", "quiet"]).ok();
    // Nothing leads out of an internal network.
    create(&engine, &["--internal"], "inner");
    assert_eq!(field(&engine, "inner", "{{.Internal}}"), "true");
    sleeper(&engine, &["--name", "one", "--network", "inner", "-p", "8080:80"]);
    assert_eq!(inside(&engine, "one", "ip route | grep -c ^default || true"), "0");
    assert_eq!(engine.wharfie(["port", "one"]).ok(), "", "docker publishes nothing there");
    assert!(address(&engine, "one", "eth0").starts_with("172."));
    assert!(reaches(&engine, "one", &field(&engine, "inner", "{{(index .IPAM.Config 0).Gateway}}")));
    engine.wharfie(["rm", "-f", "one"]).ok();
    engine.wharfie(["network", "rm", "inner"]).ok();
    engine.assert_clean();
    // A bridge that was there before stays.
    engine.sh("ip link add br-own type bridge");
    engine.accept();
    create(&engine, &["-o", "com.docker.network.bridge.name=br-own"], "own");
    engine.wharfie(["run", "--rm", "--network", "own", BUSYBOX, "true"]).ok();
    engine.wharfie(["network", "rm", "own"]).ok();
    engine.sh("ip link show br-own");
    engine.assert_clean();
}

#[test]
fn networks_are_a_namespaces_own() {
    let engine = engine();
    create(&engine, &[], "shop");
    let id = engine.wharfie(["-n", "other", "network", "create", "shop"]).ok().to_owned();
    let here = field(&engine, "shop", "{{(index .IPAM.Config 0).Subnet}}");
    let there = engine
        .wharfie(["-n", "other", "network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "shop"])
        .ok()
        .to_owned();
    assert!(here != there && field(&engine, "shop", "{{.Id}}") == id);
    engine.wharfie(["-n", "third", "network", "inspect", "shop"]).fails(1);
    sleeper(&engine, &["--name", "web", "--network", "shop"]);
    engine.wharfie(["-n", "other", "network", "rm", "shop"]).ok();
    assert!(reaches(&engine, "web", &field(&engine, "shop", "{{(index .IPAM.Config 0).Gateway}}")));
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.wharfie(["network", "rm", "shop"]).ok();
    engine.assert_clean();
}
