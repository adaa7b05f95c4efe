//! Networks as a container sees them: each test makes its own world, a thread with network and mount
//! namespaces of its own, and connects through real sockets.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::mount::{MountFlags, MountPropagationFlags};

use super::firewall::Firewall;
use super::link::{Links, Pair};
use super::netlink::Socket;
use super::nftables::{self, Batch, Family, Hook};
use super::*;

/// What a world's host has outside: the bridge `outside` with this address, and a neighbour.
const HOST: &str = "192.0.2.1";
const NEIGHBOUR: &str = "192.0.2.9";
const LONG_ENOUGH: Duration = Duration::from_secs(5);
const NEVER: Duration = Duration::from_millis(400);

struct World {
    networks: Networks,
    root: PathBuf,
}

/// Runs `test` on a thread in namespaces of its own, with an empty tmpfs as its room.
fn world(test: impl FnOnce(&World) + Send) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().to_path_buf();
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            crate::sys::namespace::unshare_network_and_mounts().unwrap();
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            rustix::mount::mount_change("/", private).unwrap();
            rustix::mount::mount("none", &root, "tmpfs", MountFlags::empty(), None).unwrap();
            Links::open().unwrap().up(1).unwrap();
            // A new namespace has what the host's first one has.
            std::fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap();
            let networks = Networks {
                conf_dir: root.join("net.d"),
                namespace: String::new(),
                data_dir: root.join("data"),
                plugin_path: root.join("plugins"),
                namespaces: root.join("netns"),
            };
            test(&World { networks, root: root.clone() });
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

impl World {
    fn wish(&self, owner: &str, network: &str, ports: &[Publish]) -> Connect {
        let join = Join { network: network.into(), ..Join::default() };
        Connect { owner: owner.into(), name: owner.into(), endpoints: vec![join], ports: ports.to_vec() }
    }

    fn run(&self, owner: &str, ports: &[Publish]) -> Result<Connection> {
        let namespace = self.networks.create_namespace(owner)?;
        self.networks.connect(&self.wish(owner, "bridge", ports), &namespace)
    }

    fn write_network(&self, name: &str, bridge: &str, ranges: serde_json::Value) {
        let list = serde_json::json!({"cniVersion": "1.0.0", "name": name, "plugins": [
            {"type": "bridge", "bridge": bridge, "isGateway": true, "ipMasq": true, "hairpinMode": true,
             "ipam": {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": true}},
            {"type": "firewall", "ingressPolicy": "same-bridge"}, {"type": "tuning"}]});
        crate::store::make_directory(&self.networks.conf_dir, 0o755).unwrap();
        let path = self.networks.conf_dir.join(format!("nerdctl-{name}.conflist"));
        crate::store::write_atomic(&path, list.to_string().as_bytes(), 0o644).unwrap();
    }

    /// Gives the host a neighbour in a namespace of its own.
    fn neighbour(&self) -> PathBuf {
        let path = self.networks.create_namespace("neighbour").unwrap();
        let links = Links::open().unwrap();
        let outside = links.bridge("outside", [2, 0, 0, 0, 0, 1], None).unwrap();
        let net = |address: &str| IpNet::new(address.parse().unwrap(), 24).unwrap();
        links.configure(outside.index, &[net(HOST)], &[]).unwrap();
        let namespace = File::open(&path).unwrap();
        let mac = [2, 0, 0, 0, 0, 9];
        let namespace_fd = namespace.as_fd();
        let pair = Pair {
            host: "toneighbour",
            bridge: outside.index,
            peer: "eth0",
            mac,
            mtu: None,
            namespace: namespace_fd,
        };
        links.veth(&pair).unwrap();
        let inner = namespace::inside(&namespace, Links::open).unwrap();
        let eth0 = inner.find("eth0").unwrap().unwrap();
        inner.configure(eth0.index, &[net(NEIGHBOUR)], &[]).unwrap();
        path
    }

    fn published(&self) -> usize {
        Firewall::open().unwrap().published().unwrap().len()
    }

    /// Whether a link ends: the kernel takes a namespace apart in the background.
    fn goes(&self, link: &str) -> bool {
        let links = Links::open().unwrap();
        let begin = std::time::Instant::now();
        while begin.elapsed() < LONG_ENOUGH {
            if links.find(link).unwrap().is_none() {
                return true;
            }
            std::thread::yield_now();
        }
        false
    }

    fn address_files(&self, network: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.networks.data_dir.join(network)) else { return Vec::new() };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.parse::<IpAddr>().is_ok()).collect();
        names.sort();
        names
    }
}

