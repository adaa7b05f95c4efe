//! The macvlan and ipvlan drivers: links of a container's own on a link of the host.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;

use ipnet::IpNet;

use super::address::{Addresses, Claim};
use super::bridge::{check_fixed, routes};
use super::cni::{Network, is_link_name};
use super::derived::Sub;
use super::driver::{Driver, SetUp};
use super::link::{Link, Links, format_mac, mac_of, parse_mac};
use super::{Endpoint, Join, Networks, namespace};
use crate::{Error, Result};

/// What a network of this kind says of its links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sublink {
    /// `macvlan` or `ipvlan`.
    pub(crate) kind: &'static str,
    /// The host's link.
    pub(crate) parent: String,
    /// The kernel's number of the mode.
    pub(crate) mode: u32,
    /// ipvlan's l3: nobody answers for a gateway there.
    pub(crate) routed: bool,
}

/// The name of a parent that is made for a network which was given none.
pub(crate) const OWN_PARENT: &str = "dm-";

impl Sublink {
    /// None for another kind of plugin, and for what only the plugin itself knows.
    pub(crate) fn parse(kind: &str, parent: &str, mode: &str) -> Option<Self> {
        let (kind, mode) = match (kind, mode) {
            ("macvlan", "" | "bridge") => ("macvlan", 4),
            ("macvlan", "private") => ("macvlan", 1),
            ("macvlan", "vepa") => ("macvlan", 2),
            ("macvlan", "passthru") => ("macvlan", 8),
            ("ipvlan", "" | "l2") => ("ipvlan", 0),
            ("ipvlan", "l3") => ("ipvlan", 1),
            ("ipvlan", "l3s") => ("ipvlan", 2),
            _ => return None,
        };
        // Without one the plugin looks for the link of the default route.
        is_link_name(parent).then(|| Self {
            kind,
            parent: parent.into(),
            mode,
            routed: kind == "ipvlan" && mode != 0,
        })
    }

    /// The parent, up; made where it is one that goes with its networks: a VLAN's link (`eth0.10`), or a parent
    /// for networks that were given none.
    ///
    /// # Errors
    /// A parent that is not there and cannot be made.
    pub(crate) fn parent(&self, links: &Links) -> Result<Link> {
        let name = &self.parent;
        let link = match links.find(name)? {
            Some(link) => link,
            None if name.starts_with(OWN_PARENT) => links.parent(name)?,
            None => {
                let vlan = name.rsplit_once('.').and_then(|(base, id)| Some((base, id.parse::<u16>().ok()?)));
                let Some((base, id)) = vlan.filter(|(_, id)| (1..4095).contains(id)) else {
                    return Err(Error::not_found(format!(
                        "-o parent interface was not found on the host: {name}"
                    ))
                    .hint("`ip link` shows the interfaces; eth0.10 is made where eth0 is"));
                };
                let base_link = links.find(base)?.ok_or_else(|| {
                    Error::not_found(format!("-o parent interface was not found on the host: {base}"))
                        .hint("`ip link` shows the interfaces")
                })?;
                links.vlan(name, base_link.index, id)?
            }
        };
        if !link.up {
            links.up(link.index)?;
        }
        Ok(link)
    }
}

/// The driver of one such network.
pub(crate) struct Sublinks<'a> {
    pub(crate) networks: &'a Networks,
    pub(crate) network: &'a Network,
    pub(crate) sublink: &'a Sublink,
}

