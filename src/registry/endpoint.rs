//! Which addresses stand for a registry, in the order in which they are asked.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use crate::config::credentials::Credentials;
use crate::config::hosts::{self, Capabilities, Host, Hosts, Origin};
use crate::config::{Config, mirrors};
use crate::error::{Error, Result};

use super::reference::{DOCKER_HUB, Reference};

/// The host that really serves Docker Hub.
const HUB_HOST: &str = "registry-1.docker.io";

/// One address of a registry's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `https://registry-1.docker.io/v2`, without a slash at its end.
    pub(super) base: String,
    /// The host with its port.
    pub(super) host: String,
    /// The names under which docker's config.json may have its credentials.
    pub(super) accounts: Vec<String>,
    /// What the file that names the host gives.
    pub(super) credentials: Option<Credentials>,
    /// The registry whose mirror this is: it wants to be told.
    pub(super) mirror_of: Option<String>,
    /// The line that names the host.
    pub(super) origin: Option<Origin>,
    /// The registry itself, not a mirror.
    pub(super) own: bool,
    pub(super) capabilities: Capabilities,
    pub(super) headers: Vec<(String, String)>,
    pub(super) transport: Transport,
    /// Another way to reach the same host, not a mirror of its own: its failures are not worth telling.
    pub(super) fallback: bool,
}

impl Endpoint {
    /// The address of `path` below the API's root: `library/busybox/manifests/latest`.
    pub(super) fn address(&self, path: &str) -> Result<Url> {
        let mut url = parse(&format!("{}/{path}", self.base))?;
        if let Some(registry) = &self.mirror_of {
            // As containerd does: one mirror may serve many registries.
            url.query_pairs_mut().append_pair("ns", registry);
        }
        Ok(url)
    }

    /// Whether its connections are encrypted.
    pub(super) fn is_secure(&self) -> bool {
        self.base.starts_with("https://")
    }

    /// Which line chose it.
    pub(super) fn chosen_by(&self) -> String {
        self.origin.as_ref().map_or_else(|| "default".to_owned(), ToString::to_string)
    }
}

/// An address of an endpoint's.
pub(super) fn parse(address: &str) -> Result<Url> {
    Url::parse(address).map_err(|_| Error::failed(format!("invalid address {address:?}")))
}

/// How the connection is made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Transport {
    pub(super) ca: Vec<PathBuf>,
    pub(super) client: Vec<(PathBuf, PathBuf)>,
    pub(super) skip_verify: bool,
    /// How long a connection may take to come about.
    pub(super) dial_timeout: Option<Duration>,
    /// How long it may be silent.
    pub(super) silence: Option<Duration>,
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
        endpoint.transport.silence = config.registry_timeout;
        endpoint.transport.ca.extend(flags.ca.clone());
        if let Some(client) = &flags.client {
            endpoint.transport.client = vec![client.clone()];
        }
    }
    Ok(endpoints)
}