fn tcp(host_ip: Option<&str>, host_port: Option<u16>, container_port: u16) -> Publish {
    let host_ip = host_ip.map(|address| address.parse().unwrap());
    Publish { host_ip, host_port, host_port_last: None, container_port, protocol: Protocol::Tcp }
}

fn ip(connection: &Connection) -> IpAddr {
    connection.endpoints[0].addresses[0].addr()
}

/// A server in a namespace that tells every client the address it sees.
fn serve(namespace: &Path, port: u16) {
    let file = File::open(namespace).unwrap();
    let (listener, datagrams) = namespace::inside(&file, || {
        Ok((TcpListener::bind(("0.0.0.0", port)).unwrap(), UdpSocket::bind(("0.0.0.0", port)).unwrap()))
    })
    .unwrap();
    std::thread::spawn(move || {
        while let Ok((mut client, from)) = listener.accept() {
            let _ = client.write_all(from.ip().to_string().as_bytes());
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = datagrams.recv_from(&mut buffer) {
            let _ = datagrams.send_to(from.ip().to_string().as_bytes(), from);
        }
    });
}

/// What a server at `to` says it sees; None when nothing answers.
fn ask(to: (IpAddr, u16), patience: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(to), patience).ok()?;
    stream.set_read_timeout(Some(patience)).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn ask_from(namespace: &Path, to: (IpAddr, u16), patience: Duration) -> Option<String> {
    namespace::inside(&File::open(namespace).unwrap(), || Ok(ask(to, patience))).unwrap()
}

fn ask_udp(to: (IpAddr, u16)) -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(LONG_ENOUGH)).unwrap();
    socket.send_to(b"?", SocketAddr::from(to)).unwrap();
    let mut buffer = [0; 64];
    let (length, from) = socket.recv_from(&mut buffer).ok()?;
    assert_eq!(from, SocketAddr::from(to));
    Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_container_is_reached_by_its_address_and_by_its_ports() {
    world(|world| {
        let neighbour = world.neighbour();
        let udp = Publish { protocol: Protocol::Udp, ..tcp(None, Some(5353), 80) };
        let ports = [tcp(None, Some(8080), 80), udp, tcp(Some("127.0.0.1"), Some(9090), 80)];
        let one = world.run("default-one", &ports).unwrap();
        let two = world.run("default-two", &[]).unwrap();
        serve(&one.namespace, 80);
        assert_eq!(one.endpoints[0].interface, "eth0");
        assert_eq!(one.ports.len(), 3);
        assert_eq!(one.endpoints[0].mac, link::format_mac(link::mac_of(ip(&one))));
        let gateway = one.endpoints[0].gateways[0];
        let is = |seen: Option<String>, expected: IpAddr, way: &str| {
            assert_eq!(seen.as_deref(), Some(expected.to_string().as_str()), "{way}");
        };
        is(ask((ip(&one), 80), LONG_ENOUGH), gateway, "host to the container");
        is(ask_from(&two.namespace, (ip(&one), 80), LONG_ENOUGH), ip(&two), "container to container");
        is(ask((address("127.0.0.1"), 8080), LONG_ENOUGH), gateway, "host by 127.0.0.1");
        is(ask((address("127.0.0.1"), 9090), LONG_ENOUGH), gateway, "host, published on 127.0.0.1");
        is(ask((address(HOST), 8080), LONG_ENOUGH), address(HOST), "host by its own address");
        assert!(ask((address(HOST), 9090), NEVER).is_none(), "published on 127.0.0.1 alone");
        is(ask_from(&neighbour, (address(HOST), 8080), LONG_ENOUGH), address(NEIGHBOUR), "from outside");
        is(
            ask_from(&two.namespace, (address(HOST), 8080), LONG_ENOUGH),
            gateway,
            "another container by the host",
        );
        is(
            ask_from(&one.namespace, (address(HOST), 8080), LONG_ENOUGH),
            gateway,
            "the container by the host",
        );
        is(ask_from(&one.namespace, (gateway, 8080), LONG_ENOUGH), gateway, "the container by its gateway");
        is(ask_udp((address("127.0.0.1"), 5353)), gateway, "udp by 127.0.0.1");
        let file = File::open(&neighbour).unwrap();
        is(
            namespace::inside(&file, || Ok(ask_udp((address(HOST), 5353)))).unwrap(),
            address(NEIGHBOUR),
            "udp",
        );
        serve(&neighbour, 7070);
        is(
            ask_from(&one.namespace, (address(NEIGHBOUR), 7070), LONG_ENOUGH),
            address(HOST),
            "to the outside",
        );
    });
}

