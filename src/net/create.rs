//! Making networks: what was asked for is checked in docker's words, what was left open is chosen, and the
//! conflist is written before anything is made, so that a killed command leaves a whole network or none.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::cni::{self, Kept, Network, id_of, is_link_name, is_name, offset};
use super::known::{overlap, path_of, sweep_unfinished};
use super::link::Links;
use super::sublink::{OWN_PARENT, Sublink};
use super::{Networks, conflist, driver};
use crate::store::{Lock, make_directory, write_atomic};
use crate::{Error, Result};

const OVERLAPS: &str = "invalid pool request: Pool overlaps with other one on this address space";
const FULL: &str = "all predefined address pools have been fully subnetted";
/// The kernel's smallest and largest.
const MTU: std::ops::RangeInclusive<u32> = 68..=65_535;

/// A network to make.
#[derive(Debug, Clone, Default)]
pub struct NewNetwork {
    /// Its name.
    pub name: String,
    /// `bridge`, `macvlan` or `ipvlan`.
    pub driver: String,
    /// What was asked for; a family without one gets a free one.
    pub pools: Vec<Pool>,
    /// Whether containers get IPv4 addresses.
    pub ipv4: bool,
    /// Whether they get IPv6 addresses.
    pub ipv6: bool,
    /// Nothing leads out of it.
    pub internal: bool,
    /// docker's flag for swarms: kept and shown.
    pub attachable: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The driver's options.
    pub options: BTreeMap<String, String>,
    /// Options of the address register: kept and shown.
    pub ipam_options: BTreeMap<String, String>,
}

/// A subnet with what is asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// The subnet.
    pub subnet: IpNet,
    /// The part that containers get addresses from.
    pub range: Option<IpNet>,
    /// The gateway; None takes the subnet's first address.
    pub gateway: Option<IpAddr>,
    /// Addresses that other machines have, by their names.
    pub auxiliary: BTreeMap<String, IpAddr>,
}

