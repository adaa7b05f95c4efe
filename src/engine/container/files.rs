//! The files that a container sees of its surroundings: hosts, hostname, resolv.conf.

use std::io::Write;
use std::path::Path;

use ipnet::IpNet;
use oci_spec::runtime::Spec;

use super::model::{Container, Origin, Record};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::net::{Connection, names};
use crate::oci::mounts as oci;
use crate::oci::request::{ContainerRequest, NetworkMode, Tools};
use crate::store::make_directory;

/// The files of one container, or of the container whose network it shares.
#[derive(Debug, Default)]
pub(super) struct Files(oci::Files);

impl Files {
    /// Where the files are: with a shared network, those of its owner.
    pub(super) async fn of(engine: &Engine, id: &str, request: &ContainerRequest) -> Result<Self> {
        let NetworkMode::Container(other) = &request.network.mode else {
            return Ok(Self::below(&engine.paths.container(id)));
        };
        let other = super::find(engine, other).await?;
        let own = other.record.as_ref().is_some_and(|record| {
            other.origin == Origin::Wharfie
                && !matches!(record.request.network.mode, NetworkMode::Container(_))
        });
        let mut files =
            if own { Self::below(&engine.paths.container(&other.id)) } else { Self::mounted_in(&other) };
        if let Some(Tools::Tree(tree)) = request.beside.as_ref().map(|beside| &beside.tools) {
            files.only_over(tree);
        }
        Ok(files)
    }

    fn below(directory: &Path) -> Self {
        Self(oci::Files {
            resolv_conf: Some(directory.join("resolv.conf")),
            hostname: Some(directory.join("hostname")),
            hosts: Some(directory.join("hosts")),
        })
    }

    /// The files that whoever made the container has mounted in it: a kubelet, nerdctl, or we for yet another one.
    fn mounted_in(container: &Container) -> Self {
        let spec: Spec = serde_json::from_slice(&container.raw.spec).unwrap_or_default();
        let source = |target: &str| {
            // The last one lies over the others.
            let mut mounts = spec.mounts().iter().flatten().rev();
            let mount = mounts.find(|mount| mount.destination() == Path::new(target))?;
            mount.source().clone().filter(|source| source.is_absolute() && source.is_file())
        };
        Self(oci::Files {
            resolv_conf: source("/etc/resolv.conf"),
            hostname: source("/etc/hostname"),
            hosts: source("/etc/hosts"),
        })
    }

    /// Nothing can be mounted where there is nothing, below a directory that is mounted read-only.
    fn only_over(&mut self, tree: &Path) {
        let Self(oci::Files { resolv_conf, hostname, hosts }) = self;
        for (name, file) in [("resolv.conf", resolv_conf), ("hostname", hostname), ("hosts", hosts)] {
            if tree.join("etc").is_dir() && std::fs::symlink_metadata(tree.join("etc").join(name)).is_err() {
                *file = None;
            }
        }
    }

    /// For the specification.
    pub(super) fn for_spec(&self) -> &oci::Files {
        &self.0
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
            resolver: super::resolver::is_wanted(&record.request),
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
