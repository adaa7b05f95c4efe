//! Networks: which there are, who is in them, making and removing them. What a network is made of is `net`'s.

mod describe;
mod users;

use jiff::Timestamp;
use std::collections::BTreeMap;

use super::prune::PruneFilters;
use super::{Engine, container, event};
use crate::error::{Error, Kind, Result};
use crate::net::{Network, cni};
use crate::oci::request::DEFAULT_NETWORK;

pub use crate::net::{NewNetwork, Pool};
pub use describe::{Description, describe, native};
pub use users::{Users, users};

/// A network as lists show it.
#[derive(Debug, Clone)]
pub struct Listed {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `bridge`, `macvlan`, `ipvlan`, `host`, `null`, or a CNI plugin's type.
    pub driver: String,
    /// Whether it has IPv4 addresses.
    pub ipv4: bool,
    /// Whether it has IPv6 addresses.
    pub ipv6: bool,
    /// Nothing leads out of it.
    pub internal: bool,
    /// Labels of the user's.
    pub labels: BTreeMap<String, String>,
    /// When it was made, or its file last written.
    pub created: Option<Timestamp>,
    /// Every machine has it: `bridge`, `host`, `none`.
    pub builtin: bool,
    /// Its configuration; None for `host` and `none`.
    pub network: Option<Network>,
}

/// docker's two networks that are none.
const NAMED: [(&str, &str); 2] = [("host", "host"), ("none", "null")];

/// Every network by name: CNI's, whoever wrote them, and docker's `host` and `none`.
///
/// # Errors
/// A directory that cannot be read.
pub async fn list(engine: &Engine) -> Result<Vec<Listed>> {
    let networks = engine.networks.clone();
    let found = tokio::task::spawn_blocking(move || {
        // Who may not write it looks at what there is.
        let _ = networks.ensure_default();
        networks.list()
    });
    let found = found.await.map_err(|cause| Error::failed(format!("list the networks: {cause}")))??;
    let mut listed: Vec<Listed> = found.into_iter().map(listed).collect();
    for (name, driver) in NAMED {
        if listed.iter().all(|known| known.name != name) {
            listed.push(named(name, driver));
        }
    }
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}

/// The network of that name or id.
///
/// # Errors
/// docker's words for one that is not there, and for an id's beginning that several have.
pub async fn get(engine: &Engine, reference: &str) -> Result<Listed> {
    if reference == DEFAULT_NETWORK {
        let _ = engine.networks.ensure_default();
    }
    if let Some((name, driver)) = NAMED.into_iter().find(|(name, _)| *name == reference) {
        return Ok(named(name, driver));
    }
    match engine.networks.get(reference) {
        Ok(network) if network.name == reference => Ok(listed(network)),
        other => {
            let all = list(engine).await?;
            let mut found =
                all.into_iter().filter(|one| !reference.is_empty() && one.id.starts_with(reference));
            match (found.next(), found.next()) {
                (Some(one), None) => Ok(one),
                (Some(_), Some(_)) => {
                    Err(Error::failed(format!("network {reference} is ambiguous: several ids begin so"))
                        .hint("write more of the id, or the name"))
                }
                _ => other.map(listed),
            }
        }
    }
}

fn listed(network: Network) -> Listed {
    let of_user = |key: &String| !key.starts_with("nerdctl/");
    let written = || {
        let changed = std::fs::metadata(&network.path).and_then(|data| data.modified()).ok()?;
        Timestamp::try_from(changed).ok()
    };
    Listed {
        id: network.id.clone(),
        name: network.name.clone(),
        driver: network.driver.clone(),
        ipv4: network.has_family(true),
        ipv6: network.has_family(false),
        internal: network.internal,
        labels: network.labels.clone().into_iter().filter(|(key, _)| of_user(key)).collect(),
        created: network.kept.created.or_else(written),
        builtin: network.name == DEFAULT_NETWORK,
        network: Some(network),
    }
}

