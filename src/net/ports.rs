//! Which host ports a container gets: the ones asked for, when no container and no socket of the host has
//! them, or free ones.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::firewall::Published;
use super::{Publish, PublishedPort};
use crate::oci::request::Protocol;
use crate::{Error, Result};

/// Tries for a free port before giving up.
const TRIES: usize = 64;

/// Ports that are ours until the sockets are dropped.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) ports: Vec<PublishedPort>,
    /// Bound, never listening: they keep other processes from the ports while the rules are made.
    _probes: Vec<OwnedFd>,
}

/// Chooses a host port for each wish. `taken` is what containers have; `families` says whether the container
/// has an IPv4 and an IPv6 address.
///
/// # Errors
/// docker's words for a port that another container or a process of the host has.
pub(crate) fn choose(wishes: &[Publish], taken: &[Published], families: (bool, bool)) -> Result<Chosen> {
    let mut chosen: Vec<PublishedPort> = Vec::new();
    let mut probes = Vec::new();
    for wish in wishes {
        let hosts = hosts(wish, families)?;
        let (port, sockets) = match wish.host_port.filter(|port| *port != 0) {
            Some(first) => {
                first_free(&hosts, first..=wish.host_port_last.unwrap_or(first), wish, (taken, &chosen))?
            }
            None => free(&hosts, wish.protocol, (taken, &chosen))?,
        };
        probes.extend(sockets);
        chosen.extend(hosts.into_iter().map(|host_ip| PublishedPort {
            host_ip,
            host_port: port,
            container_port: wish.container_port,
            protocol: wish.protocol,
        }));
    }
    Ok(Chosen { ports: chosen, _probes: probes })
}

fn hosts(wish: &Publish, (v4, v6): (bool, bool)) -> Result<Vec<IpAddr>> {
    let hosts: Vec<IpAddr> = match wish.host_ip {
        None => [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)].into(),
        Some(address) => vec![address],
    };
    let fit: Vec<IpAddr> = hosts.into_iter().filter(|host| if host.is_ipv4() { v4 } else { v6 }).collect();
    if fit.is_empty() {
        let host = wish.host_ip.map(|host| format!(" on {host}")).unwrap_or_default();
        return Err(Error::failed(format!(
            "cannot publish port {}{host}: the container has no address of that family",
            wish.container_port
        ))
        .hint("publish on an address of the family that the network has"));
    }
    Ok(fit)
}

type Taken<'a> = (&'a [Published], &'a [PublishedPort]);

fn take(hosts: &[IpAddr], port: u16, protocol: Protocol, taken: Taken) -> Result<Vec<OwnedFd>> {
    let mut sockets = Vec::new();
    for host in hosts {
        let address = SocketAddr::new(*host, port);
        if is_taken(address, protocol, taken) {
            return Err(Error::conflict(format!("Bind for {address} failed: port is already allocated"))
                .hint("choose another host port; `wharfie ps` shows who has this one"));
        }
        match probe(address, protocol) {
            Ok((socket, _)) => sockets.extend(socket),
            Err(errno) => {
                let reason = crate::error::reason(&std::io::Error::from(errno));
                let error = Error::conflict(format!("failed to bind host port for {address}: {reason}"));
                return Err(match errno {
                    Errno::ADDRINUSE => {
                        error.hint("a process of the host listens there: `ss -lntup` shows which")
                    }
                    Errno::ADDRNOTAVAIL => error.hint("no interface of this host has that address"),
                    _ => error,
                });
            }
        }
    }
    Ok(sockets)
}

/// The first port of the range that can be taken; the last one's error where none can.
fn first_free(
    hosts: &[IpAddr],
    range: std::ops::RangeInclusive<u16>,
    wish: &Publish,
    taken: Taken,
) -> Result<(u16, Vec<OwnedFd>)> {
    let mut last = None;
    for port in range {
        match take(hosts, port, wish.protocol, taken) {
            Ok(sockets) => return Ok((port, sockets)),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::failed("no free host port found")))
}

