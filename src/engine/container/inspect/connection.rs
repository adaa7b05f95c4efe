//! How a container is connected at this moment. Of ours the state tells; of others the kernel, through /proc of
//! their process, without going into their namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use oci_spec::runtime::LinuxNamespaceType;
use serde::Deserialize;

use super::foreign::{has_namespace, label};
use crate::engine::container::model::{Container, Origin};
use crate::net::{Connection, Endpoint, PublishedPort};
use crate::oci::request::Protocol;
use crate::store::read_bounded;

/// A network namespace of a container has few routes; larger tables are cut.
const LARGEST_TABLE: u64 = 256 << 10;
const LARGEST_RECORD: u64 = 1 << 20;

/// How `container` is connected; None when it does not run or shares the host's network.
pub fn connection(container: &Container) -> Option<Connection> {
    if container.origin == Origin::Wharfie {
        return container.state.connection.clone();
    }
    if container.pid == 0 || !has_namespace(&super::spec(container), LinuxNamespaceType::Network) {
        return None;
    }
    Some(Connection {
        namespace: PathBuf::from(format!("/proc/{}/ns/net", container.pid)),
        endpoints: endpoints(container),
        ports: ports(container),
        ..Connection::default()
    })
}

/// The names of the networks that a container of nerdctl's was made for.
pub fn networks_of(container: &Container) -> Vec<String> {
    label(&container.raw.labels, "nerdctl/networks")
}

fn endpoints(container: &Container) -> Vec<Endpoint> {
    let names = networks_of(container);
    let table = |name: &str| table(Path::new(&format!("/proc/{}/net/{name}", container.pid)));
    let mut endpoints = from_tables(&table("route"), &table("fib_trie"), &table("if_inet6"));
    for (endpoint, name) in endpoints.iter_mut().zip(names) {
        endpoint.network = name;
    }
    endpoints
}

fn table(path: &Path) -> String {
    read_bounded(path, LARGEST_TABLE)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// An interface each, in the order of their names, from the kernel's tables of routes and of addresses.
fn from_tables(routes: &str, tries: &str, v6: &str) -> Vec<Endpoint> {
    let routes: Vec<Route> = routes.lines().filter_map(Route::parse).collect();
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for address in local_addresses(tries) {
        let connected =
            routes.iter().filter(|route| route.gateway.is_unspecified() && route.network.contains(&address));
        let Some(route) = connected.max_by_key(|route| route.network.prefix_len()) else { continue };
        let Ok(network) = Ipv4Net::new(address, route.network.prefix_len()) else { continue };
        of_interface(&mut endpoints, &route.interface).addresses.push(IpNet::V4(network));
    }
    for route in
        routes.iter().filter(|route| !route.gateway.is_unspecified() && route.network.prefix_len() == 0)
    {
        of_interface(&mut endpoints, &route.interface).gateways.push(IpAddr::V4(route.gateway));
    }
    for (interface, network) in v6.lines().filter_map(global_v6) {
        of_interface(&mut endpoints, interface).addresses.push(IpNet::V6(network));
    }
    endpoints.sort_by(|a, b| a.interface.cmp(&b.interface));
    endpoints
}

fn of_interface<'e>(endpoints: &'e mut Vec<Endpoint>, interface: &str) -> &'e mut Endpoint {
    let known = endpoints.iter().position(|endpoint| endpoint.interface == interface);
    let index = known.unwrap_or_else(|| {
        endpoints.push(Endpoint { interface: interface.into(), ..Endpoint::default() });
        endpoints.len() - 1
    });
    &mut endpoints[index]
}

/// A line of /proc/net/route: numbers in hexadecimal, the host's byte order for network order.
struct Route {
    interface: String,
    network: Ipv4Net,
    gateway: Ipv4Addr,
}

impl Route {
    fn parse(line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let address = |index: usize| {
            let number = u32::from_str_radix(fields.get(index)?, 16).ok()?;
            Some(Ipv4Addr::from(number.to_ne_bytes()))
        };
        Some(Self {
            interface: (*fields.first()?).to_owned(),
            gateway: address(2)?,
            network: Ipv4Net::with_netmask(address(1)?, address(7)?).ok()?,
        })
    }
}

/// The addresses that are the namespace's own: `/32 host LOCAL` below a leaf. Loopback's has no route, which
/// leaves it out later.
fn local_addresses(tries: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut leaf: Option<Ipv4Addr> = None;
    for line in tries.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = leaf
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// A line of /proc/net/if_inet6, where its address is a global one.
fn global_v6(line: &str) -> Option<(&str, Ipv6Net)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let address = Ipv6Addr::from(u128::from_str_radix(fields.first()?, 16).ok()?);
    let prefix = u8::from_str_radix(fields.get(2)?, 16).ok()?;
    let scope = *fields.get(3)?;
    (scope == "00").then_some((*fields.get(5)?, Ipv6Net::new(address, prefix).ok()?))
}

/// A port as nerdctl keeps it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct NerdctlPort {
    host_port: u16,
    container_port: u16,
    protocol: Protocol,
    #[serde(rename = "HostIP")]
    host_ip: IpAddr,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NerdctlNetwork {
    port_mappings: Vec<NerdctlPort>,
}

/// nerdctl keeps published ports in a label, from version 2.1 on in a file beside its container's other ones.
fn ports(container: &Container) -> Vec<PublishedPort> {
    let labels = &container.raw.labels;
    let mut kept: Vec<NerdctlPort> = label(labels, "nerdctl/ports");
    if kept.is_empty()
        && let Some(directory) = labels.get("nerdctl/state-dir")
        && let Ok(json) = read_bounded(&Path::new(directory).join("network-config.json"), LARGEST_RECORD)
    {
        kept = serde_json::from_slice::<NerdctlNetwork>(&json).unwrap_or_default().port_mappings;
    }
    kept.into_iter()
        .map(|port| PublishedPort {
            host_ip: port.host_ip,
            host_port: port.host_port,
            container_port: port.container_port,
            protocol: port.protocol,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0100040A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth0\t0000040A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    const TRIES: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.4.0.7\n        \
        /32 host LOCAL\nLocal:\n     |-- 10.4.0.7\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\n";
    const V6: &str = "00000000000000000000000000000001 01 80 10 80       lo\n\
        fd000000000000000000000000000007 02 40 00 80     eth0\nfe800000000000000000000000000007 02 40 20 80     eth0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn the_kernels_tables_tell_the_addresses() {
        let endpoints = from_tables(ROUTES, TRIES, V6);
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0].interface, "eth0");
        let addresses: Vec<String> = endpoints[0].addresses.iter().map(IpNet::to_string).collect();
        assert_eq!(addresses, ["10.4.0.7/24", "fd00::7/64"]);
        assert_eq!(endpoints[0].gateways, ["10.4.0.1".parse::<IpAddr>().unwrap()]);
        assert!(from_tables("", "", "").is_empty());
        assert!(from_tables("eth0\tzz", "|-- x\n/32 host LOCAL", "zz 1").is_empty());
    }

    #[test]
    fn nerdctls_ports_are_read() {
        let json = r#"[{"HostPort":8080,"ContainerPort":80,"Protocol":"tcp","HostIP":"0.0.0.0"}]"#;
        let labels = [("nerdctl/ports".to_owned(), json.to_owned())].into();
        let container = Container {
            raw: crate::containerd::Container { labels, ..Default::default() },
            ..super::super::tests::container()
        };
        let ports = ports(&container);
        assert_eq!(
            (ports[0].host_port, ports[0].container_port, ports[0].protocol),
            (8080, 80, Protocol::Tcp)
        );
    }
}
