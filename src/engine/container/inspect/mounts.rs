//! The section `Mounts`.

use oci_spec::runtime::Spec;
use serde::{Deserialize, Serialize};

use crate::engine::container::model::{Record, ResolvedMount};
use crate::oci::request::MountKind;

/// One mount, as docker tells it. nerdctl keeps the same form in a label.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs`, `image`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub r#type: String,
    /// A volume's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The path on the host.
    pub source: String,
    /// The path in the container.
    pub destination: String,
    /// A volume's driver.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub driver: String,
    /// Options as written.
    pub mode: String,
    /// Writable.
    #[serde(rename = "RW")]
    pub rw: bool,
    /// `rprivate` and so on.
    pub propagation: String,
}

pub(super) fn mount_points(record: &Record) -> Vec<MountPoint> {
    // docker does not count what `--tmpfs` makes.
    let by_flag = |mount: &&ResolvedMount| {
        let asked = record.request.mounts.iter().find(|asked| asked.target == mount.target);
        mount.kind == MountKind::Tmpfs && asked.is_some_and(|asked| !asked.by_mount)
    };
    record.mounts.iter().filter(|mount| !by_flag(mount)).map(mount_point).collect()
}

fn mount_point(mount: &ResolvedMount) -> MountPoint {
    let volume = mount.kind == MountKind::Volume;
    MountPoint {
        r#type: kind(mount.kind).into(),
        name: mount.name.clone(),
        source: mount.source.display().to_string(),
        destination: mount.target.clone(),
        driver: if volume { "local".into() } else { String::new() },
        mode: mount.mode.clone(),
        rw: !mount.read_only,
        propagation: mount.propagation.clone(),
    }
}

/// docker's word for a kind of mount.
pub(super) fn kind(kind: MountKind) -> &'static str {
    match kind {
        MountKind::Bind => "bind",
        MountKind::Volume => "volume",
        MountKind::Tmpfs => "tmpfs",
        MountKind::Image => "image",
    }
}

/// What the specification mounts at `target`: the source of a bind, or nothing.
pub(super) fn source(spec: &Spec, target: &str) -> String {
    let mounts = spec.mounts().as_deref().unwrap_or_default();
    let found = mounts.iter().rfind(|mount| mount.destination().as_os_str() == target);
    found.and_then(|mount| mount.source().as_ref()).map(|path| path.display().to_string()).unwrap_or_default()
}
