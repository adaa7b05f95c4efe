//! Networks as text: conflists in nerdctl's form, which nerdctl, CNI's plugins and we read alike.

use std::net::IpAddr;
use std::path::Path;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::cni::{Kept, id_of, offset};
use super::create::{NewNetwork, Pool};

/// The default network as nerdctl writes it, on `subnet`. `data_dir` only where it is not host-local's own.
pub(crate) fn default_network(name: &str, bridge: &str, subnet: IpNet, data_dir: Option<&Path>) -> Value {
    let gateway = subnet.hosts().next().unwrap_or_else(|| subnet.addr());
    let mut ipam = json!({
        "ranges": [[{ "gateway": gateway, "subnet": subnet }]],
        "routes": [{ "dst": "0.0.0.0/0" }],
        "type": "host-local",
    });
    set_data_dir(&mut ipam, data_dir);
    json!({
        "cniVersion": "1.0.0",
        "name": name,
        "nerdctlID": id_of(name),
        "nerdctlLabels": { "nerdctl/default-network": "true" },
        "plugins": bridge_chain(json!({
            "type": "bridge",
            "bridge": bridge,
            "isGateway": true,
            "ipMasq": true,
            "hairpinMode": true,
            "ipam": ipam,
        })),
    })
}

/// A network that was asked for, on `link` (its bridge or its parent). Every pool has a gateway by now.
pub(crate) fn network(new: &NewNetwork, link: &str, kept: &Kept, data_dir: Option<&Path>) -> Value {
    let option = |key: &str| new.options.get(key).map(String::as_str);
    let mtu = option("com.docker.network.driver.mtu").or_else(|| option("mtu"));
    let mtu = mtu.and_then(|mtu| mtu.parse::<u32>().ok()).filter(|mtu| *mtu > 0);
    let mut ipam = json!({ "type": "host-local", "ranges": ranges(&new.pools) });
    if !new.internal {
        let families = [(true, "0.0.0.0/0"), (false, "::/0")];
        let has = |v4: bool| new.pools.iter().any(|pool| pool.subnet.addr().is_ipv4() == v4);
        let routes: Vec<Value> =
            families.iter().filter(|(v4, _)| has(*v4)).map(|(_, to)| json!({ "dst": to })).collect();
        ipam["routes"] = json!(routes);
    }
    set_data_dir(&mut ipam, data_dir);
    let mut plugin = if new.driver == "bridge" {
        json!({
            "type": "bridge",
            "bridge": link,
            "isGateway": true,
            "ipMasq": !new.internal && option("com.docker.network.bridge.enable_ip_masquerade") != Some("false"),
            "hairpinMode": true,
        })
    } else {
        let mode = option(if new.driver == "macvlan" { "macvlan_mode" } else { "ipvlan_mode" });
        let usual = if new.driver == "macvlan" { "bridge" } else { "l2" };
        json!({ "type": new.driver, "master": link, "mode": mode.or(option("mode")).unwrap_or(usual) })
    };
    if option("com.docker.network.bridge.enable_icc") == Some("false") {
        plugin["portIsolation"] = json!(true);
    }
    if let Some(mtu) = mtu {
        plugin["mtu"] = json!(mtu);
    }
    plugin["ipam"] = ipam;
    let plugins = if new.driver == "bridge" { bridge_chain(plugin) } else { json!([plugin]) };
    json!({
        "cniVersion": "1.0.0",
        "name": new.name,
        "nerdctlID": id_of(&new.name),
        "nerdctlLabels": new.labels,
        "wharfie": kept,
        "plugins": plugins,
    })
}

fn bridge_chain(bridge: Value) -> Value {
    json!([
        bridge,
        { "type": "portmap", "capabilities": { "portMappings": true } },
        { "type": "firewall", "ingressPolicy": "same-bridge" },
        { "type": "tuning" },
    ])
}

fn set_data_dir(ipam: &mut Value, data_dir: Option<&Path>) {
    if let (Some(data_dir), Some(ipam)) = (data_dir, ipam.as_object_mut()) {
        ipam.insert("dataDir".into(), json!(data_dir));
    }
}

/// A set for each address family's pools, because each set gives a container one address. The addresses that
/// other machines have are left out between ranges: so every reader of the file keeps away from them.
fn ranges(pools: &[Pool]) -> Vec<Vec<Value>> {
    let of = |v4: bool| -> Vec<Value> {
        pools.iter().filter(|pool| pool.subnet.addr().is_ipv4() == v4).flat_map(ranges_of).collect()
    };
    [of(true), of(false)].into_iter().filter(|ranges| !ranges.is_empty()).collect()
}

