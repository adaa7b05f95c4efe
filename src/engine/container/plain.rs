//! Containers as containerd's own client makes them: a record, a snapshot named like it, no network, no monitor.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::spec::{resolve_user, rootfs};
use crate::containerd::{Container, Extension};
use crate::engine::Engine;
use crate::engine::image;
use crate::error::{Error, Result};
use crate::image::platform::Platform;
use crate::image::progress::Silent;
use crate::oci::plain::{PlainInput, PlainRequest, spec};
use crate::oci::request::{Seccomp, Security};
use crate::oci::{capabilities, seccomp};
use crate::sys::host::{Device, Host, all_devices, device_nodes};
use crate::sys::rootfs::Rootfs;

/// containerd's name for runc's options.
const RUNC_OPTIONS: &str = "containerd.runc.v1.Options";
/// The signal that ends a container, as containerd's clients note it.
const STOP_SIGNAL: &str = "io.containerd.image.config.stop-signal";

/// What a container is made from.
#[derive(Debug, Clone)]
pub enum Base {
    /// The image of that very name.
    Image(String),
    /// A directory of this machine.
    Directory(PathBuf),
    /// A whole specification, which names its root itself.
    Spec(Value),
}

/// A container to make.
#[derive(Debug, Clone)]
pub struct PlainContainer {
    /// Its id.
    pub id: String,
    /// What it is made from.
    pub base: Base,
    /// For which platform; None for this machine's.
    pub platform: Option<Platform>,
    /// What the specification says.
    pub asked: PlainRequest,
    /// `user[:group]`; None for the image's.
    pub user: Option<String>,
    /// A filter of system calls; None for none.
    pub seccomp: Option<Seccomp>,
    /// Devices, or directories of devices, to hand on.
    pub devices: Vec<PathBuf>,
    /// Labels of the record.
    pub labels: HashMap<String, String>,
    /// Labels of the snapshot.
    pub snapshot_labels: HashMap<String, String>,
    /// The runtime's name.
    pub runtime: String,
    /// Options for it.
    pub runtime_options: RuncOptions,
    /// The sandbox it belongs to.
    pub sandbox: String,
}

/// The options of runc's shim.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuncOptions {
    /// Do not use pivot_root.
    pub no_pivot: bool,
    /// The runtime's program.
    pub binary: String,
    /// Where the runtime keeps its state.
    pub root: String,
    /// Control groups through systemd.
    pub systemd_cgroup: bool,
}

impl RuncOptions {
    /// As containerd takes them (api/types/runc/options/oci.proto).
    pub fn encoded(&self) -> Extension {
        let mut value = Vec::new();
        let flag = |value: &mut Vec<u8>, number: u8, set: bool| {
            if set {
                value.extend([number << 3, 1]);
            }
        };
        let text = |value: &mut Vec<u8>, number: u8, text: &str| {
            if !text.is_empty() {
                value.push(number << 3 | 2);
                let mut length = text.len();
                while length >= 0x80 {
                    value.push((length & 0x7f) as u8 | 0x80);
                    length >>= 7;
                }
                value.push(length as u8);
                value.extend_from_slice(text.as_bytes());
            }
        };
        flag(&mut value, 1, self.no_pivot);
        text(&mut value, 6, &self.binary);
        text(&mut value, 7, &self.root);
        flag(&mut value, 9, self.systemd_cgroup);
        Extension { type_url: RUNC_OPTIONS.into(), value }
    }
}

/// Make a container: its snapshot, then its record. When the record fails, the snapshot goes again.
pub async fn create_plain(engine: &Engine, wanted: &PlainContainer) -> Result<Container> {
    let client = &engine.containerd;
    let mut record = Container {
        id: wanted.id.clone(),
        labels: wanted.labels.clone(),
        runtime: wanted.runtime.clone(),
        runtime_options: Some(wanted.runtime_options.encoded()),
        sandbox: wanted.sandbox.clone(),
        ..Container::default()
    };
    let spec = match &wanted.base {
        Base::Spec(spec) => spec.clone(),
        Base::Directory(directory) => {
            let look = Rootfs::at(directory)?;
            let user = resolve_user(&look, wanted.user.as_deref().unwrap_or_default(), &[])?;
            let input = PlainInput { user: Some(&user), ..PlainInput::default() };
            build(engine, wanted, &directory.display().to_string(), input)?
        }
        Base::Image(name) => on_image(engine, wanted, name, &mut record).await?,
    };
    record.spec = serde_json::to_vec(&spec)
        .map_err(|cause| Error::failed(format!("write the specification: {cause}")))?;
    if let Err(error) = client.create_container(&record).await {
        if !record.snapshot_key.is_empty() {
            let _ = client.remove_snapshot(&record.snapshotter, &record.snapshot_key).await;
        }
        return Err(error.into());
    }
    Ok(record)
}

