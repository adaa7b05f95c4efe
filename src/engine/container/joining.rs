//! Networks that a container of ours joins and leaves after it was made, whether or not it runs.
//!
//! A journal names what is on its way while the container runs: a killed join is taken back by the next command,
//! a killed leave is completed.

use serde::{Deserialize, Serialize};

use super::aftermath::read;
use super::end::read_state;
use super::find::find;
use super::hold::hold;
use super::model::{
    Container, Origin, RECORD_EXTENSION, Record, STATE_EXTENSION, record_extension, state_extension,
};
use super::start::{exposed_by_image, write_duty};
use super::{files, links, network, recover, resolver};
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::net::{Connect, Connection, Networks, namespace_path};
use crate::oci::request::{DEFAULT_NETWORK, EndpointRequest, Link, NetworkMode};
use crate::store::Pending;

/// What the next command must know of a join or a leave that was killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Journal {
    /// The container.
    moving: String,
    network: String,
    /// Its name in the container.
    interface: String,
    leaving: bool,
}

/// Connect the container to one more network. Says whether this machine was made to forward packets for it.
///
/// # Errors
/// docker's words: no such network, a container that is on it already, or that has no networks of its own; an
/// address that is taken.
pub async fn connect(
    engine: &Engine,
    container: &mut Container,
    mut wish: EndpointRequest,
    mut also: Vec<Link>,
) -> Result<bool> {
    ours(container, "connect")?;
    let _held = hold(&engine.paths.container(&container.id)).await?;
    *container = find(engine, &container.id).await?;
    let mut record = container.record()?.clone();
    if matches!(wish.network.as_str(), "host" | "none") {
        return Err(not_joined(&wish.network));
    }
    let network = match engine.networks.get(&wish.network) {
        Err(error) if error.kind == Kind::NotFound && wish.network == DEFAULT_NETWORK => {
            engine.networks.ensure_default()?
        }
        other => other?,
    };
    wish.network.clone_from(&network.name);
    allowed(&record.request.network.mode, &wish)?;
    let mut joined = record.request.network.joined();
    if joined.iter().any(|known| known.network == network.name) {
        return Err(Error::conflict(format!(
            "endpoint with name {} already exists in network {}",
            container.name, network.name
        ))
        .hint(format!(
            "to change it, first `wharfie network disconnect {} {}`",
            network.name, container.name
        )));
    }
    for link in &mut also {
        let other = find(engine, &link.container).await?;
        (link.container, link.name) = (other.id, other.name);
    }
    joined.push(wish.clone());
    record.request.network.endpoints = joined;
    record.request.network.disconnected = false;
    record.request.links.extend(also);
    if !container.status.is_alive() {
        engine.networks.check(&network.name, &join_of(engine, container, &record)?)?;
        keep(engine, container, record, None).await?;
        return Ok(false);
    }
    let before = connection(engine, container).await?;
    let asked = asked(engine, container, &record);
    let interface = asked.endpoints.last().map(|join| Networks::next_interface(&before, join));
    let journal = begin(engine, container, (&network.name, &interface.unwrap_or_default()), false)?;
    let after = match join(engine, &before, &asked).await {
        Ok(after) => after,
        Err(error) => {
            // It was taken back.
            finish(journal)?;
            return Err(error);
        }
    };
    let switched_on = after.forwarding_switched_on;
    keep(engine, container, record, Some(after.clone())).await?;
    refresh(engine, container, &after).await?;
    note(engine, container, &after, &network.name, "connect");
    finish(journal)?;
    Ok(switched_on)
}

/// Take the container off a network.
///
/// # Errors
/// docker's words: a container that is not on it, or that has no networks of its own.
pub async fn disconnect(engine: &Engine, container: &mut Container, reference: &str) -> Result<()> {
    ours(container, "disconnect")?;
    let _held = hold(&engine.paths.container(&container.id)).await?;
    *container = find(engine, &container.id).await?;
    let mode = &container.record()?.request.network.mode;
    if *mode != NetworkMode::Bridge {
        return Err(shared(mode));
    }
    let name = match engine.networks.get(reference) {
        Ok(network) => network.name,
        // One that was removed under it can still be left.
        Err(error) => match on(container, reference) {
            true => reference.to_owned(),
            false => return Err(error),
        },
    };
    if !on(container, &name) {
        return Err(Error::failed(format!("container {} is not connected to network {name}", container.id))
            .hint(format!("`wharfie network inspect {name}` shows who is")));
    }
    leave(engine, container, &name).await
}

