//! What passes between containers, networks, this machine and its neighbours: real traffic, in both families.

use super::firewall::{NEIGHBOUR, answers, passes, passes_from, server};
use super::{beside, engine, inside, sleeper};
use crate::engine::TestEngine;

/// This machine's addresses, as its neighbour sees them.
const HOST: [&str; 2] = ["198.51.100.1", "[2001:db8:51::1]"];
const NEIGHBOURS: [&str; 2] = ["198.51.100.9", "[2001:db8:51::9]"];

/// A machine with a neighbour, and with web servers of its own on 8099, and on 8090 of `::1`. `bridged`: bridged packets pass its
/// firewall, as a kubelet wants it; None where this kernel cannot.
fn machine(bridged: bool) -> Option<TestEngine> {
    let engine = engine();
    let value = u8::from(bridged);
    let there = engine.sh(&format!(
        "for family in ip ip6; do switch=/proc/sys/net/bridge/bridge-nf-call-${{family}}tables
         if [ -e $switch ]; then echo {value} > $switch; echo there; fi; done"
    ));
    if bridged && there.is_empty() {
        return None;
    }
    engine.sh(NEIGHBOUR);
    engine.sh("mkdir -p /run/host; echo host > /run/host/name; setsid busybox httpd -p 8099 -h /run/host");
    engine.sh("setsid busybox httpd -p '[::1]:8090' -h /run/host");
    engine.wait_for_port(8090);
    engine.wait_for_port(8099);
    engine.accept();
    Some(engine)
}

/// Runs a test on both kinds of machine.
fn on_both(test: impl Fn(&TestEngine, bool)) {
    for bridged in [false, true] {
        if let Some(engine) = machine(bridged) {
            test(&engine, bridged);
            engine.assert_clean();
        }
    }
}

/// [`passes`] for what is expected to: a packet may be lost, and asked for again a second later.
#[track_caller]
fn reaches(engine: &TestEngine, from: &str, to: &str) -> bool {
    answers(|line| beside(engine, from, line), to, "10")
}

#[track_caller]
fn reaches_from(engine: &TestEngine, namespace: &str, to: &str) -> bool {
    let line = |line: &[&str]| engine.program("ip", [&["netns", "exec", namespace], line].concat());
    answers(line, to, "10")
}

/// A network on 10.N.0.0/24 and fd00:N::/64.
#[track_caller]
fn network(engine: &TestEngine, name: &str, number: u8, flags: &[&str]) {
    let (v4, v6) = (format!("10.{number}.0.0/24"), format!("fd00:{number}::/64"));
    let line = ["network", "create", "--ipv6", "--subnet", &v4, "--subnet", &v6];
    engine.wharfie([&line[..], flags, &[name]].concat()).ok();
}

/// Both addresses of a container, as a URL has them.
#[track_caller]
fn addresses(engine: &TestEngine, name: &str, network: &str) -> [String; 2] {
    let template = format!(
        "{{{{with index .NetworkSettings.Networks \"{network}\"}}}}{{{{.IPAddress}}}} {{{{.GlobalIPv6Address}}}}{{{{end}}}}"
    );
    let told = engine.wharfie(["inspect", "-f", &template, name]).ok().to_owned();
    let (v4, v6) = told.split_once(' ').expect("two addresses");
    [v4.to_owned(), format!("[{v6}]")]
}

#[test]
fn containers_without_communication_reach_all_but_one_another() {
    on_both(without_communication);
}

