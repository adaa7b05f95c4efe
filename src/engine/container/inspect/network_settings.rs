//! The section `NetworkSettings`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::Facts;
use super::host_config::network_mode;
use crate::net::{Connection, Endpoint, PublishedPort};
use crate::oci::request::{EndpointRequest, NetworkMode};

/// Ports to where they are published; None for one that is only shown.
pub type Ports = BTreeMap<String, Option<Vec<PortBinding>>>;

/// How a container is connected. The addresses beside `Networks` are the first network's: docker dropped them
/// in version 29, scripts have not.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// The bridge of the first network.
    pub bridge: String,
    /// docker's id of a network namespace: here the owner of addresses and rules.
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    /// The network namespace's path.
    pub sandbox_key: String,
    /// `80/tcp` and so on.
    pub ports: Ports,
    /// Of the first network.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// Of the first network.
    pub gateway: String,
    /// Of the first network.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// Of the first network.
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    /// Of the first network.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// Of the first network.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    /// Of the first network.
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    /// Of the first network.
    pub mac_address: String,
    /// By the networks' names.
    pub networks: BTreeMap<String, EndpointSettings>,
}

/// Where a port is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortBinding {
    /// The host's address.
    #[serde(rename = "HostIp")]
    pub host_ip: String,
    /// The host's port.
    #[serde(rename = "HostPort")]
    pub host_port: String,
}

/// One network of a container.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct EndpointSettings {
    /// Addresses that the user fixed.
    #[serde(rename = "IPAMConfig")]
    pub ipam_config: Option<IpamConfig>,
    /// docker's old links.
    pub links: Option<Vec<String>>,
    /// Names on this network.
    pub aliases: Option<Vec<String>>,
    /// Options of the driver.
    pub driver_opts: Option<BTreeMap<String, String>>,
    /// Which network has the default route.
    pub gw_priority: i32,
    /// The network's id.
    #[serde(rename = "NetworkID")]
    pub network_id: String,
    /// The id of this end: the host's link.
    #[serde(rename = "EndpointID")]
    pub endpoint_id: String,
    /// IPv4's gateway.
    pub gateway: String,
    /// The IPv4 address.
    #[serde(rename = "IPAddress")]
    pub ip_address: String,
    /// The hardware address.
    pub mac_address: String,
    /// The IPv4 network's prefix.
    #[serde(rename = "IPPrefixLen")]
    pub ip_prefix_len: u8,
    /// IPv6's gateway.
    #[serde(rename = "IPv6Gateway")]
    pub ipv6_gateway: String,
    /// The IPv6 address.
    #[serde(rename = "GlobalIPv6Address")]
    pub global_ipv6_address: String,
    /// The IPv6 network's prefix.
    #[serde(rename = "GlobalIPv6PrefixLen")]
    pub global_ipv6_prefix_len: u8,
    /// Names that others can use.
    #[serde(rename = "DNSNames")]
    pub dns_names: Option<Vec<String>>,
}

/// Addresses that the user fixed.
#[derive(Debug, Clone, Serialize)]
pub struct IpamConfig {
    /// IPv4.
    #[serde(rename = "IPv4Address", skip_serializing_if = "Option::is_none")]
    pub ipv4_address: Option<IpAddr>,
    /// IPv6.
    #[serde(rename = "IPv6Address", skip_serializing_if = "Option::is_none")]
    pub ipv6_address: Option<IpAddr>,
}

