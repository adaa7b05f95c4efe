//! The host's own loopback as a way to published ports: what the kernel wants before packets of 127.0.0.1 and
//! `::1` pass to a bridge, and the answers come back.

use std::net::Ipv6Addr;
use std::path::Path;

use super::firewall::Firewall;
use super::link::Links;
use super::sysctl;
use crate::Result;

/// Where the kernel says that bridged IPv6 packets pass the firewall (kubelets ask for it). Answers to `::1` would
/// then have that address before they are taken for the host's, and be dropped.
const BRIDGED: &str = "/proc/sys/net/bridge/bridge-nf-call-ip6tables";

/// Opens the way to the bridge for the families that its containers have, as far as this host has it.
///
/// # Errors
/// A read-only /proc where the switch is off, or the kernel's reason.
pub(crate) fn lead(bridge: &str, (v4, v6): (bool, bool), firewall: &Firewall) -> Result<()> {
    if v4 {
        sysctl::route_loopback(bridge)?;
    }
    if !v6 {
        return Ok(());
    }
    let passes = has_loopback() && !is_on(Path::new(BRIDGED));
    if passes {
        let links = Links::open()?;
        if let Some(link) = links.find(bridge)? {
            // IPv6 has no `route_localnet`: an answer to ::1 that comes from the bridge is this host's by a route.
            links.accept(link.index, Ipv6Addr::LOCALHOST)?;
        }
    }
    firewall.serve_loopback(passes)
}

fn has_loopback() -> bool {
    let addresses = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    addresses.lines().any(|line| line.starts_with("00000000000000000000000000000001 "))
}

fn is_on(switch: &Path) -> bool {
    std::fs::read_to_string(switch).is_ok_and(|value| value.trim() != "0")
}
