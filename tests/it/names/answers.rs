//! The resolver's answers to a program that asks it directly.

use super::{address, beside, engine, network, sleeper};
use crate::engine::TestEngine;

const DNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/names/dns.py");

/// What the resolver answers to a container.
#[track_caller]
pub(super) fn ask(engine: &TestEngine, container: &str, question: &[&str]) -> String {
    beside(engine, container, &[&["python3", DNS, "ask"], question].concat()).run().ok().to_owned()
}

#[test]
fn every_name_of_a_container_is_known() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24", "fd00:91::/64"], "");
    network(&engine, "back", &["10.92.0.0/24"], "");
    let id = sleeper(
        &engine,
        "web",
        &[
            "--network",
            "front",
            "--network-alias",
            "shop",
            "--hostname",
            "boat",
            "--domainname",
            "example.org",
            "-l",
            "com.docker.compose.service=service",
        ],
    );
    sleeper(&engine, "proxy", &["--network", "name=front,alias=shop", "--network", "name=back,alias=inner"]);
    sleeper(&engine, "db", &["--network", "back"]);
    sleeper(&engine, "elsewhere", &[]);
    let (web, proxy) = (address(&engine, "web", "eth0"), address(&engine, "proxy", "eth0"));
    let (inner, db) = (address(&engine, "proxy", "eth1"), address(&engine, "db", "eth0"));
    let both = {
        let mut both = [web.as_str(), proxy.as_str()];
        both.sort_unstable();
        format!("NOERROR {} {}", both[0], both[1])
    };
    let short = &id[..12];
    for name in ["web", "WEB", "web.front", short, "boat", "boat.example.org", "service"] {
        assert_eq!(ask(&engine, "proxy", &["A", name]), format!("NOERROR {web}"), "{name}");
        assert_eq!(ask(&engine, "proxy", &["-t", "A", name]), format!("NOERROR {web}"), "{name} by TCP");
    }
    assert_eq!(ask(&engine, "web", &["A", "shop"]), both);
    assert_eq!(ask(&engine, "web", &["A", "web"]), format!("NOERROR {web}"), "itself");
    assert!(ask(&engine, "web", &["AAAA", "proxy"]).starts_with("NOERROR fd00:91::"));
    assert_eq!(ask(&engine, "db", &["A", "inner"]), format!("NOERROR {inner}"));
    assert_eq!(ask(&engine, "db", &["AAAA", "inner"]), "NOERROR", "known, but not by IPv6");
    assert_eq!(ask(&engine, "db", &["MX", "proxy"]), "NOERROR");
    assert_eq!(ask(&engine, "proxy", &["A", "db"]), format!("NOERROR {db}"));
    let reverse = |address: &str| {
        let mut parts: Vec<&str> = address.split('.').collect();
        parts.reverse();
        parts.join(".") + ".in-addr.arpa"
    };
    assert_eq!(ask(&engine, "web", &["PTR", &reverse(&proxy)]), "NOERROR proxy.front");
    assert_eq!(ask(&engine, "proxy", &["PTR", &reverse(&db)]), "NOERROR db.back");
    engine.wharfie(["rm", "-f", "web", "proxy", "db", "elsewhere"]).ok();
    engine.assert_clean();
}