fn configured(config: &Config, registry: &str) -> Result<Vec<Endpoint>> {
    let found = hosts_of(config, registry)?;
    let Hosts { mirrors, server } =
        found.unwrap_or_else(|| Hosts { mirrors: vec![], server: Host::itself() });
    let mut endpoints = Vec::new();
    for host in &mirrors {
        endpoints.push(endpoint(host, registry, config.insecure_registry)?);
    }
    let named = !server.address.is_empty();
    let own = if registry == DOCKER_HUB { HUB_HOST } else { registry };
    let server = if named { server } else { Host { address: own.to_owned(), ..server } };
    let mut last = endpoint(&server, registry, config.insecure_registry)?;
    if !last.accounts.iter().any(|account| account == registry) {
        // Whoever names another server for a registry means its log-in, too.
        last.accounts.push(registry.to_owned());
    }
    if let Some(already) = endpoints.iter_mut().find(|known| known.base == last.base) {
        already.own = true;
        already.accounts = last.accounts;
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
    let own = endpoints.len() - mirrors.len();
    endpoints.iter_mut().rev().take(own).for_each(|endpoint| endpoint.own = true);
    Ok(endpoints)
}

/// What is configured for `registry`: in a `certs.d`, or else by containerd's older mirrors. None where nothing is.
fn hosts_of(config: &Config, registry: &str) -> Result<Option<Hosts>> {
    let Some(file) = &config.containerd_config else { return hosts::find(&config.hosts_dirs, registry) };
    // One that cannot be read keeps containerd itself from starting: `doctor` tells of it.
    let theirs = mirrors::read(file).unwrap_or_default();
    let mut directories = theirs.directories.clone();
    directories.extend(config.hosts_dirs.iter().filter(|own| !theirs.directories.contains(own)).cloned());
    Ok(hosts::find(&directories, registry)?.or_else(|| theirs.find(registry)))
}

/// The hosts that containerd's CRI asks for `registry`, in order, by its own configuration alone.
///
/// # Errors
/// A configuration that cannot be read.
pub(super) fn of_cri(config: &Config, registry: &str) -> Result<Vec<Endpoint>> {
    let file = config.containerd_config.clone().unwrap_or_else(|| mirrors::file_of(&config.addresses));
    let theirs = mirrors::read(&file)?;
    let found = hosts::find(&theirs.directories, registry)?.or_else(|| theirs.find(registry));
    let Hosts { mirrors, mut server } =
        found.unwrap_or_else(|| Hosts { mirrors: vec![], server: Host::itself() });
    if server.address.is_empty() {
        let own = if registry == DOCKER_HUB { HUB_HOST } else { registry };
        let scheme = if is_local(registry) { "http" } else { "https" };
        server.address = format!("{scheme}://{own}");
    }
    let all = mirrors.iter().chain([&server]).filter(|host| host.capabilities.resolve);
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for host in all {
        let endpoint = endpoint(host, registry, false)?;
        if !endpoints.iter().any(|known| known.base == endpoint.base) {
            endpoints.push(endpoint);
        }
    }
    Ok(endpoints)
}

/// What says where the registry of `reference` is asked; None where nothing is configured.
///
/// # Errors
/// A configuration that cannot be read.
pub fn configured_by(config: &Config, reference: &Reference) -> Result<Option<String>> {
    let Some(found) = hosts_of(config, reference.domain())? else { return Ok(None) };
    let first = found.mirrors.first().unwrap_or(&found.server);
    Ok(first.origin.as_ref().map(ToString::to_string))
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
    let hub = registry == DOCKER_HUB && [HUB_HOST, DOCKER_HUB].contains(&authority);
    let account = if authority == HUB_HOST { DOCKER_HUB } else { authority };
    Ok(Endpoint {
        base: format!("{scheme}://{authority}{path}"),
        host: authority.to_owned(),
        accounts: vec![account.to_owned()],
        credentials: host.credentials.clone(),
        mirror_of: (authority != registry && !hub).then(|| registry.to_owned()),
        origin: host.origin.clone(),
        own: false,
        capabilities: host.capabilities,
        headers: host.headers.clone(),
        transport: Transport {
            ca: host.ca.clone(),
            client: host.client.clone(),
            skip_verify: host.skip_verify || insecure,
            dial_timeout: host.dial_timeout.filter(|limit| !limit.is_zero()),
            silence: None,
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
            containerd_config: None,
            auth_config: None,
            cdi_spec_dirs: Vec::new(),
            host_gateway: None,
            debug: false,
            insecure_registry,
            registry_timeout: None,
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
        assert_eq!(last.accounts, ["docker.io"]);
        let mirrored = endpoints(&config, "docker.io").unwrap();
        let address = |at: usize| mirrored[at].address("library/a/tags/list?n=1").unwrap().to_string();
        assert_eq!(address(0), "http://mirror:5000/v2/library/a/tags/list?n=1&ns=docker.io");
        assert_eq!(address(2), "https://registry-1.docker.io/v2/library/a/tags/list?n=1");
        assert_eq!(mirrored.iter().map(|endpoint| endpoint.own).collect::<Vec<_>>(), [false, false, true]);
        assert!(mirrored[1].chosen_by().ends_with("docker.io/hosts.toml:2"));
    }
}
