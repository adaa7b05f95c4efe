//! Which addresses stand for a registry, in the order in which they are asked.

use std::path::PathBuf;

use crate::config::Config;
use crate::config::hosts::{self, Capabilities, Host, Hosts};
use crate::error::{Error, Result};

use super::reference::DOCKER_HUB;

/// The host that really serves Docker Hub.
const HUB_HOST: &str = "registry-1.docker.io";

/// One address of a registry's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https://registry-1.docker.io/v2`, without a slash at its end.
    pub(super) base: String,
    /// The host with its port.
    pub(super) host: String,
    /// The key of its credentials in docker's config.json.
    pub(super) account: String,
    pub(super) capabilities: Capabilities,
    pub(super) headers: Vec<(String, String)>,
    pub(super) transport: Transport,
    /// Another way to reach the same host, not a mirror of its own: its failures are not worth telling.
    pub(super) fallback: bool,
}

/// How the connection is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Transport {
    pub(super) ca: Vec<PathBuf>,
    pub(super) client: Vec<(PathBuf, PathBuf)>,
    pub(super) skip_verify: bool,
    /// On this machine: no proxy leads there.
    pub(super) local: bool,
}

/// The endpoints for `registry` (`docker.io`, `host:5000`), never none.
pub(super) fn endpoints(config: &Config, registry: &str) -> Result<Vec<Endpoint>> {
    let mut endpoints = configured(config, registry)?;
    let flags = &config.registry;
    if flags.plain_http {
        endpoints.retain(|endpoint| !endpoint.fallback);
        if let Some(own) = endpoints.last_mut() {
            own.base = own.base.replacen("https://", "http://", 1);
        }
    }
    for endpoint in &mut endpoints {
        endpoint.transport.skip_verify |= flags.skip_verify;
        endpoint.transport.ca.extend(flags.ca.clone());
        if let Some(client) = &flags.client {
            endpoint.transport.client = vec![client.clone()];
        }
    }
    Ok(endpoints)
}

fn configured(config: &Config, registry: &str) -> Result<Vec<Endpoint>> {
    let Hosts { mirrors, server } = match hosts::find(&config.hosts_dirs, registry)? {
        Some(found) => found,
        None => hosts::Hosts { mirrors: vec![], server: unconfigured() },
    };
    let mut endpoints = Vec::new();
    for host in &mirrors {
        endpoints.push(endpoint(host, registry, config.insecure_registry)?);
    }
    let named = !server.address.is_empty();
    let own = if registry == DOCKER_HUB { HUB_HOST } else { registry };
    let server = if named { server } else { Host { address: own.to_owned(), ..server } };
    let last = endpoint(&server, registry, config.insecure_registry)?;
    let already = endpoints.iter().any(|known| known.base == last.base);
    if already {
        return Ok(endpoints);
    }
    // As docker does: what is on this machine, or allowed to be insecure, may speak plain HTTP.
    let scheme_given = server.address.contains("://");
    if !scheme_given && (last.transport.local || config.insecure_registry) {
        let mut secure = last.clone();
        secure.transport.skip_verify = true;
        secure.fallback = true;
        let mut plain = last;
        plain.base = plain.base.replacen("https://", "http://", 1);
        endpoints.extend([secure, plain]);
    } else {
        endpoints.push(last);
    }
    Ok(endpoints)
}

fn unconfigured() -> Host {
    Host {
        address: String::new(),
        capabilities: Capabilities { pull: true, resolve: true, push: true },
        ca: vec![],
        client: vec![],
        skip_verify: false,
        headers: vec![],
        override_path: false,
    }
}

fn endpoint(host: &Host, registry: &str, insecure: bool) -> Result<Endpoint> {
    let (scheme, rest) = host.address.split_once("://").unwrap_or(("https", &host.address));
    if scheme != "https" && scheme != "http" {
        return Err(Error::failed(format!("{}: registries speak https or http, not {scheme}", host.address)));
    }
    let rest = rest.trim_end_matches('/');
    let (authority, path) = match rest.split_once('/') {
        Some((authority, path)) => (authority, format!("/{path}")),
        None => (rest, String::new()),
    };
    if authority.is_empty() {
        return Err(Error::failed(format!("{:?} names no registry host", host.address)));
    }
    let path = if host.override_path || path.ends_with("/v2") { path } else { format!("{path}/v2") };
    let hub = authority == HUB_HOST || (authority == registry && registry == DOCKER_HUB);
    Ok(Endpoint {
        base: format!("{scheme}://{authority}{path}"),
        host: authority.to_owned(),
        account: if hub { DOCKER_HUB.to_owned() } else { authority.to_owned() },
        capabilities: host.capabilities,
        headers: host.headers.clone(),
        transport: Transport {
            ca: host.ca.clone(),
            client: host.client.clone(),
            skip_verify: host.skip_verify || insecure,
            local: is_local(authority),
        },
        fallback: false,
    })
}

/// Whether an authority (`host[:port]`) is this machine.
pub(super) fn is_local(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn config(hosts_dirs: Vec<PathBuf>, insecure_registry: bool) -> Config {
        Config {
            node: None,
            context: "default".into(),
            runtime_dir: "/run".into(),
            namespace: "default".into(),
            namespace_given: true,
            addresses: vec![],
            address_given: false,
            snapshotter: "overlayfs".into(),
            data_root: PathBuf::new(),
            run_root: PathBuf::new(),
            cni_path: PathBuf::new(),
            cni_conf_dir: PathBuf::new(),
            cni_data_dir: PathBuf::new(),
            hosts_dirs,
            docker_config: PathBuf::from("/nonexistent"),
            cdi_spec_dirs: Vec::new(),
            host_gateway: None,
            debug: false,
            insecure_registry,
            runtime: "io.containerd.runc.v2".into(),
            registry: crate::config::RegistryFlags::default(),
        }
    }

    fn bases(config: &Config, registry: &str) -> Vec<String> {
        endpoints(config, registry).unwrap().into_iter().map(|endpoint| endpoint.base).collect()
    }

    #[test]
    fn without_configuration() {
        let plain = config(vec![], false);
        let cases: &[(&str, &[&str])] = &[
            ("docker.io", &["https://registry-1.docker.io/v2"]),
            ("quay.io", &["https://quay.io/v2"]),
            ("localhost:5000", &["https://localhost:5000/v2", "http://localhost:5000/v2"]),
            ("127.0.0.1:5000", &["https://127.0.0.1:5000/v2", "http://127.0.0.1:5000/v2"]),
            ("[::1]:5000", &["https://[::1]:5000/v2", "http://[::1]:5000/v2"]),
        ];
        for (registry, expected) in cases {
            assert_eq!(bases(&plain, registry), *expected, "{registry}");
        }
        assert_eq!(bases(&config(vec![], true), "far:5000"), ["https://far:5000/v2", "http://far:5000/v2"]);
    }

    #[test]
    fn mirrors_come_first() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("docker.io")).unwrap();
        std::fs::write(
            root.path().join("docker.io/hosts.toml"),
            "[host.'http://mirror:5000']\n[host.'https://cache/hub']\noverride_path = true\n",
        )
        .unwrap();
        let config = config(vec![root.path().to_path_buf()], false);
        let expected = ["http://mirror:5000/v2", "https://cache/hub", "https://registry-1.docker.io/v2"];
        assert_eq!(bases(&config, "docker.io"), expected);
        let last = endpoints(&config, "docker.io").unwrap().pop().unwrap();
        assert_eq!(last.account, "docker.io");
    }
}
