//! Mounts as they were asked for, turned into directories of this machine: volumes are made and filled.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::image_mounts;
use super::model::{Container, ResolvedMount};
use super::names::random_id;
use crate::engine::Engine;
use crate::engine::volume::{self, Volume};
use crate::error::{Error, Kind, Result};
use crate::oci::mounts as oci;
use crate::oci::request::{ContainerRequest, MountKind, MountRequest};
use crate::store::Lock;
use crate::sys::rootfs::Rootfs;

/// A mount as it was asked for, with what it is on this machine.
#[derive(Debug)]
pub(super) struct Mounted {
    request: MountRequest,
    resolved: ResolvedMount,
    image: Option<oci::ImageMount>,
    /// Where a part of a volume is mounted before the container starts.
    part: Option<PathBuf>,
}

/// The mounts of a container that is being made. Its volumes stay as long as this value does, and from then on
/// because the container's record names them.
#[derive(Debug)]
pub(super) struct Mounts {
    /// In the order of the request.
    pub(super) all: Vec<Mounted>,
    _held: Vec<Lock>,
}

impl Mounted {
    /// What the record keeps.
    pub(super) fn resolved(&self) -> ResolvedMount {
        self.resolved.clone()
    }

    /// What the specification is made from.
    pub(super) fn in_spec(&self) -> oci::ResolvedMount {
        let source = matches!(self.request.kind, MountKind::Bind | MountKind::Volume)
            .then(|| self.part.as_ref().unwrap_or(&self.resolved.source).clone());
        oci::ResolvedMount { request: self.request.clone(), source, image: self.image.clone() }
    }
}

/// The mounts of a container, whoever made it.
pub(in crate::engine) fn mounts_of(container: &Container) -> Vec<ResolvedMount> {
    match &container.record {
        Some(record) => record.mounts.clone(),
        None => super::inspect::record_of(container).mounts,
    }
}

/// The mounts of a container, each looked up or made.
pub(super) async fn resolve(
    engine: &Engine,
    id: &str,
    request: &ContainerRequest,
    image_config: &serde_json::Value,
    rootfs: &Rootfs,
) -> Result<Mounts> {
    let mut wanted: Vec<Wanted> = Vec::with_capacity(request.mounts.len());
    for request in request.mounts.iter().cloned() {
        wanted.push(Wanted::new(request)?);
    }
    inherit(engine, request, &mut wanted).await?;
    declared_by_image(image_config, &mut wanted)?;
    let held = make_volumes(engine, id, &wanted, rootfs)?;
    let mut all = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let number = all.len();
        let mut mounted = one(engine, (id, number), wanted)?;
        if mounted.request.kind == MountKind::Image {
            let (key, image) = image_mounts::hold(engine, (id, number), &mounted.request).await?;
            mounted.resolved.snapshot = key;
            mounted.image = Some(image);
        }
        all.push(mounted);
    }
    Ok(Mounts { all, _held: held })
}

/// A mount that was asked for; a volume without a name has got one.
struct Wanted {
    request: MountRequest,
    volume: String,
    anonymous: bool,
}

impl Wanted {
    fn new(request: MountRequest) -> Result<Self> {
        let anonymous = request.kind == MountKind::Volume && request.source.is_empty();
        let volume = if anonymous { random_id()? } else { request.source.clone() };
        Ok(Self { request, volume, anonymous })
    }

    fn is_at(&self, target: &str) -> bool {
        self.request.target.trim_end_matches('/') == target.trim_end_matches('/')
    }
}

/// Make and fill the volumes that are missing, and keep all of them from being removed. Nothing is held while one
/// is filled, so that two commands never wait for each other.
fn make_volumes(engine: &Engine, id: &str, wanted: &[Wanted], rootfs: &Rootfs) -> Result<Vec<Lock>> {
    loop {
        let mut volumes: Vec<Volume> = Vec::new();
        for one in wanted.iter().filter(|one| one.request.kind == MountKind::Volume) {
            let fill = |directory: &Path| {
                rootfs.copy_tree(&one.request.target, directory).map(|copied| copied.is_some())
            };
            let fill: volume::Fill<'_> = if one.request.no_copy { None } else { Some(&fill) };
            let (volume, _) = volume::ensure(engine, &of_mount(one, id), fill)
                .map_err(|error| of_volume(error, &one.volume))?;
            if !volumes.iter().any(|known| known.name == volume.name) {
                volumes.push(volume);
            }
        }
        if let Some(held) = volume::hold(&volumes)? {
            return Ok(held);
        }
    }
}

