//! Connecting a container to its networks and taking it off again: all is checked, then made, and unmade when
//! a later step fails.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use super::cni::Network;
use super::driver::{self, SetUp};
use super::firewall::Firewall;
use super::known::DEFAULT;
use super::{
    Connect, Connection, Endpoint, Join, Networks, Publish, PublishedPort, collect, loopback, namespace,
    ports, sysctl,
};
use crate::store::{Lock, make_directory};
use crate::{Error, Kind, Result};

impl Networks {
    /// Connects the namespace to every network of `wish` and publishes its ports. On failure nothing is left.
    ///
    /// # Errors
    /// docker's words for an unknown network, an address that is taken, a port that is taken; the failing
    /// step of the kernel's network otherwise.
    pub fn connect(&self, wish: &Connect, namespace: &Path) -> Result<Connection> {
        namespace::check_owner(&wish.owner)?;
        let networks: Vec<Network> =
            wish.endpoints.iter().map(|join| self.network(&join.network)).collect::<Result<_>>()?;
        for (network, join) in networks.iter().zip(&wish.endpoints) {
            driver::of(self, network).validate(join).map_err(|error| error.context(&network.name))?;
        }
        let mut connection =
            Connection { owner: wish.owner.clone(), namespace: namespace.into(), ..Connection::default() };
        if networks.is_empty() {
            return Ok(connection);
        }
        let first = way_out(&networks, &wish.endpoints);
        let wish = &Connect { ports: bound(&wish.ports, &networks[first]), ..wish.clone() };
        let inside = namespace::open(namespace)?;
        let firewall = Firewall::open()?;
        let outcome = self
            .check_ports(wish, &networks[first], &firewall)
            .and_then(|ports| self.set_up(wish, &networks, (&inside, &firewall, &ports), &mut connection));
        firewall.close(Duration::ZERO);
        match outcome {
            Ok(()) => Ok(connection),
            Err(error) => {
                // The first failure is what the user must know; what cannot be undone is for `reap`.
                let _ = self.disconnect(&connection);
                Err(error)
            }
        }
    }

    /// Connects, and tells in `connection` what is to be undone when it fails.
    fn set_up(
        &self,
        wish: &Connect,
        networks: &[Network],
        (namespace, firewall, mapped): (&File, &Firewall, &[Publish]),
        connection: &mut Connection,
    ) -> Result<()> {
        let interfaces = super::endpoint::interfaces(&wish.endpoints)?;
        let first = way_out(networks, &wish.endpoints);
        for (number, (network, join)) in networks.iter().zip(&wish.endpoints).enumerate() {
            let request = SetUp {
                owner: &wish.owner,
                join,
                interface: &interfaces[number],
                first: number == first,
                firewall,
                namespace,
                namespace_path: &connection.namespace,
                ports: if number == first { mapped } else { &[] },
            };
            let endpoint = driver::of(self, network)
                .set_up(&request)
                .map_err(|error| error.context(format!("connect to the network {}", network.name)))?;
            let place = if number == first { 0 } else { connection.endpoints.len() };
            connection.endpoints.insert(place, endpoint.clone());
            super::endpoint::finish(namespace, join, &endpoint.interface)?;
        }
        connection.forwarding_switched_on = sysctl::forward_ipv4()?;
        let publishes = !wish.ports.is_empty() && networks[first].publishes();
        if let Some(endpoint) = connection.endpoints.first().filter(|_| publishes) {
            connection.ports = if mapped.is_empty() {
                self.publish(wish, endpoint, firewall)?
            } else {
                mapped.iter().filter_map(as_asked).collect()
            };
        }
        Ok(())
    }

    /// Takes back what [`Networks::connect`] gave: rules, links, addresses. What is gone already is no
    /// failure, and a failing step does not stop the next one. The namespace stays.
    ///
    /// # Errors
    /// All failures in one.
    pub fn disconnect(&self, connection: &Connection) -> Result<()> {
        let owner = &connection.owner;
        let mut outcomes = Vec::new();
        if !connection.ports.is_empty() {
            let tag = self.tag(owner);
            outcomes.push(
                Firewall::open().and_then(|firewall| firewall.withdraw(|found| found == tag)).map(drop),
            );
        }
        for endpoint in connection.endpoints.iter().rev() {
            let outcome = match self.get(&endpoint.network) {
                Ok(network) => driver::of(self, &network).tear_down(owner, &connection.namespace, endpoint),
                // The network was removed meanwhile: its register of addresses may still be there.
                Err(_) => {
                    let register = super::address::Addresses::at(self.data_dir.join(&endpoint.network));
                    super::bridge::take_down(&register, owner, endpoint)
                }
            };
            outcomes.push(
                outcome.map_err(|error| error.context(format!("leave the network {}", endpoint.network))),
            );
        }
        collect(outcomes)
    }

