//! What the rules mean. One table a family, `wharfie`: fixed rules that look names and addresses up in sets,
//! so that a network or a port comes and goes by one element, in constant time, and each element's comment
//! tells whose it is.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;
use rustix::io::Errno;

use super::conntrack;
use super::link::{failed, octets};
use super::netlink::Socket;
use super::nftables::{self, Batch, Element, Family, Step};
use super::ruleset::{LONG, META_IIFNAME, META_OIFNAME, TABLE, foundation};
use crate::oci::request::Protocol;
use crate::{Error, Result};

/// The chain where iptables-nft, docker and ufw judge forwarded packets.
const FORWARD: (&str, &str) = ("filter", "FORWARD");

/// When to close a socket that removed something.
const AFTER_REMOVAL: Duration = Duration::from_millis(60);

/// A published port as a map element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published {
    /// Unspecified for every address of the host.
    pub(crate) host: IpAddr,
    pub(crate) protocol: Protocol,
    pub(crate) host_port: u16,
    pub(crate) container: IpAddr,
    pub(crate) container_port: u16,
    /// Whose it is.
    pub(crate) tag: String,
}

/// What the rules must know of a bridge network.
#[derive(Debug)]
pub(crate) struct Zone<'a> {
    pub(crate) name: &'a str,
    pub(crate) bridge: &'a str,
    pub(crate) subnets: &'a [IpNet],
    /// Rewrite the source of what leaves by another interface.
    pub(crate) masquerade: bool,
    /// No traffic between this network and other isolated ones.
    pub(crate) isolated: bool,
    /// No traffic between this network and anything but this host.
    pub(crate) internal: bool,
    /// No traffic between its containers by way of its router; the bridge's ports see to the rest.
    pub(crate) separate: bool,
}

/// The firewall of the calling thread's network namespace.
pub(crate) struct Firewall(Socket);

impl Firewall {
    pub(crate) fn open() -> Result<Self> {
        Socket::netfilter().map(Self).map_err(|errno| failed("open nf_tables", errno))
    }

    /// Closes the socket without waiting. For some 12 ms after anybody's removal the kernel lets close() of such
    /// a socket wait until every processor has let go of what was removed, and other users of nf_tables with
    /// it. Without a thread, or when the process ends before, it is closed with that wait.
    pub(crate) fn close(self, after: Duration) {
        let thread = std::thread::Builder::new().name("close".into()).stack_size(64 * 1024);
        let _ = thread.spawn(move || {
            std::thread::sleep(after);
            drop(self.0);
        });
    }

    /// [`Firewall::close`] for who removed something.
    pub(crate) fn close_after_removal(self) {
        self.close(AFTER_REMOVAL);
    }

    /// Makes a network known. Done already, it costs one look-up.
    pub(crate) fn add_zone(&self, zone: &Zone) -> Result<()> {
        let key = interface(zone.bridge);
        let mut missing = Vec::new();
        for family in Family::BOTH {
            let subnets: Vec<&IpNet> =
                zone.subnets.iter().filter(|net| Family::of(net.addr()) == family).collect();
            if subnets.is_empty() {
                continue;
            }
            // The subnets go in with the bridge, so the bridge alone tells whether all is there; a network
            // that was made anew with another subnet differs in its comment.
            let known = self.elements(family, "bridges")?;
            let comment = zone_comment(zone);
            if !known.iter().any(|element| element.key == key && element.comment == comment) {
                let stale = known.iter().any(|element| element.key == key);
                missing.push((family, stale, subnets, comment));
            }
        }
        for (family, stale, subnets, comment) in missing {
            if stale {
                self.remove_zone(zone.bridge)?;
            }
            self.commit(family, "add the network's rules", || {
                let mut batch = Batch::new();
                let plain = |key: Vec<u8>| Element { key, comment: comment.clone(), ..Element::default() };
                batch.add(family, (TABLE, "bridges"), &[plain(key.clone())], false);
                if !zone.separate {
                    batch.add(family, (TABLE, "pairs"), &[plain([key.clone(), key.clone()].concat())], false);
                }
                if zone.isolated {
                    batch.add(family, (TABLE, "isolated"), &[plain(key.clone())], false);
                }
                if zone.internal {
                    batch.add(family, (TABLE, "internal"), &[plain(key.clone())], false);
                }
                for subnet in &subnets {
                    let interval = interval(subnet, zone.bridge);
                    batch.add(family, (TABLE, "subnets"), &interval, false);
                    if zone.masquerade {
                        batch.add(family, (TABLE, "masqueraded"), &interval, false);
                    }
                }
                batch
            })?;
        }
        self.open_foreign(zone)
    }

