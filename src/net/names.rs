//! The contents of a container's hosts and resolv.conf, as docker writes them. Pure, but for reading the
//! host's own resolv.conf.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use crate::{Error, Result};

/// docker's servers when the host has none that a container could reach.
const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
const FALLBACK_V6: [&str; 2] = ["2001:4860:4860::8888", "2001:4860:4860::8844"];
const HOST_FILE: &str = "/etc/resolv.conf";
/// The servers behind systemd-resolved, whose own address is the host's loopback.
const RESOLVED_FILE: &str = "/run/systemd/resolve/resolv.conf";
const FILE_LIMIT: u64 = 64 * 1024;

/// What a hosts file says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hosts<'a> {
    /// The container's addresses; none without a network of its own.
    pub addresses: &'a [IpAddr],
    /// The hostname.
    pub hostname: &'a str,
    /// The domain name, empty without one.
    pub domain: &'a str,
    /// Further names of the container: its own, its aliases.
    pub names: &'a [String],
    /// `--add-host`: name, and address or `host-gateway`.
    pub extra: &'a [(String, String)],
    /// What `host-gateway` stands for, one an address family.
    pub gateways: &'a [IpAddr],
}

/// A hosts file.
///
/// # Errors
/// docker's words for an `--add-host` that is no address, or `host-gateway` without a gateway.
pub fn hosts(wish: &Hosts) -> Result<String> {
    let mut text = String::from(
        "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
         ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n",
    );
    for (name, address) in wish.extra {
        for address in extra_addresses(name, address, wish.gateways)? {
            text += &format!("{address}\t{name}\n");
        }
    }
    let mut names: Vec<String> = Vec::new();
    if !wish.hostname.is_empty() {
        if !wish.domain.is_empty() {
            names.push(format!("{}.{}", wish.hostname, wish.domain));
        }
        names.push(wish.hostname.to_owned());
        // docker adds the short form of a dotted hostname.
        if let Some((short, _)) = wish.hostname.split_once('.') {
            names.push(short.to_owned());
        }
    }
    for name in wish.names {
        if !name.is_empty() && !names.contains(name) {
            names.push(name.clone());
        }
    }
    if !names.is_empty() {
        for address in wish.addresses {
            text += &format!("{address}\t{}\n", names.join(" "));
        }
    }
    Ok(text)
}

fn extra_addresses(name: &str, address: &str, gateways: &[IpAddr]) -> Result<Vec<IpAddr>> {
    let whole = |what: &str| {
        Error::usage(format!("invalid argument \"{name}:{address}\" for \"--add-host\" flag: {what}"))
    };
    if name.is_empty() || name.chars().any(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(whole(&format!("invalid host name: \"{name}\"")));
    }
    if address == "host-gateway" {
        if gateways.is_empty() {
            return Err(Error::failed("unable to derive the IP value for host-gateway")
                .hint("join a bridge network, or give the address itself to --add-host"));
        }
        return Ok(gateways.to_vec());
    }
    // docker allows an IPv6 address in brackets.
    let plain = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let parsed =
        plain.parse().map_err(|_| whole(&format!("invalid IP address in add-host: \"{address}\"")))?;
    Ok(vec![parsed])
}

/// What the user asked of name resolution; an empty list leaves the host's.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resolver<'a> {
    /// `--dns`.
    pub servers: &'a [IpAddr],
    /// `--dns-search`; a single `.` means none.
    pub search: &'a [String],
    /// `--dns-option`.
    pub options: &'a [String],
    /// The container has an IPv6 address, so servers of that family can be reached.
    pub ipv6: bool,
    /// Containers' names are answered: the file names the resolver alone, which knows the other servers.
    pub resolver: bool,
}

