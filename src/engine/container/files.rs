//! The files that a container sees of its surroundings: hosts, hostname, resolv.conf.

use std::io::Write;
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::model::{Container, Origin, Record};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::net::{Connection, names};
use crate::oci::mounts as oci;
use crate::oci::request::{ContainerRequest, NetworkMode};
use crate::store::make_directory;

/// The files of one container, or of the container whose network it shares.
#[derive(Debug, Default)]
pub(super) struct Files {
    directory: Option<PathBuf>,
}

impl Files {
    /// Where the files are: with a shared network, those of its owner.
    pub(super) async fn of(engine: &Engine, id: &str, request: &ContainerRequest) -> Result<Self> {
        let NetworkMode::Container(other) = &request.network.mode else {
            return Ok(Self { directory: Some(engine.paths.container(id)) });
        };
        let other = super::find(engine, other).await?;
        let ours = other.origin == Origin::Wharfie;
        Ok(Self { directory: ours.then(|| engine.paths.container(&other.id)) })
    }

    /// For the specification: a container of another tool has files that we do not know.
    pub(super) fn for_spec(&self) -> oci::Files {
        let path = |name: &str| self.directory.as_ref().map(|directory| directory.join(name));
        oci::Files { resolv_conf: path("resolv.conf"), hostname: path("hostname"), hosts: path("hosts") }
    }
}

/// The name that a container calls itself by.
pub(super) fn hostname(id: &str, record: &Record) -> String {
    let request = &record.request;
    if request.network.mode == NetworkMode::Host && request.hostname.is_none() {
        return rustix::system::uname().nodename().to_string_lossy().into_owned();
    }
    request.hostname.clone().unwrap_or_else(|| id.get(..12).unwrap_or(id).to_owned())
}

/// The name that another container calls itself by, whoever made it.
pub(super) fn hostname_of(container: &Container) -> String {
    if let Some(record) = &container.record {
        return hostname(&container.id, record);
    }
    #[derive(serde::Deserialize)]
    struct SpecHead {
        hostname: Option<String>,
    }
    let spec = serde_json::from_slice::<SpecHead>(&container.raw.spec).ok();
    spec.and_then(|spec| spec.hostname)
        .unwrap_or_else(|| container.id.get(..12).unwrap_or(&container.id).to_owned())
}

/// Write the three files for container `id`: before its network is there (None), so that they can be mounted,
/// and again with its addresses. The files keep their inode, because the mount is of the inode.
pub(super) fn write(
    engine: &Engine,
    id: &str,
    record: &Record,
    connection: Option<&Connection>,
) -> Result<()> {
    let network = &record.request.network;
    let directory = engine.paths.container(id);
    make_directory(&directory, 0o711)?;
    if matches!(network.mode, NetworkMode::Container(_)) {
        return Ok(());
    }
    let hostname = hostname(id, record);
    let host_network = network.mode == NetworkMode::Host;
    let (addresses, gateways) = match connection {
        Some(connection) => {
            let addresses = connection
                .endpoints
                .iter()
                .flat_map(|endpoint| &endpoint.addresses)
                .map(IpNet::addr)
                .collect();
            (addresses, connection.endpoints.iter().flat_map(|endpoint| endpoint.gateways.clone()).collect())
        }
        None => (Vec::new(), Vec::new()),
    };
    let mut names = vec![record.request.name.clone()];
    names.extend(network.endpoints.iter().flat_map(|endpoint| endpoint.aliases.clone()));
    let extra: &[_] = if connection.is_none() && !host_network { &[] } else { &network.extra_hosts };
    let hosts = if host_network && network.extra_hosts.is_empty() {
        std::fs::read_to_string("/etc/hosts").map_err(|cause| Error::io("read", "/etc/hosts", cause))?
    } else {
        names::hosts(&names::Hosts {
            addresses: &addresses,
            hostname: &hostname,
            domain: record.request.domainname.as_deref().unwrap_or_default(),
            names: &names,
            extra,
            gateways: &gateways,
        })?
    };
    let links = if connection.is_some() { super::links::lines(&directory) } else { String::new() };
    put(&directory.join("hosts"), &(hosts + &links))?;
    if connection.is_none() {
        put(&directory.join("hostname"), &format!("{hostname}\n"))?;
        let host = names::host_resolv_conf();
        let resolver = names::Resolver {
            servers: &network.dns,
            search: &network.dns_search,
            options: &network.dns_options,
            ipv6: false,
        };
        // The host's loopback is this container's too: its file serves as it is.
        let unchanged = host_network
            && network.dns.is_empty()
            && network.dns_search.is_empty()
            && network.dns_options.is_empty();
        let resolv = if unchanged { host } else { names::resolv_conf(&host, &resolver) };
        put(&directory.join("resolv.conf"), &resolv)?;
    }
    Ok(())
}

fn put(path: &Path, content: &str) -> Result<()> {
    let write = || {
        // Cut after the write: a reader in the container never sees the file empty.
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        file.write_all(content.as_bytes())?;
        file.set_len(content.len() as u64)?;
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o644))?;
        std::io::Result::Ok(())
    };
    write().map_err(|cause| Error::io("write", path, cause))
}
