//! Joining one more network while a container runs, and leaving one: the interface comes and goes, and the
//! default route and the published ports follow docker's choice of the network that leads out.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use super::bridge::host_interfaces;
use super::cni::Network;
use super::connect::bound;
use super::driver::{self, SetUp};
use super::firewall::Firewall;
use super::link::Links;
use super::{
    Connect, Connection, Endpoint, Join, Networks, Publish, PublishedPort, collect, endpoint, namespace,
};
use crate::{Error, Result};

impl Networks {
    /// The interface that a container would get on one more network.
    pub fn next_interface(connection: &Connection, join: &Join) -> String {
        let taken = |name: &str| connection.endpoints.iter().any(|known| known.interface == name);
        let numbered = || (0..).map(|number| format!("eth{number}")).find(|name| !taken(name));
        join.interface.clone().or_else(numbered).unwrap_or_default()
    }

    /// Refuses what cannot be joined, before a container runs.
    ///
    /// # Errors
    /// docker's words for an address that the network does not have.
    pub fn check(&self, network: &str, join: &Join) -> Result<()> {
        let network = self.network(network)?;
        driver::of(self, &network).validate(join).map_err(|error| error.context(&network.name))
    }

    /// Joins the network of the last endpoint of `wish`, whose other endpoints are those that `connection` has.
    /// On failure all is as it was.
    ///
    /// # Errors
    /// docker's words for an unknown network and an address or interface that is taken.
    pub fn join(&self, connection: &Connection, wish: &Connect) -> Result<Connection> {
        let Some((join, others)) = wish.endpoints.split_last() else { return Ok(connection.clone()) };
        let network = self.network(&join.network)?;
        driver::of(self, &network).validate(join).map_err(|error| error.context(&network.name))?;
        let interface = Self::next_interface(connection, join);
        if connection.endpoints.iter().any(|known| known.interface == interface) {
            return Err(Error::conflict(format!("the container has an interface {interface} already"))
                .hint("leave out com.docker.network.endpoint.ifname, or choose another name"));
        }
        let inside = namespace::open(&connection.namespace)?;
        let firewall = Firewall::open()?;
        let request = SetUp {
            owner: &wish.owner,
            join,
            interface: &interface,
            first: false,
            firewall: &firewall,
            namespace: &inside,
            namespace_path: &connection.namespace,
            ports: &[],
        };
        let made = driver::of(self, &network)
            .set_up(&request)
            .map_err(|error| error.context(format!("connect to the network {}", network.name)));
        firewall.close(Duration::ZERO);
        let made = made?;
        let mut joined = connection.clone();
        joined.endpoints.push(made.clone());
        let outcome = endpoint::finish(&inside, join, &made.interface)
            .and_then(|()| super::sysctl::forward_ipv4())
            .and_then(|switched_on| {
                joined.forwarding_switched_on = switched_on;
                let all: Vec<Join> = others.iter().chain([join]).cloned().collect();
                self.settle_way_out(&mut joined, connection, &Connect { endpoints: all, ..wish.clone() })
            });
        match outcome {
            Ok(()) => Ok(joined),
            Err(error) => {
                // The first failure is what the user must know.
                let _ = self.unmake(&wish.owner, connection, &made);
                let _ = self.restore(connection);
                Err(error)
            }
        }
    }

    /// Leaves `network`; `wish` tells of the networks that stay. What is gone already is no failure.
    ///
    /// # Errors
    /// All failures in one, when the rest was done.
    pub fn leave(&self, connection: &Connection, network: &str, wish: &Connect) -> Result<Connection> {
        let mut left = connection.clone();
        let Some(index) = left.endpoints.iter().position(|known| known.network == network) else {
            return Ok(left);
        };
        let gone = left.endpoints.remove(index);
        if index == 0 && !connection.ports.is_empty() {
            self.withdraw(&wish.owner)?;
        }
        let unmade = self.unmake(&wish.owner, connection, &gone);
        if index == 0 {
            // Nothing is published from here on, whatever becomes of the next network.
            left.ports = Vec::new();
        }
        let settled = self.settle_way_out(&mut left, connection, wish);
        collect([unmade, settled])?;
        Ok(left)
    }

    /// Takes down one endpoint that a killed command may have left half made, found by owner and interface.
    /// Idempotent.
    ///
    /// # Errors
    /// All failures in one.
    pub fn forget_endpoint(&self, connection: &Connection, network: &str, interface: &str) -> Result<()> {
        let owner = &connection.owner;
        let made = Endpoint { network: network.into(), interface: interface.into(), ..Endpoint::default() };
        let unmade = self.unmake(owner, connection, &made);
        let freed =
            self.free_addresses(|taken| taken.owner == *owner && taken.interface == interface).map(drop);
        collect([unmade, freed])
    }

    /// Brings the default route and the ports of a running container to what `connection` says.
    ///
    /// # Errors
    /// All failures in one.
    pub fn restore(&self, connection: &Connection) -> Result<()> {
        let route = match connection.endpoints.first() {
            Some(first) => self.lead_out(connection, first),
            None => Ok(()),
        };
        collect([route, self.restore_ports(connection)])
    }

