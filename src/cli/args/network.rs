//! Flags about networks, names and addresses.

use clap::Args;

use super::errors::{parse_all, parse_one};
use super::parse::network::{self, Attachment};
use super::parse::{address, link};
use crate::oci::request::{ContainerRequest, EndpointRequest, NetworkMode};
use crate::{Error, Result};

/// `--network`, `--dns`, `--add-host` and their kin.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Network")]
pub struct NetworkArgs {
    /// Connect a container to a network
    #[arg(long, alias = "net", value_name = "network", add = crate::cli::names::networks())]
    pub network: Vec<String>,
    /// Add network-scoped alias for the container
    #[arg(long, alias = "net-alias", value_name = "list")]
    pub network_alias: Vec<String>,
    /// IPv4 address (e.g., 172.30.100.104)
    #[arg(long, value_name = "ip")]
    pub ip: Option<String>,
    /// IPv6 address (e.g., 2001:db8::33)
    #[arg(long, value_name = "ip")]
    pub ip6: Option<String>,
    /// Container MAC address (e.g., 92:d0:c6:0a:29:33)
    #[arg(long, value_name = "string")]
    pub mac_address: Option<String>,
    /// Add a custom host-to-IP mapping (host:ip)
    #[arg(long, value_name = "list")]
    pub add_host: Vec<String>,
    /// Set custom DNS servers
    #[arg(long, value_name = "list")]
    pub dns: Vec<String>,
    /// Set DNS options
    #[arg(long, alias = "dns-opt", value_name = "list")]
    pub dns_option: Vec<String>,
    /// Set custom DNS search domains
    #[arg(long, value_name = "list")]
    pub dns_search: Vec<String>,
    /// Add link to another container
    #[arg(long, value_name = "list", add = crate::cli::names::running_containers())]
    pub link: Vec<String>,
    /// Container IPv4/IPv6 link-local addresses
    #[arg(long, value_name = "list")]
    pub link_local_ip: Vec<String>,
}

impl NetworkArgs {
    /// Fills the request's part.
    ///
    /// # Errors
    /// A value that does not parse, flags that contradict one another, what cannot be done here.
    pub fn apply(self, request: &mut ContainerRequest) -> Result<()> {
        request.links = parse_all(&self.link, "--link", link::link)?;
        let network = &mut request.network;
        network.dns = parse_all(&self.dns, "--dns", address::dns)?;
        network.dns_search = parse_all(&self.dns_search, "--dns-search", address::dns_search)?;
        network.dns_options = self.dns_option.clone();
        network.extra_hosts = parse_all(&self.add_host, "--add-host", address::extra_host)?;
        let attachments = self.attachments()?;
        network.mode = mode_of(&attachments)?;
        if network.mode == NetworkMode::Bridge {
            network.endpoints = attachments.into_iter().filter_map(endpoint).collect();
        }
        Ok(())
    }

    /// The networks as written, the flags for a single network merged into the first.
    fn attachments(&self) -> Result<Vec<Attachment>> {
        let mut attachments = parse_all(&self.network, "--network", network::attachment)?;
        if attachments.is_empty() {
            attachments.push(Attachment { target: "default".into(), ..Attachment::default() });
        }
        let ipv4 = parse_one(non_empty(self.ip.as_deref()), "--ip", address::ipv4)?;
        let ipv6 = parse_one(non_empty(self.ip6.as_deref()), "--ip6", address::ipv6)?;
        let mac =
            non_empty(self.mac_address.as_deref()).map(address::mac).transpose().map_err(Error::usage)?;
        if let Some(first) = attachments.first_mut() {
            first.ipv4 = one_of(first.ipv4.take(), ipv4, "--ip and per-network IPv4 address")?;
            first.ipv6 = one_of(first.ipv6.take(), ipv6, "--ip6 and per-network IPv6 address")?;
            first.mac = one_of(first.mac.take(), mac, "--mac-address and per-network MAC address")?;
            if !first.aliases.is_empty() && !self.network_alias.is_empty() {
                return Err(conflict("--network-alias and per-network alias"));
            }
            first.aliases.extend(self.network_alias.iter().cloned());
            let link_local = parse_all(&self.link_local_ip, "--link-local-ip", address::any)?;
            if !first.link_local.is_empty() && !link_local.is_empty() {
                return Err(conflict("--link-local-ip and per-network link-local IP addresses"));
            }
            first.link_local.extend(link_local);
        }
        for (index, one) in attachments.iter().enumerate() {
            if !one.aliases.is_empty() && !one.is_user_defined() {
                return Err(Error::usage(
                    "network-scoped aliases are only supported for user-defined networks",
                ));
            }
            if attachments[..index].iter().any(|earlier| earlier.target == one.target) {
                return Err(Error::usage(format!("network {:?} is specified multiple times", one.target)));
            }
        }
        let user_defined = attachments.iter().filter(|one| one.is_user_defined()).count();
        if user_defined > 0 && user_defined < attachments.len() {
            return Err(Error::usage(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
            ));
        }
        Ok(attachments)
    }
}

fn mode_of(attachments: &[Attachment]) -> Result<NetworkMode> {
    let mode = match attachments.first().map(|first| first.target.as_str()) {
        Some("host") => NetworkMode::Host,
        Some("none") => NetworkMode::None,
        Some(target) => match target.strip_prefix("container:") {
            Some(of) => NetworkMode::Container(of.to_owned()),
            None => NetworkMode::Bridge,
        },
        None => NetworkMode::Bridge,
    };
    if mode == NetworkMode::Bridge {
        return Ok(mode);
    }
    if attachments.len() > 1 {
        return Err(Error::usage(
            "conflicting options: a container in host, none or container network mode joins no other network",
        ));
    }
    let first = attachments.first();
    if first.is_some_and(|first| first.mac.is_some()) && mode != NetworkMode::None {
        return Err(Error::usage("conflicting options: mac-address and the network mode"));
    }
    if first.is_some_and(|first| !first.sysctls.is_empty() || first.interface.is_some()) {
        return Err(Error::usage("conflicting options: driver-opt and the network mode"));
    }
    if first.is_some_and(|first| {
        first.ipv4.is_some() || first.ipv6.is_some() || first.mac.is_some() || !first.link_local.is_empty()
    }) {
        return Err(Error::usage(
            "invalid endpoint settings: user specified IP address is supported on user defined networks only",
        ));
    }
    Ok(mode)
}

/// What to join; None where it is the default bridge with nothing asked of it.
fn endpoint(attachment: Attachment) -> Option<EndpointRequest> {
    let endpoint = EndpointRequest {
        network: if attachment.target == "default" { "bridge".into() } else { attachment.target },
        ipv4: attachment.ipv4,
        ipv6: attachment.ipv6,
        mac: attachment.mac,
        aliases: attachment.aliases,
        link_local: attachment.link_local,
        interface: attachment.interface,
        sysctls: attachment.sysctls,
        gateway_priority: attachment.gateway_priority,
    };
    let plain = EndpointRequest { network: "bridge".into(), ..EndpointRequest::default() };
    (endpoint != plain).then_some(endpoint)
}

fn one_of<T>(per_network: Option<T>, flag: Option<T>, what: &str) -> Result<Option<T>> {
    match (per_network, flag) {
        (Some(_), Some(_)) => Err(conflict(what)),
        (one, other) => Ok(one.or(other)),
    }
}

fn conflict(what: &str) -> Error {
    Error::usage(format!("conflicting options: cannot specify both {what}"))
}

fn non_empty(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