/// A resolv.conf for a container with a network of its own, from the host's text.
pub fn resolv_conf(host: &str, wish: &Resolver) -> String {
    let found = Found::read(host);
    let mut servers: Vec<String> = wish.servers.iter().map(IpAddr::to_string).collect();
    if wish.resolver {
        servers = vec![super::resolver::ADDRESS.to_string()];
    }
    if servers.is_empty() {
        // The host's loopback is not the container's.
        servers = found
            .servers
            .iter()
            .filter(|server| address(server).is_some_and(|ip| !is_local(ip) && (wish.ipv6 || ip.is_ipv4())))
            .map(|server| (*server).to_owned())
            .collect();
    }
    if servers.is_empty() {
        servers = FALLBACK.map(str::to_owned).into();
        if wish.ipv6 {
            servers.extend(FALLBACK_V6.map(str::to_owned));
        }
    }
    let or_hosts = |asked: &[String], host: &[&str]| -> Vec<String> {
        if asked.is_empty() { host.iter().map(|&word| word.to_owned()).collect() } else { asked.to_vec() }
    };
    let search = or_hosts(wish.search, &found.search);
    let mut options = or_hosts(wish.options, &found.options);
    if wish.resolver && !options.iter().any(|option| option.starts_with("ndots:")) {
        // A container's name is one word: it is asked for as it is, before any domain is tried.
        options.push("ndots:0".into());
    }
    let mut text = String::new();
    for server in servers {
        text += &format!("nameserver {server}\n");
    }
    if !search.is_empty() && search != ["."] {
        text += &format!("search {}\n", search.join(" "));
    }
    if !options.is_empty() {
        text += &format!("options {}\n", options.join(" "));
    }
    text
}

/// The servers of a resolv.conf, whoever can reach them.
pub fn servers(resolv_conf: &str) -> Vec<IpAddr> {
    Found::read(resolv_conf).servers.iter().filter_map(|server| server.parse().ok()).collect()
}

/// The host's resolv.conf as it is at this moment; empty when there is none.
pub fn host_file() -> String {
    read_bounded_text(HOST_FILE).unwrap_or_default()
}

/// The host's resolv.conf with servers that can be reached from elsewhere: systemd-resolved's list when the
/// file names that alone. Empty when there is none.
pub fn host_resolv_conf() -> String {
    let text = host_file();
    if names_resolved_alone(&text) { read_bounded_text(RESOLVED_FILE).unwrap_or(text) } else { text }
}

fn read_bounded_text(path: &str) -> Option<String> {
    let content = crate::store::read_bounded(Path::new(path), FILE_LIMIT).ok()?;
    Some(String::from_utf8_lossy(&content).into_owned())
}

fn names_resolved_alone(text: &str) -> bool {
    let servers = Found::read(text).servers;
    !servers.is_empty() && servers.iter().all(|server| matches!(*server, "127.0.0.53" | "127.0.0.54"))
}

#[derive(Default)]
struct Found<'a> {
    servers: Vec<&'a str>,
    search: Vec<&'a str>,
    options: Vec<&'a str>,
}

impl<'a> Found<'a> {
    fn read(text: &'a str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            // A comment may follow on the line; servers are then the first word.
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => found.servers.extend(words.next()),
                // The last one counts; `domain` is the old form of a single search.
                Some("search") => found.search = words.collect(),
                Some("domain") => found.search = words.take(1).collect(),
                Some("options") => found.options.extend(words),
                _ => {}
            }
        }
        found
    }
}

/// A server's address, without an interface after `%`.
fn address(server: &str) -> Option<IpAddr> {
    server.split('%').next()?.parse().ok()
}

