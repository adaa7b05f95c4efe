//! The addresses in a process's network namespace, without entering it.

use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A machine may have many routes; nothing longer is read.
const LONGEST: u64 = 1 << 20;
/// `RT_SCOPE_UNIVERSE`, in the table of IPv6 addresses.
const GLOBAL: &str = "00";

/// The addresses that others can reach process `pid` at, IPv4 first. None where it is gone.
pub fn of_process(pid: u32) -> Vec<IpAddr> {
    let table = |name: &str| {
        let mut text = String::new();
        let file = File::open(format!("/proc/{pid}/net/{name}")).ok();
        file.and_then(|file| file.take(LONGEST).read_to_string(&mut text).ok());
        text
    };
    let four = local_routes(&table("fib_trie")).into_iter().map(IpAddr::V4);
    four.chain(global(&table("if_inet6")).into_iter().map(IpAddr::V6)).collect()
}

/// The routing trie has a leaf for each address of its own: `|-- 10.88.0.2`, below it `/32 host LOCAL`.
fn local_routes(trie: &str) -> Vec<Ipv4Addr> {
    let (mut leaf, mut found) = (None, Vec::new());
    for line in trie.lines() {
        let line = line.trim_start();
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        } else if line.starts_with("/32 host LOCAL")
            && let Some(address) = leaf.filter(|address| !address.is_loopback())
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// `fd00…(32 digits) index prefix-length scope flags name`.
fn global(table: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (digits, scope) = (fields.next()?, fields.nth(2)?);
        let bits = u128::from_str_radix(digits, 16).ok()?;
        (scope == GLOBAL).then(|| Ipv6Addr::from(bits))
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_others() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.88.0.0/16 2 0 2\n        \
                    |-- 10.88.0.2\n           /32 host LOCAL\n        |-- 10.88.255.255\n           /32 link BROADCAST\n     \
                    |-- 127.0.0.1\n           /32 host LOCAL\nLocal:\n        |-- 10.88.0.2\n           /32 host LOCAL\n";
        assert_eq!(local_routes(trie), [Ipv4Addr::new(10, 88, 0, 2)]);
        assert!(local_routes("").is_empty());
        let six = "fe800000000000000000000000000001 02 40 20 80     eth0\n\
                   fd000000000000000000000000000002 02 40 00 80     eth0\nbroken\n\
                   00000000000000000000000000000001 01 80 10 80       lo\n";
        assert_eq!(global(six), ["fd00::2".parse::<Ipv6Addr>().unwrap()]);
        assert!(of_process(u32::MAX).is_empty());
    }
}
