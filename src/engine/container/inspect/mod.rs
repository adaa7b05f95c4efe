//! docker's view of one container, whoever made it: the JSON of `inspect` as types, a file a section.
//!
//! What other clients wrote is first read as a [`Record`] like ours ([`foreign`]); the sections know only that.

mod asked_mounts;
mod config;
mod connection;
mod foreign;
mod host_config;
mod mounts;
mod native;
mod network_settings;
mod state;

use oci_spec::runtime::Spec;
use serde::Serialize;

pub use config::Config;
pub use connection::{connection, networks_of};
pub use host_config::HostConfig;
pub use mounts::MountPoint;
pub use native::native;
pub use network_settings::{EndpointSettings, NetworkSettings, PortBinding};
pub use state::State;

use super::model::{Container, Record};
use crate::engine::Engine;
use crate::error::Result;
use crate::net::Connection;
use crate::oci::request::Resources;

/// How long a shim may take to name its processes.
const SHIM_DEADLINE: std::time::Duration = std::time::Duration::from_secs(1);

/// docker's `inspect` of a container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Inspect {
    /// The whole id.
    pub id: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// What is executed.
    pub path: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// How it is.
    pub state: State,
    /// The image's id, or its name where nobody knows the id any more.
    pub image: String,
    /// The file on the host that the container sees as /etc/resolv.conf.
    pub resolv_conf_path: String,
    /// The same for /etc/hostname.
    pub hostname_path: String,
    /// The same for /etc/hosts.
    pub hosts_path: String,
    /// The log file.
    pub log_path: String,
    /// The name, led by a slash.
    pub name: String,
    /// How often its policy has started it again.
    pub restart_count: u32,
    /// The snapshotter.
    pub driver: String,
    /// `linux`.
    pub platform: String,
    /// SELinux's label of its files.
    pub mount_label: String,
    /// SELinux's label of its processes.
    pub process_label: String,
    /// AppArmor's profile.
    pub app_armor_profile: String,
    /// Running execs; none is null.
    #[serde(rename = "ExecIDs")]
    pub exec_ids: Option<Vec<String>>,
    /// What it was made with that concerns the host.
    pub host_config: HostConfig,
    /// Where its files are.
    pub storage: Storage,
    /// Bytes of its own layer, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_rw: Option<u64>,
    /// Bytes of all its layers, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_root_fs: Option<u64>,
    /// What is mounted in it.
    pub mounts: Vec<MountPoint>,
    /// What it was made with that concerns itself.
    pub config: Config,
    /// How it is connected.
    pub network_settings: NetworkSettings,
}

/// Where a container's files are.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Storage {
    /// Its root file system.
    #[serde(rename = "RootFS")]
    pub root_fs: RootFs,
}

/// A root file system.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RootFs {
    /// The snapshot it is.
    pub snapshot: Snapshot,
}

/// A snapshot.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Snapshot {
    /// The snapshotter's name.
    pub name: String,
}

/// Everything that the sections are written from.
struct Facts<'a> {
    container: &'a Container,
    record: Record,
    spec: Spec,
    connection: Option<Connection>,
    sizes: Option<Sizes>,
    execs: Vec<String>,
}

/// Bytes on disk.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    own: u64,
    all: u64,
}

/// docker's view of `container`; with `size` also the bytes of its layers, which containerd may have to count.
pub async fn inspect(engine: &Engine, container: &Container, size: bool) -> Result<Inspect> {
    let spec = spec(container);
    let mut record = match &container.record {
        Some(record) => record.clone(),
        None => foreign::record(container, &spec),
    };
    if record.image_id.is_empty() {
        record.image_id = image_id(engine, &container.raw.image).await?;
    }
    let sizes = if size { sizes(engine, container).await? } else { None };
    let connection = connection(container);
    let execs = execs(engine, container).await;
    Ok(describe(Facts { container, record, spec, connection, sizes, execs }))
}

/// The ids of what runs beside the first process. A shim that is late has none to tell.
async fn execs(engine: &Engine, container: &Container) -> Vec<String> {
    if container.status != super::Status::Running {
        return Vec::new();
    }
    let asked = engine.containerd.execs(&container.id);
    tokio::time::timeout(SHIM_DEADLINE, asked).await.ok().and_then(Result::ok).unwrap_or_default()
}

