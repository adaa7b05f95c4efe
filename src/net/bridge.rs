//! The bridge driver: a bridge a network, a veth pair a container.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;

use ipnet::IpNet;
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::address::{Addresses, Claim, Given};
use super::cni::Network;
use super::driver::{Driver, SetUp};
use super::firewall::{Firewall, Zone};
use super::link::{Link, Links, Pair, failed, format_mac, mac_of, parse_mac};
use super::{Endpoint, Join, Networks, collect, namespace, sysctl};
use crate::{Error, Result};

/// The driver of one bridge network.
pub(crate) struct Bridge<'a> {
    pub(crate) networks: &'a Networks,
    pub(crate) network: &'a Network,
}

impl Driver for Bridge<'_> {
    fn validate(&self, join: &Join) -> Result<()> {
        check_fixed(self.network, join)
    }

    fn set_up(&self, request: &SetUp) -> Result<Endpoint> {
        let fixed: Vec<IpAddr> = [request.join.ipv4, request.join.ipv6].into_iter().flatten().collect();
        let mark = self.networks.mark();
        let claim = Claim { owner: request.owner, interface: request.interface, mark: &mark };
        let addresses = Addresses::new(&self.networks.data_dir, self.network);
        // Before the bridge is looked for: who has an address keeps the network from being removed.
        let given = addresses.take(self.network, claim, &fixed)?;
        let made = Links::open().and_then(|links| {
            let bridge = self.bridge(&links, request.firewall)?;
            self.wire(&links, &bridge, request, &given)
        });
        let (host_interface, mac) = match made {
            Ok(made) => made,
            Err(error) => {
                let _ = addresses.give_back(request.owner, given.iter().map(|(net, _)| net.addr()));
                return Err(error);
            }
        };
        Ok(Endpoint {
            network: self.network.name.clone(),
            network_id: self.network.id.clone(),
            interface: request.interface.into(),
            host_interface,
            bridge: self.network.bridge.clone(),
            driver: self.network.driver.clone(),
            mac: format_mac(mac),
            addresses: given.iter().map(|(net, _)| *net).collect(),
            gateways: if self.network.settings.is_gateway && !self.network.internal {
                given.iter().map(|(_, gateway)| *gateway).collect()
            } else {
                Vec::new()
            },
        })
    }

    fn tear_down(&self, owner: &str, _namespace: &Path, endpoint: &Endpoint) -> Result<()> {
        let addresses = Addresses::new(&self.networks.data_dir, self.network);
        take_down(&addresses, owner, endpoint)
    }

    fn prepare(&self) -> Result<()> {
        let firewall = Firewall::open()?;
        let made = Links::open().and_then(|links| self.bridge(&links, &firewall)).map(drop);
        firewall.close(std::time::Duration::ZERO);
        made
    }

    fn dismantle(&self) -> Result<()> {
        let bridge = &self.network.bridge;
        let link = if self.network.kept.link_stays {
            Ok(())
        } else {
            Links::open().and_then(|links| links.delete(bridge)).map(drop)
        };
        let rules = Firewall::open().and_then(|firewall| {
            let outcome = firewall.remove_zone(bridge);
            firewall.close_after_removal();
            outcome
        });
        collect([link, rules])
    }
}

/// Refuses what no network of address ranges can give: a malformed hardware address, a foreign address.
pub(crate) fn check_fixed(network: &Network, join: &Join) -> Result<()> {
    if let Some(mac) = &join.mac {
        parse_mac(mac)?;
    }
    for address in [join.ipv4, join.ipv6].into_iter().flatten() {
        if !network.subnets.iter().any(|subnet| subnet.subnet.contains(&address)) {
            let nets: Vec<String> = network.nets().iter().map(IpNet::to_string).collect();
            return Err(Error::usage(format!("no configured subnet contains IP address {address}"))
                .hint(format!("the network {} has {}", network.name, nets.join(", "))));
        }
    }
    Ok(())
}

/// Silences the link before its address is free to be another's; it goes with the namespace.
pub(crate) fn take_down(addresses: &Addresses, owner: &str, endpoint: &Endpoint) -> Result<()> {
    let link = Links::open().and_then(|links| links.silence(&endpoint.host_interface));
    let freed = addresses.give_back(owner, endpoint.addresses.iter().map(IpNet::addr));
    collect([link, freed])
}