fn free(hosts: &[IpAddr], protocol: Protocol, taken: Taken) -> Result<(u16, Vec<OwnedFd>)> {
    let mut last = None;
    // Refused ports stay bound meanwhile, so that the kernel proposes others.
    let mut refused = Vec::new();
    for _ in 0..TRIES {
        let Some(first) = hosts.first() else { break };
        let (socket, port) = match probe(SocketAddr::new(*first, 0), protocol) {
            Ok(found) => found,
            Err(errno) => {
                let reason = crate::error::reason(&std::io::Error::from(errno));
                return Err(Error::failed(format!("failed to bind host port for {first}:0: {reason}")));
            }
        };
        let address = SocketAddr::new(*first, port);
        if port == 0 || is_taken(address, protocol, taken) {
            refused.extend(socket);
            continue;
        }
        match take(hosts.get(1..).unwrap_or_default(), port, protocol, taken) {
            Ok(mut sockets) => {
                sockets.extend(socket);
                return Ok((port, sockets));
            }
            Err(error) => {
                refused.extend(socket);
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::failed("no free host port found")))
}

fn is_taken(address: SocketAddr, protocol: Protocol, (containers, chosen): Taken) -> bool {
    let clash = |host: IpAddr, port: u16, other: Protocol| {
        port == address.port()
            && other == protocol
            && host.is_ipv4() == address.is_ipv4()
            && (host == address.ip() || host.is_unspecified() || address.ip().is_unspecified())
    };
    containers.iter().any(|port| clash(port.host, port.host_port, port.protocol))
        || chosen.iter().any(|port| clash(port.host_ip, port.host_port, port.protocol))
}

/// Binds a socket, as a listener would, and gives the port. No socket where the kernel has no such protocol.
fn probe(address: SocketAddr, protocol: Protocol) -> Result<(Option<OwnedFd>, u16), Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, Some(rustix::net::ipproto::TCP)),
        Protocol::Udp => (SocketType::DGRAM, Some(rustix::net::ipproto::UDP)),
        Protocol::Sctp => (SocketType::SEQPACKET, Some(rustix::net::ipproto::SCTP)),
    };
    let socket = match rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, number) {
        Ok(socket) => socket,
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT | Errno::AFNOSUPPORT) => {
            return Ok((None, address.port()));
        }
        Err(errno) => return Err(errno),
    };
    if protocol != Protocol::Udp {
        // Connections of an ended listener that still linger are no hindrance; a listener is.
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    let bound = rustix::net::getsockname(&socket)?;
    let port = SocketAddr::try_from(bound).map_or(address.port(), |bound| bound.port());
    Ok((Some(socket), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_gives_its_first_free_port() {
        let range = Publish { host_port_last: Some(41_002), ..wish(Some("127.0.0.1"), Some(41_000)) };
        let taken = [published("0.0.0.0", 41_000)];
        assert_eq!(
            choose(std::slice::from_ref(&range), &taken, (true, false)).unwrap().ports[0].host_port,
            41_001
        );
        let twice = choose(&[range.clone(), range.clone()], &taken, (true, false)).unwrap();
        assert_eq!(twice.ports[1].host_port, 41_002);
        let three = [range.clone(), range.clone(), range];
        let error = choose(&three, &taken, (true, false)).unwrap_err();
        assert!(error.message.contains("port is already allocated"), "{}", error.message);
    }

    fn wish(host: Option<&str>, port: Option<u16>) -> Publish {
        let host_ip = host.map(|host| host.parse().unwrap());
        Publish {
            host_ip,
            host_port: port,
            host_port_last: None,
            container_port: 80,
            protocol: Protocol::Tcp,
        }
    }

    fn published(host: &str, port: u16) -> Published {
        Published {
            host: host.parse().unwrap(),
            protocol: Protocol::Tcp,
            host_port: port,
            container: "10.4.0.2".parse().unwrap(),
            container_port: 80,
            tag: String::new(),
        }
    }

    #[test]
    fn conflicts_are_said_in_dockers_words() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let busy = choose(&[wish(None, Some(port))], &[], (true, false)).unwrap_err();
        assert_eq!(
            busy.message,
            format!("failed to bind host port for 0.0.0.0:{port}: address already in use")
        );
        drop(listener);
        for (host, other, clash) in [
            (None, "0.0.0.0", true),
            (None, "127.0.0.1", true),
            (Some("127.0.0.1"), "0.0.0.0", true),
            (Some("127.0.0.1"), "127.0.0.1", true),
            (Some("127.0.0.1"), "127.0.0.2", false),
            (Some("127.0.0.1"), "::", false),
        ] {
            let taken = [published(other, port)];
            let outcome = choose(&[wish(host, Some(port))], &taken, (true, false));
            assert_eq!(outcome.is_err(), clash, "{host:?} {other}");
            if let Err(error) = outcome {
                let host = host.unwrap_or("0.0.0.0");
                assert_eq!(
                    error.message,
                    format!("Bind for {host}:{port} failed: port is already allocated")
                );
            }
        }
        let twice = choose(&[wish(None, Some(port)), wish(None, Some(port))], &[], (true, false));
        assert!(twice.unwrap_err().message.ends_with("port is already allocated"));
        let nowhere = choose(&[wish(Some("198.51.100.77"), Some(port))], &[], (true, false));
        assert!(nowhere.unwrap_err().message.contains("failed to bind host port for 198.51.100.77:"));
    }

    #[test]
    fn free_ports_are_found_and_differ() {
        let chosen = choose(&[wish(None, None), wish(None, None)], &[], (true, true)).unwrap();
        let ports: Vec<u16> = chosen.ports.iter().map(|port| port.host_port).collect();
        assert_eq!(ports.len(), 4);
        assert!(ports[0] == ports[1] && ports[2] == ports[3] && ports[0] != ports[2] && ports[0] != 0);
        assert!(choose(&[wish(Some("::1"), Some(1))], &[], (true, false)).is_err());
    }
}