#[test]
fn what_no_container_is_called_is_asked_outside() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    network(&engine, "inner", &["10.93.0.0/24"], "\"isGateway\": true, \"ipMasq\": false, ");
    sleeper(&engine, "web", &["--network", "front"]);
    sleeper(&engine, "shut", &["--network", "inner"]);
    sleeper(&engine, "own", &["--network", "inner", "--dns", "10.93.0.1"]);
    let serve = |address: &str, text: &str| {
        let server = engine.program("python3", [DNS, "serve", address, text]).spawn();
        server.expect("ready");
        server
    };
    // The host's servers are looked up when they are needed, also on its loopback.
    let first = serve("127.0.0.2", "first");
    engine.sh("echo 'nameserver 127.0.0.2' > /etc/resolv.conf");
    assert_eq!(ask(&engine, "web", &["A", "example.org"]), "NOERROR 192.0.2.77");
    assert_eq!(ask(&engine, "web", &["TXT", "example.org"]), "NOERROR first");
    assert_eq!(ask(&engine, "web", &["A", "nowhere.example.org"]), "NXDOMAIN");
    assert_eq!(ask(&engine, "web", &["AAAA", "example.org"]), "NOERROR");
    // Too long for a datagram there: the same here, and whole over a stream.
    assert_eq!(ask(&engine, "web", &["TXT", "big.example.org"]), "NOERROR cut");
    assert_eq!(ask(&engine, "web", &["-t", "TXT", "big.example.org"]).matches(&"x".repeat(200)).count(), 10);
    let second = serve("127.0.0.3", "second");
    engine.sh("echo 'nameserver 127.0.0.3' > /etc/resolv.conf");
    assert_eq!(ask(&engine, "web", &["TXT", "example.org"]), "NOERROR second");
    // The one that does not answer is passed over.
    drop(first);
    engine.sh("printf 'nameserver 127.0.0.2\\nnameserver 127.0.0.3\\n' > /etc/resolv.conf");
    assert_eq!(ask(&engine, "web", &["TXT", "example.org"]), "NOERROR second");
    // An internal network leads nowhere, its names do; a server of one's own is asked from inside.
    assert_eq!(ask(&engine, "shut", &["A", "example.org"]), "NXDOMAIN");
    assert_eq!(ask(&engine, "shut", &["A", "own"]), format!("NOERROR {}", address(&engine, "own", "eth0")));
    let third = serve("10.93.0.1", "third");
    assert_eq!(ask(&engine, "own", &["TXT", "example.org"]), "NOERROR third");
    drop((second, third));
    engine.sh("echo 'nameserver 127.0.0.2' > /etc/resolv.conf");
    assert_eq!(ask(&engine, "web", &["A", "example.org"]), "SERVFAIL", "nobody answers");
    engine.wharfie(["rm", "-f", "web", "shut", "own"]).ok();
    engine.assert_clean();
}

#[test]
fn a_container_with_a_name_server_of_its_own() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    sleeper(&engine, "web", &["--network", "front"]);
    // Port 53 of every address is the container's to have.
    let server = beside(&engine, "web", &["python3", DNS, "serve", "0.0.0.0", "mine"]).spawn();
    server.expect("ready");
    let web = address(&engine, "web", "eth0");
    assert_eq!(ask(&engine, "web", &["-s", "127.0.0.1", "TXT", "x"]), "NOERROR mine");
    assert_eq!(ask(&engine, "web", &["A", "web"]), format!("NOERROR {web}"));
    drop(server);
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn one_that_floods_takes_nothing_from_the_others() {
    let engine = engine();
    network(&engine, "front", &["10.91.0.0/24"], "");
    for name in ["web", "flood"] {
        sleeper(&engine, name, &["--network", "front"]);
    }
    let flood = beside(&engine, "flood", &["python3", DNS, "flood", "3"]).spawn();
    flood.expect("ready");
    let web = address(&engine, "web", "eth0");
    for _ in 0..5 {
        assert_eq!(ask(&engine, "web", &["A", "web"]), format!("NOERROR {web}"));
    }
    let answered: usize = flood.wait().ok().lines().last().unwrap().parse().unwrap();
    // 5000 at once and 5000 a second, of which three quarters are no questions.
    assert!(answered > 100 && answered < 25_000, "{answered}");
    // What it has cost: a process of a few megabytes, and one for all of them.
    let resident = engine.sh("for pid in $(pgrep -f '[_]_names /'); do grep VmRSS /proc/$pid/status; done");
    let kilobytes: Vec<u32> =
        resident.lines().map(|line| line.split_whitespace().nth(1).unwrap().parse().unwrap()).collect();
    assert!(kilobytes.len() == 1 && kilobytes[0] < 16 << 10, "{resident}");
    engine.wharfie(["rm", "-f", "web", "flood"]).ok();
    engine.assert_clean();
}