pub(super) fn network_settings(facts: &Facts<'_>) -> NetworkSettings {
    let request = &facts.record.request.network;
    let mut networks = BTreeMap::new();
    let mut first = EndpointSettings::default();
    let asked = match &request.mode {
        NetworkMode::Container(_) | NetworkMode::Bridge => request.joined(),
        NetworkMode::Host | NetworkMode::None => {
            vec![EndpointRequest { network: network_mode(request), ..EndpointRequest::default() }]
        }
    };
    for (index, wish) in asked.iter().enumerate() {
        let made = facts.connection.as_ref().and_then(|connection| {
            // The one with the default route comes first there, whichever was named first.
            let named = connection.endpoints.iter().find(|endpoint| endpoint.network == wish.network);
            // Of other clients' containers the networks' names are not always known.
            named.or(connection.endpoints.get(index).filter(|endpoint| endpoint.network.is_empty()))
        });
        let settings = endpoint(wish, made, &facts.record.request.name);
        if index == 0 {
            first = settings.clone();
        }
        networks.insert(wish.network.clone(), settings);
    }
    let connection = facts.connection.clone().unwrap_or_default();
    NetworkSettings {
        // docker fills it for a bridge that it is told of alone.
        bridge: String::new(),
        sandbox_id: hexadecimal(&connection.owner),
        sandbox_key: connection.namespace.display().to_string(),
        ports: ports(facts, &connection),
        endpoint_id: first.endpoint_id,
        gateway: first.gateway,
        global_ipv6_address: first.global_ipv6_address,
        global_ipv6_prefix_len: first.global_ipv6_prefix_len,
        ip_address: first.ip_address,
        ip_prefix_len: first.ip_prefix_len,
        ipv6_gateway: first.ipv6_gateway,
        mac_address: first.mac_address,
        networks,
    }
}

fn endpoint(wish: &EndpointRequest, made: Option<&Endpoint>, name: &str) -> EndpointSettings {
    let fixed = wish.ipv4.is_some() || wish.ipv6.is_some();
    let named = !wish.aliases.is_empty() && !name.is_empty();
    let mut settings = EndpointSettings {
        ipam_config: fixed.then_some(IpamConfig { ipv4_address: wish.ipv4, ipv6_address: wish.ipv6 }),
        aliases: (!wish.aliases.is_empty()).then(|| wish.aliases.clone()),
        dns_names: named.then(|| [name.to_owned()].into_iter().chain(wish.aliases.iter().cloned()).collect()),
        mac_address: wish.mac.clone().unwrap_or_default(),
        ..EndpointSettings::default()
    };
    let Some(made) = made else { return settings };
    settings.network_id.clone_from(&made.network_id);
    settings.endpoint_id = hexadecimal(&made.host_interface);
    settings.mac_address.clone_from(&made.mac);
    if let Some(address) = made.addresses.iter().find(|address| address.addr().is_ipv4()) {
        settings.ip_address = address.addr().to_string();
        settings.ip_prefix_len = address.prefix_len();
    }
    if let Some(address) = made.addresses.iter().find(|address| address.addr().is_ipv6()) {
        settings.global_ipv6_address = address.addr().to_string();
        settings.global_ipv6_prefix_len = address.prefix_len();
    }
    let gateway =
        |v6: bool| made.gateways.iter().find(|gateway| gateway.is_ipv6() == v6).map(IpAddr::to_string);
    settings.gateway = gateway(false).unwrap_or_default();
    settings.ipv6_gateway = gateway(true).unwrap_or_default();
    settings
}

/// An id in docker's form, of 64 digits, for what has only a name here; nothing for nothing.
fn hexadecimal(name: &str) -> String {
    use sha2::{Digest, Sha256};
    if name.is_empty() {
        return String::new();
    }
    Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is published, and what is only shown. Nothing of either while it does not run, as docker has it.
fn ports(facts: &Facts<'_>, connection: &Connection) -> Ports {
    let mut ports = Ports::new();
    if facts.connection.is_none() {
        return ports;
    }
    for port in super::config::config(facts).exposed_ports.into_keys() {
        ports.insert(port, None);
    }
    for port in &connection.ports {
        ports.entry(name(port)).or_default().get_or_insert_default().push(binding(port));
    }
    ports
}

fn name(port: &PublishedPort) -> String {
    format!("{}/{}", port.container_port, port.protocol.name())
}

fn binding(port: &PublishedPort) -> PortBinding {
    PortBinding { host_ip: port.host_ip.to_string(), host_port: port.host_port.to_string() }
}