#[test]
fn taking_down_frees_all_and_twice_is_once() {
    world(|world| {
        let one =
            world.run("default-one", &[tcp(None, Some(8080), 80), tcp(Some("127.0.0.1"), None, 81)]).unwrap();
        let two = world.run("default-two", &[tcp(None, Some(8081), 80)]).unwrap();
        assert_eq!((world.published(), world.address_files("bridge").len()), (3, 2));
        assert!(one.forwarding_switched_on && !two.forwarding_switched_on);
        for _ in 0..2 {
            world.networks.disconnect(&one).unwrap();
            world.networks.remove_namespace("default-one").unwrap();
            assert_eq!((world.published(), world.address_files("bridge").len()), (1, 1));
            assert!(world.goes(&one.endpoints[0].host_interface));
            assert!(!one.namespace.exists());
        }
        let again = world.run("default-one", &[tcp(None, Some(8080), 80)]).unwrap();
        assert_ne!(ip(&again), ip(&one));
        // The network's file may go first.
        std::fs::remove_file(world.networks.conf_dir.join("nerdctl-bridge.conflist")).unwrap();
        world.networks.disconnect(&again).unwrap();
        world.networks.disconnect(&two).unwrap();
        assert_eq!((world.published(), world.address_files("bridge").len()), (0, 0));
    });
}

#[test]
fn a_refused_connection_leaves_nothing() {
    world(|world| {
        let one = world.run("default-one", &[tcp(None, Some(8080), 80)]).unwrap();
        let error = world.run("default-two", &[tcp(Some("127.0.0.1"), Some(8080), 80)]).unwrap_err();
        assert_eq!(
            error.message,
            "driver failed programming external connectivity on endpoint default-two: \
             Bind for 127.0.0.1:8080 failed: port is already allocated"
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = world.run("default-two", &[tcp(None, Some(port), 80)]).unwrap_err();
        assert!(
            error
                .message
                .ends_with(&format!("failed to bind host port for 0.0.0.0:{port}: address already in use"))
        );
        let namespace = world.networks.create_namespace("default-two").unwrap();
        let mut wish = world.wish("default-two", "bridge", &[]);
        wish.endpoints.push(Join { network: "nowhere".into(), ..Join::default() });
        let error = world.networks.connect(&wish, &namespace).unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (crate::Kind::NotFound, "network nowhere not found")
        );
        // The second endpoint fails after the first was made.
        world.write_network("second", "br-second", serde_json::json!([[{"subnet": "10.77.0.0/30"}]]));
        world
            .networks
            .connect(
                &world.wish("default-x", "second", &[]),
                &world.networks.create_namespace("default-x").unwrap(),
            )
            .unwrap();
        wish.endpoints[1].network = "second".into();
        let error = world.networks.connect(&wish, &namespace).unwrap_err();
        assert!(error.message.contains("no available IPv4 addresses"), "{}", error.message);
        assert_eq!(world.address_files("bridge"), [ip(&one).to_string()]);
        assert_eq!(world.published(), 1);
        wish.endpoints[1].ipv4 = Some(address("10.78.0.1"));
        let error = world.networks.connect(&wish, &namespace).unwrap_err();
        assert!(
            error.message.contains("no configured subnet contains IP address 10.78.0.1"),
            "{}",
            error.message
        );
        assert!(world.networks.create_namespace("../x").is_err());
        assert!(
            world
                .networks
                .connect(&world.wish("default-y", "bridge", &[]), Path::new("/proc/self/exe"))
                .is_err()
        );
        assert_eq!(world.address_files("bridge").len(), 1);
    });
}