impl Bridge<'_> {
    /// The bridge, made with its gateway addresses and rules when it is not there.
    fn bridge(&self, links: &Links, firewall: &Firewall) -> Result<Link> {
        let network = self.network;
        let bridge = match links.find(&network.bridge)? {
            Some(link) if link.kind == "bridge" && link.up => link,
            Some(link) if link.kind == "bridge" => {
                links.up(link.index)?;
                link
            }
            // Also says so when the name is another kind of link's.
            _ => {
                let gateway = network.gateway().map(mac_of).unwrap_or([2, 0x42, 0, 0, 0, 1]);
                links.bridge(&network.bridge, gateway, network.settings.mtu)?
            }
        };
        if network.settings.is_gateway {
            let mut gateways: Vec<IpNet> = network
                .subnets
                .iter()
                .filter_map(|subnet| IpNet::new(subnet.gateway, subnet.subnet.prefix_len()).ok())
                .collect();
            gateways.dedup();
            links.configure(bridge.index, &gateways, &[])?;
            sysctl::route_ipv6(network.nets().iter().any(|net| net.addr().is_ipv6()))?;
        }
        firewall.add_zone(&Zone {
            name: &network.name,
            bridge: &network.bridge,
            subnets: &network.nets(),
            masquerade: network.settings.masquerade,
            isolated: network.settings.isolated,
            internal: network.internal,
            separate: network.settings.port_isolation,
        })?;
        Ok(bridge)
    }

    /// Makes the pair and configures its inner end; gives the host's end's name and the hardware address.
    fn wire(
        &self,
        links: &Links,
        bridge: &Link,
        request: &SetUp,
        given: &[Given],
    ) -> Result<(String, [u8; 6])> {
        let mac = match &request.join.mac {
            Some(mac) => parse_mac(mac)?,
            None => given.first().map(|(net, _)| mac_of(net.addr())).unwrap_or([2, 0x42, 0, 0, 0, 2]),
        };
        let host = self.pair(links, bridge, request, mac)?;
        let configured = (|| {
            let settings = &self.network.settings;
            if (settings.hairpin || settings.port_isolation)
                && let Some(link) = links.find(&host)?
            {
                links.port(link.index, settings.hairpin, settings.port_isolation)?;
            }
            let addresses: Vec<IpNet> = given.iter().map(|(net, _)| *net).collect();
            let routes = routes(self.network, request.first, given);
            let inner = namespace::inside(request.namespace, Links::open)?;
            let link = inner.find(request.interface)?;
            let link =
                link.ok_or_else(|| Error::failed(format!("the link {} has gone", request.interface)))?;
            inner.configure(link.index, &addresses, &routes)
        })();
        match configured {
            Ok(()) => Ok((host, mac)),
            Err(error) => {
                let _ = links.delete(&host);
                Err(error)
            }
        }
    }

    /// Makes the pair under the first free of the owner's names.
    fn pair(&self, links: &Links, bridge: &Link, request: &SetUp, mac: [u8; 6]) -> Result<String> {
        let mut last = Errno::EXIST;
        for host in host_interfaces(request.owner, request.interface) {
            let pair = Pair {
                host: &host,
                bridge: bridge.index,
                peer: request.interface,
                mac,
                mtu: self.network.settings.mtu,
                namespace: request.namespace.as_fd(),
            };
            match links.veth(&pair) {
                Ok(()) => return Ok(host),
                // Left by a killed process, or by the container's last run, whose namespace is just going.
                Err(Errno::EXIST) => links.silence(&host)?,
                Err(errno) => {
                    last = errno;
                    break;
                }
            }
        }
        Err(failed(&format!("create the veth pair for {}", request.interface), last))
    }
}

/// The conflist's routes, by the subnet's gateway where it names none; default routes only where they are asked
/// for (`with_default`), and then for every family that the network has.
pub(crate) fn routes(network: &Network, with_default: bool, given: &[Given]) -> Vec<(IpNet, Option<IpAddr>)> {
    let mut routes = Vec::new();
    let is_default = |destination: &IpNet| destination.prefix_len() == 0;
    let wants_default = network.settings.routes.iter().any(|(destination, _)| is_default(destination));
    for (net, gateway) in given {
        let family = net.addr().is_ipv4();
        let mine = network.settings.routes.iter().filter(|(to, _)| to.addr().is_ipv4() == family);
        for (destination, by) in mine.filter(|(destination, _)| with_default || !is_default(destination)) {
            routes.push((*destination, Some(by.unwrap_or(*gateway))));
        }
        if with_default
            && wants_default
            && !family
            && !routes.iter().any(|(to, _)| is_default(to) && !to.addr().is_ipv4())
        {
            routes.push((super::DEFAULT_V6, Some(*gateway)));
        }
    }
    routes
}

/// The names that the host's end may have: the same for the same owner and interface, so that it can be found
/// and deleted when nothing else is left to tell of it.
pub(crate) fn host_interfaces(owner: &str, interface: &str) -> impl Iterator<Item = String> {
    let digest: [u8; 32] = Sha256::digest(format!("{owner}/{interface}")).into();
    let name = |bytes: &[u8]| bytes.iter().fold("veth".to_owned(), |name, byte| format!("{name}{byte:02x}"));
    let names: Vec<String> = digest.chunks_exact(4).map(name).collect();
    names.into_iter()
}
