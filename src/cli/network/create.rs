//! `network create`: make a network.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::cli::Context;
use crate::cli::args::errors::{invalid, parse_all, unsupported};
use crate::cli::args::parse::keyvalue;
use crate::cli::errors::EngineResult;
use crate::engine::network::{NewNetwork, Pool, create};
use crate::error::{Error, Result};

/// Flags of `network create`.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(after_help = "Examples:\n  wharfie network create shop\n  \
                  wharfie network create --subnet 10.9.0.0/24 --gateway 10.9.0.254 --ipv6 shop\n  \
                  wharfie network create -d macvlan -o parent=eth0 --subnet 192.168.1.0/24 lan")]
pub struct Args {
    /// Enable manual container attachment (kept and shown; there is no swarm to forbid it)
    #[arg(long)]
    attachable: bool,
    /// Auxiliary IPv4 or IPv6 addresses of other machines, which no container gets
    #[arg(long, value_name = "map")]
    aux_address: Vec<String>,
    /// The network from which to copy the configuration: for swarms, not supported
    #[arg(long, value_name = "string")]
    config_from: Option<String>,
    /// Create a configuration only network: for swarms, not supported
    #[arg(long)]
    config_only: bool,
    /// Driver to manage the Network: bridge, macvlan or ipvlan
    #[arg(short, long, value_name = "string", default_value = "bridge")]
    driver: String,
    /// IPv4 or IPv6 Gateway for the master subnet
    #[arg(long, value_name = "ipSlice", value_delimiter = ',')]
    gateway: Vec<String>,
    /// Create swarm routing-mesh network: not supported
    #[arg(long)]
    ingress: bool,
    /// Restrict external access to the network
    #[arg(long)]
    internal: bool,
    /// Allocate container ip from a sub-range
    #[arg(long, value_name = "ipNetSlice", value_delimiter = ',')]
    ip_range: Vec<String>,
    /// IP Address Management Driver: default, or host-local
    #[arg(long, value_name = "string", default_value = "default")]
    ipam_driver: String,
    /// Set IPAM driver specific options
    #[arg(long, value_name = "map")]
    ipam_opt: Vec<String>,
    /// Enable or disable IPv4 address assignment
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value = "true", default_missing_value = "true")]
    ipv4: bool,
    /// Enable or disable IPv6 address assignment
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value = "false", default_missing_value = "true")]
    ipv6: bool,
    /// Set metadata on a network
    #[arg(long, value_name = "list")]
    label: Vec<String>,
    /// Set driver specific options
    #[arg(short, long, value_name = "map")]
    opt: Vec<String>,
    /// Control the network's scope: local
    #[arg(long, value_name = "string")]
    scope: Option<String>,
    /// Subnet in CIDR format that represents a network segment
    #[arg(long, value_name = "stringSlice", value_delimiter = ',')]
    subnet: Vec<String>,
    /// The name of the new network
    #[arg(value_name = "NETWORK")]
    network: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let new = request(args)?;
    let engine = cx.engine().await?;
    let id = create(&engine, new).await.told()?;
    cx.ui.line(id)?;
    Ok(0)
}

