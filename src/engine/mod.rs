//! What the verbs mean: requests in, values and streams of progress out. Never prints, never reads argv or
//! the terminal, never exits, so that an API server can stand on it beside the cli.

pub mod container;
pub mod disk;
pub mod doctor;
pub mod event;
pub mod image;
pub mod manifest;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod prune;
pub mod registry;
pub mod system;
pub mod volume;

use std::sync::Arc;

use crate::config::Config;
use crate::config::paths::Paths;
use crate::containerd::Client;
use crate::error::{Error, Result};
use crate::net::Networks;

/// One containerd, one namespace, and where things of ours lie. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The settled settings.
    pub config: Arc<Config>,
    /// The connection.
    pub containerd: Client,
    /// Directories for this containerd and namespace.
    pub paths: Paths,
    /// The networks of this machine.
    pub networks: Networks,
}

impl Engine {
    /// Connect to the first configured socket of this machine that answers.
    pub async fn connect(config: Arc<Config>) -> Result<Self> {
        // Never this machine's containerd in place of another one's.
        if let Some(node) = &config.node {
            return Err(Error::usage(format!("this cannot be done on another machine ({node})"))
                .hint("log in there and run it, or leave out -H, --context and DOCKER_HOST"));
        }
        Self::reach(config).await
    }

    /// Connect to the first configured socket that answers, whosever it is.
    async fn reach(config: Arc<Config>) -> Result<Self> {
        let containerd = Client::connect(&config.addresses, &config.namespace).await?;
        Ok(Self::over(config, containerd))
    }

    /// Over a connection that is there.
    pub fn over(config: Arc<Config>, containerd: Client) -> Self {
        let paths = Paths::new(&config, containerd.socket());
        let networks = Networks {
            conf_dir: config.cni_conf_dir.clone(),
            data_dir: config.cni_data_dir.clone(),
            plugin_path: config.cni_path.clone(),
            namespaces: paths.network_namespaces(),
        };
        Self { config, containerd, paths, networks }
    }

    /// The same containerd for another of its namespaces.
    pub fn in_namespace(&self, namespace: &str) -> Result<Self> {
        let containerd = self.containerd.with_namespace(namespace)?;
        Ok(Self { containerd, paths: self.paths.with_namespace(namespace), ..self.clone() })
    }
}