fn without_communication(engine: &TestEngine, bridged: bool) {
    network(engine, "quiet", 71, &["-o", "com.docker.network.bridge.enable_icc=false"]);
    server(engine, "one", &["--network", "quiet", "-p", "8080:80"]);
    server(engine, "two", &["--network", "quiet"]);
    let [one, two] = ["one", "two"].map(|name| addresses(engine, name, "quiet"));
    for (family, gateway) in ["10.71.0.1", "[fd00:71::1]"].into_iter().enumerate() {
        assert!(reaches(engine, "one", &format!("{gateway}:8099")), "{gateway}");
        assert!(reaches(engine, "one", NEIGHBOURS[family]), "to the outside");
        assert!(!passes(engine, "one", &two[family]), "{two:?}");
        // The network's own router is no way around, there and back.
        let bare = |address: &str| address.trim_matches(['[', ']']).to_owned();
        for (from, to) in [("one", &two), ("two", &one)] {
            let line = ["ip", "route", "add", &bare(&to[family]), "via", &bare(gateway)];
            beside(engine, from, &line).run().ok();
        }
        assert!(!passes(engine, "one", &two[family]), "{two:?} by the gateway");
        // What is published is for everybody, itself among them.
        let port = format!("{}:8080", HOST[family]);
        assert!(reaches_from(engine, "neighbour", &port), "{port}");
        if !bridged {
            assert!(reaches(engine, "two", &port), "{port} from the same network");
            assert!(reaches(engine, "one", &port), "its own {port}");
        }
    }
    engine.wharfie(["rm", "-f", "one", "two"]).ok();
    engine.wharfie(["network", "rm", "quiet"]).ok();
}

#[test]
fn networks_reach_one_another_by_published_ports_alone() {
    on_both(between_networks);
}

fn between_networks(engine: &TestEngine, _: bool) {
    network(engine, "alpha", 72, &[]);
    network(engine, "beta", 73, &[]);
    server(engine, "aa", &["--network", "alpha", "-p", "8080:80"]);
    server(engine, "friend", &["--network", "alpha"]);
    server(engine, "bb", &["--network", "beta"]);
    server(engine, "usual", &[]);
    let [a, friend, b] =
        [("aa", "alpha"), ("friend", "alpha"), ("bb", "beta")].map(|(name, on)| addresses(engine, name, on));
    for family in 0..2 {
        assert!(reaches(engine, "aa", &friend[family]), "one network: {friend:?}");
        assert!(!passes(engine, "aa", &b[family]) && !passes(engine, "bb", &a[family]), "{a:?} {b:?}");
        // The ports of a container are for its network and this machine, until one is published.
        assert!(reaches(engine, "bb", &format!("{}:8080", HOST[family])), "the published port");
        assert!(reaches(engine, "friend", &format!("{}:8080", HOST[family])), "the published port");
        assert!(reaches_from(engine, "neighbour", &format!("{}:8080", HOST[family])));
        engine.sh(&format!("curl -gfsS -o /dev/null --max-time 5 http://{}/name", b[family]));
    }
    let usual = engine.wharfie(["inspect", "-f", "{{.NetworkSettings.IPAddress}}", "usual"]).ok().to_owned();
    assert!(!passes(engine, "aa", &usual) && !passes(engine, "usual", &a[0]), "the default network");
    assert!(reaches(engine, "usual", "198.51.100.1:8080"));
    // In both networks it reaches both, and lets neither through to the other.
    engine.wharfie(["network", "connect", "beta", "friend"]).ok();
    for family in 0..2 {
        assert!(reaches(engine, "friend", &a[family]) && reaches(engine, "friend", &b[family]));
        assert!(!passes(engine, "aa", &b[family]), "through a container in both");
    }
    engine.wharfie(["rm", "-f", "aa", "bb", "friend", "usual"]).ok();
    engine.wharfie(["network", "rm", "alpha", "beta"]).ok();
}

#[test]
fn an_internal_network_leads_nowhere_in_either_family() {
    on_both(internal);
}

