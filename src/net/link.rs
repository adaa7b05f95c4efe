//! Links, addresses and routes by route netlink: what each act is called, and its bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use ipnet::IpNet;
use rustix::io::Errno;

use super::netlink::{
    ACK, APPEND, CREATE, DUMP, EXCL, Messages, REPLACE, Refused, Socket, as_text, attribute, attributes,
    u32_at,
};
use crate::{Error, Result};

pub(super) const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const SETLINK: u16 = 19;
const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const GETROUTE: u16 = 26;

pub(super) const IFF_UP: u32 = 1;
pub(super) const IFLA_ADDRESS: u16 = 1;
pub(super) const IFLA_IFNAME: u16 = 3;
pub(super) const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_PROTINFO: u16 = 12;
pub(super) const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_NET_NS_FD: u16 = 28;
pub(super) const IFLA_INFO_KIND: u16 = 1;
pub(super) const IFLA_INFO_DATA: u16 = 2;
pub(super) const VETH_INFO_PEER: u16 = 1;
const IFLA_BRPORT_STATE: u16 = 1;
const IFLA_BRPORT_MODE: u16 = 4;
const IFLA_BRPORT_FLUSH: u16 = 26;
const IFLA_BRPORT_ISOLATED: u16 = 33;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_NODAD: u32 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_GATEWAY: u16 = 5;
pub(super) const AF_UNSPEC: u8 = 0;
const AF_INET: u8 = 2;
const AF_BRIDGE: u8 = 7;
const AF_INET6: u8 = 10;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;
const RTPROT_BOOT: u8 = 3;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;

/// The longest name of a link.
pub(crate) const NAME_LIMIT: usize = 15;

/// A link as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) up: bool,
    /// `bridge`, `veth`, …; empty for hardware.
    pub(crate) kind: String,
    pub(crate) mac: [u8; 6],
}

/// A veth pair to make: one end here, the other in a namespace.
pub(crate) struct Pair<'a> {
    pub(crate) host: &'a str,
    /// The index of the bridge that the host's end joins.
    pub(crate) bridge: u32,
    pub(crate) peer: &'a str,
    pub(crate) mac: [u8; 6],
    pub(crate) mtu: Option<u32>,
    pub(crate) namespace: BorrowedFd<'a>,
}

/// Route netlink of one network namespace.
pub(crate) struct Links(pub(super) Socket);

impl Links {
    /// Of the calling thread's namespace.
    pub(crate) fn open() -> Result<Self> {
        Socket::route()
            .map(Self)
            .map_err(|errno| Error::failed(format!("open route netlink: {}", words(errno))))
    }