    /// Forgets a network.
    pub(crate) fn remove_zone(&self, bridge: &str) -> Result<()> {
        let key = interface(bridge);
        for family in Family::BOTH {
            let mut batch = Batch::new();
            for set in ["bridges", "pairs", "isolated", "internal", "guarded", "subnets", "masqueraded"] {
                let elements: Vec<Element> = self
                    .elements(family, set)?
                    .into_iter()
                    .filter(|element| element.key.starts_with(&key) || element.comment == bridge)
                    .collect();
                // The end of an interval carries no comment: it is made from its begin.
                let elements = with_ends(set, elements, &self.elements(family, set)?);
                batch.remove(family, (TABLE, set), &elements);
            }
            batch.commit(&self.0).map_err(|errno| failed("remove the network's rules", errno))?;
        }
        self.close_foreign(bridge)
    }

    /// Publishes ports, all or none.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when one is published already.
    pub(crate) fn publish(&self, ports: &[Published]) -> Result<()> {
        self.exchange(&[], ports)
    }

    /// Takes ports back and publishes others, in one step a family of addresses.
    ///
    /// # Errors
    /// [`crate::Kind::Conflict`] when one is published already.
    pub(crate) fn exchange(&self, gone: &[Published], new: &[Published]) -> Result<()> {
        for family in Family::BOTH {
            let elements = |ports: &[Published], any: bool| -> Vec<Element> {
                ports
                    .iter()
                    .filter(|port| Family::of(port.container) == family)
                    .filter(|port| port.host.is_unspecified() == any)
                    .map(element)
                    .collect()
            };
            if gone.iter().chain(new).all(|port| Family::of(port.container) != family) {
                continue;
            }
            self.commit(family, "publish the ports", || {
                let mut batch = Batch::new();
                for (set, any) in [("published_any", true), ("published", false)] {
                    batch.remove(family, (TABLE, set), &elements(gone, any));
                    batch.add(family, (TABLE, set), &elements(new, any), true);
                }
                batch
            })?;
        }
        self.forget_flows(gone)?;
        self.forget_flows(new)
    }

    /// Rules decide a flow's first packet only: a client that never stops sending datagrams would keep its old
    /// way, to the host or to a container that is gone.
    fn forget_flows(&self, ports: &[Published]) -> Result<()> {
        let udp = |port: &&Published| port.protocol == Protocol::Udp;
        let ports: Vec<(IpAddr, u16)> =
            ports.iter().filter(udp).map(|port| (port.host, port.host_port)).collect();
        conntrack::forget_udp(&self.0, &ports)
            .map_err(|errno| failed("forget connections to the ports", errno))
    }

    /// Whether ports published on every address are published on `::1` too, or that address is left alone.
    pub(crate) fn serve_loopback(&self, serve: bool) -> Result<()> {
        let key = octets(Ipv6Addr::LOCALHOST.into());
        let there = self.elements(Family::V6, "loopback")?.iter().any(|element| element.key == key);
        let element = Element { key, ..Element::default() };
        let mut batch = Batch::new();
        match (serve, there) {
            (true, false) => batch.add(Family::V6, (TABLE, "loopback"), &[element], false),
            (false, true) => batch.remove(Family::V6, (TABLE, "loopback"), &[element]),
            _ => return Ok(()),
        }
        match batch.commit(&self.0) {
            // The table of an earlier version has no such set, and another command may have been faster.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("publish on the loopback", errno)),
        }
    }

    /// Every published port.
    pub(crate) fn published(&self) -> Result<Vec<Published>> {
        let mut found = Vec::new();
        for family in Family::BOTH {
            for set in ["published", "published_any"] {
                found.extend(self.elements(family, set)?.iter().filter_map(|element| read(family, element)));
            }
        }
        Ok(found)
    }