async fn on_image(
    engine: &Engine,
    wanted: &PlainContainer,
    name: &str,
    record: &mut Container,
) -> Result<Value> {
    let client = &engine.containerd;
    let named = client.image(name).await?;
    let image = image::read(client, &named, wanted.platform.as_ref()).await?;
    image::ensure_unpacked(engine, &image, &Silent).await?;
    let config = image.config.config().clone().unwrap_or_default();
    let from_image = config.labels().clone().unwrap_or_default();
    let stop_signal = config.stop_signal().clone().unwrap_or_else(|| "SIGTERM".into());
    let mut labels: HashMap<String, String> = from_image.into_iter().collect();
    labels.insert(STOP_SIGNAL.into(), stop_signal);
    labels.extend(std::mem::take(&mut record.labels));
    record.labels = labels;
    record.image = named.name;
    record.snapshotter = engine.config.snapshotter.clone();
    // Kept by this label until the record refers to it; a record that fails takes the snapshot with it.
    let mut kept = wanted.snapshot_labels.clone();
    kept.insert("containerd.io/gc.root".into(), jiff::Timestamp::now().to_string());
    let mounts = client.prepare_snapshot(&record.snapshotter, &wanted.id, &image.chain_id, kept).await?;
    record.snapshot_key = wanted.id.clone();
    let made = || {
        let image_user = config.user().clone().unwrap_or_default();
        let look = rootfs(&mounts)?;
        let user = resolve_user(&look, wanted.user.as_deref().unwrap_or(&image_user), &[])?;
        let input = PlainInput { image: Some(&config), user: Some(&user), ..PlainInput::default() };
        build(engine, wanted, "rootfs", input)
    };
    match made() {
        Ok(spec) => Ok(spec),
        Err(error) => {
            let _ = client.remove_snapshot(&record.snapshotter, &record.snapshot_key).await;
            Err(error)
        }
    }
}

fn build(engine: &Engine, wanted: &PlainContainer, root: &str, input: PlainInput<'_>) -> Result<Value> {
    let host = Host::gather();
    let devices = devices(wanted)?;
    let mut spec = spec(
        &wanted.asked,
        &PlainInput {
            id: &wanted.id,
            namespace: engine.containerd.namespace(),
            rootfs: root,
            host_name: &host.hostname,
            host_capabilities: host.capabilities,
            devices: &devices,
            ..input
        },
    )?;
    if let Some(filter) = &wanted.seccomp {
        let names = spec["process"]["capabilities"]["bounding"].as_array().cloned().unwrap_or_default();
        let bits = names.iter().filter_map(|name| capabilities::bit(name.as_str()?));
        let granted = bits.fold(0, |set, bit| set | bit);
        let security = Security { seccomp: filter.clone(), ..Security::default() };
        spec["linux"]["seccomp"] = json!(seccomp::filter(&security, granted, &host)?);
    }
    Ok(spec)
}

fn devices(wanted: &PlainContainer) -> Result<Vec<Device>> {
    let mut devices = Vec::new();
    if wanted.asked.privileged && !wanted.asked.without_devices {
        devices.extend(all_devices()?);
    }
    for path in &wanted.devices {
        devices.extend(device_nodes(path, path)?);
    }
    Ok(devices)
}

/// What to run beside a container's own process.
#[derive(Debug, Clone, Default)]
pub struct PlainExec {
    /// The command.
    pub command: Vec<String>,
    /// Its working directory; None for the container's.
    pub cwd: Option<String>,
    /// `user[:group]`; None for the container's.
    pub user: Option<String>,
    /// A terminal.
    pub tty: bool,
}

/// The process of an exec, as JSON: the container's own process with what `asked` changes. `pid` is the
/// container's process, in whose files users are looked up.
pub fn plain_process(spec: &[u8], asked: &PlainExec, pid: u32) -> Result<Vec<u8>> {
    let mut spec: Value = serde_json::from_slice(spec)
        .map_err(|cause| Error::failed(format!("the container's specification cannot be read: {cause}")))?;
    let mut process = spec["process"].take();
    process["args"] = json!(asked.command);
    process["terminal"] = json!(asked.tty);
    if let Some(cwd) = &asked.cwd {
        process["cwd"] = json!(cwd);
    }
    if let Some(wanted) = asked.user.as_deref().filter(|user| !user.is_empty()) {
        let user = resolve_user(&Rootfs::of_process(pid)?, wanted, &[])?;
        process["user"] = json!({ "uid": user.uid, "gid": user.gid, "additionalGids": user.additional_gids });
    }
    serde_json::to_vec(&process).map_err(|cause| Error::failed(format!("describe the process: {cause}")))
}

/// A whole specification from a file.
pub fn spec_file(path: &Path) -> Result<Value> {
    let bytes = crate::store::read_bounded(path, 4 << 20)?;
    serde_json::from_slice(&bytes)
        .map_err(|cause| Error::failed(format!("{}: invalid specification: {cause}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_encoded_as_protobuf_does() {
        let options = RuncOptions {
            no_pivot: true,
            binary: "crun".into(),
            systemd_cgroup: true,
            ..RuncOptions::default()
        };
        assert_eq!(options.encoded().value, [8, 1, 0x32, 4, b'c', b'r', b'u', b'n', 0x48, 1]);
        assert_eq!(RuncOptions::default().encoded().value, [0u8; 0]);
    }
}