    /// The link of that name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Link>> {
        let mut messages = Messages::new();
        messages.message(GETLINK, ACK, &link_header(0, 0, AF_UNSPEC)).text(IFLA_IFNAME, name);
        let mut link = None;
        match self.0.query(messages, |kind, payload| {
            if kind == NEWLINK {
                link = read_link(payload);
            }
        }) {
            Ok(()) => Ok(link),
            Err(Errno::NODEV) => Ok(None),
            Err(errno) => Err(failed(&format!("look for the link {name}"), errno)),
        }
    }

    /// Makes a bridge, up, or takes the one that is there.
    pub(crate) fn bridge(&self, name: &str, mac: [u8; 6], mtu: Option<u32>) -> Result<Link> {
        let mut messages = Messages::new();
        messages
            .message(NEWLINK, ACK | CREATE | EXCL, &link_header(0, IFF_UP, AF_UNSPEC))
            .text(IFLA_IFNAME, name)
            .put(IFLA_ADDRESS, &mac);
        if let Some(mtu) = mtu {
            messages.native(IFLA_MTU, mtu);
        }
        messages.nest(IFLA_LINKINFO, |info| {
            info.put(IFLA_INFO_KIND, b"bridge");
        });
        let act = format!("create the bridge {name}");
        match self.0.execute(messages).map_err(|refused| refused.errno) {
            // Somebody else was faster: theirs is as good.
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(failed(&act, errno)),
        }
        let link = self.find(name)?.ok_or_else(|| failed(&act, Errno::NODEV))?;
        if link.kind != "bridge" {
            return Err(Error::conflict(format!("{act}: a link of that name is there and is no bridge"))
                .hint("rename that link, or give the network another bridge name"));
        }
        Ok(link)
    }

    /// Makes a veth pair, the host's end in its bridge and up. The kernel refuses to make the other one up
    /// before the pair is whole: see [`Links::configure`].
    pub(crate) fn veth(&self, pair: &Pair) -> Result<(), Errno> {
        let mut messages = Messages::new();
        messages
            .message(NEWLINK, ACK | CREATE | EXCL, &link_header(0, IFF_UP, AF_UNSPEC))
            .text(IFLA_IFNAME, pair.host)
            .native(IFLA_MASTER, pair.bridge);
        if let Some(mtu) = pair.mtu {
            messages.native(IFLA_MTU, mtu);
        }
        messages.nest(IFLA_LINKINFO, |info| {
            info.put(IFLA_INFO_KIND, b"veth").nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |peer| {
                    peer.raw(&link_header(0, 0, AF_UNSPEC))
                        .text(IFLA_IFNAME, pair.peer)
                        .put(IFLA_ADDRESS, &pair.mac)
                        .native(IFLA_NET_NS_FD, pair.namespace.as_raw_fd() as u32);
                    if let Some(mtu) = pair.mtu {
                        peer.native(IFLA_MTU, mtu);
                    }
                });
            });
        });
        self.0.execute(messages).map_err(|refused| refused.errno)
    }

    /// Sets up a bridge's port. `hairpin` lets frames leave by the port they came from, which a rewritten
    /// destination needs where bridged frames pass the firewall; `isolated` ports do not reach one another.
    pub(crate) fn port(&self, index: u32, hairpin: bool, isolated: bool) -> Result<()> {
        let mut messages = Messages::new();
        messages.message(SETLINK, ACK, &link_header(index, 0, AF_BRIDGE)).nest(IFLA_PROTINFO, |port| {
            port.put(IFLA_BRPORT_MODE, &[u8::from(hairpin)]);
            if isolated {
                port.put(IFLA_BRPORT_ISOLATED, &[1]);
            }
        });
        self.run(messages, &[], "set the modes of the bridge's port")
    }

    /// Makes a bridge port carry nothing any more and be forgotten by the bridge, at once: deleting a link waits
    /// some 30 ms for the kernel's other processors, a namespace's end does that in the background. A link that
    /// is not there is none; one that cannot be silenced is deleted.
    pub(crate) fn silence(&self, name: &str) -> Result<()> {
        let Some(link) = self.find(name)? else { return Ok(()) };
        let mut messages = Messages::new();
        messages.message(SETLINK, ACK, &link_header(link.index, 0, AF_BRIDGE)).nest(IFLA_PROTINFO, |port| {
            port.put(IFLA_BRPORT_STATE, &[0]).put(IFLA_BRPORT_FLUSH, &[]);
        });
        match self.0.execute(messages) {
            Ok(()) | Err(Refused { errno: Errno::NODEV, .. }) => Ok(()),
            Err(_) => self.delete(name).map(drop),
        }
    }

    /// Brings a link up.
    pub(crate) fn up(&self, index: u32) -> Result<()> {
        let mut messages = Messages::new();
        messages.message(NEWLINK, ACK, &link_header(index, IFF_UP, AF_UNSPEC));
        self.run(messages, &[], "bring the link up")
    }

    /// Removes a link; says whether it was there.
    pub(crate) fn delete(&self, name: &str) -> Result<bool> {
        let mut messages = Messages::new();
        messages.message(DELLINK, ACK, &link_header(0, 0, AF_UNSPEC)).text(IFLA_IFNAME, name);
        match self.0.execute(messages).map_err(|refused| refused.errno) {
            Ok(()) => Ok(true),
            Err(Errno::NODEV) => Ok(false),
            Err(errno) => Err(failed(&format!("delete the link {name}"), errno)),
        }
    }

    /// Brings a link up and gives it its addresses and then its routes (destination, gateway), in one call.
    /// What is there already is left as it is.
    pub(crate) fn configure(
        &self,
        index: u32,
        addresses: &[IpNet],
        routes: &[(IpNet, Option<IpAddr>)],
    ) -> Result<()> {
        let mut messages = Messages::new();
        messages.message(NEWLINK, ACK, &link_header(index, IFF_UP, AF_UNSPEC));
        for address in addresses {
            put_address(&mut messages, index, address);
        }
        for (destination, gateway) in routes {
            put_route(&mut messages, (index, EXCL), destination, *gateway);
        }
        let names: Vec<String> = std::iter::once("bring the link up".to_owned())
            .chain(addresses.iter().map(|address| format!("give the address {address}")))
            .chain(routes.iter().map(|(destination, _)| format!("add the route to {destination}")))
            .collect();
        self.run(messages, &names, "configure the link")
    }

    /// Sends everything that has no way of its own by this link, whatever way it had.
    pub(crate) fn lead_out(&self, index: u32, routes: &[(IpNet, Option<IpAddr>)]) -> Result<()> {
        for (destination, gateway) in routes {
            let mut messages = Messages::new();
            put_route(&mut messages, (index, REPLACE), destination, *gateway);
            self.run(messages, &[], "move the default route")?;
        }
        Ok(())
    }

    /// Takes packets to an address of the host's own that come by this link. Done already, it is left as it is.
    pub(crate) fn accept(&self, index: u32, address: Ipv6Addr) -> Result<()> {
        let mut messages = Messages::new();
        let header = [AF_INET6, 128, 0, 0, RT_TABLE_LOCAL, RTPROT_BOOT, 0, RTN_LOCAL, 0, 0, 0, 0];
        messages.message(NEWROUTE, ACK | CREATE | APPEND, &header).put(RTA_DST, &address.octets());
        messages.native(RTA_OIF, index);
        self.run(messages, &[], &format!("take packets to {address}"))
    }

    /// Every address of the namespace and every destination in its main routing table but the default, without
    /// those of the link `except`.
    pub(crate) fn used(&self, except: Option<u32>) -> Result<Vec<IpNet>> {
        let mut found = Vec::new();
        let mut messages = Messages::new();
        messages.message(GETADDR, DUMP, &[0; 8]);
        let each = |kind: u16, payload: &[u8]| {
            let index = u32_at(payload, 4);
            if kind == NEWADDR && (index != except || except.is_none()) {
                let rest = payload.get(8..).unwrap_or_default();
                found.extend(net(
                    payload,
                    attribute(rest, IFA_LOCAL).or_else(|| attribute(rest, IFA_ADDRESS)),
                ));
            }
        };
        self.0.query(messages, each).map_err(|errno| failed("list addresses", errno))?;
        let mut messages = Messages::new();
        messages.message(GETROUTE, DUMP, &[0; 12]);
        let each = |kind: u16, payload: &[u8]| {
            let rest = payload.get(12..).unwrap_or_default();
            let index = attribute(rest, RTA_OIF).and_then(|value| u32_at(value, 0));
            let main = payload.get(4) == Some(&RT_TABLE_MAIN);
            if kind == NEWROUTE && main && (index != except || except.is_none()) {
                found.extend(net(payload, attribute(rest, RTA_DST)));
            }
        };
        self.0.query(messages, each).map_err(|errno| failed("list routes", errno))?;
        Ok(found)
    }

    /// Executes; that something exists already is no failure. `names` says what each message does.
    pub(super) fn run(&self, messages: Messages, names: &[String], otherwise: &str) -> Result<()> {
        match self.0.execute(messages) {
            Ok(()) | Err(Refused { errno: Errno::EXIST, .. }) => Ok(()),
            Err(refused) => {
                let act = names.get(refused.message).map_or(otherwise, String::as_str);
                Err(failed(act, refused.errno))
            }
        }
    }
}

