//! `HostConfig.Mounts`: what was asked for with `--mount`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::oci::request::{MountKind, MountRequest};

/// One `--mount`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Mount {
    /// `bind`, `volume`, …
    pub r#type: &'static str,
    /// Where from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Where to.
    pub target: String,
    /// Read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only: bool,
    /// Of a bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_options: Option<BindOptions>,
    /// Of a volume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_options: Option<VolumeOptions>,
    /// Of an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_options: Option<ImageOptions>,
    /// Of a file system in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tmpfs_options: Option<TmpfsOptions>,
}

/// Of a bind.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct BindOptions {
    /// `rshared`, …
    #[serde(skip_serializing_if = "String::is_empty")]
    pub propagation: String,
    /// What is mounted below the source stays away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub non_recursive: bool,
    /// A missing source is made.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub create_mountpoint: bool,
    /// What is mounted below stays writable.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_non_recursive: bool,
    /// What is mounted below must be read-only.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub read_only_force_recursive: bool,
}

/// Of a volume.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct VolumeOptions {
    /// Nothing is copied from the image.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_copy: bool,
    /// Of the volume made for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Only this directory of it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subpath: String,
    /// Of the volume made for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_config: Option<DriverConfig>,
}

/// A volume's driver.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DriverConfig {
    /// `local`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its options.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
}

/// Of an image.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ImageOptions {
    /// Only this directory of it.
    pub subpath: String,
}

/// Of a file system in memory.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TmpfsOptions {
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Mode bits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

pub(super) fn mount(mount: &MountRequest) -> Mount {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let bind = BindOptions {
        propagation: text(&mount.propagation),
        non_recursive: mount.non_recursive,
        create_mountpoint: mount.create_source,
        read_only_non_recursive: mount.recursive_read_only == Some(false),
        read_only_force_recursive: mount.recursive_read_only == Some(true),
    };
    let driven = mount.volume_driver.is_some() || !mount.volume_options.is_empty();
    let volume = VolumeOptions {
        no_copy: mount.no_copy,
        labels: mount.volume_labels.clone(),
        subpath: text(&mount.subpath),
        driver_config: driven.then(|| DriverConfig {
            name: text(&mount.volume_driver),
            options: mount.volume_options.clone(),
        }),
    };
    let tmpfs = TmpfsOptions { size_bytes: mount.tmpfs_size, mode: mount.tmpfs_mode };
    let is = |kind: MountKind| mount.kind == kind;
    Mount {
        r#type: super::mounts::kind(mount.kind),
        source: mount.source.clone(),
        target: mount.target.clone(),
        read_only: mount.read_only,
        bind_options: Some(bind).filter(|bind| is(MountKind::Bind) && *bind != BindOptions::default()),
        volume_options: Some(volume)
            .filter(|volume| is(MountKind::Volume) && *volume != VolumeOptions::default()),
        image_options: mount
            .subpath
            .clone()
            .filter(|_| is(MountKind::Image))
            .map(|subpath| ImageOptions { subpath }),
        tmpfs_options: Some(tmpfs).filter(|tmpfs| is(MountKind::Tmpfs) && *tmpfs != TmpfsOptions::default()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn only_what_was_said_is_there() {
        let plain = MountRequest { kind: MountKind::Tmpfs, target: "/t".into(), ..MountRequest::default() };
        assert_eq!(to_value(mount(&plain)).unwrap(), json!({"Type": "tmpfs", "Target": "/t"}));
        let sized = MountRequest { tmpfs_size: Some(5), tmpfs_mode: Some(0o700), ..plain };
        assert_eq!(to_value(mount(&sized)).unwrap()["TmpfsOptions"], json!({"SizeBytes": 5, "Mode": 448}));
        let volume = MountRequest {
            kind: MountKind::Volume,
            source: "v".into(),
            target: "/v".into(),
            subpath: Some("a".into()),
            no_copy: true,
            ..MountRequest::default()
        };
        assert_eq!(
            to_value(mount(&volume)).unwrap()["VolumeOptions"],
            json!({"NoCopy": true, "Subpath": "a"})
        );
        let bind = MountRequest { propagation: Some("rshared".into()), ..MountRequest::default() };
        assert_eq!(to_value(mount(&bind)).unwrap()["BindOptions"], json!({"Propagation": "rshared"}));
    }
}
