//! Ports that a container gets or loses after it was made, whether or not it runs.

use serde::{Deserialize, Serialize};

use super::aftermath::read;
use super::find::find;
use super::hold::hold;
use super::model::{Container, Record};
use super::network::{self, publish};
use super::start::write_duty;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::monitor::Duty;
use crate::net::{Connection, PublishedPort, Republish};
use crate::oci::request::{NetworkMode, PortRequest};
use crate::store::Pending;

/// The ports to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports {
    /// To publish.
    pub add: Vec<PortRequest>,
    /// To take back; what such a one leaves open (the host's address, its port) means any.
    pub remove: Vec<PortRequest>,
}

impl Ports {
    /// Whether nothing is to change.
    pub fn is_empty(&self) -> bool {
        self.add.is_empty() && self.remove.is_empty()
    }
}

/// What the next command must know of a change that was killed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The container.
    publishing: String,
}

/// A change that was made, to be kept by the caller.
#[derive(Debug)]
pub(super) struct Change(Option<Pending>);

impl Change {
    /// The container's record and state are written.
    pub(super) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Pending::finish)
    }
}

/// Bring the rules to what is kept of a container whose ports a killed command was changing.
pub(super) async fn settle(engine: &Engine, journal: &Journal) -> Result<()> {
    let id = &journal.publishing;
    let _held = hold(&engine.paths.container(id)).await?;
    let kept = match find(engine, id).await {
        Ok(container) if container.id == *id && container.status.is_alive() => container.state.connection,
        Err(error) if error.kind != Kind::NotFound => return Err(error),
        _ => None,
    };
    if let Some(kept) = &kept {
        tell_monitor(engine, id, kept)?;
    }
    let owner = network::owner(engine.containerd.namespace(), id);
    let kept = kept.unwrap_or_else(|| Connection { owner, ..Connection::default() });
    let networks = engine.networks.clone();
    let restored = tokio::task::spawn_blocking(move || networks.restore_ports(&kept));
    restored.await.map_err(|cause| Error::failed(format!("restore the ports: {cause}")))?
}

/// The monitor takes back what it knows of.
fn tell_monitor(engine: &Engine, id: &str, connection: &Connection) -> Result<()> {
    match read(&engine.paths.container(id).join("monitor.json")) {
        Ok(duty) => write_duty(&Duty { connection: Some(connection.clone()), ..duty }),
        Err(_) => Ok(()),
    }
}

/// Change the ports: at once where the container runs, and in its record and state, which the caller writes.
/// None where the state has not changed. The caller holds the container.
///
/// # Errors
/// docker's words for a port that is taken; one to take back that is not published.
pub(super) async fn change(
    engine: &Engine,
    container: &mut Container,
    record: &mut Record,
    ports: &Ports,
) -> Result<Option<Change>> {
    if record.request.network.mode != NetworkMode::Bridge {
        return Err(Error::conflict("it has no network of its own to publish ports of")
            .hint("make it anew with --network bridge, or publish the ports of the container whose network it shares"));
    }
    let connection = container.state.connection.clone().filter(|_| container.status.is_alive());
    let published = connection.as_ref().map(|connection| connection.ports.clone()).unwrap_or_default();
    let mut gone = Vec::new();
    let asked = &mut record.request.network.ports;
    for port in &ports.remove {
        let before = (gone.len(), asked.len());
        gone.extend(published.iter().filter(|published| means(port, published)).cloned());
        let taken = gone.len() > before.0;
        asked.retain(|asked| !covers(port, asked, taken));
        if before == (gone.len(), asked.len()) {
            let (number, protocol) = (port.container_port, port.protocol.name());
            return Err(Error::failed(format!("port {number}/{protocol} is not published so"))
                .hint(format!("`wharfie port {}` lists what is published", container.name)));
        }
    }
    asked.extend(ports.add.iter().cloned());
    let Some(mut connection) = connection else { return Ok(None) };
    let (networks, known, name) = (engine.networks.clone(), connection.clone(), container.name.clone());
    let wish = Republish { gone, new: ports.add.iter().map(publish).collect() };
    let journal = serde_json::to_vec(&Journal { publishing: container.id.clone() })
        .map_err(|cause| Error::failed(format!("write the journal: {cause}")))?;
    // No container's name has such a sign. None where another command settles one at this moment.
    let change = Change(Pending::begin(&engine.paths.pending(), &format!("@{}", container.id), &journal)?);
    let changed = tokio::task::spawn_blocking(move || networks.republish(&known, &name, &wish));
    match changed.await.map_err(|cause| Error::failed(format!("publish the ports: {cause}")))? {
        Ok(ports) => connection.ports = ports,
        Err(error) => {
            // Nothing was changed.
            change.finish()?;
            return Err(error);
        }
    }
    tell_monitor(engine, &container.id, &connection)?;
    container.state.connection = Some(connection);
    Ok(Some(change))
}

/// Whether the port to take back means the published one.
fn means(wish: &PortRequest, port: &PublishedPort) -> bool {
    (wish.container_port, wish.protocol) == (port.container_port, port.protocol)
        && wish
            .host_port
            .is_none_or(|host| (host..=wish.host_port_last.unwrap_or(host)).contains(&port.host_port))
        && wish.host_ip.is_none_or(|address| address == port.host_ip)
}

/// The same for one as it was asked for. Where its host port was left to us, `taken` says whether a published one
/// was meant.
fn covers(wish: &PortRequest, asked: &PortRequest, taken: bool) -> bool {
    let range =
        |port: &PortRequest| port.host_port.map(|first| (first, port.host_port_last.unwrap_or(first)));
    let meet = match (range(wish), range(asked)) {
        (Some((first, last)), Some((from, to))) => first <= to && from <= last,
        (Some(_), None) => taken,
        (None, _) => true,
    };
    (wish.container_port, wish.protocol) == (asked.container_port, asked.protocol)
        && meet
        && (wish.host_ip.is_none() || asked.host_ip.is_none() || wish.host_ip == asked.host_ip)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::request::Protocol;

    #[test]
    fn what_is_left_open_means_any() {
        let port = |ip: &str, host: u16, container_port| PortRequest {
            host_ip: ip.parse().ok(),
            host_port: Some(host).filter(|port| *port != 0),
            host_port_last: None,
            container_port,
            protocol: Protocol::Tcp,
        };
        let published = PublishedPort {
            host_ip: "127.0.0.1".parse().unwrap(),
            host_port: 8080,
            container_port: 80,
            protocol: Protocol::Tcp,
        };
        for (wish, expected) in [
            (port("", 0, 80), true),
            (port("", 8080, 80), true),
            (port("127.0.0.1", 8080, 80), true),
            (port("", 8081, 80), false),
            (port("", 8080, 81), false),
            (port("0.0.0.0", 8080, 80), false),
        ] {
            assert_eq!(means(&wish, &published), expected, "{wish:?}");
            assert_eq!(covers(&wish, &port("127.0.0.1", 8080, 80), false), expected, "{wish:?}");
        }
        for taken in [true, false] {
            assert_eq!(
                covers(&port("", 49_153, 80), &port("", 0, 80), taken),
                taken,
                "it was ours to choose"
            );
        }
    }
}