/// An error of the kernel's network, with what to do about the common ones.
pub(crate) fn failed(act: &str, errno: Errno) -> Error {
    let error = Error::failed(format!("{act}: {}", words(errno)));
    match errno {
        Errno::PERM | Errno::ACCESS => error.hint("networks need root: run wharfie as root, or use --network none or host"),
        Errno::OPNOTSUPP | Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT => {
            error.hint("the kernel lacks a module: `modprobe -a bridge veth nf_tables nft_nat nft_masq nft_fib_ipv4`, or use --network host")
        }
        _ => error,
    }
}

fn words(errno: Errno) -> String {
    crate::error::reason(&std::io::Error::from(errno))
}

pub(super) fn link_header(index: u32, flags: u32, family: u8) -> [u8; 16] {
    let mut header = [0; 16];
    header[0] = family;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&flags.to_ne_bytes());
    header
}

fn put_address(messages: &mut Messages, index: u32, address: &IpNet) {
    let mut header = [family(address), address.prefix_len(), 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let value = octets(address.addr());
    messages.message(NEWADDR, ACK | CREATE | EXCL, &header).put(IFA_LOCAL, &value).put(IFA_ADDRESS, &value);
    match address {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            messages.put(IFA_BROADCAST, &net.broadcast().octets());
        }
        IpNet::V4(_) => {}
        // Addresses are given out under a lock: asking the link for duplicates would only cost a second.
        IpNet::V6(_) => {
            messages.native(IFA_FLAGS, IFA_F_NODAD);
        }
    }
}

