//! Beside other tools' rules, and what must not pass.

use super::{BUSYBOX, address, beside, engine, inside, network, sleeper};
use crate::call::Call;
use crate::engine::TestEngine;

/// A neighbour of this machine's on 198.51.100.9 and 2001:db8:51::9, with a web server; this machine has the
/// ones that end in 1.
pub(super) const NEIGHBOUR: &str = "
    mkdir -p /run/netns
    ip netns add neighbour
    ip link add outside type veth peer name eth0 netns neighbour
    ip addr add 198.51.100.1/24 dev outside; ip link set outside up
    ip addr add 2001:db8:51::1/64 dev outside nodad
    ip -n neighbour addr add 198.51.100.9/24 dev eth0
    ip -n neighbour addr add 2001:db8:51::9/64 dev eth0 nodad
    ip -n neighbour link set lo up; ip -n neighbour link set eth0 up
    ip -n neighbour route add default via 198.51.100.1
    ip -n neighbour route add default via 2001:db8:51::1
    mkdir -p /run/neighbour; echo neighbour > /run/neighbour/name
    ip netns exec neighbour setsid busybox httpd -p 80 -h /run/neighbour";

/// What docker, nerdctl and kube-proxy write, with a container of docker's.
const OTHERS: &str = "
    ip link add docker0 type bridge; ip addr add 172.30.0.1/16 dev docker0; ip link set docker0 up
    ip netns add theirs
    ip link add their type veth peer name eth0 netns theirs
    ip link set their master docker0 up
    ip -n theirs addr add 172.30.0.2/16 dev eth0; ip -n theirs link set eth0 up; ip -n theirs link set lo up
    ip -n theirs route add default via 172.30.0.1
    mkdir -p /run/theirs; echo theirs > /run/theirs/name
    for port in 80 81; do ip netns exec theirs setsid busybox httpd -p $port -h /run/theirs; done
    iptables-nft-restore <<'END'
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-FORWARD - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
:CNI-ADMIN - [0:0]
:CNI-FORWARD - [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A FORWARD -m comment --comment \"CNI firewall plugin rules\" -j CNI-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 172.30.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-USER -j RETURN
-A CNI-FORWARD -m comment --comment \"CNI firewall plugin admin overrides\" -j CNI-ADMIN
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -m comment --comment \"kubernetes postrouting rules\" -j KUBE-POSTROUTING
-A POSTROUTING -s 172.30.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8088 -j DNAT --to-destination 172.30.0.2:80
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -j MASQUERADE
COMMIT
END";

/// `iptables-save` without its comments and counters, and without the rules that name one of our bridges.
#[track_caller]
fn theirs(engine: &TestEngine) -> String {
    engine.sh("iptables-nft-save | grep -v '^#' | sed 's/ \\[[0-9]*:[0-9]*\\]$//' | grep -vE -- '-[io] (nerdctl0|br-)'")
}

/// A web server: its name is what it answers.
#[track_caller]
pub(super) fn server(engine: &TestEngine, name: &str, flags: &[&str]) -> String {
    let script = format!("mkdir /w; echo {name} > /w/name; exec httpd -f -p 80 -h /w");
    engine.wharfie([&["run", "-d", "--name", name], flags, &[BUSYBOX, "sh", "-c", &script]].concat()).ok();
    engine.sh(&format!(
        "until wharfie exec {name} grep -q ':0050 ' /proc/net/tcp /proc/net/tcp6; do sleep 0.02; done"
    ));
    address(engine, name, "eth0")
}

/// Whether a container gets an answer.
#[track_caller]
pub(super) fn passes(engine: &TestEngine, from: &str, to: &str) -> bool {
    answers(|line| beside(engine, from, line), to, "2")
}

/// Whether somebody in a namespace of `ip netns` gets one.
#[track_caller]
pub(super) fn passes_from(engine: &TestEngine, namespace: &str, to: &str) -> bool {
    let line = |line: &[&str]| engine.program("ip", [&["netns", "exec", namespace], line].concat());
    answers(line, to, "2")
}

/// Whether a program started by `start` gets an answer within so many seconds.
#[track_caller]
pub(super) fn answers(start: impl Fn(&[&str]) -> Call, to: &str, seconds: &str) -> bool {
    let url = format!("http://{to}/name");
    start(&["curl", "-gfsS", "-o", "/dev/null", "--max-time", seconds, &url]).run().code == 0
}

#[test]
fn beside_docker_nerdctl_and_kube_proxy() {
    let engine = engine();
    engine.sh(NEIGHBOUR);
    engine.sh(OTHERS);
    engine.accept();
    let before = theirs(&engine);
    assert!(before.contains(":FORWARD DROP") && before.contains("KUBE-POSTROUTING"), "{before}");
    let works = |what: &str| {
        assert!(passes_from(&engine, "neighbour", "198.51.100.1:8088"), "{what}: docker's port");
        assert!(passes_from(&engine, "theirs", "198.51.100.9"), "{what}: docker's container to the outside");
    };
    works("before");
    network(&engine, "front", &["10.91.0.0/24"], "");
    let web = server(&engine, "web", &["-p", "8080:80"]);
    let shop = server(&engine, "shop", &["--network", "front", "-p", "8081:80"]);
    works("beside");
    for (name, port) in [("web", 8080), ("shop", 8081)] {
        assert!(passes(&engine, name, "198.51.100.9"), "{name} to the outside");
        assert!(passes_from(&engine, "neighbour", &format!("198.51.100.1:{port}")), "{name}'s port");
        assert!(passes(&engine, name, &format!("198.51.100.1:{port}")), "{name}'s own port");
    }
    assert!(passes(&engine, "web", "198.51.100.1:8081"), "another network's port");
    assert!(passes(&engine, "web", "198.51.100.1:8088"), "docker's port");
    // No more than the ports is open, and what docker has not published stays closed.
    assert!(!passes_from(&engine, "neighbour", &web) && !passes_from(&engine, "neighbour", &shop));
    assert!(!passes(&engine, "web", "172.30.0.2:81") && !passes_from(&engine, "theirs", &web));
    assert!(!passes(&engine, "web", &shop), "two networks");
    // Their rules are theirs, and their tools still work on them.
    assert_eq!(theirs(&engine), before);
    let rule = "DOCKER-USER -s 10.0.0.0/8 -d 198.51.100.9 -j DROP";
    engine.sh(&format!("iptables-nft -I {rule}"));
    assert!(!passes(&engine, "web", "198.51.100.9"), "what they drop stays dropped");
    engine.sh(&format!("iptables-nft -D {rule}"));
    assert!(passes(&engine, "web", "198.51.100.9"));
    engine.wharfie(["rm", "-f", "web", "shop"]).ok();
    assert_eq!(theirs(&engine), before);
    works("after");
    engine.assert_clean();
}

#[test]
fn internal_networks_lead_nowhere() {
    let engine = engine();
    engine.sh(NEIGHBOUR);
    engine.accept();
    network(&engine, "front", &["10.91.0.0/24"], "");
    network(&engine, "inner", &["10.93.0.0/24"], "\"isGateway\": true, \"ipMasq\": false, ");
    let open = server(&engine, "open", &["--network", "front", "-p", "8080:80"]);
    let shut = server(&engine, "shut", &["--network", "inner"]);
    sleeper(&engine, "friend", &["--network", "inner"]);
    // A way that somebody opens by hand is closed all the same.
    beside(&engine, "shut", &["ip", "route", "add", "default", "via", "10.93.0.1"]).run().ok();
    assert!(passes(&engine, "open", "198.51.100.9"), "the way is there for others");
    inside(&engine, "friend", "ping -c1 -W5 shut").ok();
    assert!(passes(&engine, "friend", &shut), "one another");
    for to in ["198.51.100.9", &open, "198.51.100.1:8080"] {
        assert!(!passes(&engine, "shut", to), "{to}");
    }
    assert!(!passes(&engine, "open", &shut) && !passes_from(&engine, "neighbour", &shut));
    engine.wharfie(["rm", "-f", "open", "shut", "friend"]).ok();
    engine.assert_clean();
}

#[test]
fn forwarding_is_switched_on_and_said() {
    let engine = engine();
    engine.sh("echo 0 > /proc/sys/net/ipv4/ip_forward");
    let first = engine.wharfie(["run", "--rm", BUSYBOX, "true"]);
    assert!(first.code == 0 && first.stderr.contains("net.ipv4.ip_forward=1"), "{first:?}");
    let second = engine.wharfie(["run", "--rm", BUSYBOX, "true"]);
    assert!(second.code == 0 && second.stderr.is_empty(), "{second:?}");
    assert_eq!(engine.sh("cat /proc/sys/net/ipv4/ip_forward"), "1");
    // Nobody needs it for a network that leads nowhere.
    engine.wharfie(["create", "--name", "box", BUSYBOX, "true"]).ok();
    engine.sh("echo 0 > /proc/sys/net/ipv4/ip_forward");
    assert!(engine.wharfie(["start", "box"]).stderr.contains("net.ipv4.ip_forward=1"));
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}