/// docker says which volume it could not make.
fn of_volume(error: Error, name: &str) -> Error {
    match error.kind {
        Kind::Failed | Kind::Usage if !error.message.contains(name) => {
            error.context(format!("create {name}"))
        }
        _ => error,
    }
}

/// `--volumes-from`: the volumes and binds of other containers, where this one has nothing at the same place.
async fn inherit(engine: &Engine, request: &ContainerRequest, wanted: &mut Vec<Wanted>) -> Result<()> {
    for text in &request.volumes_from {
        let (reference, read_only) = match text.rsplit_once(':') {
            Some((reference, "ro")) => (reference, true),
            Some((reference, "rw")) => (reference, false),
            _ => (text.as_str(), false),
        };
        let other = super::find(engine, reference).await?;
        for mount in &mounts_of(&other) {
            if mount.kind == MountKind::Tmpfs || wanted.iter().any(|known| known.is_at(&mount.target)) {
                continue;
            }
            let source = if matches!(mount.kind, MountKind::Volume | MountKind::Image) {
                mount.name.clone()
            } else {
                mount.source.display().to_string()
            };
            let mut inherited = Wanted::new(MountRequest {
                kind: mount.kind,
                source,
                target: mount.target.clone(),
                read_only: read_only || mount.read_only,
                subpath: mount.subpath.clone(),
                ..MountRequest::default()
            })?;
            // It goes with the last of its containers.
            inherited.anonymous = mount.anonymous;
            wanted.push(inherited);
        }
    }
    Ok(())
}

/// The image's VOLUMEs, each an anonymous volume where the user has put nothing.
fn declared_by_image(image_config: &serde_json::Value, wanted: &mut Vec<Wanted>) -> Result<()> {
    let volumes = image_config.pointer("/config/Volumes").and_then(|volumes| volumes.as_object());
    for target in volumes.into_iter().flatten().map(|(target, _)| target) {
        let clean = target.trim_end_matches('/');
        if clean.starts_with('/') && !wanted.iter().any(|known| known.is_at(clean)) {
            wanted.push(Wanted::new(MountRequest {
                kind: MountKind::Volume,
                target: clean.into(),
                from_image: true,
                ..MountRequest::default()
            })?);
        }
    }
    Ok(())
}

fn one(engine: &Engine, (id, number): (&str, usize), wanted: Wanted) -> Result<Mounted> {
    let mount = &wanted.request;
    let mut resolved = ResolvedMount {
        kind: mount.kind,
        target: mount.target.clone(),
        read_only: mount.read_only,
        mode: mode(mount),
        propagation: mount.propagation.clone().unwrap_or_default(),
        ..ResolvedMount::default()
    };
    let mut part = None;
    match mount.kind {
        MountKind::Bind => {
            resolved.source = bind_source(mount)?;
            if resolved.propagation.is_empty() {
                resolved.propagation = "rprivate".into();
            }
        }
        MountKind::Volume => {
            let volume = volume::get(engine, &wanted.volume)?;
            resolved.source = volume.data();
            if let Some(subpath) = mount.subpath.as_ref().filter(|subpath| !subpath.is_empty()) {
                // What is mounted from elsewhere is there only while the container runs.
                if !volume.is_mounted_from_elsewhere() {
                    resolved.source = below(&resolved.source, subpath, &wanted.volume)?;
                }
                resolved.subpath = Some(subpath.clone());
                part = Some(volume::place(engine, &wanted.volume, (id, number)));
            }
            resolved.name.clone_from(&wanted.volume);
            resolved.anonymous = wanted.anonymous;
        }
        MountKind::Tmpfs => {}
        MountKind::Image => {
            resolved.name.clone_from(&mount.source);
            resolved.subpath.clone_from(&mount.subpath);
            resolved.read_only = true;
        }
    }
    Ok(Mounted { request: wanted.request, resolved, image: None, part })
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

fn of_mount(wanted: &Wanted, id: &str) -> Volume {
    let labels: BTreeMap<String, String> = wanted.request.volume_labels.clone();
    // One that is inherited was made for another container.
    let made = wanted.anonymous && wanted.request.source.is_empty();
    Volume {
        name: wanted.volume.clone(),
        labels,
        options: wanted.request.volume_options.clone(),
        anonymous: wanted.anonymous,
        made_for: if made { id.into() } else { String::new() },
        ..Volume::default()
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

/// A part of a volume. What lies in a volume was written by containers: no link leads out of it. It is looked up
/// once more at each start.
fn below(volume: &Path, subpath: &str, name: &str) -> Result<PathBuf> {
    Rootfs::at(volume)?.path_of(subpath)?.ok_or_else(|| volume::missing(name, subpath))
}
