//! A container's way to the networks, made beside everything else: the namespace first, because the runtime
//! joins it, then links, addresses and rules while the snapshot and the shim start.

use std::path::PathBuf;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::model::Container;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::net::{Connect, Connection, Join, Networks, Publish, namespace_path};
pub use crate::oci::request::DEFAULT_NETWORK;
use crate::oci::request::{ContainerRequest, NetworkMode, PortRequest, Protocol};

/// A connection being made on another thread.
#[derive(Debug)]
pub struct Connecting {
    namespace: oneshot::Receiver<PathBuf>,
    connection: JoinHandle<Result<Connection>>,
    networks: Networks,
    wish: Connect,
}

/// The owner of a container's addresses and rules: unique on this machine, in nerdctl's form.
pub fn owner(namespace: &str, id: &str) -> String {
    format!("{namespace}-{id}")
}

/// Where the namespace of a container with networks of its own is, or will be.
pub fn path(engine: &Engine, id: &str) -> PathBuf {
    namespace_path(&engine.networks.namespaces, &owner(engine.containerd.namespace(), id))
}

/// Begin to connect the container, when it has networks of its own.
pub fn begin(engine: &Engine, id: &str, request: &ContainerRequest, expose: &[String]) -> Option<Connecting> {
    if request.network.mode != NetworkMode::Bridge {
        return None;
    }
    let networks = engine.networks.clone();
    let wish = wish(owner(engine.containerd.namespace(), id), request, expose);
    let (made, namespace) = oneshot::channel();
    let (again, wished) = (networks.clone(), wish.clone());
    let connection = tokio::task::spawn_blocking(move || {
        if wish.endpoints.iter().any(|join| join.network == DEFAULT_NETWORK) {
            networks.ensure_default()?;
        }
        let path = networks.create_namespace(&wish.owner)?;
        // The receiver has gone when the start failed elsewhere: then the caller takes this down again.
        let _ = made.send(path.clone());
        networks.connect(&wish, &path)
    });
    Some(Connecting { namespace, connection, networks: again, wish: wished })
}

impl Connecting {
    /// Wait until the namespace is there. An error is told by [`Connecting::finish`].
    pub async fn namespace(&mut self) -> Option<PathBuf> {
        (&mut self.namespace).await.ok()
    }

    /// Wait until everything is connected.
    pub async fn finish(self) -> Result<Connection> {
        match self.connection.await {
            Ok(result) => result,
            Err(cause) => Err(Error::failed(format!("connect the network: {cause}"))),
        }
    }

    /// The same, but where a port or an address is taken, free those of containers that have ended while
    /// nobody could tell (their monitor was killed), and try once more.
    pub async fn insist(self, engine: &Engine) -> Result<Connection> {
        let (networks, wish) = (self.networks.clone(), self.wish.clone());
        match self.finish().await {
            Err(error) if error.kind == Kind::Conflict => {
                if !super::recover::free_ended(engine).await {
                    return Err(error);
                }
                let namespace = namespace_path(&networks.namespaces, &wish.owner);
                let connected = tokio::task::spawn_blocking(move || networks.connect(&wish, &namespace));
                connected.await.map_err(|cause| Error::failed(format!("connect the network: {cause}")))?
            }
            result => result,
        }
    }
}

/// Take down whatever connects the container: `connection`, or, when a start was killed before it could say
/// how it had connected, all that is found. Nothing there is fine.
pub async fn end(engine: &Engine, container: &Container, connection: Option<&Connection>) -> Result<()> {
    let owner = owner(&container.namespace, &container.id);
    let connection = connection.cloned();
    let networks = engine.networks.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let freed = match &connection {
            Some(connection) => networks.disconnect(connection),
            None if namespace_path(&networks.namespaces, &owner).exists() => networks.forget(&owner),
            None => Ok(()),
        };
        freed.and(networks.remove_namespace(&owner))
    });
    ended.await.map_err(|cause| Error::failed(format!("disconnect the network: {cause}")))?
}

/// What the request asks of the networks. `expose` are the ports that the image shows.
pub(super) fn wish(owner: String, request: &ContainerRequest, expose: &[String]) -> Connect {
    let (name, request) = (request.name.clone(), &request.network);
    let endpoints: Vec<Join> = request
        .joined()
        .into_iter()
        .map(|endpoint| Join {
            network: endpoint.network,
            ipv4: endpoint.ipv4,
            ipv6: endpoint.ipv6,
            mac: endpoint.mac,
            link_local: endpoint.link_local,
            interface: endpoint.interface,
            sysctls: endpoint.sysctls,
            priority: endpoint.gateway_priority,
        })
        .collect();
    let mut ports: Vec<Publish> = request.ports.iter().map(publish).collect();
    if request.publish_all {
        for port in request.expose.iter().chain(expose).filter_map(|text| exposed_port(text)) {
            if !ports.iter().any(|known| (known.container_port, known.protocol) == port) {
                ports.push(Publish {
                    host_ip: None,
                    host_port: None,
                    host_port_last: None,
                    container_port: port.0,
                    protocol: port.1,
                });
            }
        }
    }
    Connect { owner, name, endpoints, ports }
}

/// A port as it was asked for.
pub(super) fn publish(port: &PortRequest) -> Publish {
    Publish {
        host_ip: port.host_ip,
        host_port: port.host_port,
        host_port_last: port.host_port_last,
        container_port: port.container_port,
        protocol: port.protocol,
    }
}

/// `80`, `80/udp` as a port and its protocol.
fn exposed_port(text: &str) -> Option<(u16, Protocol)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        "sctp" => Protocol::Sctp,
        _ => return None,
    };
    Some((port.parse().ok()?, protocol))
}
