//! How much room everything takes: images, containers, volumes; and removing volumes that nobody uses.

use std::collections::{BTreeMap, HashSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use futures_util::future::join_all;

use super::Engine;
use super::container::{Container, Origin, is_being_made, list};
use super::image::{ImageUsage, usage};
use super::prune::PruneFilters;
use super::volume::{self, Volume};
use crate::error::{Error, Kind, Result};
use crate::oci::request::MountKind;
use crate::store::Lock;

/// A volume with what it takes.
#[derive(Debug, Clone)]
pub struct VolumeUsage {
    /// What is known of it.
    pub volume: Volume,
    /// Where its content is.
    pub path: PathBuf,
    /// How many containers have it mounted, whether or not they run.
    pub links: usize,
    /// Bytes of its files.
    pub bytes: u64,
}

/// Everything with what it takes.
#[derive(Debug)]
pub struct DiskUsage {
    /// The images, the youngest first.
    pub images: Vec<ImageUsage>,
    /// The containers, the youngest first, with the bytes of their own layers.
    pub containers: Vec<(Container, u64)>,
    /// The volumes by name.
    pub volumes: Vec<VolumeUsage>,
}

/// What everything takes.
pub async fn disk_usage(engine: &Engine) -> Result<DiskUsage> {
    let containers = list(engine).await?;
    let (images, volumes, sizes) = tokio::join!(
        usage(engine, &containers),
        volumes(engine, &containers),
        join_all(containers.iter().map(|container| layer(engine, container)))
    );
    let (images, volumes) = (images?, volumes?);
    Ok(DiskUsage { images, containers: containers.into_iter().zip(sizes).collect(), volumes })
}

/// Bytes of the container's own layer; 0 where there is none.
async fn layer(engine: &Engine, container: &Container) -> u64 {
    let (snapshotter, key) = (&container.raw.snapshotter, &container.raw.snapshot_key);
    if key.is_empty() {
        return 0;
    }
    engine.containerd.snapshot_usage(snapshotter, key).await.unwrap_or_default()
}

/// Every volume with its room and its users among `containers`, by name.
pub async fn volumes(engine: &Engine, containers: &[Container]) -> Result<Vec<VolumeUsage>> {
    let mut links: BTreeMap<String, usize> = BTreeMap::new();
    for container in containers {
        let mounts = container.record.iter().flat_map(|record| &record.mounts);
        let named = mounts.filter(|mount| mount.kind == MountKind::Volume).map(|mount| &mount.name);
        // One that is mounted twice is used once.
        for name in named.collect::<HashSet<_>>() {
            *links.entry(name.clone()).or_default() += 1;
        }
    }
    let engine = engine.clone();
    let counted = tokio::task::spawn_blocking(move || {
        let entries = std::fs::read_dir(engine.paths.volumes()).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        // One that is being made, or is no volume, is not described.
        let known = names.filter_map(|name| volume::get(&engine, &name).ok());
        let mut volumes: Vec<VolumeUsage> = known
            .map(|volume| {
                let path = volume::data(&engine, &volume.name);
                let links = links.get(&volume.name).copied().unwrap_or_default();
                VolumeUsage { bytes: bytes_below(&path), path, links, volume }
            })
            .collect();
        volumes.sort_by(|a, b| a.volume.name.cmp(&b.volume.name));
        volumes
    });
    counted.await.map_err(|cause| Error::failed(format!("measure the volumes: {cause}")))
}

/// Bytes of the files below a directory, a file with several names once. No link is followed; what goes
/// meanwhile, and what cannot be read, counts nothing.
fn bytes_below(directory: &Path) -> u64 {
    let mut seen = HashSet::new();
    let mut waiting = vec![directory.to_path_buf()];
    let mut bytes = 0_u64;
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            // Not of what a link points at.
            let Ok(data) = entry.metadata() else { continue };
            if data.is_dir() {
                waiting.push(entry.path());
            } else if data.nlink() == 1 || seen.insert((data.dev(), data.ino())) {
                bytes = bytes.saturating_add(data.len());
            }
        }
    }
    bytes
}

/// The volumes that no container has mounted and that match: those without a name of the user's, or `all`.
pub async fn prunable_volumes(
    engine: &Engine,
    containers: &[Container],
    all: bool,
    filters: &PruneFilters,
) -> Result<Vec<VolumeUsage>> {
    let mut volumes = volumes(engine, containers).await?;
    volumes.retain(|one| {
        one.links == 0
            && (all || one.volume.anonymous)
            && !(one.volume.anonymous && is_being_made(engine, &one.volume.made_for))
            && filters.matches(&one.volume.labels, one.volume.created_at)
    });
    Ok(volumes)
}

/// Remove one of them. False when somebody uses it by now.
pub async fn prune_volume(engine: &Engine, one: &VolumeUsage) -> Result<bool> {
    let name = &one.volume.name;
    // Whoever makes or fills it holds it.
    let held = match Lock::try_directory(&engine.paths.volumes().join(name)) {
        Ok(held) => held,
        Err(error) if error.kind == Kind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if held.is_none() || is_used(engine, name).await? {
        return Ok(false);
    }
    volume::remove(engine, name)?;
    Ok(true)
}

async fn is_used(engine: &Engine, name: &str) -> Result<bool> {
    let containers = list(engine).await?;
    Ok(containers.iter().filter(|container| container.origin == Origin::Wharfie).any(|container| {
        container.record.iter().flat_map(|record| &record.mounts).any(|mount| mount.name == name)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_once_and_links_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        std::fs::write(at("a/one"), vec![0; 1000]).unwrap();
        std::fs::hard_link(at("a/one"), at("a/b/again")).unwrap();
        std::fs::write(at("a/b/two"), vec![0; 50]).unwrap();
        std::os::unix::fs::symlink("/", at("a/root")).unwrap();
        assert_eq!(bytes_below(directory.path()), 1000 + 50 + 1);
        assert_eq!(bytes_below(&at("nothing")), 0);
    }
}
