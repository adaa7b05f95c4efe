//! The few kernel switches that forwarding needs. `/proc/sys/net` shows the calling thread's namespace.

use std::path::Path;

use crate::{Error, Result};

/// Makes this host forward IPv4 packets; says whether it did not before.
///
/// # Errors
/// A read-only /proc, when forwarding is off.
pub(crate) fn forward_ipv4() -> Result<bool> {
    switch_on(Path::new("/proc/sys/net/ipv4/ip_forward"))
}

/// Makes this host forward IPv6 packets, for a network that has IPv6 alone: it ends the host's own listening
/// to router advertisements.
///
/// # Errors
/// A read-only /proc, when forwarding is off.
pub(crate) fn route_ipv6(wanted: bool) -> Result<()> {
    if wanted {
        switch_on(Path::new("/proc/sys/net/ipv6/conf/all/forwarding"))?;
    }
    Ok(())
}

/// Lets packets of 127.0.0.1 pass to the bridge, for published ports.
///
/// # Errors
/// A read-only /proc, when the switch is off.
pub(crate) fn route_loopback(bridge: &str) -> Result<()> {
    switch_on(&Path::new("/proc/sys/net/ipv4/conf").join(bridge).join("route_localnet")).map(drop)
}

fn switch_on(path: &Path) -> Result<bool> {
    let value = std::fs::read_to_string(path).map_err(|cause| Error::io("read", path, cause))?;
    if value.trim() != "0" {
        return Ok(false);
    }
    std::fs::write(path, "1").map_err(|cause| {
        Error::io("write 1 to", path, cause)
            .hint("containers reach nothing outside without it: switch it on by sysctl")
    })?;
    Ok(true)
}