fn named(name: &str, driver: &str) -> Listed {
    Listed {
        id: cni::id_of(name),
        name: name.into(),
        driver: driver.into(),
        ipv4: true,
        ipv6: false,
        internal: false,
        labels: BTreeMap::new(),
        created: None,
        builtin: true,
        network: None,
    }
}

/// Make a network: its id.
///
/// # Errors
/// docker's words for what cannot be.
pub async fn create(engine: &Engine, new: NewNetwork) -> Result<String> {
    let networks = engine.networks.clone();
    let made = tokio::task::spawn_blocking(move || networks.create(&new)).await;
    let made = made.map_err(|cause| Error::failed(format!("make the network: {cause}")))??;
    engine.note(&[event::of_network("create", (&made.id, &made.name), &made.driver)]);
    Ok(made.id)
}

/// Remove a network that nobody is in: its name. `force` also takes one that another tool wrote.
///
/// # Errors
/// docker's words for one that is not there, in use, or every machine's.
pub async fn remove(engine: &Engine, reference: &str, force: bool) -> Result<()> {
    let listed = get(engine, reference).await?;
    let network = removable(&listed)?;
    if !network.managed && !force {
        return Err(Error::conflict(format!(
            "network {} was written by another tool ({}): it may be a cluster's",
            network.name,
            network.path.display()
        ))
        .hint("--force removes the file all the same"));
    }
    let users = users(engine).await?;
    let inside: Vec<String> =
        users.running_in(engine, network).into_iter().map(|user| user.words()).collect();
    if !inside.is_empty() {
        return Err(Error::conflict(format!(
            "error while removing network: network {} has active endpoints ({})",
            network.name,
            inside.join(", ")
        ))
        .hint(format!("`wharfie network disconnect {} CONTAINER`, or remove the containers", network.name)));
    }
    take_down(engine, network).await
}

fn removable(listed: &Listed) -> Result<&Network> {
    match &listed.network {
        Some(network) if !listed.builtin => Ok(network),
        _ => Err(Error::failed(format!("{} is a pre-defined network and cannot be removed", listed.name))),
    }
}

async fn take_down(engine: &Engine, network: &Network) -> Result<()> {
    let once = || {
        let (networks, network) = (engine.networks.clone(), network.clone());
        tokio::task::spawn_blocking(move || networks.remove(&network))
    };
    let failed = |cause| Error::failed(format!("remove the network: {cause}"));
    let mut removed = once().await.map_err(failed)?;
    if removed.as_ref().is_err_and(|error| error.kind == Kind::Conflict) {
        // Addresses of containers that ended while nobody could tell.
        container::reap(engine).await?;
        removed = once().await.map_err(failed)?;
    }
    removed?;
    engine.note(&[event::of_network("destroy", (&network.id, &network.name), &network.driver)]);
    Ok(())
}

/// The networks that no container refers to, running or not, and that match: nerdctl's and ours. The containers
/// `gone` count as removed.
///
/// # Errors
/// What cannot be listed.
pub async fn prunable(engine: &Engine, filters: &PruneFilters, gone: &[String]) -> Result<Vec<Listed>> {
    let users = users(engine).await?;
    let unused = |one: &Listed| {
        one.network.as_ref().is_some_and(|network| {
            let alive = engine.networks.owners(network).is_ok_and(|owners| {
                owners.iter().any(|owner| !gone.iter().any(|id| owner.ends_with(id.as_str())))
            });
            network.managed && !one.builtin && !alive && !users.refer_to(engine, network, gone)
        })
    };
    let mut listed = list(engine).await?;
    listed.retain(|one| unused(one) && filters.matches(&one.labels, one.created));
    Ok(listed)
}

/// Remove one that is unused; false where somebody has joined or removed it meanwhile.
///
/// # Errors
/// What cannot be taken down.
pub async fn prune(engine: &Engine, listed: &Listed) -> Result<bool> {
    match take_down(engine, removable(listed)?).await {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}
