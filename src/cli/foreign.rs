//! Global flags of docker and nerdctl that mean something else here, or nothing: each has its effect, is true as
//! it stands, or is refused by name.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::error::{Error, Result};

/// The flags; hidden, since nobody who begins with wharfie needs one.
#[derive(Debug, Clone, Default, Args)]
pub struct ForeignGlobals {
    /// Read vendors' device specifications from here [default: /etc/cdi, /var/run/cdi]
    #[arg(long, value_name = "DIR", value_delimiter = ',', hide = true)]
    pub cdi_spec_dirs: Vec<PathBuf>,
    /// What `host-gateway` of --add-host stands for [default: the network's gateway]
    #[arg(long, value_name = "IP", hide = true)]
    pub host_gateway_ip: Option<IpAddr>,
    /// Use TLS; refused
    #[arg(long, hide = true)]
    pub tls: bool,
    /// Use TLS and verify the remote; refused
    #[arg(long, hide = true)]
    pub tlsverify: bool,
    /// Trust certs signed only by this CA; refused
    #[arg(long, value_name = "FILE", hide = true)]
    pub tlscacert: Option<String>,
    /// Path to TLS certificate file; refused
    #[arg(long, value_name = "FILE", hide = true)]
    pub tlscert: Option<String>,
    /// Path to TLS key file; refused
    #[arg(long, value_name = "FILE", hide = true)]
    pub tlskey: Option<String>,
    /// Cgroup manager: cgroupfs is the only one
    #[arg(long, value_name = "NAME", hide = true)]
    pub cgroup_manager: Option<String>,
    /// SELinux labels; refused
    #[arg(long, hide = true)]
    pub selinux_enabled: bool,
    /// User namespace remapping; refused
    #[arg(long, value_name = "USER", hide = true)]
    pub userns_remap: Option<String>,
    /// Address of the default bridge; refused
    #[arg(long, value_name = "CIDR", hide = true)]
    pub bridge_ip: Option<String>,
    /// Global DNS servers; refused
    #[arg(long, value_name = "IP", hide = true)]
    pub global_dns: Vec<String>,
    /// Global DNS options; refused
    #[arg(long, value_name = "OPTION", hide = true)]
    pub global_dns_opts: Vec<String>,
    /// Global DNS search domains; refused
    #[arg(long, value_name = "DOMAIN", hide = true)]
    pub global_dns_search: Vec<String>,
    /// nerdctl's experiments: nothing here is one, so either answer is right
    #[arg(long, action = ArgAction::SetTrue, hide = true)]
    pub experimental: bool,
    /// One row an image in Kubernetes' namespace: that is how they are always shown
    #[arg(long, action = ArgAction::SetTrue, hide = true)]
    pub kube_hide_dupe: bool,
}

impl ForeignGlobals {
    /// Refuses by name what was asked for and cannot be.
    ///
    /// # Errors
    /// The first flag that asks for what is not there.
    pub fn check(&self) -> Result<()> {
        const TLS: &str = "containerd is spoken to over its unix socket, which knows no TLS";
        const DNS: &str = "name `run --dns`, `--dns-option` or `--dns-search` for the container";
        let set = |value: &Option<String>| value.as_deref().is_some_and(|value| !value.is_empty());
        let manager = self.cgroup_manager.as_deref().is_some_and(|name| !matches!(name, "" | "cgroupfs"));
        for (asked, flag, why) in [
            (self.tls, "--tls", TLS),
            (self.tlsverify, "--tlsverify", TLS),
            (set(&self.tlscacert), "--tlscacert", TLS),
            (set(&self.tlscert), "--tlscert", TLS),
            (set(&self.tlskey), "--tlskey", TLS),
            (manager, "--cgroup-manager", "control groups are made as directories (cgroupfs)"),
            (self.selinux_enabled, "--selinux-enabled", "wharfie sets no SELinux labels"),
            (set(&self.userns_remap), "--userns-remap", "containers share the host's user namespace"),
            (set(&self.bridge_ip), "--bridge-ip", "a network's addresses are in its configuration"),
            (!self.global_dns.is_empty(), "--global-dns", DNS),
            (!self.global_dns_opts.is_empty(), "--global-dns-opts", DNS),
            (!self.global_dns_search.is_empty(), "--global-dns-search", DNS),
        ] {
            if asked {
                return Err(Error::usage(format!("{flag} is not supported: {why}")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        assert!(ForeignGlobals::default().check().is_ok());
        let fine = ForeignGlobals { cgroup_manager: Some("cgroupfs".into()), ..ForeignGlobals::default() };
        assert!(fine.check().is_ok());
        for (flags, name) in [
            (ForeignGlobals { tls: true, ..ForeignGlobals::default() }, "--tls is"),
            (
                ForeignGlobals { cgroup_manager: Some("systemd".into()), ..ForeignGlobals::default() },
                "--cgroup-manager is",
            ),
            (
                ForeignGlobals { userns_remap: Some("x".into()), ..ForeignGlobals::default() },
                "--userns-remap is",
            ),
        ] {
            assert!(flags.check().unwrap_err().message.starts_with(name));
        }
    }
}