fn request(args: Args) -> Result<NewNetwork> {
    let no_swarm = "there is no swarm: this is one machine's containerd";
    if args.config_only || args.config_from.is_some_and(|from| !from.is_empty()) {
        let flag = if args.config_only { "--config-only" } else { "--config-from" };
        return Err(unsupported(flag, no_swarm));
    }
    if args.ingress {
        return Err(unsupported("--ingress", no_swarm));
    }
    if let Some(scope) = args.scope.filter(|scope| !scope.is_empty() && scope != "local") {
        return Err(unsupported(&format!("--scope {scope}"), no_swarm));
    }
    if !matches!(args.ipam_driver.as_str(), "" | "default" | "host-local") {
        return Err(unsupported(
            &format!("--ipam-driver {}", args.ipam_driver),
            "addresses are kept in host-local's files; a CNI configuration with another one can be used by its name",
        ));
    }
    let map = |texts: &[String]| -> BTreeMap<String, String> {
        texts
            .iter()
            .map(|text| text.split_once('=').unwrap_or((text, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let address = |text: &str| {
        text.trim()
            .parse::<IpAddr>()
            .map_err(|_| format!("invalid string being converted to IP address: {text}"))
    };
    let net = |text: &str| {
        text.trim().parse::<IpNet>().map_err(|_| format!("invalid string being converted to CIDR: {text}"))
    };
    let subnets = parse_all(&args.subnet, "--subnet", |text| {
        text.trim().parse::<IpNet>().map_err(|_| format!("invalid CIDR address: {text}"))
    })?;
    let auxiliary = map(&args.aux_address)
        .into_iter()
        .map(|(name, text)| match text.parse::<IpAddr>() {
            Ok(address) => Ok((name, address)),
            Err(_) => Err(invalid(
                &format!("{name}={text}"),
                "--aux-address",
                format!("invalid IP address: {text}"),
            )),
        })
        .collect::<Result<Vec<_>>>()?;
    let pools = pools(
        subnets,
        &parse_all(&args.ip_range, "--ip-range", net)?,
        &parse_all(&args.gateway, "--gateway", address)?,
        auxiliary,
    )?;
    Ok(NewNetwork {
        name: args.network,
        driver: args.driver,
        pools,
        ipv4: args.ipv4,
        ipv6: args.ipv6,
        internal: args.internal,
        attachable: args.attachable,
        labels: parse_all(&args.label, "--label", keyvalue::label)?.into_iter().collect(),
        options: map(&args.opt),
        ipam_options: map(&args.ipam_opt),
    })
}

/// What belongs to which subnet; docker's words for what belongs to none, or twice to one.
fn pools(
    subnets: Vec<IpNet>,
    ranges: &[IpNet],
    gateways: &[IpAddr],
    auxiliary: Vec<(String, IpAddr)>,
) -> Result<Vec<Pool>> {
    if subnets.len() < ranges.len() || subnets.len() < gateways.len() {
        return Err(Error::usage("every ip-range or gateway must have a corresponding subnet"));
    }
    let mut pools: Vec<Pool> = Vec::new();
    for subnet in subnets {
        if pools.iter().any(|known| known.subnet.contains(&subnet) || subnet.contains(&known.subnet)) {
            return Err(Error::usage("multiple overlapping subnet configuration is not supported"));
        }
        pools.push(Pool { subnet, range: None, gateway: None, auxiliary: BTreeMap::new() });
    }
    for range in ranges {
        let pool = pools
            .iter_mut()
            .find(|pool| pool.subnet.contains(&range.network()))
            .ok_or_else(|| Error::usage(format!("no matching subnet for range {range}")))?;
        if let Some(other) = pool.range {
            return Err(Error::usage(format!(
                "cannot configure multiple ranges ({range}, {other}) on the same subnet ({})",
                pool.subnet
            )));
        }
        pool.range = Some(*range);
    }
    for gateway in gateways {
        let pool = pools
            .iter_mut()
            .find(|pool| pool.subnet.contains(gateway))
            .ok_or_else(|| Error::usage(format!("no matching subnet for gateway {gateway}")))?;
        if let Some(other) = pool.gateway {
            return Err(Error::usage(format!(
                "cannot configure multiple gateways ({gateway}, {other}) for the same subnet ({})",
                pool.subnet
            )));
        }
        pool.gateway = Some(*gateway);
    }
    for (name, address) in auxiliary {
        let pool = pools
            .iter_mut()
            .find(|pool| pool.subnet.contains(&address))
            .ok_or_else(|| Error::usage(format!("no matching subnet for aux-address {address}")))?;
        pool.auxiliary.insert(name, address);
    }
    Ok(pools)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> Args {
        Args {
            driver: "bridge".into(),
            ipam_driver: "default".into(),
            ipv4: true,
            network: "mine".into(),
            ..Args::default()
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn addresses_find_their_subnets() {
        let new = request(Args {
            subnet: texts(&["10.1.0.0/16", "fd00:1::/64"]),
            gateway: texts(&["fd00:1::9", "10.1.0.254"]),
            ip_range: texts(&["10.1.5.0/24"]),
            aux_address: texts(&["router=10.1.0.7", "nas=fd00:1::7"]),
            ipv6: true,
            opt: texts(&["a=b=c", "d"]),
            label: texts(&["k", "l=m"]),
            ..args()
        })
        .unwrap();
        assert_eq!(new.pools.len(), 2);
        assert_eq!(new.pools[0].gateway, Some("10.1.0.254".parse().unwrap()));
        assert_eq!(new.pools[0].range, Some("10.1.5.0/24".parse().unwrap()));
        assert_eq!(new.pools[0].auxiliary["router"], "10.1.0.7".parse::<IpAddr>().unwrap());
        assert_eq!(new.pools[1].auxiliary["nas"], "fd00:1::7".parse::<IpAddr>().unwrap());
        assert_eq!((new.options["a"].as_str(), new.options["d"].as_str()), ("b=c", ""));
        assert_eq!((new.labels["k"].as_str(), new.labels["l"].as_str()), ("", "m"));
    }

    #[test]
    fn what_does_not_fit_is_said_in_dockers_words() {
        for (args, words) in [
            (
                Args { gateway: texts(&["10.1.0.1"]), ..args() },
                "every ip-range or gateway must have a corresponding subnet",
            ),
            (
                Args { subnet: texts(&["10.1.0.0/16", "10.1.1.0/24"]), ..args() },
                "multiple overlapping subnet",
            ),
            (
                Args { subnet: texts(&["10.1.0.0/16"]), ip_range: texts(&["10.2.0.0/24"]), ..args() },
                "no matching subnet for range 10.2.0.0/24",
            ),
            (
                Args { subnet: texts(&["10.1.0.0/16"]), gateway: texts(&["10.2.0.1"]), ..args() },
                "no matching subnet for gateway 10.2.0.1",
            ),
            (
                Args {
                    subnet: texts(&["10.1.0.0/16", "10.2.0.0/16"]),
                    gateway: texts(&["10.1.0.1", "10.1.0.2"]),
                    ..args()
                },
                "cannot configure multiple gateways (10.1.0.2, 10.1.0.1) for the same subnet (10.1.0.0/16)",
            ),
            (
                Args {
                    subnet: texts(&["10.1.0.0/16", "10.2.0.0/16"]),
                    ip_range: texts(&["10.1.0.0/24", "10.1.1.0/24"]),
                    ..args()
                },
                "cannot configure multiple ranges",
            ),
            (
                Args { aux_address: texts(&["a=10.9.0.1"]), ..args() },
                "no matching subnet for aux-address 10.9.0.1",
            ),
            (
                Args { aux_address: texts(&["a=b"]), ..args() },
                "invalid argument \"a=b\" for \"--aux-address\" flag",
            ),
            (
                Args { subnet: texts(&["10.1"]), ..args() },
                "invalid argument \"10.1\" for \"--subnet\" flag: invalid CIDR address: 10.1",
            ),
            (
                Args { subnet: texts(&["10.1.0.0/16"]), gateway: texts(&["x"]), ..args() },
                "invalid string being converted to IP address: x",
            ),
            (Args { label: texts(&["=x"]), ..args() }, "invalid label"),
            (Args { config_only: true, ..args() }, "--config-only is not supported"),
            (Args { config_from: Some("x".into()), ..args() }, "--config-from is not supported"),
            (Args { ingress: true, ..args() }, "--ingress is not supported"),
            (Args { scope: Some("swarm".into()), ..args() }, "--scope swarm is not supported"),
            (Args { ipam_driver: "dhcp".into(), ..args() }, "--ipam-driver dhcp is not supported"),
        ] {
            let error = request(args).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
        }
        request(Args { scope: Some("local".into()), ipam_driver: "host-local".into(), ..args() }).unwrap();
    }
}
