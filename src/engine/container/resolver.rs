//! A container's names on its networks: told to the resolver, which answers others of the same networks.

use std::collections::BTreeSet;

use super::model::{Container, Record};
use super::{files, network};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::monitor::{program, resolver};
use crate::net::resolver::{Member, Seat};
use crate::net::{Connection, Endpoint};
use crate::oci::request::{ContainerRequest, EndpointRequest, NetworkMode};

/// docker compose's name of what a container is an instance of.
const SERVICE_LABEL: &str = "com.docker.compose.service";

/// Whether the container resolves names of others: it is on a network that somebody made.
pub(super) fn is_wanted(request: &ContainerRequest) -> bool {
    request.network.mode == NetworkMode::Bridge
        && request.network.endpoints.iter().any(|endpoint| !is_default(&endpoint.network))
}

fn is_default(network: &str) -> bool {
    matches!(network, network::DEFAULT_NETWORK | "default")
}

/// Make the container known on its networks, and see to it that its questions are answered. To be called
/// whenever its connection or its name has changed; a container of the default network alone is not known.
///
/// # Errors
/// A resolver that cannot be started, or cannot reach the container's network.
pub(super) async fn attend(
    engine: &Engine,
    container: &Container,
    record: &Record,
    connection: &Connection,
) -> Result<()> {
    let member = member(engine, container, record, connection);
    if member.seats.is_empty() {
        return Ok(());
    }
    let owner = network::owner(&container.namespace, &container.id);
    let (networks, programs) = (engine.networks.clone(), engine.paths.programs());
    let attended = tokio::task::spawn_blocking(move || {
        networks.write_member(&owner, &member)?;
        resolver::attend(&networks.members_directory(), &owner, &program::ensure(&programs)?)
    });
    attended.await.map_err(|cause| Error::failed(format!("start the resolver: {cause}")))?
}

/// Start the resolver again where it was killed. Nothing that can be told is lost with it.
pub(super) fn revive(engine: &Engine) {
    let programs = engine.paths.programs();
    resolver::revive(&engine.networks.members_directory(), || program::ensure(&programs));
}

fn member(engine: &Engine, container: &Container, record: &Record, connection: &Connection) -> Member {
    let request = &record.request;
    let leads_out =
        |endpoint: &Endpoint| engine.networks.get(&endpoint.network).is_ok_and(|network| !network.internal);
    Member {
        group: container.namespace.clone(),
        namespace: connection.namespace.clone(),
        servers: request.network.dns.clone(),
        outside: connection.endpoints.iter().any(leads_out),
        seats: connection
            .endpoints
            .iter()
            .filter(|endpoint| !is_default(&endpoint.network))
            .map(|endpoint| Seat {
                network: endpoint.network.clone(),
                network_id: endpoint.network_id.clone(),
                names: names(container, record, endpoint),
                addresses: endpoint.addresses.iter().map(ipnet::IpNet::addr).collect(),
            })
            .collect(),
    }
}

/// docker's names on a network: its name, its aliases there, its short id, its hostname; and its service's.
fn names(container: &Container, record: &Record, endpoint: &Endpoint) -> Vec<String> {
    let request = &record.request;
    let means = |wish: &&EndpointRequest| {
        wish.network == endpoint.network
            || (wish.network.len() >= 8 && endpoint.network_id.starts_with(&wish.network))
    };
    let hostname = files::hostname(&container.id, record);
    let domain = request.domainname.as_deref().filter(|domain| !domain.is_empty());
    let aliases =
        request.network.endpoints.iter().filter(means).flat_map(|wish| wish.aliases.iter().cloned());
    let all = std::iter::once(request.name.clone())
        .chain(aliases)
        .chain(container.id.get(..12).map(str::to_owned))
        .chain(domain.map(|domain| format!("{hostname}.{domain}")))
        .chain(std::iter::once(hostname.clone()))
        .chain(
            request.labels.iter().filter(|(key, _)| *key == SERVICE_LABEL).map(|(_, value)| value.clone()),
        );
    let mut seen = BTreeSet::new();
    // Longer ones are no names in DNS.
    all.filter(|name| !name.is_empty() && name.len() <= 253 && seen.insert(name.to_ascii_lowercase()))
        .collect()
}
