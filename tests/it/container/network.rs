//! `run`: networks, ports and names.

use super::{BUSYBOX, engine, inside, run, sh, sleeper};
use crate::engine::TestEngine;

/// A script that prints the container's address; `hostname -i` would ask a name server for it.
const OWN_ADDRESS: &str = "ip -4 -o addr show eth0 | awk '{split($4, part, \"/\"); print part[1]}'";

/// A web server that answers `GET /name` with the container's own name.
fn server(engine: &TestEngine, name: &str, flags: &[&str]) {
    let script = format!("mkdir /w; echo {name} > /w/name; exec httpd -f -p 80 -h /w");
    let line = [&["run", "-d", "--name", name], flags, &[BUSYBOX, "sh", "-c", &script]].concat();
    engine.wharfie(line).ok();
    engine.sh(&format!(
        "until wharfie exec {name} grep -q ':0050 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done"
    ));
}

#[test]
fn modes() {
    let engine = engine();
    // bridge: an address, a route, a name.
    let script = "ip -4 -o addr show eth0 | awk '{print $4}'; ip route | head -1; cat /sys/class/net/eth0/mtu; ls /sys/class/net | tr '\\n' ' '";
    let bridge = sh(&engine, &[], script);
    let lines: Vec<&str> = bridge.ok().lines().collect();
    assert!(lines[0].ends_with("/24") || lines[0].ends_with("/16"), "{bridge:?}");
    assert!(lines[1].starts_with("default via "), "{bridge:?}");
    assert_eq!(lines[2..], ["1500", "eth0 lo "]);
    assert_eq!(sh(&engine, &["--network", "default"], "ls /sys/class/net | tr '\\n' ' '").ok(), "eth0 lo ");
    assert_eq!(
        sh(
            &engine,
            &["--net=none"],
            "ls /sys/class/net; cat /sys/class/net/lo/operstate; ip -o link show lo | grep -c UP"
        )
        .ok(),
        "lo\nunknown\n1"
    );
    // host: the world's own.
    assert_eq!(
        run(&engine, &["--network", "host"], &["readlink", "/proc/self/ns/net"]).ok(),
        engine.sh("readlink /proc/self/ns/net").trim()
    );
    assert_eq!(run(&engine, &["--network", "host"], &["hostname"]).ok(), engine.sh("hostname").trim());
    let ports = run(&engine, &["--network", "host", "-p", "8080:80"], &["true"]);
    assert_eq!(ports.code, 0);
    assert!(
        ports.stderr.contains("WARNING: Published ports are discarded when using host network mode"),
        "{ports:?}"
    );
    // Another container's: its address, its name, its files.
    let id = sleeper(&engine, &["--name", "first", "--hostname", "shared", "--add-host", "other:1.2.3.4"]);
    let script = "hostname; ip -4 -o addr show eth0 | awk '{print $4}'; cat /etc/hosts /etc/resolv.conf";
    let shared = sh(&engine, &["--network", "container:first"], script);
    assert_eq!(shared.ok(), inside(&engine, "first", script), "the same");
    let by_id = format!("container:{}", &id[..12]);
    assert_eq!(sh(&engine, &["--network", &by_id], "hostname").ok(), "shared");
    for (flags, words) in [
        (["--hostname", "x"], "conflicting options: hostname and the network mode"),
        (["-p", "1:1"], "conflicting options: port publishing and the container type network mode"),
        (["--dns", "1.1.1.1"], "conflicting options: dns and the network mode"),
        (["--add-host", "a:1.1.1.1"], "conflicting options: custom host-to-IP mapping and the network mode"),
    ] {
        let output = run(&engine, &["--network", "container:first", flags[0], flags[1]], &["true"]);
        assert!(output.fails(125).contains(words), "{output:?}");
    }
    // Loopback is common to both.
    engine.wharfie(["exec", "-d", "first", "httpd", "-f", "-p", "127.0.0.1:81", "-h", "/etc"]).ok();
    sh(
        &engine,
        &["--network", "container:first"],
        "until wget -qO- http://127.0.0.1:81/passwd | grep -q root; do sleep 0.05; done",
    )
    .ok();
    engine.wharfie(["stop", "first"]).ok();
    let gone = run(&engine, &["--network", "container:first"], &["true"]);
    assert!(
        gone.fails(125).contains(&format!("cannot join network namespace of a non running container: {id}")),
        "{gone:?}"
    );
    engine.wharfie(["rm", "first"]).ok();
    engine.assert_clean();
}