    /// Whose a rule is, in its comment.
    pub(crate) fn tag(&self, owner: &str) -> String {
        format!("{owner} {}", self.mark())
    }

    pub(super) fn network(&self, name: &str) -> Result<Network> {
        match self.get(name) {
            Err(error) if error.kind == Kind::NotFound && name == DEFAULT => self.ensure_default(),
            other => other,
        }
    }

    pub(super) fn lock_ports(&self) -> Result<Lock> {
        make_directory(&self.data_dir, 0o700)?;
        Lock::file(&self.data_dir.join(".wharfie-ports.lock"))
    }

    /// Refuses ports that are taken before anything is made, by the families of the network that they are
    /// published on. A plugin chain that maps ports by itself is given ports that are chosen here.
    fn check_ports(&self, wish: &Connect, first: &Network, firewall: &Firewall) -> Result<Vec<Publish>> {
        if wish.ports.is_empty() || !first.publishes() {
            return Ok(Vec::new());
        }
        let native = first.settings.native;
        if !native && !first.maps_ports() {
            return Err(Error::failed(format!(
                "the network {} cannot publish ports: no plugin of it maps any",
                first.name
            ))
            .hint("leave out -p, or add the portmap plugin to the network's configuration"));
        }
        let nets = first.nets();
        let has = |v4: bool| nets.iter().any(|net| net.addr().is_ipv4() == v4);
        let families = if native { (has(true), has(false)) } else { (true, false) };
        let chosen = ports::choose(&wish.ports, &firewall.published()?, families)
            .map_err(|error| in_dockers_words(error, &wish.name))?;
        let concrete = |port: &PublishedPort| Publish {
            host_ip: Some(port.host_ip).filter(|address| !address.is_unspecified()),
            host_port: Some(port.host_port),
            host_port_last: None,
            container_port: port.container_port,
            protocol: port.protocol,
        };
        Ok(if native { Vec::new() } else { chosen.ports.iter().map(concrete).collect() })
    }

    pub(super) fn publish(
        &self,
        wish: &Connect,
        endpoint: &Endpoint,
        firewall: &Firewall,
    ) -> Result<Vec<PublishedPort>> {
        let (v4, v6) = endpoint.first_addresses();
        let words = |error| in_dockers_words(error, &wish.name);
        loopback::lead(&endpoint.bridge, (v4.is_some(), v6.is_some()), firewall)?;
        // Held from the look to the rules, so that two commands never choose one port.
        let _lock = self.lock_ports()?;
        let families = (v4.is_some(), v6.is_some());
        let chosen = ports::choose(&wish.ports, &firewall.published()?, families).map_err(words)?;
        let published = super::republish::rules(&chosen.ports, &self.tag(&wish.owner), (v4, v6));
        firewall.publish(&published).map_err(words)?;
        Ok(chosen.ports)
    }
}

/// The place of the network that has the default route and the ports.
fn way_out(networks: &[Network], joins: &[Join]) -> usize {
    let key = |(index, (network, join)): (usize, (&Network, &Join))| {
        (super::join::order(network.leads_out(), join.priority, &network.name), index)
    };
    networks.iter().zip(joins).enumerate().map(key).min().map_or(0, |(_, index)| index)
}

/// The ports with the network's own address for those that name none (`host_binding_ipv4`).
pub(super) fn bound(ports: &[Publish], network: &Network) -> Vec<Publish> {
    let on = |port: &Publish| port.host_ip.or(network.settings.host_binding);
    ports.iter().map(|port| Publish { host_ip: on(port), ..port.clone() }).collect()
}

fn as_asked(port: &Publish) -> Option<PublishedPort> {
    Some(PublishedPort {
        host_ip: port.host_ip.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)),
        host_port: port.host_port?,
        container_port: port.container_port,
        protocol: port.protocol,
    })
}

pub(super) fn in_dockers_words(error: Error, name: &str) -> Error {
    error.context(format!("driver failed programming external connectivity on endpoint {name}"))
}