    /// Takes the endpoint's link and addresses.
    fn unmake(&self, owner: &str, connection: &Connection, made: &Endpoint) -> Result<()> {
        let torn = match self.get(&made.network) {
            Ok(network) => driver::of(self, &network).tear_down(owner, &connection.namespace, made),
            Err(_) => {
                let register = super::address::Addresses::at(self.data_dir.join(&made.network));
                super::bridge::take_down(&register, owner, made)
            }
        };
        // The other end of a pair goes with it.
        let inner = match namespace::open(&connection.namespace) {
            Ok(inside) => namespace::inside(&inside, || Links::open()?.delete(&made.interface)).map(drop),
            Err(_) => Ok(()),
        };
        let outer = Links::open().and_then(|links| {
            host_interfaces(owner, &made.interface).try_for_each(|name| links.delete(&name).map(drop))
        });
        collect([torn, inner, outer])
    }

    /// Puts the network that leads out first, and gives it the default route and the ports.
    fn settle_way_out(&self, connection: &mut Connection, before: &Connection, wish: &Connect) -> Result<()> {
        let was = before.endpoints.first().map(|first| first.network.as_str());
        let Some(index) = self.way_out(connection, wish) else { return Ok(()) };
        let first = connection.endpoints.remove(index);
        let moved = was != Some(first.network.as_str());
        connection.endpoints.insert(0, first);
        if !moved {
            return Ok(());
        }
        let Some(first) = connection.endpoints.first() else { return Ok(()) };
        self.lead_out(connection, first)?;
        if wish.ports.is_empty() {
            return Ok(());
        }
        let network = self.network(&first.network)?;
        self.withdraw(&wish.owner)?;
        connection.ports = Vec::new();
        if network.publishes() {
            let firewall = Firewall::open()?;
            // The same ports as before, where there were any.
            let again = again(&before.ports, first);
            let ports = if again.is_empty() { bound(&wish.ports, &network) } else { again };
            let wish = Connect { ports, ..wish.clone() };
            let published = self.publish(&wish, first, &firewall);
            firewall.close_after_removal();
            connection.ports = published?;
        }
        Ok(())
    }

    /// The place of the network that leads out: docker's order.
    fn way_out(&self, connection: &Connection, wish: &Connect) -> Option<usize> {
        let key = |(index, endpoint): (usize, &Endpoint)| {
            let join = wish.endpoints.iter().find(|join| join.network == endpoint.network);
            let leads =
                self.get(&endpoint.network).map_or(!endpoint.gateways.is_empty(), |found| found.leads_out());
            (order(leads, join.map_or(0, |join| join.priority), &endpoint.network), index)
        };
        connection.endpoints.iter().enumerate().map(key).min().map(|(_, index)| index)
    }

    fn lead_out(&self, connection: &Connection, endpoint: &Endpoint) -> Result<()> {
        let on_link = endpoint.gateways.is_empty()
            && endpoint.driver == "ipvlan"
            && self.get(&endpoint.network).is_ok_and(|network| network.leads_out());
        let default = |v4: bool| if v4 { super::DEFAULT_V4 } else { super::DEFAULT_V6 };
        let routes: Vec<(IpNet, Option<IpAddr>)> = if on_link {
            endpoint.addresses.iter().map(|net| (default(net.addr().is_ipv4()), None)).collect()
        } else {
            endpoint.gateways.iter().map(|by| (default(by.is_ipv4()), Some(*by))).collect()
        };
        if routes.is_empty() {
            return Ok(());
        }
        namespace::inside(&namespace::open(&connection.namespace)?, || {
            let links = Links::open()?;
            let link = links.find(&endpoint.interface)?;
            let link =
                link.ok_or_else(|| Error::failed(format!("the link {} has gone", endpoint.interface)))?;
            links.lead_out(link.index, &routes)
        })
    }

    fn withdraw(&self, owner: &str) -> Result<()> {
        let tag = self.tag(owner);
        Firewall::open().and_then(|firewall| firewall.withdraw(|found| found == tag)).map(drop)
    }
}

/// The wishes for the same ports on another network, of the families that it has.
fn again(ports: &[PublishedPort], endpoint: &Endpoint) -> Vec<Publish> {
    let has =
        |address: &IpAddr| endpoint.addresses.iter().any(|net| net.addr().is_ipv4() == address.is_ipv4());
    ports.iter().filter(|port| has(&port.host_ip)).map(Publish::again).collect()
}

/// docker's order of a container's networks, the one with the default route first: those that lead out, the
/// highest priority, the first name.
pub(crate) fn order(leads: bool, priority: i64, name: &str) -> (bool, std::cmp::Reverse<i64>, String) {
    (!leads, std::cmp::Reverse(priority), name.to_owned())
}

impl Network {
    /// Whether it has a default route to give.
    pub(crate) fn leads_out(&self) -> bool {
        // What other plugins do is theirs to know.
        let route = self.settings.routes.iter().any(|(destination, _)| destination.prefix_len() == 0);
        !self.internal && (route || !self.settings.native)
    }

    /// Whether ports can be published on it: the others are reached on addresses of their own, or not at all.
    pub(crate) fn publishes(&self) -> bool {
        !self.internal && self.settings.sublink.is_none()
    }
}