#[test]
fn ports_are_reached_and_free_again() {
    let engine = engine();
    server(
        &engine,
        "web",
        &[
            "-p",
            "8080:80",
            "-p",
            "127.0.0.1:8081:80/tcp",
            "-p",
            "9000-9001:80-81",
            "-p",
            "7000-7001:7000-7001",
            "-p",
            "53:53/udp",
            "--expose",
            "7",
        ],
    );
    let ports = engine.wharfie(["ps", "--format", "{{.Ports}}"]);
    for part in [
        "0.0.0.0:8080->80/tcp",
        "127.0.0.1:8081->80/tcp",
        "0.0.0.0:9000->80/tcp",
        "0.0.0.0:9001->81/tcp",
        "0.0.0.0:7000-7001->7000-7001/tcp",
        "0.0.0.0:53->53/udp",
        "7/tcp",
    ] {
        assert!(ports.ok().split(", ").any(|one| one == part), "{part} is missing: {ports:?}");
    }
    let own = engine.sh("ip -4 -o addr show scope global | awk '{print $4}' | cut -d/ -f1 | head -1");
    for address in ["127.0.0.1:8080", "127.0.0.1:8081", "127.0.0.1:9000", &format!("{}:8080", own.trim())] {
        assert_eq!(engine.sh(&format!("curl -fsS --max-time 5 http://{address}/name")), "web", "{address}");
    }
    assert!(
        engine
            .program("curl", ["-fsS", "--max-time", "2", &format!("http://{}:8081/name", own.trim())])
            .run()
            .code
            != 0,
        "only on the loopback"
    );
    // From another container by the host's address, and by the container's own.
    let address = inside(&engine, "web", OWN_ADDRESS);
    for url in [format!("http://{}:8080/name", own.trim()), format!("http://{address}/name")] {
        assert_eq!(run(&engine, &[], &["wget", "-qO-", &url]).ok(), "web", "{url}");
    }
    // Datagrams.
    let own_namespace = engine.sh("ls /run/wharfie/*/netns/*");
    let receiver = "my $s = IO::Socket::INET->new(Proto => 'udp', LocalPort => 53); $| = 1; print qq(ready\n); $s->recv(my $data, 99); print $data";
    let namespace = format!("--net={}", own_namespace.trim());
    let receiving =
        engine.program("nsenter", [&namespace, "perl", "-MIO::Socket::INET", "-e", receiver]).spawn();
    receiving.expect("ready");
    engine.sh("echo ahoy > /dev/udp/127.0.0.1/53");
    assert_eq!(receiving.wait().ok(), "ready\nahoy");
    // In use, by a container and by another process.
    let taken = run(&engine, &["-p", "8080:80"], &["true"]);
    assert!(
        taken.fails(125).contains("8080") && taken.stderr.contains("port is already allocated"),
        "{taken:?}"
    );
    let listener = engine.program("busybox", ["nc", "-l", "-p", "8090"]).open_stdin().spawn();
    engine.wait_for_port(8090);
    let taken = run(&engine, &["-p", "8090:80"], &["true"]);
    assert!(
        taken.fails(125).contains("8090") && taken.stderr.contains("address already in use"),
        "{taken:?}"
    );
    drop(listener);
    // Stopped or killed, its ports are free at once.
    for end in [["stop", "-t0"], ["kill", "-s9"]] {
        engine.wharfie([end[0], end[1], "web"]).ok();
        if end[0] == "kill" {
            engine.wharfie(["wait", "web"]).ok();
            engine.sh("until wharfie run --rm -p 8080:80 busybox true; do sleep 0.05; done 2>/dev/null");
        }
        run(&engine, &["-p", "8080:80", "-p", "53:53/udp"], &["true"]).ok();
        engine.wharfie(["start", "web"]).ok();
        engine.sh("until curl -fsS --max-time 2 http://127.0.0.1:8080/name 2>/dev/null; do sleep 0.05; done");
    }
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn ports_that_nobody_chose() {
    let engine = engine();
    server(&engine, "one", &["-p", "80"]);
    server(&engine, "all", &["-P", "--expose", "80", "--expose", "90-91"]);
    for (name, count) in [("one", 1), ("all", 3)] {
        let ports = engine.wharfie(["ps", "--filter", &format!("name=^{name}$"), "--format", "{{.Ports}}"]);
        let published: Vec<&str> =
            ports.ok().split(", ").filter(|port| port.starts_with("0.0.0.0:")).collect();
        // Neighbours may be shown as one range.
        assert!(!published.is_empty() && published.len() <= count, "{ports:?}");
        let web = published.iter().find(|port| port.ends_with("->80/tcp")).unwrap();
        let port = web.trim_start_matches("0.0.0.0:").split("->").next().unwrap();
        assert_eq!(engine.sh(&format!("curl -fsS --max-time 5 http://127.0.0.1:{port}/name")).trim(), name);
    }
    engine.wharfie(["rm", "-f", "one", "all"]).ok();
    engine.assert_clean();
}

#[test]
fn names_and_resolvers() {
    let engine = engine();
    let hosts = sh(
        &engine,
        &[
            "--name",
            "me",
            "--hostname",
            "boat",
            "--add-host",
            "a.example:10.1.2.3",
            "--add-host",
            "gw:host-gateway",
            "--add-host",
            "six=::1",
        ],
        &format!("cat /etc/hosts; ip route | awk '/default/ {{print $3}}'; {OWN_ADDRESS}"),
    );
    let text = hosts.ok();
    let lines: Vec<&str> = text.lines().collect();
    let (gateway, own) = (lines[lines.len() - 2], lines[lines.len() - 1]);
    let has = |line: String| {
        lines.iter().any(|one| one.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(&line))
    };
    for line in [
        "127.0.0.1 localhost".to_owned(),
        "10.1.2.3 a.example".into(),
        format!("{gateway} gw"),
        "::1 six".into(),
        format!("{own} boat"),
    ] {
        assert!(has(line.clone()), "{line:?} is missing:\n{text}");
    }
    let resolv = sh(
        &engine,
        &["--dns", "9.9.9.9", "--dns", "8.8.4.4", "--dns-search", "example.org", "--dns-option", "ndots:2"],
        "cat /etc/resolv.conf",
    );
    let lines: Vec<&str> = resolv.ok().lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines, ["nameserver 9.9.9.9", "nameserver 8.8.4.4", "search example.org", "options ndots:2"]);
    // The files can be read by anybody, and written by root as with docker.
    sh(&engine, &["-u", "nobody"], "cat /etc/hosts /etc/hostname /etc/resolv.conf > /dev/null").ok();
    sh(&engine, &[], "echo 1.1.1.1 more >> /etc/hosts").ok();
    let host = sh(&engine, &["--network", "host"], "cat /etc/hosts");
    assert_eq!(host.stdout.trim_end(), engine.sh("cat /etc/hosts").trim_end());
    engine.assert_clean();
}

#[test]
fn twenty_at_once_get_twenty_addresses() {
    let engine = engine();
    let calls: Vec<_> =
        (0..20).map(|_| engine.call(["run", "-d", BUSYBOX, "sleep", "1000"]).spawn()).collect();
    let ids: Vec<String> = calls.into_iter().map(|call| call.wait().ok().to_owned()).collect();
    let mut addresses: Vec<String> = ids.iter().map(|id| inside(&engine, id, OWN_ADDRESS)).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 20);
    engine.wharfie(["rm", "-f"].into_iter().chain(ids.iter().map(String::as_str))).ok();
    engine.assert_clean();
}
