//! Versions of the engine and of what stands below it, in docker's fields.

use std::collections::BTreeMap;

use serde::Serialize;

use super::runtime;
use crate::engine::Engine;
use crate::error::Result;

/// The version of docker's API whose words this program speaks, and the oldest one.
pub const API_VERSION: &str = "1.52";
const MIN_API_VERSION: &str = "1.44";

/// What this program calls itself to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The version to compare with: its own, or that of the tool it stands in for.
    pub version: String,
    /// Which build it is.
    pub build: String,
    /// What it is in words.
    pub platform: String,
}

/// docker's version of a server.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServerVersion {
    /// What it is in words.
    pub platform: Platform,
    /// The engine's version.
    pub version: String,
    /// docker's API.
    pub api_version: String,
    /// The oldest API.
    #[serde(rename = "MinAPIVersion")]
    pub min_api_version: String,
    /// `linux`.
    pub os: String,
    /// `amd64`.
    pub arch: String,
    /// The engine, containerd and the runtime.
    pub components: Vec<Component>,
    /// Which build.
    pub git_commit: String,
    /// Empty: this is no Go program.
    pub go_version: String,
    /// The kernel's release.
    pub kernel_version: String,
    /// Empty: builds carry no time, so that they are alike.
    pub build_time: String,
}

/// What something is in words.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Platform {
    /// The words.
    pub name: String,
}

/// A part of the server.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Component {
    /// `containerd`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What else is known.
    pub details: BTreeMap<String, String>,
}

/// The versions of this engine, called `identity`, and of what it stands on.
pub async fn version(engine: &Engine, identity: &Identity) -> Result<ServerVersion> {
    let (containerd, runtime) = tokio::join!(engine.containerd.version(), runtime::version(engine));
    let containerd = containerd?;
    let kernel = match engine.config.node {
        None => rustix::system::uname().release().to_string_lossy().into_owned(),
        Some(_) => String::new(),
    };
    let arch = crate::sys::host::go_architecture(std::env::consts::ARCH).to_owned();
    let details = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    };
    let engine_details = details(&[
        ("ApiVersion", API_VERSION),
        ("Arch", &arch),
        ("Experimental", "false"),
        ("GitCommit", &identity.build),
        ("KernelVersion", &kernel),
        ("MinAPIVersion", MIN_API_VERSION),
        ("Os", "linux"),
    ]);
    let components = vec![
        Component { name: "Engine".into(), version: identity.version.clone(), details: engine_details },
        Component {
            name: "containerd".into(),
            version: containerd.version,
            details: details(&[("GitCommit", &containerd.revision)]),
        },
        Component {
            name: runtime.name,
            version: runtime.version,
            details: details(&[("GitCommit", &runtime.commit)]),
        },
    ];
    Ok(ServerVersion {
        platform: Platform { name: identity.platform.clone() },
        version: identity.version.clone(),
        api_version: API_VERSION.into(),
        min_api_version: MIN_API_VERSION.into(),
        os: "linux".into(),
        arch,
        components,
        git_commit: identity.build.clone(),
        go_version: String::new(),
        kernel_version: kernel,
        build_time: String::new(),
    })
}