    /// Takes back every port whose tag is meant, and gives them.
    pub(crate) fn withdraw(self, meant: impl Fn(&str) -> bool) -> Result<Vec<Published>> {
        let ports = self.withdraw_open(meant)?;
        self.forget_flows(&ports)?;
        if !ports.is_empty() {
            self.close_after_removal();
        }
        Ok(ports)
    }

    fn withdraw_open(&self, meant: impl Fn(&str) -> bool) -> Result<Vec<Published>> {
        // A port may go between the look and the act (two commands take one container down): look again.
        for _ in 0..10 {
            let ports: Vec<Published> =
                self.published()?.into_iter().filter(|port| meant(&port.tag)).collect();
            let mut outcome = Ok(());
            for family in Family::BOTH {
                let mut batch = Batch::new();
                for port in ports.iter().filter(|port| Family::of(port.container) == family) {
                    let set = if port.host.is_unspecified() { "published_any" } else { "published" };
                    batch.remove(family, (TABLE, set), &[element(port)]);
                }
                outcome = outcome.and(batch.commit(&self.0));
            }
            match outcome {
                Ok(()) => return Ok(ports),
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed("take the ports back", errno)),
            }
        }
        Err(Error::failed("take the ports back: the rules change all the time"))
    }

    fn elements(&self, family: Family, set: &str) -> Result<Vec<Element>> {
        match nftables::elements(&self.0, family, (TABLE, set)) {
            Ok(found) => Ok(found),
            // No IPv6 in this kernel: nothing can be there.
            Err(Errno::AFNOSUPPORT | Errno::OPNOTSUPP) if family == Family::V6 => Ok(Vec::new()),
            Err(errno) => Err(failed("read the rules", errno)),
        }
    }

    /// Commits what `build` gives; without the table it makes that first.
    fn commit(&self, family: Family, act: &str, build: impl Fn() -> Batch) -> Result<()> {
        match build().commit(&self.0) {
            Err(Errno::NOENT) => {}
            other => return other.map_err(|errno| refused(act, errno)),
        }
        match foundation(family).commit(&self.0) {
            // Another process made it at this moment.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed("create the nf_tables table wharfie", errno)),
        }
        build().commit(&self.0).map_err(|errno| match errno {
            Errno::NOENT => failed(act, errno)
                .hint("the nf_tables table wharfie has another form: `nft delete table ip wharfie`, then start the containers again"),
            errno => refused(act, errno),
        })
    }

    /// Where another tool drops forwarded packets by policy (docker, ufw: the table filter of iptables-nft),
    /// accepts the bridge's there, after all that they have to say: what they drop by a rule stays dropped. The
    /// table of ours then drops what no rule of ours lets in, so that this opens no more than the published ports.
    fn open_foreign(&self, zone: &Zone) -> Result<()> {
        let bridge = zone.bridge;
        for family in Family::BOTH {
            if !zone.subnets.iter().any(|net| Family::of(net.addr()) == family) {
                continue;
            }
            let Ok(Some(false)) = nftables::accepts(&self.0, family, FORWARD) else { continue };
            let tag = format!("wharfie:{bridge}");
            let there = nftables::commented_rules(&self.0, family, FORWARD).unwrap_or_default();
            if there.iter().any(|(_, comment)| *comment == tag) {
                continue;
            }
            let name = interface(bridge);
            let guarded = Element { key: name.clone(), comment: bridge.into(), ..Element::default() };
            self.commit(family, "accept the bridge in the table filter", || {
                let mut batch = Batch::new();
                batch.add(family, (TABLE, "guarded"), std::slice::from_ref(&guarded), false);
                for key in [META_IIFNAME, META_OIFNAME] {
                    let steps = [
                        Step::Meta { key, register: LONG },
                        Step::Equal { register: LONG, value: &name },
                        Step::Counter,
                        Step::Accept,
                    ];
                    batch.rule(family, FORWARD, &steps, Some(&tag));
                }
                batch
            })?;
        }
        Ok(())
    }

    fn close_foreign(&self, bridge: &str) -> Result<()> {
        let tag = format!("wharfie:{bridge}");
        for family in Family::BOTH {
            let mut batch = Batch::new();
            for (handle, comment) in nftables::commented_rules(&self.0, family, FORWARD).unwrap_or_default() {
                if comment == tag {
                    batch.delete_rule(family, FORWARD, handle);
                }
            }
            batch.commit(&self.0).map_err(|errno| failed("remove rules of the table filter", errno))?;
        }
        Ok(())
    }
}