#[test]
fn twenty_at_once_get_twenty_addresses() {
    world(|world| {
        let connections: Vec<Connection> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..20)
                .map(|number| {
                    scope.spawn(move || world.run(&format!("default-{number}"), &[tcp(None, None, 80)]))
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        let mut addresses: Vec<IpAddr> = connections.iter().map(ip).collect();
        let mut ports: Vec<u16> =
            connections.iter().map(|connection| connection.ports[0].host_port).collect();
        addresses.sort();
        addresses.dedup();
        ports.sort();
        ports.dedup();
        assert_eq!((addresses.len(), ports.len(), world.published()), (20, 20, 20));
        std::thread::scope(|scope| {
            for connection in &connections {
                scope.spawn(move || world.networks.disconnect(connection).unwrap());
            }
        });
        assert_eq!((world.published(), world.address_files("bridge").len()), (0, 0));
    });
}

#[test]
fn the_dead_are_reaped_and_others_left_alone() {
    world(|world| {
        let dead = world.run("default-dead", &[tcp(None, Some(8080), 80)]).unwrap();
        let alive = world.run("default-alive", &[tcp(None, Some(8081), 80)]).unwrap();
        let other = Networks { namespaces: world.root.join("other"), ..world.networks.clone() };
        let namespace = other.create_namespace("default-dead").unwrap();
        other
            .connect(&world.wish("default-dead", "bridge", &[tcp(None, Some(8082), 80)]), &namespace)
            .unwrap();
        let foreign = world.networks.data_dir.join("bridge/10.4.200.200");
        std::fs::write(&foreign, "0123456789abcdef\r\neth0").unwrap();
        world.networks.create_namespace("default-half").unwrap();
        let reaped = world.networks.reap(&|owner| owner == "default-alive").unwrap();
        assert_eq!(reaped, ["default-dead", "default-half"]);
        assert_eq!(world.published(), 2);
        assert_eq!(world.address_files("bridge").len(), 3);
        assert!(
            foreign.exists() && alive.namespace.exists() && !dead.namespace.exists() && namespace.exists()
        );
        assert!(world.goes(&dead.endpoints[0].host_interface));
        assert_eq!(world.networks.reap(&|owner| owner == "default-alive").unwrap(), Vec::<String>::new());
        world.networks.forget("default-alive").unwrap();
        world.networks.forget("default-alive").unwrap();
        assert_eq!((world.published(), world.address_files("bridge").len()), (1, 2));
    });
}

#[test]
fn networks_are_apart_but_ports_are_for_all() {
    world(|world| {
        world.write_network(
            "a",
            "br-a",
            serde_json::json!([[{"subnet": "10.71.0.0/24"}], [{"subnet": "fd00:71::/64"}]]),
        );
        world.write_network("b", "br-b", serde_json::json!([[{"subnet": "10.72.0.0/24"}]]));
        let connect = |owner: &str, network: &str, ports: &[Publish]| {
            let namespace = world.networks.create_namespace(owner).unwrap();
            world.networks.connect(&world.wish(owner, network, ports), &namespace).unwrap()
        };
        let a = connect("default-a", "a", &[tcp(None, Some(8080), 80)]);
        let b = connect("default-b", "b", &[]);
        serve(&a.namespace, 80);
        assert_eq!(a.endpoints[0].addresses[1].to_string(), "fd00:71::2/64");
        assert_eq!(a.ports.len(), 2);
        assert_eq!(ask_from(&b.namespace, (ip(&a), 80), NEVER), None);
        let by_port = ask_from(&b.namespace, (b.endpoints[0].gateways[0], 8080), LONG_ENOUGH);
        assert_eq!(by_port, Some(a.endpoints[0].gateways[0].to_string()));
        // Both networks at once.
        let namespace = world.networks.create_namespace("default-c").unwrap();
        let mut wish = world.wish("default-c", "b", &[]);
        wish.endpoints[0].priority = 1;
        let mac = Some("02:42:ac:00:00:07".to_owned());
        wish.endpoints.push(Join {
            network: "a".into(),
            ipv4: Some(address("10.71.0.50")),
            mac,
            ..Join::default()
        });
        let c = world.networks.connect(&wish, &namespace).unwrap();
        assert_eq!(c.endpoints[1].interface, "eth1");
        assert_eq!(c.endpoints[1].mac, "02:42:ac:00:00:07");
        assert_eq!(ask_from(&c.namespace, (ip(&a), 80), LONG_ENOUGH).as_deref(), Some("10.71.0.50"));
        let network = world.networks.get("a").unwrap();
        let used = world.networks.remove(&network).unwrap_err();
        assert_eq!(used.message, "error while removing network: network a has active endpoints");
        for connection in [&a, &b, &c] {
            world.networks.disconnect(connection).unwrap();
        }
        world.networks.remove(&network).unwrap();
        assert!(world.networks.get("a").is_err() && Links::open().unwrap().find("br-a").unwrap().is_none());
        assert_eq!(world.published(), 0);
    });
}

#[test]
fn another_tools_drop_policy_is_answered() {
    world(|world| {
        let neighbour = world.neighbour();
        let socket = Socket::netfilter().unwrap();
        let mut batch = Batch::new();
        batch.table(Family::V4, "filter");
        let hook = Hook { kind: "filter", number: 2, priority: 0, drops: true };
        batch.chain(Family::V4, "filter", "FORWARD", Some(hook));
        batch.commit(&socket).unwrap();
        let one = world.run("default-one", &[tcp(None, Some(8080), 80)]).unwrap();
        world.run("default-two", &[]).unwrap();
        serve(&one.namespace, 80);
        serve(&neighbour, 7070);
        assert!(ask_from(&neighbour, (address(HOST), 8080), LONG_ENOUGH).is_some());
        assert!(ask_from(&one.namespace, (address(NEIGHBOUR), 7070), LONG_ENOUGH).is_some());
        // No more than before is open: the neighbour cannot come by routing to the container.
        let file = File::open(&neighbour).unwrap();
        let inner = namespace::inside(&file, Links::open).unwrap();
        let eth0 = inner.find("eth0").unwrap().unwrap();
        inner.configure(eth0.index, &[], &[(DEFAULT_V4, Some(address(HOST)))]).unwrap();
        assert!(ask_from(&neighbour, (ip(&one), 80), NEVER).is_none());
        let rules = || nftables::commented_rules(&socket, Family::V4, ("filter", "FORWARD")).unwrap().len();
        assert_eq!(rules(), 2);
        let bridge = &one.endpoints[0].bridge;
        Firewall::open().unwrap().remove_zone(bridge).unwrap();
        assert_eq!(rules(), 0);
        for set in ["bridges", "pairs", "isolated", "internal", "guarded", "subnets", "masqueraded"] {
            assert!(nftables::elements(&socket, Family::V4, ("wharfie", set)).unwrap().is_empty(), "{set}");
        }
    });
}

#[test]
fn the_default_network_is_made_once_and_an_existing_one_wins() {
    world(|world| {
        let made = world.networks.ensure_default().unwrap();
        assert_eq!(world.networks.ensure_default().unwrap(), made);
        assert_eq!(world.networks.get(&made.id[..12]).unwrap(), made);
        assert_eq!(world.networks.list().unwrap(), std::slice::from_ref(&made));
        assert_eq!(made.raw["plugins"][0]["ipam"]["dataDir"], world.networks.data_dir.to_str().unwrap());
        std::fs::remove_file(&made.path).unwrap();
        world.write_network("bridge", "nerdctl0", serde_json::json!([[{"subnet": "10.99.0.0/24"}]]));
        let one = world.run("default-one", &[]).unwrap();
        assert_eq!(ip(&one), address("10.99.0.2"));
        std::fs::write(world.networks.conf_dir.join("broken.conflist"), "{").unwrap();
        let error = world.networks.get("broken").unwrap_err();
        assert!(error.hints.iter().any(|hint| hint.contains("broken.conflist")));
    });
}

#[test]
fn a_flow_of_datagrams_follows_its_port() {
    world(|world| {
        let port = Publish { protocol: Protocol::Udp, ..tcp(None, Some(5353), 80) };
        let neighbour = world.neighbour();
        let file = File::open(&neighbour).unwrap();
        let client = namespace::inside(&file, || Ok(UdpSocket::bind("0.0.0.0:0").unwrap())).unwrap();
        client.connect((address(HOST), 5353)).unwrap();
        client.set_read_timeout(Some(NEVER)).unwrap();
        let mut buffer = [0; 64];
        // One socket all the time: to nobody, to a container, to the next one.
        let mut heard =
            |tries: usize| (0..tries).any(|_| client.send(b"?").is_ok() && client.recv(&mut buffer).is_ok());
        let zero = world.run("default-zero", std::slice::from_ref(&port)).unwrap();
        world.networks.disconnect(&zero).unwrap();
        assert!(!heard(2));
        let one = world.run("default-one", std::slice::from_ref(&port)).unwrap();
        serve(&one.namespace, 80);
        assert!(heard(10));
        world.networks.disconnect(&one).unwrap();
        assert!(!heard(2));
        let two = world.run("default-two", std::slice::from_ref(&port)).unwrap();
        serve(&two.namespace, 80);
        assert!(heard(10));
    });
}
