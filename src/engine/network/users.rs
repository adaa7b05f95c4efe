//! Who is in a network: containers of every client, of every namespace where the network is one for all.

use std::collections::HashSet;

use futures_util::future::try_join_all;

use crate::engine::Engine;
use crate::engine::container::{Container, Origin, inspect, list};
use crate::error::Result;
use crate::net::{Endpoint, Network};
use crate::oci::request::NetworkMode;

/// Every container of this containerd.
#[derive(Debug)]
pub struct Users(Vec<Container>);

/// One that runs in a network.
#[derive(Debug)]
pub struct User<'a> {
    /// The container.
    pub container: &'a Container,
    /// Its end of the network; an empty one where it has the host's network, or none.
    pub endpoint: Endpoint,
}

impl User<'_> {
    /// docker's words for it.
    pub fn words(&self) -> String {
        let short = self.container.id.get(..12).unwrap_or(&self.container.id);
        format!("name:{:?} id:{short:?}", self.container.name)
    }
}

/// Look at every container.
///
/// # Errors
/// containerd's.
pub async fn users(engine: &Engine) -> Result<Users> {
    let namespaces = engine.containerd.namespaces().await?;
    let engines =
        namespaces.iter().map(|(name, _)| engine.in_namespace(name)).collect::<Result<Vec<Engine>>>()?;
    Ok(Users(try_join_all(engines.iter().map(list)).await?.into_iter().flatten().collect()))
}

impl Users {
    /// Those that run in the network.
    pub fn running_in(&self, engine: &Engine, network: &Network) -> Vec<User<'_>> {
        let candidates = self.0.iter().filter(|one| one.status.is_alive() && can_see(engine, network, one));
        candidates
            .filter_map(|container| {
                let endpoints = inspect::connection(container)?.endpoints;
                let endpoint = endpoints.into_iter().find(|endpoint| endpoint.network == network.name)?;
                Some(User { container, endpoint })
            })
            .collect()
    }

    /// Those that run with the host's network (`host`) or with none.
    pub fn running_with(&self, engine: &Engine, host: bool) -> Vec<User<'_>> {
        let mode = if host { NetworkMode::Host } else { NetworkMode::None };
        let own = self.0.iter().filter(|one| one.namespace == engine.containerd.namespace());
        own.filter(|one| one.status.is_alive())
            .filter(|one| one.record.as_ref().is_some_and(|record| record.request.network.mode == mode))
            .map(|container| User { container, endpoint: Endpoint::default() })
            .collect()
    }

    /// Whether a container, running or not, is on the network by its record. Those of `gone` do not count.
    pub fn refer_to(&self, engine: &Engine, network: &Network, gone: &[String]) -> bool {
        let there = self.0.iter().filter(|one| can_see(engine, network, one) && !gone.contains(&one.id));
        there.map(joined).any(|names| names.contains(&network.name))
    }
}

/// A network in a directory of its own is its namespace's.
fn can_see(engine: &Engine, network: &Network, container: &Container) -> bool {
    network.path.parent() == Some(&engine.networks.conf_dir)
        || container.namespace == engine.containerd.namespace()
}

fn joined(container: &Container) -> HashSet<String> {
    match (&container.record, container.origin) {
        (Some(record), _) => {
            record.request.network.joined().into_iter().map(|endpoint| endpoint.network).collect()
        }
        (None, Origin::Nerdctl) => inspect::networks_of(container).into_iter().collect(),
        _ => HashSet::new(),
    }
}