/// What is known of `container` in the shape of our own record, whoever made it.
pub(super) fn record_of(container: &Container) -> Record {
    container.record.clone().unwrap_or_else(|| foreign::record(container, &spec(container)))
}

/// The limits of a container, whoever made it.
pub(super) fn resources(container: &Container) -> Resources {
    record_of(container).request.resources
}

/// The runtime specification. One that is not Linux's, or damaged, tells nothing and hides nothing else.
fn spec(container: &Container) -> Spec {
    serde_json::from_slice(&container.raw.spec).unwrap_or_else(|_| empty())
}

fn empty() -> Spec {
    let mut spec = Spec::default();
    // The default is a whole container, which this one is not known to be.
    spec.set_process(None)
        .set_root(None)
        .set_hostname(None)
        .set_mounts(None)
        .set_annotations(None)
        .set_linux(None);
    spec
}

/// The digest that the image's name points at; the name itself once it points at nothing.
async fn image_id(engine: &Engine, name: &str) -> Result<String> {
    if name.is_empty() {
        return Ok(String::new());
    }
    match engine.containerd.image(name).await {
        Ok(image) => Ok(image.target.digest().to_string()),
        Err(error) if error.is_not_found() => Ok(name.to_owned()),
        Err(error) => Err(error.into()),
    }
}

/// What the container's layers take; None where it has no snapshot.
async fn sizes(engine: &Engine, container: &Container) -> Result<Option<Sizes>> {
    let (snapshotter, mut key) = (&container.raw.snapshotter, container.raw.snapshot_key.clone());
    if key.is_empty() {
        return Ok(None);
    }
    let own = match engine.containerd.snapshot_usage(snapshotter, &key).await {
        Ok(own) => own,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut all = own;
    loop {
        key = engine.containerd.snapshot(snapshotter, &key).await?.parent;
        if key.is_empty() {
            return Ok(Some(Sizes { own, all }));
        }
        all += engine.containerd.snapshot_usage(snapshotter, &key).await?;
    }
}

/// docker's: the file of a driver that writes one, and not the copy of what another sends away.
fn log_path(container: &Container) -> String {
    let sent = container.record.as_ref().is_some_and(|record| {
        matches!(record.request.log.driver.as_str(), "syslog" | "journald" | "fluentd")
    });
    container.log.as_ref().filter(|_| !sent).map(|path| path.display().to_string()).unwrap_or_default()
}

fn describe(facts: Facts<'_>) -> Inspect {
    let Facts { container, spec, .. } = &facts;
    let process = spec.process().as_ref();
    let linux = spec.linux().as_ref();
    let mut command = container.command.iter().cloned();
    let hosted = |target: &str| mounts::source(spec, target);
    Inspect {
        id: container.id.clone(),
        created: state::time(container.created_at),
        path: command.next().unwrap_or_default(),
        args: command.collect(),
        state: state::state(container),
        image: facts.record.image_id.clone(),
        resolv_conf_path: hosted("/etc/resolv.conf"),
        hostname_path: hosted("/etc/hostname"),
        hosts_path: hosted("/etc/hosts"),
        log_path: log_path(container),
        name: format!("/{}", container.name),
        restart_count: container.state.restart_count,
        driver: container.raw.snapshotter.clone(),
        platform: "linux".into(),
        mount_label: linux.and_then(|linux| linux.mount_label().clone()).unwrap_or_default(),
        process_label: process.and_then(|process| process.selinux_label().clone()).unwrap_or_default(),
        app_armor_profile: process.and_then(|process| process.apparmor_profile().clone()).unwrap_or_default(),
        exec_ids: (!facts.execs.is_empty()).then(|| facts.execs.clone()),
        host_config: host_config::host_config(&facts),
        storage: Storage {
            root_fs: RootFs { snapshot: Snapshot { name: container.raw.snapshotter.clone() } },
        },
        size_rw: facts.sizes.map(|sizes| sizes.own),
        size_root_fs: facts.sizes.map(|sizes| sizes.all),
        mounts: mounts::mount_points(&facts.record),
        config: config::config(&facts),
        network_settings: network_settings::network_settings(&facts),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use tests::container as container_for_tests;
