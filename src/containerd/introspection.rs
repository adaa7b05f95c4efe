//! What this containerd is and what it can do.

use std::collections::HashMap;

use containerd_client::services::v1 as api;

use super::{Client, Result};

/// containerd's version.
#[derive(Debug, Clone)]
pub struct Version {
    /// `1.6.20` and what the packager added.
    pub version: String,
    /// The source's revision.
    pub revision: String,
}

/// A plugin of containerd.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// `io.containerd.snapshotter.v1`.
    pub kind: String,
    /// `overlayfs`.
    pub id: String,
    /// What it tells about itself.
    pub exports: HashMap<String, String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Why it did not start.
    pub error: Option<String>,
}

impl Client {
    /// The server's version.
    pub async fn version(&self) -> Result<Version> {
        let mut client = api::version_client::VersionClient::new(self.channel.clone());
        let reply = client.version(self.request(())).await?.into_inner();
        Ok(Version { version: reply.version, revision: reply.revision })
    }

    /// The plugins that match one of `filters` (none: all).
    pub async fn plugins(&self, filters: &[String]) -> Result<Vec<Plugin>> {
        let mut client = api::introspection_client::IntrospectionClient::new(self.channel.clone());
        let reply = client
            .plugins(self.request(api::PluginsRequest { filters: filters.to_vec() }))
            .await?
            .into_inner();
        Ok(reply
            .plugins
            .into_iter()
            .map(|plugin| Plugin {
                kind: plugin.r#type,
                id: plugin.id,
                exports: plugin.exports,
                capabilities: plugin.capabilities,
                error: plugin.init_err.map(|status| status.message),
            })
            .collect())
    }

    /// The server's unique id.
    pub async fn server_id(&self) -> Result<String> {
        let mut client = api::introspection_client::IntrospectionClient::new(self.channel.clone());
        Ok(client.server(self.request(())).await?.into_inner().uuid)
    }
}
