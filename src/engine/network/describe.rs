//! docker's description of a network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Listed;
use super::users::{User, Users};
use crate::engine::Engine;
use crate::net::Network;
use crate::output::units::rfc3339_nano;

/// What `network inspect` shows.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Description {
    name: String,
    id: String,
    created: String,
    scope: &'static str,
    driver: String,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom,
    config_only: bool,
    containers: BTreeMap<String, Resource>,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    driver: &'static str,
    options: Option<BTreeMap<String, String>>,
    config: Vec<IpamConfig>,
}

#[derive(Debug, Default, PartialEq, Serialize)]
struct IpamConfig {
    #[serde(rename = "Subnet")]
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    #[serde(rename = "Gateway", skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "BTreeMap::is_empty")]
    auxiliary: BTreeMap<String, IpAddr>,
}

#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom {
    network: String,
}

#[derive(Debug, Serialize)]
struct Resource {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    #[serde(rename = "MacAddress")]
    mac_address: String,
    #[serde(rename = "IPv4Address")]
    ipv4_address: String,
    #[serde(rename = "IPv6Address")]
    ipv6_address: String,
}

/// Describe a network with those who run in it.
pub fn describe(engine: &Engine, listed: &Listed, users: &Users) -> Description {
    let inside = match &listed.network {
        Some(network) => users.running_in(engine, network),
        None => users.running_with(engine, listed.driver == "host"),
    };
    let kept = listed.network.as_ref().map(|network| network.kept.clone()).unwrap_or_default();
    let config = listed.network.as_ref().map(ipam_config).unwrap_or_default();
    let created = listed.created.map(|created| rfc3339_nano(created, &TimeZone::UTC));
    Description {
        name: listed.name.clone(),
        id: listed.id.clone(),
        created: created.unwrap_or_else(|| "0001-01-01T00:00:00Z".into()),
        scope: "local",
        driver: listed.driver.clone(),
        enable_ipv4: listed.ipv4,
        enable_ipv6: listed.ipv6,
        ipam: Ipam {
            driver: "default",
            options: Some(kept.ipam_options).filter(|options| !options.is_empty()),
            config,
        },
        internal: listed.internal,
        attachable: kept.attachable,
        ingress: false,
        config_from: ConfigFrom::default(),
        config_only: false,
        containers: inside.iter().map(|user| (user.container.id.clone(), resource(user))).collect(),
        options: listed.network.as_ref().map(|network| network.options.clone()).unwrap_or_default(),
        labels: listed.labels.clone(),
    }
}

/// nerdctl's native view: the configuration as it lies there.
pub fn native(listed: &Listed) -> Value {
    let Some(network) = &listed.network else { return json!({ "Name": listed.name }) };
    json!({
        "CNI": network.raw,
        "NerdctlID": network.raw.get("nerdctlID"),
        "NerdctlLabels": network.raw.get("nerdctlLabels"),
        "File": network.path,
    })
}

fn ipam_config(network: &Network) -> Vec<IpamConfig> {
    let of = |net: IpNet| {
        let gateway = network.subnets.iter().find(|subnet| subnet.subnet == net).map(|subnet| subnet.gateway);
        let range = network.kept.ip_ranges.iter().find(|range| net.contains(&range.network()));
        IpamConfig {
            subnet: net.to_string(),
            range: range.map(IpNet::to_string).or_else(|| nerdctls_range(network, net)),
            gateway: gateway.map(|gateway| gateway.to_string()),
            auxiliary: network
                .kept
                .auxiliary
                .iter()
                .filter(|(_, address)| net.contains(*address))
                .map(|(name, address)| (name.clone(), *address))
                .collect(),
        }
    };
    network.nets().into_iter().map(of).collect()
}

/// nerdctl writes the range as it was given beside its ends.
fn nerdctls_range(network: &Network, net: IpNet) -> Option<String> {
    let sets = network.raw.pointer("/plugins/0/ipam/ranges")?.as_array()?;
    let mut ranges = sets.iter().filter_map(Value::as_array).flatten();
    let found = ranges.find(|range| range["subnet"].as_str() == Some(&net.to_string()))?;
    found["ipRange"].as_str().map(str::to_owned)
}

fn resource(user: &User<'_>) -> Resource {
    let endpoint = &user.endpoint;
    let address = |v4: bool| endpoint.addresses.iter().find(|net| net.addr().is_ipv4() == v4);
    let id = format!("{}/{}", endpoint.host_interface, user.container.id);
    Resource {
        name: user.container.name.clone(),
        endpoint_id: Sha256::digest(id).iter().map(|byte| format!("{byte:02x}")).collect(),
        mac_address: endpoint.mac.clone(),
        ipv4_address: address(true).map(IpNet::to_string).unwrap_or_default(),
        ipv6_address: address(false).map(IpNet::to_string).unwrap_or_default(),
    }
}
