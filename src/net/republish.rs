//! Ports of a container that runs already: some taken back, others published, all or nothing.

use std::net::IpAddr;
use std::time::Duration;

use super::connect::{bound, in_dockers_words};
use super::firewall::{Firewall, Published};
use super::{Connection, Endpoint, Networks, Publish, PublishedPort, loopback, ports};
use crate::{Error, Result};

/// What is to change.
#[derive(Debug, Clone, Default)]
pub struct Republish {
    /// Ports of the connection that are to be free again.
    pub gone: Vec<PublishedPort>,
    /// Ports to publish.
    pub new: Vec<Publish>,
}

impl Networks {
    /// Changes what is published of a connected container, which `name` names in messages: the ports as they
    /// are then. On failure nothing has changed.
    ///
    /// # Errors
    /// docker's words for a port that is taken; a network that cannot publish.
    pub fn republish(
        &self,
        connection: &Connection,
        name: &str,
        wish: &Republish,
    ) -> Result<Vec<PublishedPort>> {
        let Some(endpoint) = connection.endpoints.first().filter(|endpoint| !endpoint.bridge.is_empty())
        else {
            return Err(Error::conflict(
                "its ports cannot change while it runs: no bridge network of ours leads out of it",
            )
            .hint("ports of other networks are published when the container starts"));
        };
        let network = self.get(&endpoint.network).ok().filter(|network| network.settings.native);
        let Some(network) = network else {
            return Err(Error::conflict(format!(
                "its ports cannot change while it runs: plugins publish those of the network {}",
                endpoint.network
            ))
            .hint("stop the container, change its ports, and start it"));
        };
        let (v4, v6) = endpoint.first_addresses();
        let words = |error| in_dockers_words(error, name);
        let tag = self.tag(&connection.owner);
        let firewall = Firewall::open()?;
        loopback::lead(&endpoint.bridge, (v4.is_some(), v6.is_some()), &firewall)?;
        // Held from the look to the rules, so that two commands never choose one port.
        let _lock = self.lock_ports()?;
        let is_gone = |port: &Published| port.tag == tag && wish.gone.iter().any(|gone| is_of(port, gone));
        let (gone, taken): (Vec<Published>, Vec<Published>) =
            firewall.published()?.into_iter().partition(is_gone);
        let chosen = ports::choose(&bound(&wish.new, &network), &taken, (v4.is_some(), v6.is_some()))
            .map_err(words)?;
        let outcome = firewall.exchange(&gone, &rules(&chosen.ports, &tag, (v4, v6))).map_err(words);
        firewall.close(Duration::ZERO);
        outcome?;
        let kept = connection.ports.iter().filter(|port| !wish.gone.contains(port)).cloned();
        Ok(kept.chain(chosen.ports).collect())
    }

    /// Brings the rules of a container's ports to what `connection` says, whatever a killed command has left: none
    /// where it says nothing.
    ///
    /// # Errors
    /// docker's words for a port that another container has by now.
    pub fn restore_ports(&self, connection: &Connection) -> Result<()> {
        let tag = self.tag(&connection.owner);
        let endpoint = connection.endpoints.first().filter(|endpoint| !endpoint.bridge.is_empty());
        let kept = endpoint
            .map(|endpoint| rules(&connection.ports, &tag, endpoint.first_addresses()))
            .unwrap_or_default();
        let firewall = Firewall::open()?;
        let _lock = self.lock_ports()?;
        let there: Vec<Published> =
            firewall.published()?.into_iter().filter(|port| port.tag == tag).collect();
        let without = |ports: &[Published], others: &[Published]| -> Vec<Published> {
            ports.iter().filter(|port| !others.contains(port)).cloned().collect()
        };
        let outcome = firewall.exchange(&without(&there, &kept), &without(&kept, &there));
        firewall.close_after_removal();
        outcome
    }
}

impl Endpoint {
    /// Its first address of each family, where ports lead to.
    pub(super) fn first_addresses(&self) -> (Option<IpAddr>, Option<IpAddr>) {
        let first = |v4| self.addresses.iter().map(ipnet::IpNet::addr).find(|ip| ip.is_ipv4() == v4);
        (first(true), first(false))
    }
}

fn is_of(rule: &Published, port: &PublishedPort) -> bool {
    (rule.host, rule.host_port, rule.container_port, rule.protocol)
        == (port.host_ip, port.host_port, port.container_port, port.protocol)
}

/// The rules of ports that lead to a container's addresses, one a family.
pub(super) fn rules(
    ports: &[PublishedPort],
    tag: &str,
    (v4, v6): (Option<IpAddr>, Option<IpAddr>),
) -> Vec<Published> {
    let rule = |port: &PublishedPort| {
        Some(Published {
            host: port.host_ip,
            protocol: port.protocol,
            host_port: port.host_port,
            container: if port.host_ip.is_ipv4() { v4 } else { v6 }?,
            container_port: port.container_port,
            tag: tag.to_owned(),
        })
    };
    ports.iter().filter_map(rule).collect()
}