/// Complete or take back what a killed command was about.
pub(super) async fn settle(engine: &Engine, journal: &Journal) -> Result<()> {
    let _held = hold(&engine.paths.container(&journal.moving)).await?;
    let container = match find(engine, &journal.moving).await {
        Ok(container) if container.id == journal.moving => Some(container),
        Err(error) if error.kind != Kind::NotFound => return Err(error),
        _ => None,
    };
    let Some(mut container) = container else {
        let owner = network::owner(engine.containerd.namespace(), &journal.moving);
        return forget(engine, &nothing(engine, owner), journal).await;
    };
    let kept = connection(engine, &container).await?;
    let has = kept.endpoints.iter().any(|endpoint| endpoint.network == journal.network);
    if journal.leaving {
        if on(&container, &journal.network) || has {
            return leave_killed(engine, &mut container, journal).await;
        }
        return forget(engine, &kept, journal).await;
    }
    if !has {
        forget(engine, &kept, journal).await?;
    }
    if !container.status.is_alive() {
        return Ok(());
    }
    if !has {
        let (networks, kept) = (engine.networks.clone(), kept.clone());
        blocking(move || networks.restore(&kept)).await?;
    }
    refresh(engine, &container, &kept).await
}

async fn leave_killed(engine: &Engine, container: &mut Container, journal: &Journal) -> Result<()> {
    let kept = connection(engine, container).await?;
    forget(engine, &kept, journal).await?;
    leave(engine, container, &journal.network).await
}

/// [`disconnect`] for who holds the container and knows that it is on the network.
async fn leave(engine: &Engine, container: &mut Container, name: &str) -> Result<()> {
    let mut record = container.record()?.clone();
    record.request.network.endpoints = record.request.network.joined();
    record.request.network.endpoints.retain(|known| known.network != name);
    record.request.network.disconnected = record.request.network.endpoints.is_empty();
    if !container.status.is_alive() {
        return keep(engine, container, record, None).await;
    }
    let before = connection(engine, container).await?;
    let gone = before.endpoints.iter().find(|endpoint| endpoint.network == name);
    let interface = gone.map(|endpoint| endpoint.interface.clone()).unwrap_or_default();
    let journal = begin(engine, container, (name, &interface), true)?;
    let asked = asked(engine, container, &record);
    let (networks, known, network) = (engine.networks.clone(), before.clone(), name.to_owned());
    let after = blocking(move || networks.leave(&known, &network, &asked)).await?;
    keep(engine, container, record, Some(after.clone())).await?;
    refresh(engine, container, &after).await?;
    note(engine, container, &before, name, "disconnect");
    finish(journal)
}

/// None where another command settles a journal of the same container at this moment.
fn finish(journal: Option<Pending>) -> Result<()> {
    journal.map_or(Ok(()), Pending::finish)
}

fn ours(container: &Container, act: &str) -> Result<()> {
    let who = match container.origin {
        Origin::Wharfie => return Ok(()),
        Origin::Nerdctl => "nerdctl",
        Origin::Cri => "a kubelet",
        Origin::Other => "another client of containerd",
    };
    Err(Error::conflict(format!(
        "cannot {act} container {}: {who} made it, and takes its networks down by its own records",
        container.name
    ))
    .hint("make it with `wharfie run` to connect it to networks while it runs"))
}

fn allowed(mode: &NetworkMode, wish: &EndpointRequest) -> Result<()> {
    match mode {
        NetworkMode::Bridge if wish.network == DEFAULT_NETWORK && !wish.aliases.is_empty() => {
            Err(Error::usage("network-scoped aliases are only supported for user-defined networks"))
        }
        NetworkMode::Bridge => Ok(()),
        mode => Err(shared(mode)),
    }
}

/// docker's words for what is no network.
fn not_joined(name: &str) -> Error {
    let words = match name {
        "host" => "container cannot be disconnected from host network or connected to host network",
        _ => {
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        }
    };
    Error::conflict(words).hint("make the container anew with --network host, or --network none")
}

/// docker's words for a container without networks of its own.
fn shared(mode: &NetworkMode) -> Error {
    let words = match mode {
        NetworkMode::Host => {
            "cannot disconnect container from host network - container was created in host network mode"
        }
        NetworkMode::None => {
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        }
        _ => {
            "container sharing network namespace with another container or host cannot be connected to any other network"
        }
    };
    Error::conflict(words).hint("make the container anew with --network NAME")
}

fn on(container: &Container, network: &str) -> bool {
    let joined = container.record.as_ref().map(|record| record.request.network.joined()).unwrap_or_default();
    joined.iter().any(|known| known.network == network)
}

