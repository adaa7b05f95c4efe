//! What an endpoint may be given beside its addresses: a name for its interface, addresses that hold on its link
//! alone, settings of the kernel for it. The same for every driver.

use std::collections::HashSet;
use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::link::Links;
use super::{Join, namespace};
use crate::{Error, Result};

/// The interfaces' names: those asked for, and `eth` with a number for the others.
///
/// # Errors
/// A name that two networks are to have.
pub(crate) fn interfaces(endpoints: &[Join]) -> Result<Vec<String>> {
    let mut seen = HashSet::new();
    let names: Vec<String> = endpoints
        .iter()
        .enumerate()
        .map(|(number, join)| join.interface.clone().unwrap_or_else(|| format!("eth{number}")))
        .collect();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(twice) => Err(Error::usage(format!("two networks cannot both have the interface {twice}"))
            .hint("give each a name of its own, or none")),
        None => Ok(names),
    }
}

/// Gives the connected interface what the drivers do not know of.
///
/// # Errors
/// A setting that this kernel does not have, an address that it refuses.
pub(crate) fn finish(namespace: &File, join: &Join, interface: &str) -> Result<()> {
    if join.link_local.is_empty() && join.sysctls.is_empty() {
        return Ok(());
    }
    let addresses = join
        .link_local
        .iter()
        .map(|address| IpNet::new(*address, if matches!(address, IpAddr::V4(_)) { 16 } else { 64 }))
        .collect::<std::result::Result<Vec<_>, _>>()
        .map_err(|cause| Error::failed(format!("read a link-local address: {cause}")))?;
    let settings = join.sysctls.iter().map(|text| setting(text, interface)).collect::<Result<Vec<_>>>()?;
    namespace::inside(namespace, || {
        if !addresses.is_empty() {
            let links = Links::open()?;
            let link = links.find(interface)?;
            let link = link.ok_or_else(|| Error::failed(format!("the link {interface} has gone")))?;
            links.configure(link.index, &addresses, &[])?;
        }
        for (path, value) in &settings {
            std::fs::write(path, value)
                .map_err(|cause| Error::io(&format!("write {value} to"), path, cause))?;
        }
        Ok(())
    })
}

/// `net.ipv4.conf.IFNAME.x=1` as a file and its content.
fn setting(text: &str, interface: &str) -> Result<(PathBuf, String)> {
    let wrong = || Error::usage(format!("unrecognised network interface sysctl '{text}'"));
    let (name, value) = text.split_once('=').ok_or_else(wrong)?;
    let mut path = Path::new("/proc/sys").to_path_buf();
    for part in name.split('.') {
        if part.is_empty() || part.contains('/') || part.starts_with('.') {
            return Err(wrong());
        }
        path.push(if part == "IFNAME" { interface } else { part });
    }
    if name.starts_with("net.") { Ok((path, value.to_owned())) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_files_of_the_network() {
        let (path, value) = setting("net.ipv4.conf.IFNAME.log_martians=1", "eth0").unwrap();
        assert_eq!(
            (path.to_str().unwrap(), value.as_str()),
            ("/proc/sys/net/ipv4/conf/eth0/log_martians", "1")
        );
        for text in ["kernel.x=1", "net.ipv4", "net..x=1", "net./etc/passwd=1"] {
            assert!(setting(text, "eth0").is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_given_once() {
        let join = |name: Option<&str>| Join { interface: name.map(str::to_owned), ..Join::default() };
        assert_eq!(interfaces(&[join(None), join(Some("lan"))]).unwrap(), ["eth0", "lan"]);
        assert!(interfaces(&[join(Some("eth1")), join(None)]).is_err());
    }
}
