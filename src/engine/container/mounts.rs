//! Mounts as they were asked for, turned into directories of this machine: volumes are made and filled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::image_mounts;
use super::model::ResolvedMount;
use super::names::random_id;
use crate::engine::Engine;
use crate::engine::volume::{self, Volume};
use crate::error::{Error, Result};
use crate::oci::mounts as oci;
use crate::oci::request::{ContainerRequest, MountKind, MountRequest};
use crate::sys::rootfs::Rootfs;

/// A mount as it was asked for, with what it is on this machine.
#[derive(Debug)]
pub(super) struct Mounted {
    request: MountRequest,
    resolved: ResolvedMount,
    image: Option<oci::ImageMount>,
}

impl Mounted {
    /// What the record keeps.
    pub(super) fn resolved(&self) -> ResolvedMount {
        self.resolved.clone()
    }

    /// What the specification is made from.
    pub(super) fn in_spec(&self) -> oci::ResolvedMount {
        let source = matches!(self.request.kind, MountKind::Bind | MountKind::Volume)
            .then(|| self.resolved.source.clone());
        oci::ResolvedMount { request: self.request.clone(), source, image: self.image.clone() }
    }
}

/// The mounts of a container, each looked up or made.
pub(super) async fn resolve(
    engine: &Engine,
    id: &str,
    request: &ContainerRequest,
    image_config: &serde_json::Value,
    rootfs: &Rootfs,
) -> Result<Vec<Mounted>> {
    let mut wanted = request.mounts.clone();
    inherit(engine, request, &mut wanted).await?;
    declared_by_image(image_config, &mut wanted);
    let mut resolved = Vec::with_capacity(wanted.len());
    for request in wanted {
        let mut mounted = Mounted { resolved: one(engine, id, &request, rootfs)?, request, image: None };
        if mounted.request.kind == MountKind::Image {
            let (key, image) = image_mounts::hold(engine, (id, resolved.len()), &mounted.request).await?;
            mounted.resolved.snapshot = key;
            mounted.image = Some(image);
        }
        resolved.push(mounted);
    }
    Ok(resolved)
}

/// `--volumes-from`: the volumes and binds of other containers, where this one has nothing at the same place.
async fn inherit(engine: &Engine, request: &ContainerRequest, wanted: &mut Vec<MountRequest>) -> Result<()> {
    for text in &request.volumes_from {
        let (reference, read_only) = match text.rsplit_once(':') {
            Some((reference, "ro")) => (reference, true),
            Some((reference, "rw")) => (reference, false),
            _ => (text.as_str(), false),
        };
        let other = super::find(engine, reference).await?;
        for mount in &super::inspect::record_of(&other).mounts {
            if mount.kind == MountKind::Tmpfs || wanted.iter().any(|known| known.target == mount.target) {
                continue;
            }
            let source = if matches!(mount.kind, MountKind::Volume | MountKind::Image) {
                mount.name.clone()
            } else {
                mount.source.display().to_string()
            };
            wanted.push(MountRequest {
                kind: mount.kind,
                source,
                target: mount.target.clone(),
                read_only: read_only || mount.read_only,
                subpath: mount.subpath.clone(),
                ..MountRequest::default()
            });
        }
    }
    Ok(())
}

/// The image's VOLUMEs, each an anonymous volume where the user has put nothing.
fn declared_by_image(image_config: &serde_json::Value, wanted: &mut Vec<MountRequest>) {
    let volumes = image_config.pointer("/config/Volumes").and_then(|volumes| volumes.as_object());
    for target in volumes.into_iter().flatten().map(|(target, _)| target) {
        let clean = target.trim_end_matches('/');
        if clean.starts_with('/') && !wanted.iter().any(|known| known.target.trim_end_matches('/') == clean) {
            wanted.push(MountRequest {
                kind: MountKind::Volume,
                target: clean.into(),
                from_image: true,
                ..MountRequest::default()
            });
        }
    }
}

fn one(engine: &Engine, id: &str, mount: &MountRequest, rootfs: &Rootfs) -> Result<ResolvedMount> {
    let mut resolved = ResolvedMount {
        kind: mount.kind,
        target: mount.target.clone(),
        read_only: mount.read_only,
        mode: mode(mount),
        propagation: mount.propagation.clone().unwrap_or_default(),
        ..ResolvedMount::default()
    };
    match mount.kind {
        MountKind::Bind => {
            resolved.source = bind_source(mount)?;
            if resolved.propagation.is_empty() {
                resolved.propagation = "rprivate".into();
            }
        }
        MountKind::Volume => {
            let anonymous = mount.source.is_empty();
            let name = if anonymous { random_id()? } else { mount.source.clone() };
            let fill = |directory: &Path| match mount.no_copy {
                true => Ok(()),
                false => rootfs.copy_tree(&mount.target, directory).map(drop),
            };
            let made_for = if anonymous { id } else { "" };
            let directory = volume::ensure(engine, &of_mount(mount, &name, made_for), &fill)?;
            resolved.source = directory;
            if let Some(subpath) = &mount.subpath {
                resolved.source = below(&resolved.source, subpath, &name)?;
            }
            resolved.name = name;
            resolved.anonymous = anonymous;
        }
        MountKind::Tmpfs => {}
        MountKind::Image => {
            resolved.name.clone_from(&mount.source);
            resolved.subpath.clone_from(&mount.subpath);
            resolved.read_only = true;
        }
    }
    Ok(resolved)
}

/// docker's column: the options of `-v` as written; volumes with a name are relabelled unless told otherwise.
fn mode(mount: &MountRequest) -> String {
    let by_flag = mount.kind == MountKind::Bind && !mount.by_mount;
    let mut options: Vec<String> = Vec::new();
    if mount.read_only && !mount.by_mount {
        options.push("ro".into());
    }
    options.extend(mount.selinux.map(String::from));
    options.extend(mount.propagation.clone().filter(|_| by_flag));
    let plain = mount.kind == MountKind::Volume && !mount.source.is_empty() && options.is_empty();
    if plain { "z".into() } else { options.join(",") }
}

fn of_mount(mount: &MountRequest, name: &str, made_for: &str) -> Volume {
    let labels: BTreeMap<String, String> = mount.volume_labels.clone();
    Volume {
        name: name.into(),
        labels,
        options: mount.volume_options.clone(),
        anonymous: !made_for.is_empty(),
        made_for: made_for.into(),
        created_at: None,
    }
}

fn bind_source(mount: &MountRequest) -> Result<PathBuf> {
    let path = PathBuf::from(&mount.source);
    if std::fs::symlink_metadata(&path).is_ok() {
        return Ok(path);
    }
    if !mount.create_source {
        return Err(Error::failed(format!(
            "invalid mount config for type \"bind\": bind source path does not exist: {}",
            mount.source
        ))
        .hint(format!("make it first: mkdir -p {}", mount.source)));
    }
    std::fs::create_dir_all(&path).map_err(|cause| Error::io("create", &path, cause))?;
    Ok(path)
}

/// A directory of a volume. What lies in a volume was written by containers: no link leads out of it.
fn below(volume: &Path, subpath: &str, name: &str) -> Result<PathBuf> {
    let missing = || {
        Error::not_found(format!("cannot access path {subpath} of volume {name}: no such file or directory"))
    };
    // What was found is bound by its own path, so that a link put there later is not followed.
    Rootfs::at(volume)?.path_of(subpath)?.ok_or_else(missing)
}