/// How the container is connected, as it is kept at this moment.
async fn connection(engine: &Engine, container: &Container) -> Result<Connection> {
    let owner = network::owner(&container.namespace, &container.id);
    Ok(read_state(engine, &container.id).await?.connection.unwrap_or_else(|| nothing(engine, owner)))
}

fn nothing(engine: &Engine, owner: String) -> Connection {
    let namespace = namespace_path(&engine.networks.namespaces, &owner);
    Connection { owner, namespace, ..Connection::default() }
}

fn asked(engine: &Engine, container: &Container, record: &Record) -> Connect {
    let owner = network::owner(engine.containerd.namespace(), &container.id);
    network::wish(owner, &record.request, &exposed_by_image(record))
}

fn join_of(engine: &Engine, container: &Container, record: &Record) -> Result<crate::net::Join> {
    let last = asked(engine, container, record).endpoints.pop();
    last.ok_or_else(|| Error::failed("no network to join"))
}

fn begin(
    engine: &Engine,
    container: &Container,
    (network, interface): (&str, &str),
    leaving: bool,
) -> Result<Option<Pending>> {
    let journal = Journal {
        moving: container.id.clone(),
        network: network.into(),
        interface: interface.into(),
        leaving,
    };
    let content =
        serde_json::to_vec(&journal).map_err(|cause| Error::failed(format!("write the journal: {cause}")))?;
    // No container's name has such a sign.
    Pending::begin(&engine.paths.pending(), &format!("@{}", container.id), &content)
}

/// Join, and once more where an address was one of a container that has ended while nobody could tell.
async fn join(engine: &Engine, before: &Connection, asked: &Connect) -> Result<Connection> {
    let once = || {
        let (networks, before, asked) = (engine.networks.clone(), before.clone(), asked.clone());
        blocking(move || networks.join(&before, &asked))
    };
    match once().await {
        Err(error) if error.kind == Kind::Conflict && recover::free_ended(engine).await => once().await,
        result => result,
    }
}

async fn forget(engine: &Engine, connection: &Connection, journal: &Journal) -> Result<()> {
    let (networks, connection, journal) = (engine.networks.clone(), connection.clone(), journal.clone());
    blocking(move || networks.forget_endpoint(&connection, &journal.network, &journal.interface)).await
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|cause| Error::failed(format!("change the network: {cause}")))?
}

/// Keep what is asked for and how it is connected, in one write.
async fn keep(
    engine: &Engine,
    container: &mut Container,
    record: Record,
    connection: Option<Connection>,
) -> Result<()> {
    let mut fields = vec![format!("extensions.{RECORD_EXTENSION}")];
    container.raw.extensions.insert(RECORD_EXTENSION.into(), record_extension(&record)?);
    if connection.is_some() {
        let mut state = read_state(engine, &container.id).await?;
        state.connection = connection;
        container.raw.extensions.insert(STATE_EXTENSION.into(), state_extension(&state)?);
        fields.push(format!("extensions.{STATE_EXTENSION}"));
        container.state = state;
    }
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    engine.containerd.update_container(&container.raw, &fields).await.map_err(|error| {
        Error::from(error).context(format!("record the networks of container {}", container.name))
    })?;
    container.record = Some(record);
    Ok(())
}

/// What else tells of the networks: the hosts file, the monitor's duty, those who link to the container.
async fn refresh(engine: &Engine, container: &Container, connection: &Connection) -> Result<()> {
    let record = container.record()?;
    let path = engine.paths.container(&container.id).join("monitor.json");
    if let Ok(mut duty) = read(&path) {
        duty.connection = Some(connection.clone());
        write_duty(&duty)?;
    }
    links::look_again(engine, container).await?;
    files::write(engine, &container.id, record, Some(connection))?;
    files::follow_resolver(engine, &container.id, record)?;
    if resolver::is_wanted(&record.request) {
        resolver::attend(engine, container, record, connection).await?;
    } else {
        engine.networks.remove_member(&connection.owner)?;
    }
    // That others do not learn it is no failure of this one.
    let _ = links::tell(engine, container).await;
    Ok(())
}

fn note(
    engine: &Engine,
    container: &Container,
    connection: &Connection,
    network: &str,
    action: &'static str,
) {
    let mut one = connection.clone();
    one.endpoints.retain(|endpoint| endpoint.network == network);
    let events: Vec<_> = event::of_networks(&container.id, &one, action).collect();
    engine.note(&events);
}
