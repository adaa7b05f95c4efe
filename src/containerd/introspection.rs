//! What this containerd is and what it can do.

use std::collections::HashMap;

use containerd_client::services::v1 as api;
use containerd_client::types as told;

use super::{Client, Error, Extension, Result, values};

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
    /// The kinds of plugins that it needs.
    pub requires: Vec<String>,
    /// Where it works: `linux/amd64`; nothing where it works everywhere.
    pub platforms: Vec<String>,
    /// What it tells about itself.
    pub exports: HashMap<String, String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// Why it did not start.
    pub error: Option<String>,
    /// gRPC's number for the kind of that error.
    pub error_code: i32,
}

/// The server's process.
#[derive(Debug, Clone, Default)]
pub struct Server {
    /// Its unique id.
    pub id: String,
    /// Its process id; 0 from a containerd that does not say (before 1.7).
    pub pid: u64,
    /// The inode of its process namespace; 0 as above.
    pub pid_namespace: u64,
    /// What it was asked for that a later version will not have.
    pub deprecations: Vec<Deprecation>,
}

/// A use of something that goes away.
#[derive(Debug, Clone)]
pub struct Deprecation {
    /// `io.containerd.deprecation/…`.
    pub id: String,
    /// What to do.
    pub message: String,
    /// When it was last used.
    pub last: Option<jiff::Timestamp>,
}

/// What a runtime tells about itself.
#[derive(Debug, Clone)]
pub struct RuntimeInfo {
    /// `io.containerd.runc.v2`.
    pub name: String,
    /// Its shim's version.
    pub version: String,
    /// Its shim's revision.
    pub revision: String,
    /// OCI's description of what the runtime can do, as JSON; None where it has none.
    pub features: Option<Vec<u8>>,
    /// Annotations.
    pub annotations: HashMap<String, String>,
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
                requires: plugin.requires,
                platforms: plugin.platforms.into_iter().map(platform).collect(),
                exports: plugin.exports,
                capabilities: plugin.capabilities,
                error_code: plugin.init_err.as_ref().map(|status| status.code).unwrap_or_default(),
                error: plugin.init_err.map(|status| status.message),
            })
            .collect())
    }

    /// The server's unique id.
    pub async fn server_id(&self) -> Result<String> {
        Ok(self.server().await?.id)
    }

    /// The server's process.
    pub async fn server(&self) -> Result<Server> {
        let mut client = api::introspection_client::IntrospectionClient::new(self.channel.clone());
        let reply = client.server(self.request(())).await?.into_inner();
        let deprecations = reply.deprecations.into_iter().map(|warning| Deprecation {
            id: warning.id,
            message: warning.message,
            last: values::time(warning.last_occurrence),
        });
        Ok(Server {
            id: reply.uuid,
            pid: reply.pid,
            pid_namespace: reply.pidns,
            deprecations: deprecations.collect(),
        })
    }

    /// Ask the shim of `runtime` what it can do, with `options` for it. containerd 2.0 and later.
    pub async fn runtime_info(&self, runtime: &str, options: Option<&Extension>) -> Result<RuntimeInfo> {
        let asked = told::RuntimeRequest {
            runtime_path: runtime.into(),
            options: options.map(|options| prost_types::Any {
                type_url: options.type_url.clone(),
                value: options.value.clone(),
            }),
        };
        let options = prost_types::Any {
            type_url: "containerd.types.RuntimeRequest".into(),
            value: prost::Message::encode_to_vec(&asked),
        };
        let request = api::PluginInfoRequest {
            r#type: "io.containerd.runtime.v2".into(),
            id: "task".into(),
            options: Some(options),
        };
        let mut client = api::introspection_client::IntrospectionClient::new(self.channel.clone());
        let reply = client.plugin_info(self.request(request)).await?.into_inner();
        let extra = reply.extra.unwrap_or_default();
        let info: told::RuntimeInfo = prost::Message::decode(extra.value.as_slice())
            .map_err(|cause| Error::other(format!("what runtime {runtime} tells is damaged: {cause}")))?;
        let version = info.version.unwrap_or_default();
        Ok(RuntimeInfo {
            name: info.name,
            version: version.version,
            revision: version.revision,
            features: info.features.map(|any| any.value),
            annotations: info.annotations,
        })
    }
}

fn platform(platform: told::Platform) -> String {
    let parts = [platform.os, platform.architecture, platform.variant];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}
