//! Ports: changed while a container runs, and what is said of them.

use super::{BUSYBOX, engine, inside, network};
use crate::engine::TestEngine;

/// A web server that answers `GET /name` with the container's name.
#[track_caller]
fn server(engine: &TestEngine, name: &str, flags: &[&str]) {
    let script = format!("mkdir /w; echo {name} > /w/name; exec httpd -f -p 80 -h /w");
    let line = [&["run", "-d", "--name", name], flags, &[BUSYBOX, "sh", "-c", &script]].concat();
    engine.wharfie(line).ok();
    listens(engine, name);
}

#[track_caller]
fn listens(engine: &TestEngine, name: &str) {
    engine.sh(&format!(
        "until wharfie exec {name} grep -q ':0050 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done"
    ));
}

#[track_caller]
fn reaches(engine: &TestEngine, url: &str) -> String {
    engine.sh(&format!("curl -gfsS --max-time 5 {url}"))
}

#[track_caller]
fn does_not_reach(engine: &TestEngine, url: &str) {
    let output = engine.program("curl", ["-gfsS", "--max-time", "5", url]).run();
    assert_eq!(output.code, 7, "refused: {output:?}");
}

#[test]
fn ports_change_while_it_runs() {
    let engine = engine();
    server(&engine, "web", &[]);
    let update = |flags: &[&str]| engine.wharfie([&["update"], flags, &["web"]].concat());
    let ports = || engine.wharfie(["port", "web"]).ok().to_owned();
    assert_eq!(update(&["--publish-add", "8080:80"]).ok(), "web");
    assert_eq!(reaches(&engine, "http://127.0.0.1:8080/name"), "web");
    assert_eq!(ports(), "80/tcp -> 0.0.0.0:8080");
    let shown = "{{json .HostConfig.PortBindings}} {{json .NetworkSettings.Ports}}";
    assert_eq!(
        engine.wharfie(["inspect", "-f", shown, "web"]).ok(),
        r#"{"80/tcp":[{"HostIp":"","HostPort":"8080"}]} {"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"}]}"#
    );
    // It is taken for others, before they are started.
    let taken = engine.wharfie(["run", "--rm", "-p", "8080:80", BUSYBOX, "true"]);
    assert!(
        taken.fails(125).contains("Bind for 0.0.0.0:8080 failed: port is already allocated"),
        "{taken:?}"
    );
    // Another host port for the same one of the container, in one step; what is chosen is told.
    update(&["--publish-rm", "8080:80", "--publish-add", "127.0.0.1:8081:80", "--publish-add", "80"]).ok();
    does_not_reach(&engine, "http://127.0.0.1:8080/name");
    assert_eq!(reaches(&engine, "http://127.0.0.1:8081/name"), "web");
    let chosen = ports().lines().find_map(|line| line.strip_prefix("80/tcp -> 0.0.0.0:")).unwrap().to_owned();
    assert_eq!(reaches(&engine, &format!("http://127.0.0.1:{chosen}/name")), "web");
    // What fails changes nothing.
    let listener = engine.program("busybox", ["nc", "-l", "-p", "8090"]).open_stdin().spawn();
    engine.wait_for_port(8090);
    let before = ports();
    for (flags, words) in [
        (&["--publish-add", "8090:80"][..], "address already in use"),
        (&["--publish-rm", "8081:80", "--publish-add", "8090:80"], "address already in use"),
        (&["--publish-rm", "81"], "port 81/tcp is not published so"),
        (&["--publish-rm", "8082:80"], "port 80/tcp is not published so"),
        (&["--publish-add", "198.51.100.7:8099:80"], "cannot assign requested address"),
    ] {
        let refused = update(flags);
        assert!(refused.fails(1).contains(words), "{refused:?}");
        assert_eq!(ports(), before, "{flags:?}");
    }
    assert_eq!(update(&["--publish-add", "x"]).code, 125);
    drop(listener);
    assert_eq!(reaches(&engine, "http://127.0.0.1:8081/name"), "web");
    // Kept for the next start, and free when it has ended.
    engine.wharfie(["stop", "-t0", "web"]).ok();
    does_not_reach(&engine, "http://127.0.0.1:8081/name");
    update(&["--publish-add", "8083:80", "--publish-rm", "80"]).ok();
    assert_eq!(
        engine.wharfie(["inspect", "-f", "{{json .HostConfig.PortBindings}}", "web"]).ok(),
        r#"{"80/tcp":[{"HostIp":"","HostPort":"8083"}]}"#
    );
    engine.wharfie(["start", "web"]).ok();
    listens(&engine, "web");
    assert_eq!(reaches(&engine, "http://127.0.0.1:8083/name"), "web");
    assert_eq!(ports(), "80/tcp -> 0.0.0.0:8083");
    // A container that nobody stops takes its new ports along.
    update(&["--publish-rm", "80"]).ok();
    update(&["--publish-add", "8084:80"]).ok();
    engine.wharfie(["kill", "web"]).ok();
    engine.wharfie(["wait", "web"]).ok();
    engine.sh("until wharfie run --rm -p 8084:80 busybox true 2>/dev/null; do sleep 0.02; done");
    engine.wharfie(["rm", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn a_network_has_an_address_for_ports_that_name_none() {
    let engine = engine();
    let option = "com.docker.network.bridge.host_binding_ipv4=127.0.0.1";
    engine.wharfie(["network", "create", "-o", option, "--subnet", "10.95.0.0/24", "bound"]).ok();
    server(&engine, "web", &["--network", "bound", "-p", "8080:80"]);
    engine.wharfie(["update", "--publish-add", "8081:80", "--publish-add", "0.0.0.0:8082:80", "web"]).ok();
    let ports = engine.wharfie(["port", "web", "80"]);
    assert_eq!(ports.ok(), "0.0.0.0:8082\n127.0.0.1:8080\n127.0.0.1:8081");
    assert_eq!(reaches(&engine, "http://127.0.0.1:8081/name"), "web");
    does_not_reach(&engine, "http://10.95.0.1:8081/name");
    assert_eq!(reaches(&engine, "http://10.95.0.1:8082/name"), "web");
    // Also where it comes to lead out of a container that runs.
    server(&engine, "late", &["-p", "8083:80"]);
    engine.wharfie(["network", "disconnect", "bridge", "late"]).ok();
    engine.wharfie(["network", "connect", "bound", "late"]).ok();
    assert_eq!(engine.wharfie(["port", "late"]).ok(), "80/tcp -> 127.0.0.1:8083");
    engine.wharfie(["rm", "-f", "web", "late"]).ok();
    engine.wharfie(["network", "rm", "bound"]).ok();
    engine.assert_clean();
}

#[test]
fn containers_without_ports_of_their_own() {
    let engine = engine();
    for (name, network) in [("host", "host"), ("none", "none")] {
        engine.wharfie(["run", "-d", "--name", name, "--network", network, BUSYBOX, "sleep", "1000"]).ok();
        let refused = engine.wharfie(["update", "--publish-add", "8080:80", name]);
        assert!(refused.fails(1).contains("no network of its own to publish ports of"), "{refused:?}");
    }
    engine.wharfie(["rm", "-f", "host", "none"]).ok();
    engine.assert_clean();
}

#[test]
fn both_families_and_every_protocol() {
    let engine = engine();
    network(&engine, "six", &["10.94.0.0/24", "fd00:94::/64"], "");
    server(
        &engine,
        "web",
        &["--network", "six", "-p", "8080:80", "-p", "9000-9001:9000-9001/sctp", "-p", "7000:7000/udp"],
    );
    engine.sh("ip link add outside type veth peer name beyond; ip link set beyond up; ip addr add 192.0.2.1/24 dev outside; ip addr add fd00:99::1/64 dev outside nodad; ip link set outside up");
    for url in [
        "http://127.0.0.1:8080/name",
        "http://192.0.2.1:8080/name",
        "http://[fd00:99::1]:8080/name",
        "http://[fd00:94::1]:8080/name",
    ] {
        assert_eq!(reaches(&engine, url), "web", "{url}");
    }
    // From inside: its own port by the host's address, in both families.
    for url in ["http://192.0.2.1:8080/name", "http://[fd00:99::1]:8080/name"] {
        assert_eq!(inside(&engine, "web", &format!("wget -qO- '{url}'")).ok(), "web", "{url}");
    }
    let ports = engine.wharfie(["ps", "--format", "{{.Ports}}"]);
    for part in [
        "0.0.0.0:8080->80/tcp",
        "[::]:8080->80/tcp",
        "0.0.0.0:9000-9001->9000-9001/sctp",
        "0.0.0.0:7000->7000/udp",
    ] {
        assert!(ports.ok().contains(part), "{part}: {ports:?}");
    }
    for (port, words) in [
        ("9001:1/sctp", "Bind for 0.0.0.0:9001 failed: port is already allocated"),
        ("[fd00:99::1]:8080:80", "Bind for [fd00:99::1]:8080 failed: port is already allocated"),
    ] {
        let taken = engine.wharfie(["run", "--rm", "--network", "six", "-p", port, BUSYBOX, "true"]);
        assert!(taken.fails(125).contains(words), "{taken:?}");
    }
    // The same number of another protocol is another port.
    engine.wharfie(["run", "--rm", "-p", "9000:1/tcp", "-p", "9000:1/udp", BUSYBOX, "true"]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.sh("ip link del outside");
    engine.assert_clean();
}