fn ranges_of(pool: &Pool) -> Vec<Value> {
    let range = |start: Option<IpAddr>, end: Option<IpAddr>| {
        let mut range = json!({ "subnet": pool.subnet });
        if let Some(gateway) = pool.gateway {
            range["gateway"] = json!(gateway);
        }
        if let (Some(start), Some(end)) = (start, end) {
            range["rangeStart"] = json!(start);
            range["rangeEnd"] = json!(end);
        }
        if let Some(asked) = pool.range {
            range["ipRange"] = json!(asked);
        }
        range
    };
    let whole = pool.range.unwrap_or(pool.subnet);
    let (first, last) = bounds(&whole, &pool.subnet);
    let mut taken: Vec<IpAddr> = pool.auxiliary.values().copied().collect();
    taken.retain(|address| *address >= first && *address <= last);
    taken.sort_unstable();
    taken.dedup();
    if taken.is_empty() {
        return vec![if pool.range.is_some() { range(Some(first), Some(last)) } else { range(None, None) }];
    }
    let mut found = Vec::new();
    let mut start = first;
    for address in taken {
        if start < address {
            found.push(range(Some(start), Some(offset(address, -1))));
        }
        start = offset(address, 1);
    }
    if start <= last {
        found.push(range(Some(start), Some(last)));
    }
    found
}

/// The first and the last address that a range may give, inside of its subnet's own ends.
fn bounds(range: &IpNet, subnet: &IpNet) -> (IpAddr, IpAddr) {
    let first =
        if range.network() == subnet.network() { offset(range.network(), 1) } else { range.network() };
    let last = if range.broadcast() == subnet.broadcast() && subnet.addr().is_ipv4() {
        offset(range.broadcast(), -1)
    } else {
        range.broadcast()
    };
    (first, last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::cni::Network;
    use super::*;

    fn pool(subnet: &str, range: Option<&str>, auxiliary: &[&str]) -> Pool {
        Pool {
            subnet: subnet.parse().unwrap(),
            range: range.map(|range| range.parse().unwrap()),
            gateway: None,
            auxiliary: auxiliary
                .iter()
                .enumerate()
                .map(|(number, address)| (number.to_string(), address.parse().unwrap()))
                .collect(),
        }
    }

    fn spans(pool: &Pool) -> Vec<String> {
        let text = |range: &Value, key: &str| range[key].as_str().unwrap_or("-").to_owned();
        ranges_of(pool)
            .iter()
            .map(|range| format!("{} {}", text(range, "rangeStart"), text(range, "rangeEnd")))
            .collect()
    }

    #[test]
    fn ranges_leave_out_what_others_have() {
        for (pool, expected) in [
            (pool("10.1.0.0/24", None, &[]), vec!["- -"]),
            (pool("10.1.0.0/24", Some("10.1.0.128/25"), &[]), vec!["10.1.0.128 10.1.0.254"]),
            (pool("10.1.0.0/24", Some("10.1.0.0/25"), &[]), vec!["10.1.0.1 10.1.0.127"]),
            (
                pool("10.1.0.0/29", None, &["10.1.0.3", "10.1.0.1"]),
                vec!["10.1.0.2 10.1.0.2", "10.1.0.4 10.1.0.6"],
            ),
            (pool("10.1.0.0/29", None, &["10.1.0.6"]), vec!["10.1.0.1 10.1.0.5"]),
            (pool("fd00::/64", None, &["fd00::1"]), vec!["fd00::2 fd00::ffff:ffff:ffff:ffff"]),
        ] {
            assert_eq!(spans(&pool), expected);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let new = NewNetwork {
            name: "mine".into(),
            driver: "bridge".into(),
            pools: vec![pool("10.1.0.0/24", None, &["10.1.0.9"]), pool("fd00::/64", None, &[])],
            internal: true,
            labels: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            options: BTreeMap::from([
                ("com.docker.network.driver.mtu".to_owned(), "1400".to_owned()),
                ("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned()),
            ]),
            ..NewNetwork::default()
        };
        let kept = Kept { internal: true, options: Some(new.options.clone()), ..Kept::default() };
        let list = network(&new, "br-mine", &kept, None);
        let read = Network::parse(Path::new("/x.conflist"), list.to_string().as_bytes()).unwrap();
        assert!(read.internal && read.managed && read.settings.native && read.settings.port_isolation);
        assert_eq!((read.bridge.as_str(), read.settings.mtu), ("br-mine", Some(1400)));
        assert_eq!((&read.kept, &read.labels), (&kept, &new.labels));
        assert_eq!(read.nets().len(), 2);
        assert!(read.settings.routes.is_empty() && !read.settings.masquerade);
    }
}