impl Networks {
    /// Makes a network.
    ///
    /// # Errors
    /// docker's words for a name that is taken, a subnet in use, an option that cannot be; the kernel's for what
    /// cannot be made.
    pub fn create(&self, new: &NewNetwork) -> Result<Network> {
        check(new)?;
        make_directory(&self.conf_dir, 0o755)?;
        // nerdctl locks the directory itself.
        let _lock = Lock::directory(&self.conf_dir)?;
        let exists = || {
            Error::conflict(format!("network with name {} already exists", new.name))
                .hint("`wharfie network ls` shows the networks; choose another name, or remove that one")
        };
        if self.list()?.iter().any(|network| network.name == new.name) {
            return Err(exists());
        }
        let path = path_of(&self.conf_dir, &self.namespace, &new.name);
        if path.exists() {
            // A file that cannot be read, or of another name: not ours to overwrite.
            return Err(cni::read(&path).err().unwrap_or_else(exists));
        }
        let others = self.everywhere()?;
        let links = Links::open()?;
        let link = self.link(new, &others)?;
        let link_stays = links.find(&link)?.is_some();
        let pools = choose_pools(new, &others, &links, &link)?;
        let new = NewNetwork { pools, ..new.clone() };
        let kept = Kept {
            created: Some(Timestamp::now()),
            options: Some(new.options.clone()),
            ipam_options: new.ipam_options.clone(),
            internal: new.internal,
            attachable: new.attachable,
            auxiliary: new.pools.iter().flat_map(|pool| pool.auxiliary.clone()).collect(),
            ip_ranges: new.pools.iter().filter_map(|pool| pool.range).collect(),
            link_stays,
        };
        let list = conflist::network(&new, &link, &kept, self.private_data_dir());
        let text = serde_json::to_string_pretty(&list)
            .map_err(|cause| Error::failed(format!("write {}: {cause}", path.display())))?;
        if let Some(directory) = path.parent() {
            make_directory(directory, 0o755)?;
            sweep_unfinished(directory);
        }
        write_atomic(&path, text.as_bytes(), 0o644)?;
        let made = cni::read(&path).and_then(|network| {
            driver::of(self, &network).prepare().inspect_err(|_| {
                let _ = driver::of(self, &network).dismantle();
            })?;
            Ok(network)
        });
        made.inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })
    }

    /// The name of the bridge or of the parent link.
    fn link(&self, new: &NewNetwork, others: &[Network]) -> Result<String> {
        if new.driver != "bridge" {
            if let Some(parent) = new.options.get("parent").filter(|parent| !parent.is_empty()) {
                return Ok(parent.clone());
            }
            return Ok(format!("{OWN_PARENT}{}", short(&self.unique_id(new, others))));
        }
        let taken = |name: &str| others.iter().find(|other| other.bridge == name);
        match new.options.get("com.docker.network.bridge.name").filter(|name| !name.is_empty()) {
            Some(name) => match taken(name) {
                Some(other) => Err(Error::conflict(format!(
                    "cannot create network {} ({name}): conflicts with network {} ({name}): networks have same bridge name",
                    id_of(&new.name), other.id
                ))
                .hint("give it another com.docker.network.bridge.name, or none")),
                None => Ok(name.clone()),
            },
            None => Ok(format!("br-{}", short(&self.unique_id(new, others)))),
        }
    }

    /// nerdctl's id, or where a network of that name is there in another namespace, one of this namespace's.
    fn unique_id(&self, new: &NewNetwork, others: &[Network]) -> String {
        let id = id_of(&new.name);
        let taken = |other: &Network| {
            other.bridge.ends_with(short(&id))
                || other.settings.sublink.as_ref().is_some_and(|other| other.parent.ends_with(short(&id)))
        };
        if others.iter().any(taken) { id_of(&format!("{}/{}", self.namespace, new.name)) } else { id }
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// What is wrong with it by itself.
fn check(new: &NewNetwork) -> Result<()> {
    let first = new.name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if !first || !is_name(&new.name) {
        return Err(Error::usage(format!("invalid network name {:?}", new.name))
            .hint("a name begins with a letter or digit, and goes on with those and _ . -"));
    }
    if matches!(new.name.as_str(), "bridge" | "host" | "none" | "default") {
        return Err(Error::failed(format!("operation is not permitted on predefined {} network", new.name)));
    }
    check_driver(new)?;
    if !new.ipv4 && !new.ipv6 {
        return Err(Error::usage("IPv4 or IPv6 must be enabled"));
    }
    let families = [(true, new.ipv4, "IPv4"), (false, new.ipv6, "IPv6")];
    for pool in &new.pools {
        check_pool(pool)?;
        let (.., name) = families[usize::from(pool.subnet.addr().is_ipv6())];
        if families.iter().any(|(v4, wanted, _)| pool.subnet.addr().is_ipv4() == *v4 && !wanted) {
            return Err(Error::usage(format!(
                "invalid network config:\n{name} subnet {} for a network without {name}",
                pool.subnet
            ))
            .hint(if pool.subnet.addr().is_ipv4() {
                "leave out --ipv4=false, or that --subnet"
            } else {
                "add --ipv6"
            }));
        }
    }
    for (number, pool) in new.pools.iter().enumerate() {
        if new.pools[..number].iter().any(|other| overlap(&pool.subnet, &other.subnet)) {
            return Err(
                Error::failed(OVERLAPS).hint(format!("{} overlaps with another --subnet", pool.subnet))
            );
        }
    }
    Ok(())
}

fn check_driver(new: &NewNetwork) -> Result<()> {
    let only_one =
        |what: &str| Err(Error::failed(format!("only one instance of \"{what}\" network is allowed")));
    match new.driver.as_str() {
        "bridge" | "macvlan" | "ipvlan" => {}
        "host" => return only_one("host"),
        "null" | "none" => return only_one("null"),
        "overlay" => {
            return Err(Error::failed("This node is not a swarm manager: overlay networks need a swarm")
                .hint("networks between machines are Kubernetes' affair here: a CNI configuration in /etc/cni/net.d can be used"));
        }
        other => {
            return Err(Error::not_found(format!("plugin \"{other}\" not found"))
                .hint("the drivers are bridge, macvlan and ipvlan; a CNI configuration in /etc/cni/net.d is usable by its name"));
        }
    }
    let of_switch =
        ["com.docker.network.bridge.enable_icc", "com.docker.network.bridge.enable_ip_masquerade"];
    for (key, value) in &new.options {
        let wrong =
            |what: &str| Err(Error::usage(format!("invalid value {value:?} for option {key}: {what}")));
        match key.as_str() {
            "com.docker.network.driver.mtu" | "mtu"
                if !value.parse().is_ok_and(|mtu: u32| mtu == 0 || MTU.contains(&mtu)) =>
            {
                return wrong("it is a number of bytes from 68 to 65535");
            }
            "com.docker.network.bridge.name" if !value.is_empty() && !is_link_name(value) => {
                return wrong("an interface's name has at most 15 letters, no / and no :");
            }
            "parent" if !value.is_empty() && !is_link_name(value) => {
                return wrong("that is no interface's name");
            }
            "com.docker.network.bridge.host_binding_ipv4" if value.parse::<Ipv4Addr>().is_err() => {
                return wrong("it is an IPv4 address");
            }
            key if of_switch.contains(&key) && !matches!(value.as_str(), "true" | "false") => {
                return wrong("it is true or false");
            }
            _ => {}
        }
    }
    if new.driver != "bridge" {
        let key = format!("{}_mode", new.driver);
        let mode = new.options.get(&key).or_else(|| new.options.get("mode")).map_or("", String::as_str);
        let kind = new.driver.as_str();
        if Sublink::parse(kind, "parent", mode).is_none() {
            let modes = if kind == "macvlan" { "bridge, private, vepa, passthru" } else { "l2, l3, l3s" };
            return Err(
                Error::usage(format!("unknown {kind} mode: {mode}")).hint(format!("the modes are {modes}"))
            );
        }
    }
    Ok(())
}

fn check_pool(pool: &Pool) -> Result<()> {
    let subnet = pool.subnet;
    let wrong = |what: String| Error::usage(format!("invalid network config:\n{what}"));
    if subnet.addr() != subnet.network() {
        return Err(wrong(format!("invalid subnet {subnet}: it should be {}", subnet.trunc())));
    }
    if subnet.max_prefix_len() - subnet.prefix_len() < 2 {
        return Err(wrong(format!("invalid subnet {subnet}: it is too small"))
            .hint("a subnet needs room for a gateway and a container: /30, or /126 for IPv6, at least"));
    }
    let family = if subnet.addr().is_ipv4() { "IPv4" } else { "IPv6" };
    if let Some(range) = pool.range {
        if range.addr().is_ipv4() != subnet.addr().is_ipv4() {
            return Err(wrong(format!("invalid ip-range {range}: parent subnet is an {family} subnet")));
        }
        if range.prefix_len() < subnet.prefix_len() || !subnet.contains(&range.network()) {
            return Err(wrong(format!("invalid ip-range {range}: it is not within the subnet {subnet}")));
        }
    }
    let addresses = pool.gateway.iter().map(|gateway| ("gateway", gateway));
    let auxiliary = pool.auxiliary.values().map(|address| ("auxiliary address", address));
    for (what, address) in addresses.chain(auxiliary) {
        if address.is_ipv4() != subnet.addr().is_ipv4() {
            return Err(wrong(format!("invalid {what} {address}: parent subnet is an {family} subnet")));
        }
        if !subnet.contains(address) {
            return Err(wrong(format!("invalid {what} {address}: it is not in the subnet {subnet}")));
        }
    }
    Ok(())
}

/// The pools with what was left open: a free subnet for each family that has none, and gateways.
fn choose_pools(new: &NewNetwork, others: &[Network], links: &Links, link: &str) -> Result<Vec<Pool>> {
    let of_networks: Vec<IpNet> = others.iter().flat_map(Network::nets).collect();
    let own = links.find(link)?.map(|link| link.index);
    let on_host = links.used(own)?;
    for pool in &new.pools {
        let in_use = Error::conflict(OVERLAPS);
        if let Some(other) =
            others.iter().find(|other| other.nets().iter().any(|net| overlap(&pool.subnet, net)))
        {
            return Err(in_use.hint(format!("{} overlaps with the network {}", pool.subnet, other.name)));
        }
        // Where containers stand in the host's own network, its routes go there too.
        let route = on_host.iter().find(|net| new.driver == "bridge" && overlap(&pool.subnet, net));
        if let Some(route) = route {
            return Err(in_use
                .hint(format!("this host has an address or a route in {route}: choose another --subnet")));
        }
    }
    let used: Vec<IpNet> = of_networks.into_iter().chain(on_host).collect();
    let mut pools = new.pools.clone();
    for (v4, wanted) in [(true, new.ipv4), (false, new.ipv6)] {
        if wanted && !pools.iter().any(|pool| pool.subnet.addr().is_ipv4() == v4) {
            let free = if v4 { free_v4(&used) } else { free_v6(&used) };
            let subnet = free.ok_or_else(|| {
                Error::failed(FULL).hint("give it a --subnet, or remove networks that nobody needs")
            })?;
            pools.push(Pool { subnet, range: None, gateway: None, auxiliary: BTreeMap::new() });
        }
    }
    for pool in &mut pools {
        let taken: BTreeSet<IpAddr> = pool.auxiliary.values().copied().collect();
        let mut first = offset(pool.subnet.network(), 1);
        while taken.contains(&first) {
            first = offset(first, 1);
        }
        let gateway = *pool.gateway.get_or_insert(first);
        if taken.contains(&gateway) {
            return Err(Error::conflict("failed to allocate gateway: Address already in use")
                .hint(format!("{gateway} is an --aux-address too")));
        }
    }
    // IPv4 first, as docker lists them.
    pools.sort_by_key(|pool| pool.subnet.addr().is_ipv6());
    Ok(pools)
}

/// docker's pools: 172.17 to 172.31 whole, then 192.168 in parts of 20 bits.
fn free_v4(used: &[IpNet]) -> Option<IpNet> {
    let large = (17..32u8).map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    let small = (0..16u8).map(|part| (Ipv4Addr::new(192, 168, part * 16, 0), 20));
    large
        .chain(small)
        .filter_map(|(address, length)| Ipv4Net::new(address, length).ok())
        .map(IpNet::V4)
        .find(|subnet| !used.iter().any(|other| overlap(subnet, other)))
}

/// A part of this machine's own share of the private IPv6 addresses (RFC 4193), the same after each boot.
fn free_v6(used: &[IpNet]) -> Option<IpNet> {
    let identity = std::fs::read(Path::new("/etc/machine-id")).unwrap_or_default();
    let digest = Sha256::digest([b"wharfie networks ", identity.as_slice()].concat());
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(digest.get(..5)?);
    (0..=u16::MAX)
        .filter_map(|number| {
            octets[6..8].copy_from_slice(&number.to_be_bytes());
            Ipv6Net::new(Ipv6Addr::from(octets), 64).ok()
        })
        .map(IpNet::V6)
        .find(|subnet| !used.iter().any(|other| overlap(subnet, other)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(driver: &str, options: &[(&str, &str)]) -> NewNetwork {
        NewNetwork {
            name: "mine".into(),
            driver: driver.into(),
            ipv4: true,
            options: options.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            ..NewNetwork::default()
        }
    }

    fn with_pool(subnet: &str, range: Option<&str>, gateway: Option<&str>) -> NewNetwork {
        let pool = Pool {
            subnet: subnet.parse().unwrap(),
            range: range.map(|range| range.parse().unwrap()),
            gateway: gateway.map(|gateway| gateway.parse().unwrap()),
            auxiliary: BTreeMap::new(),
        };
        NewNetwork { pools: vec![pool], ..new("bridge", &[]) }
    }

    #[test]
    fn what_cannot_be_is_refused_in_dockers_words() {
        let named = |name: &str| NewNetwork { name: name.into(), ..new("bridge", &[]) };
        for (network, words) in [
            (named("a b"), "invalid network name"),
            (named("../a"), "invalid network name"),
            (named(""), "invalid network name"),
            (named("host"), "operation is not permitted on predefined host network"),
            (new("host", &[]), "only one instance of \"host\" network is allowed"),
            (new("null", &[]), "only one instance of \"null\" network is allowed"),
            (new("overlay", &[]), "This node is not a swarm manager"),
            (new("weave", &[]), "plugin \"weave\" not found"),
            (new("bridge", &[("com.docker.network.driver.mtu", "x")]), "invalid value \"x\""),
            (new("bridge", &[("com.docker.network.bridge.name", "sixteen-letters-")]), "invalid value"),
            (new("bridge", &[("com.docker.network.bridge.enable_icc", "maybe")]), "invalid value"),
            (new("bridge", &[("com.docker.network.bridge.host_binding_ipv4", "::1")]), "invalid value"),
            (new("macvlan", &[("macvlan_mode", "l2")]), "unknown macvlan mode: l2"),
            (new("ipvlan", &[("ipvlan_mode", "l4")]), "unknown ipvlan mode: l4"),
            (with_pool("10.0.0.1/24", None, None), "invalid subnet 10.0.0.1/24: it should be 10.0.0.0/24"),
            (with_pool("10.0.0.0/31", None, None), "invalid subnet 10.0.0.0/31: it is too small"),
            (with_pool("10.0.0.0/24", Some("10.0.1.0/25"), None), "it is not within the subnet"),
            (with_pool("10.0.0.0/24", None, Some("10.0.1.1")), "it is not in the subnet"),
            (with_pool("10.0.0.0/24", None, Some("::1")), "parent subnet is an IPv4 subnet"),
            (with_pool("fd00::/64", None, None), "IPv6 subnet fd00::/64 for a network without IPv6"),
            (NewNetwork { ipv4: false, ..new("bridge", &[]) }, "IPv4 or IPv6 must be enabled"),
        ] {
            let error = check(&network).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
        }
        check(&new("macvlan", &[("parent", "eth0.10"), ("macvlan_mode", "vepa")])).unwrap();
        check(&with_pool("10.0.0.0/24", Some("10.0.0.128/25"), Some("10.0.0.254"))).unwrap();
    }

    #[test]
    fn free_subnets_are_dockers() {
        let used = |nets: &[&str]| nets.iter().map(|net| net.parse().unwrap()).collect::<Vec<IpNet>>();
        for (nets, expected) in [
            (vec![], Some("172.17.0.0/16")),
            (vec!["172.17.0.1/32", "172.18.5.0/24", "0.0.0.0/0"], Some("172.19.0.0/16")),
            (vec!["172.16.0.0/12"], Some("192.168.0.0/20")),
            (vec!["172.16.0.0/12", "192.168.0.0/17"], Some("192.168.128.0/20")),
            (vec!["172.16.0.0/12", "192.168.0.0/16"], None),
        ] {
            assert_eq!(free_v4(&used(&nets)), expected.map(|net| net.parse().unwrap()));
        }
        let first = free_v6(&[]).unwrap();
        assert!(first.to_string().starts_with("fd") && first.prefix_len() == 64);
        let second = free_v6(&[first]).unwrap();
        assert!(!overlap(&first, &second));
    }
}