fn internal(engine: &TestEngine, _: bool) {
    network(engine, "inner", 74, &["--internal"]);
    network(engine, "open", 75, &[]);
    server(engine, "shut", &["--network", "inner"]);
    sleeper(engine, "friend", &["--network", "inner"]);
    server(engine, "web", &["--network", "open", "-p", "8080:80"]);
    let (shut, web) = (addresses(engine, "shut", "inner"), addresses(engine, "web", "open"));
    assert_eq!(inside(engine, "shut", "ip route | grep default; ip -6 route | grep default").stdout, "");
    for (family, gateway) in ["10.74.0.1", "fd00:74::1"].into_iter().enumerate() {
        assert!(reaches(engine, "friend", &shut[family]), "one another");
        // A way that somebody opens by hand is closed all the same.
        beside(engine, "shut", &["ip", "route", "add", "default", "via", gateway]).run().ok();
        assert!(reaches(engine, "web", NEIGHBOURS[family]), "the way is there for others");
        for to in [NEIGHBOURS[family], &web[family], &format!("{}:8080", HOST[family])] {
            assert!(!passes(engine, "shut", to), "{to}");
        }
        assert!(!passes(engine, "web", &shut[family]));
        engine.sh(&format!("curl -gfsS -o /dev/null --max-time 5 http://{}/name", shut[family]));
    }
    engine.sh("ip netns exec neighbour ip route replace 10.74.0.0/24 via 198.51.100.1");
    assert!(!passes_from(engine, "neighbour", &shut[0]), "by a route to it");
    engine.wharfie(["rm", "-f", "shut", "friend", "web"]).ok();
    engine.wharfie(["network", "rm", "inner", "open"]).ok();
}

#[test]
fn the_ipv6_loopback_serves_what_is_published() {
    let engine = machine(false).expect("a machine");
    network(&engine, "first", 76, &[]);
    network(&engine, "second", 77, &[]);
    server(&engine, "one", &["--network", "first", "-p", "8080:80", "-p", "7000:7000/udp"]);
    server(&engine, "two", &["--network", "second", "-p", "[::1]:8081:80"]);
    let says = |port: u16, name: &str| {
        assert_eq!(engine.sh(&format!("curl -gfsS --max-time 5 http://[::1]:{port}/name")), name);
    };
    says(8080, "one");
    says(8081, "two");
    // Published on that address alone.
    assert!(!passes_from(&engine, "neighbour", "[2001:db8:51::1]:8081"));
    // A datagram, and its answer.
    let echo = "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(('::', 7000)); word, who = s.recvfrom(99); s.sendto(word + b' back', who)";
    let server = beside(&engine, "one", &["python3", "-c", echo]).spawn();
    engine.sh("until wharfie exec one grep -q ':1B58 ' /proc/net/udp6; do sleep 0.02; done");
    let ask = "import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(5)
s.connect(('::1', 7000)); s.send(b'word'); print(s.recv(99).decode())";
    assert_eq!(engine.program("python3", ["-c", ask]).run().ok(), "word back");
    server.wait().ok();
    // What listens on the loopback is reached as before, and by no container.
    says(8090, "host");
    for address in ["[::1]:8090", "[fd00:76::1]:8090"] {
        assert!(!passes(&engine, "one", address), "{address}");
    }
    engine.wharfie(["rm", "-f", "one"]).ok();
    let refused = engine.program("curl", ["-gfsS", "--max-time", "5", "http://[::1]:8080/name"]).run();
    assert_eq!(refused.code, 7, "{refused:?}");
    says(8081, "two");
    engine.wharfie(["rm", "-f", "two"]).ok();
    engine.wharfie(["network", "rm", "first", "second"]).ok();
    engine.assert_clean();
}

#[test]
fn the_ipv6_loopback_refuses_where_bridged_packets_pass_the_firewall() {
    let Some(engine) = machine(true) else { return };
    network(&engine, "first", 78, &[]);
    server(&engine, "one", &["--network", "first", "-p", "8080:80"]);
    assert!(reaches_from(&engine, "neighbour", "[2001:db8:51::1]:8080"));
    let refused = engine.program("curl", ["-gfsS", "--max-time", "5", "http://[::1]:8080/name"]).run();
    assert_eq!(refused.code, 7, "at once, so that a client tries 127.0.0.1: {refused:?}");
    assert_eq!(engine.sh("curl -gfsS --max-time 5 http://localhost:8080/name"), "one");
    engine.wharfie(["rm", "-f", "one"]).ok();
    engine.wharfie(["network", "rm", "first"]).ok();
    engine.assert_clean();
}