/// `how`: whether one that is there is kept ([`EXCL`]) or replaced ([`REPLACE`]).
fn put_route(
    messages: &mut Messages,
    (index, how): (u32, u16),
    destination: &IpNet,
    gateway: Option<IpAddr>,
) {
    let scope = if gateway.is_some() { 0 } else { 253 };
    let mut header = [0; 12];
    header[0] = family(destination);
    header[1] = destination.prefix_len();
    header[4] = RT_TABLE_MAIN;
    header[5] = RTPROT_BOOT;
    header[6] = scope;
    header[7] = RTN_UNICAST;
    messages.message(NEWROUTE, ACK | CREATE | how, &header);
    if destination.prefix_len() > 0 {
        messages.put(RTA_DST, &octets(destination.network()));
    }
    if let Some(gateway) = gateway {
        messages.put(RTA_GATEWAY, &octets(gateway));
    }
    messages.native(RTA_OIF, index);
}

fn read_link(payload: &[u8]) -> Option<Link> {
    let index = u32_at(payload, 4)?;
    let flags = u32_at(payload, 8)?;
    let mut link = Link { index, up: flags & IFF_UP != 0, kind: String::new(), mac: [0; 6] };
    for (kind, value) in attributes(payload.get(16..)?) {
        match kind {
            IFLA_ADDRESS => link.mac = value.first_chunk::<6>().copied().unwrap_or_default(),
            IFLA_LINKINFO => link.kind = attribute(value, IFLA_INFO_KIND).map(as_text).unwrap_or_default(),
            _ => {}
        }
    }
    Some(link)
}

/// A message's prefix length stands in its second byte, for addresses and for routes.
fn net(payload: &[u8], address: Option<&[u8]>) -> Option<IpNet> {
    IpNet::new(read_address(address?)?, *payload.get(1)?).ok()
}

fn read_address(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into()),
        16 => value.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    }
}

fn family(net: &IpNet) -> u8 {
    if net.addr().is_ipv4() { AF_INET } else { AF_INET6 }
}

/// The address's bytes, 4 or 16.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `aa:bb:cc:dd:ee:ff` as bytes.
///
/// # Errors
/// docker's words for what is no hardware address.
pub(crate) fn parse_mac(text: &str) -> Result<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    for byte in &mut mac {
        let part = parts.next().filter(|part| part.len() == 2);
        *byte = part
            .and_then(|part| u8::from_str_radix(part, 16).ok())
            .ok_or_else(|| Error::usage(format!("{text} is not a valid mac address")))?;
    }
    // The lowest bit of the first byte marks a group: no link may have such an address.
    if parts.next().is_some() || mac[0] & 1 == 1 {
        return Err(Error::usage(format!("{text} is not a valid mac address")));
    }
    Ok(mac)
}

/// Bytes as `aa:bb:cc:dd:ee:ff`.
pub(crate) fn format_mac(mac: [u8; 6]) -> String {
    let parts: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

/// The hardware address that belongs to an IP address, docker's `02:42:` form: an address that is given out
/// again later is found at once, whatever neighbours remember.
pub(crate) fn mac_of(address: IpAddr) -> [u8; 6] {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [0x02, 0x42, a, b, c, d]
        }
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            [0x02, 0x43, a, b, c, d]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        assert_eq!(format_mac(parse_mac("02:42:0A:04:00:02").unwrap()), "02:42:0a:04:00:02");
        for wrong in [
            "",
            "02:42:0a:04:00",
            "02:42:0a:04:00:02:03",
            "01:00:00:00:00:00",
            "zz:42:0a:04:00:02",
            "2:4:0:4:0:2",
        ] {
            assert!(parse_mac(wrong).is_err(), "{wrong}");
        }
        assert_eq!(mac_of("10.4.0.2".parse().unwrap()), [2, 0x42, 10, 4, 0, 2]);
    }
}