fn refused(act: &str, errno: Errno) -> Error {
    match errno {
        Errno::EXIST => Error::conflict("port is already allocated"),
        errno => failed(act, errno),
    }
}

/// An interface's name as a key: 16 bytes, filled with zeros.
fn interface(name: &str) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    key.resize(16, 0);
    key
}

fn zone_comment(zone: &Zone) -> String {
    let subnets: Vec<String> = zone.subnets.iter().map(|net| net.trunc().to_string()).collect();
    let masquerade = if zone.masquerade { " masquerade" } else { "" };
    let isolated = if zone.isolated { " isolated" } else { "" };
    let internal = if zone.internal { " internal" } else { "" };
    let separate = if zone.separate { " separate" } else { "" };
    format!("{} {}{masquerade}{isolated}{internal}{separate}", zone.name, subnets.join(" "))
}

fn interval(subnet: &IpNet, comment: &str) -> [Element; 2] {
    let begin = Element { key: octets(subnet.network()), comment: comment.into(), ..Element::default() };
    let end = Element { key: after(&octets(subnet.broadcast())), end: true, ..Element::default() };
    [begin, end]
}

/// The number after a big-endian one.
fn after(key: &[u8]) -> Vec<u8> {
    let mut key = key.to_vec();
    for byte in key.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            break;
        }
    }
    key
}

/// Adds to the begins of intervals the ends that belong to them: the smallest end above each.
fn with_ends(set: &str, begins: Vec<Element>, all: &[Element]) -> Vec<Element> {
    if set != "subnets" && set != "masqueraded" {
        return begins;
    }
    let mut elements = Vec::new();
    for begin in begins.into_iter().filter(|element| !element.end) {
        let end =
            all.iter().filter(|element| element.end && element.key > begin.key).min_by_key(|end| &end.key);
        elements.extend(end.cloned());
        elements.push(begin);
    }
    elements
}

fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    }
}

/// Fields of a concatenation are padded to four bytes.
fn element(port: &Published) -> Element {
    let mut key = if port.host.is_unspecified() { Vec::new() } else { octets(port.host) };
    key.extend([number(port.protocol), 0, 0, 0]);
    key.extend(port.host_port.to_be_bytes());
    key.extend([0, 0]);
    let mut data = octets(port.container);
    data.extend(port.container_port.to_be_bytes());
    data.extend([0, 0]);
    Element { key, data, comment: port.tag.clone(), end: false }
}

fn read(family: Family, element: &Element) -> Option<Published> {
    let length = match family {
        Family::V4 => 4,
        Family::V6 => 16,
    };
    let unspecified: IpAddr = match family {
        Family::V4 => std::net::Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    let (host, rest) = match element.key.split_at_checked(element.key.len().checked_sub(8)?)? {
        ([], rest) => (unspecified, rest),
        (host, rest) => (address(host)?, rest),
    };
    let protocol = match rest.first()? {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        132 => Protocol::Sctp,
        _ => return None,
    };
    let port = |bytes: Option<&[u8]>| bytes?.first_chunk::<2>().map(|port| u16::from_be_bytes(*port));
    Some(Published {
        host,
        protocol,
        host_port: port(rest.get(4..))?,
        container: address(element.data.get(..length)?)?,
        container_port: port(element.data.get(length..))?,
        tag: element.comment.clone(),
    })
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        16 => bytes.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_survives_the_way_through_an_element() {
        for (host, container) in
            [("0.0.0.0", "10.4.0.2"), ("192.0.2.2", "10.4.0.2"), ("::", "fd00::2"), ("fd01::1", "fd00::2")]
        {
            let port = Published {
                host: host.parse().unwrap(),
                protocol: Protocol::Udp,
                host_port: 8080,
                container: container.parse().unwrap(),
                container_port: 80,
                tag: "default-abc".into(),
            };
            let family = Family::of(port.container);
            assert_eq!(read(family, &element(&port)), Some(port));
        }
    }

    #[test]
    fn an_interval_ends_after_its_last_address() {
        let [begin, end] = interval(&"10.4.255.0/24".parse().unwrap(), "br");
        assert_eq!((begin.key, end.key), (vec![10, 4, 255, 0], vec![10, 5, 0, 0]));
    }
}