/// Only the host itself can reach it.
fn is_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address == Ipv4Addr::UNSPECIFIED,
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\n\
                        ff00::\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, address)| ((*name).into(), (*address).into())).collect()
    }

    #[test]
    fn hosts_files() {
        let addresses = ["10.4.0.2".parse().unwrap(), "fd00::2".parse().unwrap()];
        let gateways = ["10.4.0.1".parse().unwrap()];
        let extra = pairs(&[("db", "192.0.2.7"), ("up", "host-gateway"), ("six", "[::1]")]);
        let names = ["web".to_owned(), "abc".to_owned()];
        let wish = Hosts {
            addresses: &addresses,
            hostname: "abc",
            domain: "example.org",
            names: &names,
            extra: &extra,
            gateways: &gateways,
        };
        assert_eq!(
            hosts(&wish).unwrap(),
            format!(
                "{HEAD}192.0.2.7\tdb\n10.4.0.1\tup\n::1\tsix\n10.4.0.2\tabc.example.org abc web\n\
                 fd00::2\tabc.example.org abc web\n"
            )
        );
        assert_eq!(hosts(&Hosts::default()).unwrap(), HEAD);
        let dotted = Hosts { hostname: "a.b", addresses: &addresses[..1], ..Hosts::default() };
        assert_eq!(hosts(&dotted).unwrap(), format!("{HEAD}10.4.0.2\ta.b a\n"));
    }

    #[test]
    fn wrong_extra_hosts() {
        for (name, value, message) in [
            (
                "db",
                "nowhere",
                "invalid argument \"db:nowhere\" for \"--add-host\" flag: invalid IP address in add-host: \"nowhere\"",
            ),
            ("db", "host-gateway", "unable to derive the IP value for host-gateway"),
            (
                "d\nb",
                "1.2.3.4",
                "invalid argument \"d\nb:1.2.3.4\" for \"--add-host\" flag: invalid host name: \"d\nb\"",
            ),
        ] {
            let extra = pairs(&[(name, value)]);
            let error = hosts(&Hosts { extra: &extra, ..Hosts::default() }).unwrap_err();
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn resolv_conf_files() {
        let none: &[&str] = &[];
        let dns: &[&str] = &["192.0.2.53"];
        for (host, servers, search, ipv6, expected) in [
            (
                "nameserver 192.0.2.1\nsearch a b\noptions ndots:2\n",
                none,
                none,
                false,
                "nameserver 192.0.2.1\nsearch a b\noptions ndots:2\n",
            ),
            (
                "nameserver 127.0.0.53\nnameserver ::1\n",
                none,
                none,
                false,
                "nameserver 8.8.8.8\nnameserver 8.8.4.4\n",
            ),
            (
                "",
                none,
                none,
                true,
                "nameserver 8.8.8.8\nnameserver 8.8.4.4\nnameserver 2001:4860:4860::8888\nnameserver 2001:4860:4860::8844\n",
            ),
            ("nameserver fd00::53\nnameserver 192.0.2.1 # x\n", none, none, false, "nameserver 192.0.2.1\n"),
            ("nameserver fd00::53\n", none, none, true, "nameserver fd00::53\n"),
            ("nameserver fe80::1%eth0\nnameserver 192.0.2.1\n", none, none, true, "nameserver 192.0.2.1\n"),
            ("nameserver 192.0.2.1\nsearch a\n", dns, &["c"], false, "nameserver 192.0.2.53\nsearch c\n"),
            ("domain a\nnameserver 192.0.2.1\n", none, &["."], false, "nameserver 192.0.2.1\n"),
            ("domain a b\nnameserver rubbish\n", dns, none, false, "nameserver 192.0.2.53\nsearch a\n"),
        ] {
            let servers: Vec<IpAddr> = servers.iter().map(|server| server.parse().unwrap()).collect();
            let search: Vec<String> = search.iter().map(|&domain| domain.to_owned()).collect();
            let wish = Resolver { servers: &servers, search: &search, ipv6, ..Resolver::default() };
            assert_eq!(resolv_conf(host, &wish), expected, "{host}");
        }
        let options = ["ndots:0".to_owned()];
        let wish = Resolver { options: &options, ..Resolver::default() };
        assert_eq!(
            resolv_conf("nameserver 192.0.2.1\noptions edns0", &wish),
            "nameserver 192.0.2.1\noptions ndots:0\n"
        );
        let host = "nameserver 192.0.2.1\nsearch a\noptions edns0\n";
        let wish = Resolver { resolver: true, ..Resolver::default() };
        assert_eq!(resolv_conf(host, &wish), "nameserver 127.0.0.11\nsearch a\noptions edns0 ndots:0\n");
        let options = ["ndots:3".to_owned()];
        let wish = Resolver { options: &options, ..wish };
        assert_eq!(resolv_conf(host, &wish), "nameserver 127.0.0.11\nsearch a\noptions ndots:3\n");
        assert_eq!(
            servers("nameserver ::1\nnameserver x\nnameserver 127.0.0.53"),
            ["::1".parse::<IpAddr>().unwrap(), "127.0.0.53".parse().unwrap()]
        );
        assert!(names_resolved_alone("nameserver 127.0.0.53\n"));
        assert!(!names_resolved_alone("nameserver 127.0.0.1\n") && !names_resolved_alone(""));
    }
}
