//! What a network driver does. `bridge`, `macvlan` and `ipvlan` are built in; every other type is a plugin
//! executed by the CNI specification.

use std::fs::File;
use std::path::Path;

use super::bridge::Bridge;
use super::cni::Network;
use super::firewall::Firewall;
use super::plugin::Plugins;
use super::sublink::Sublinks;
use super::{Endpoint, Join, Networks, Publish};
use crate::Result;

/// One container joining one network.
pub(crate) struct SetUp<'a> {
    pub(crate) owner: &'a str,
    pub(crate) join: &'a Join,
    /// `eth0`, …
    pub(crate) interface: &'a str,
    /// This network gets the default route.
    pub(crate) first: bool,
    /// Opened once for all networks: see [`Firewall::close`].
    pub(crate) firewall: &'a Firewall,
    pub(crate) namespace: &'a File,
    pub(crate) namespace_path: &'a Path,
    /// What a plugin chain with a port mapper of its own publishes.
    pub(crate) ports: &'a [Publish],
}

/// A kind of network.
pub(crate) trait Driver {
    /// Refuses what cannot work, before anything is made.
    fn validate(&self, join: &Join) -> Result<()>;

    /// Connects; on failure nothing is left.
    fn set_up(&self, request: &SetUp) -> Result<Endpoint>;

    /// Takes down, goes on after a failure; what is gone already is no failure.
    fn tear_down(&self, owner: &str, namespace: &Path, endpoint: &Endpoint) -> Result<()>;

    /// Makes what the network itself has on the host; done already, it is no failure.
    fn prepare(&self) -> Result<()> {
        Ok(())
    }

    /// Takes down what [`Driver::prepare`] made, when nobody is in the network any more.
    fn dismantle(&self) -> Result<()> {
        Ok(())
    }
}

/// The driver of a network.
pub(crate) fn of<'a>(networks: &'a Networks, network: &'a Network) -> Box<dyn Driver + 'a> {
    match &network.settings.sublink {
        _ if !network.settings.native => Box::new(Plugins { networks, network }),
        Some(sublink) => Box::new(Sublinks { networks, network, sublink }),
        None => Box::new(Bridge { networks, network }),
    }
}