impl Driver for Sublinks<'_> {
    fn validate(&self, join: &Join) -> Result<()> {
        check_fixed(self.network, join)?;
        if join.mac.is_some() && self.sublink.kind == "ipvlan" {
            return Err(Error::usage("ipvlan interfaces do not support custom mac address assignment"));
        }
        Ok(())
    }

    fn set_up(&self, request: &SetUp) -> Result<Endpoint> {
        let fixed: Vec<IpAddr> = [request.join.ipv4, request.join.ipv6].into_iter().flatten().collect();
        let mark = self.networks.mark();
        let claim = Claim { owner: request.owner, interface: request.interface, mark: &mark };
        let addresses = Addresses::new(&self.networks.data_dir, self.network);
        let given = addresses.take(self.network, claim, &fixed)?;
        let made = (|| -> Result<[u8; 6]> {
            let links = Links::open()?;
            let parent = self.sublink.parent(&links)?;
            let mac = match (&request.join.mac, self.sublink.kind) {
                (_, "ipvlan") => None,
                (Some(mac), _) => Some(parse_mac(mac)?),
                (None, _) => given.first().map(|(net, _)| mac_of(net.addr())),
            };
            links.sublink(&Sub {
                name: request.interface,
                parent: parent.index,
                kind: self.sublink.kind,
                mode: self.sublink.mode,
                mac,
                mtu: self.network.settings.mtu,
                namespace: request.namespace.as_fd(),
            })?;
            let inner = namespace::inside(request.namespace, Links::open)?;
            let configured = (|| -> Result<[u8; 6]> {
                let link = inner.find(request.interface)?;
                let link =
                    link.ok_or_else(|| Error::failed(format!("the link {} has gone", request.interface)))?;
                let own: Vec<IpNet> = given.iter().map(|(net, _)| *net).collect();
                let mut routes = routes(self.network, request.first, &given);
                if self.sublink.routed {
                    routes.iter_mut().for_each(|(_, by)| *by = None);
                }
                inner.configure(link.index, &own, &routes)?;
                Ok(link.mac)
            })();
            configured.inspect_err(|_| {
                let _ = inner.delete(request.interface);
            })
        })();
        let mac = made.inspect_err(|_| {
            let _ = addresses.give_back(request.owner, given.iter().map(|(net, _)| net.addr()));
        })?;
        let has_gateway = !self.sublink.routed && !self.network.settings.routes.is_empty();
        Ok(Endpoint {
            network: self.network.name.clone(),
            network_id: self.network.id.clone(),
            interface: request.interface.into(),
            mac: format_mac(mac),
            addresses: given.iter().map(|(net, _)| *net).collect(),
            gateways: if has_gateway { given.iter().map(|(_, by)| *by).collect() } else { Vec::new() },
            driver: self.network.driver.clone(),
            ..Endpoint::default()
        })
    }

    fn tear_down(&self, owner: &str, _namespace: &Path, endpoint: &Endpoint) -> Result<()> {
        // The link goes with the namespace, or has been deleted in it.
        let addresses = Addresses::new(&self.networks.data_dir, self.network);
        addresses.give_back(owner, endpoint.addresses.iter().map(IpNet::addr))
    }

    fn prepare(&self) -> Result<()> {
        self.sublink.parent(&Links::open()?).map(drop)
    }

    fn dismantle(&self) -> Result<()> {
        if self.network.kept.link_stays || !self.network.managed {
            return Ok(());
        }
        let name = &self.sublink.parent;
        // A VLAN's link may serve another network, also of another namespace.
        let shared = self.networks.everywhere()?.into_iter().any(|other| {
            other.path != self.network.path
                && other.settings.sublink.is_some_and(|other| other.parent == *name)
        });
        if shared { Ok(()) } else { Links::open()?.delete(name).map(drop) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_parents() {
        let parse = |kind, mode| Sublink::parse(kind, "eth0", mode).map(|found| (found.mode, found.routed));
        for (kind, mode, expected) in [
            ("macvlan", "", Some((4, false))),
            ("macvlan", "passthru", Some((8, false))),
            ("macvlan", "l2", None),
            ("ipvlan", "", Some((0, false))),
            ("ipvlan", "l3", Some((1, true))),
            ("ipvlan", "bridge", None),
            ("bridge", "", None),
        ] {
            assert_eq!(parse(kind, mode), expected, "{kind} {mode}");
        }
        assert_eq!(Sublink::parse("macvlan", "", "bridge"), None);
    }
}
