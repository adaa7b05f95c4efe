//! What CRI keeps with its containers in containerd: JSON of its own types, the same in containerd 1.6 to 2.1.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;

use crate::containerd;

/// What CRI keeps of a sandbox.
const SANDBOX: &str = "io.cri-containerd.sandbox.metadata";
/// What CRI keeps of a container.
const CONTAINER: &str = "io.cri-containerd.container.metadata";
/// `NamespaceMode.NODE`.
const NODE: u32 = 2;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Versioned<T: Default> {
    metadata: T,
}

/// A sandbox.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sandbox {
    #[serde(rename = "Config")]
    pub(super) config: Option<SandboxConfig>,
    #[serde(rename = "NetNSPath")]
    pub(super) network_namespace: PathBuf,
    #[serde(rename = "IP")]
    address: String,
    #[serde(rename = "AdditionalIPs")]
    more_addresses: Option<Vec<String>>,
    #[serde(rename = "RuntimeHandler")]
    pub(super) runtime_handler: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SandboxConfig {
    pub(super) metadata: Option<Metadata>,
    pub(super) log_directory: PathBuf,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
    linux: Option<Linux>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Linux {
    security_context: Option<SecurityContext>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SecurityContext {
    namespace_options: Option<NamespaceOptions>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NamespaceOptions {
    network: u32,
}

/// Who it is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Metadata {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) namespace: String,
    pub(super) attempt: u32,
}

/// A container.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Container {
    #[serde(rename = "SandboxID")]
    pub(super) sandbox: String,
    #[serde(rename = "Config")]
    pub(super) config: Option<ContainerConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContainerConfig {
    pub(super) metadata: Option<Metadata>,
}

impl Sandbox {
    /// From a sandbox's record; nothing known where it has none of CRI's.
    pub(super) fn read(raw: &containerd::Container) -> Self {
        read(raw, SANDBOX)
    }

    /// Its addresses, the first one first.
    pub(super) fn addresses(&self) -> Vec<IpAddr> {
        let more = self.more_addresses.iter().flatten();
        [&self.address].into_iter().chain(more).filter_map(|text| text.parse().ok()).collect()
    }

    /// Whether it is on the host's network.
    pub(super) fn is_on_host_network(&self) -> bool {
        let linux = self.config.as_ref().and_then(|config| config.linux.as_ref());
        let options = linux.and_then(|linux| linux.security_context.as_ref()?.namespace_options.as_ref());
        options.is_some_and(|options| options.network == NODE)
    }
}

impl Container {
    /// From a container's record; nothing known where it has none of CRI's.
    pub(super) fn read(raw: &containerd::Container) -> Self {
        read(raw, CONTAINER)
    }
}

fn read<T: Default + for<'de> Deserialize<'de>>(raw: &containerd::Container, extension: &str) -> T {
    let Some(kept) = raw.extensions.get(extension) else { return T::default() };
    serde_json::from_slice::<Versioned<T>>(&kept.value).map(|kept| kept.metadata).unwrap_or_default()
}
