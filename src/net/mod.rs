//! Links, addresses, rules and ports: networks as CNI configurations, made natively through netlink and
//! nftables, synchronously, with no plugin and no iptables binary. Nothing here knows containerd.

mod address;
mod bridge;
pub mod cached;
pub mod cni;
mod conflist;
mod connect;
mod conntrack;
mod create;
mod derived;
mod driver;
mod endpoint;
mod firewall;
mod join;
mod known;
mod link;
mod loopback;
pub mod names;
mod namespace;
mod netlink;
mod nftables;
mod plugin;
mod ports;
mod reap;
mod republish;
pub mod resolver;
mod ruleset;
mod sublink;
mod sysctl;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

pub use self::cni::{Kept, Network, Subnet};
pub use self::create::{NewNetwork, Pool};
pub(crate) use self::namespace::inside;
pub use self::republish::Republish;
use crate::oci::request::Protocol;
use crate::{Error, Result};

/// Everywhere, as a route's destination.
pub(crate) const DEFAULT_V4: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));
pub(crate) const DEFAULT_V6: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0));

/// Where networks are kept, and the name space of their users.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Networks {
    /// The directory of conflists (`/etc/cni/net.d`).
    pub conf_dir: PathBuf,
    /// containerd's namespace: networks of its own lie in a directory of that name below, as nerdctl has it.
    #[serde(default)]
    pub namespace: String,
    /// host-local's directory of address files (`/var/lib/cni/networks`).
    pub data_dir: PathBuf,
    /// Plugin binaries for types that are not native.
    pub plugin_path: PathBuf,
    /// Where network namespaces are bind-mounted.
    pub namespaces: PathBuf,
}

/// A container's wish to be connected.
#[derive(Debug, Clone)]
pub struct Connect {
    /// Unique on this machine, `<containerd namespace>-<container id>`: the owner in address files, the name
    /// of the namespace file and the comment of rules.
    pub owner: String,
    /// What the user calls it, for messages.
    pub name: String,
    /// The networks, the first one gets eth0.
    pub endpoints: Vec<Join>,
    /// What is published on the network with the default route.
    pub ports: Vec<Publish>,
}

/// One network to join.
#[derive(Debug, Clone, Default)]
pub struct Join {
    /// The network's name.
    pub network: String,
    /// A fixed IPv4 address.
    pub ipv4: Option<IpAddr>,
    /// A fixed IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// A fixed hardware address, `aa:bb:…`.
    pub mac: Option<String>,
    /// Further addresses, which hold on this link alone.
    pub link_local: Vec<IpAddr>,
    /// The interface's name; None is `eth` and a number.
    pub interface: Option<String>,
    /// `net.ipv4.conf.IFNAME.x=1`: the interface's settings.
    pub sysctls: Vec<String>,
    /// Which network has the default route: the highest, else the first name.
    pub priority: i64,
}

/// One port to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// None means every address of the host.
    pub host_ip: Option<IpAddr>,
    /// None means a free one.
    pub host_port: Option<u16>,
    /// The last one of a range that begins with `host_port`, of which a free one is taken.
    pub host_port_last: Option<u16>,
    /// The port in the container.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

/// What was connected: enough to take it down again, kept in the container's files and shown by `inspect`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connection {
    /// The owner it was made for.
    pub owner: String,
    /// The namespace's path.
    pub namespace: PathBuf,
    /// One a network, the one with the default route first.
    pub endpoints: Vec<Endpoint>,
    /// The ports as they came out: every host port chosen.
    pub ports: Vec<PublishedPort>,
    /// This host did not forward packets and was made to; told once, not kept.
    #[serde(skip)]
    pub forwarding_switched_on: bool,
}

/// One joined network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Endpoint {
    /// The network's name.
    pub network: String,
    /// The network's id, 64 hexadecimal digits.
    pub network_id: String,
    /// `eth0`, in the container.
    pub interface: String,
    /// The host's end.
    pub host_interface: String,
    /// The bridge's name, where there is one.
    pub bridge: String,
    /// The network's driver; empty for what an earlier version connected.
    pub driver: String,
    /// The container's hardware address.
    pub mac: String,
    /// Its addresses with their prefix.
    pub addresses: Vec<IpNet>,
    /// The gateways, one an address family.
    pub gateways: Vec<IpAddr>,
}

/// One published port as it came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The host's address, 0.0.0.0 for every one.
    pub host_ip: IpAddr,
    /// The host's port.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
    /// The protocol.
    pub protocol: Protocol,
}

impl Publish {
    /// The wish for exactly what came out before.
    pub(crate) fn again(port: &PublishedPort) -> Self {
        Self {
            host_ip: Some(port.host_ip),
            host_port: Some(port.host_port),
            host_port_last: None,
            container_port: port.container_port,
            protocol: port.protocol,
        }
    }
}

/// The path of an owner's namespace below `namespaces`.
pub fn namespace_path(namespaces: &Path, owner: &str) -> PathBuf {
    namespaces.join(owner)
}

/// One error out of the failures of steps that do not depend on one another.
pub(crate) fn collect(outcomes: impl IntoIterator<Item = Result<()>>) -> Result<()> {
    let mut errors = outcomes.into_iter().filter_map(Result::err);
    let Some(mut first) = errors.next() else { return Ok(()) };
    for Error { message, hints, .. } in errors {
        first.message = format!("{}; {message}", first.message);
        first.hints.extend(hints.into_iter().filter(|hint| !first.hints.contains(hint)).collect::<Vec<_>>());
    }
    Err(first)
}
