//! Who uses volumes, what room they take, and removing those that nobody uses.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Volume, is_used_by, list, make};
use crate::engine::Engine;
use crate::engine::container::{Container, mounts_of, records};
use crate::engine::prune::PruneFilters;
use crate::error::{Error, Result};

/// A volume with what it takes.
#[derive(Debug, Clone)]
pub struct VolumeUsage {
    /// What is known of it.
    pub volume: Volume,
    /// How many containers have it mounted, whether or not they run.
    pub links: usize,
    /// Bytes of its files; None for what lies somewhere else.
    pub bytes: Option<u64>,
}

/// The ids of the containers that have the volume, whoever made them and whether or not they run.
pub async fn users(engine: &Engine, volume: &Volume) -> Result<Vec<String>> {
    let containers = records(engine, &[]).await?;
    Ok(containers.into_iter().filter(|container| has(container, volume)).map(|one| one.id).collect())
}

/// One volume with its users and its room.
pub async fn usage(engine: &Engine, volume: Volume) -> Result<VolumeUsage> {
    let links = users(engine, &volume).await?.len();
    let local = !volume.is_mounted_from_elsewhere();
    Ok(VolumeUsage { bytes: local.then(|| bytes_below(&volume.data())), links, volume })
}

fn has(container: &Container, volume: &Volume) -> bool {
    mounts_of(container).iter().any(|mount| is_used_by(volume, mount))
}

/// Every volume with its users among `containers` and, with `sizes`, its room.
pub async fn volumes(engine: &Engine, containers: &[Container], sizes: bool) -> Result<Vec<VolumeUsage>> {
    let mounts: Vec<_> = containers.iter().map(mounts_of).collect();
    let engine = engine.clone();
    let counted = tokio::task::spawn_blocking(move || {
        let used = |volume: Volume| {
            // One that is mounted twice is used once.
            let users = mounts.iter().filter(|mounts| mounts.iter().any(|mount| is_used_by(&volume, mount)));
            let links = users.count();
            let local = sizes && !volume.is_mounted_from_elsewhere();
            VolumeUsage { bytes: local.then(|| bytes_below(&volume.data())), links, volume }
        };
        Ok(list(&engine)?.into_iter().map(used).collect())
    });
    counted.await.map_err(|cause| Error::failed(format!("measure the volumes: {cause}")))?
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

/// The volumes that a prune removes: those that none of `containers` has, that match and that nobody has named, or
/// `all`. As with docker, what lies somewhere else stays: nothing would be gained. So do nerdctl's.
pub async fn prunable(
    engine: &Engine,
    containers: &[Container],
    all: bool,
    filters: &PruneFilters,
) -> Result<Vec<VolumeUsage>> {
    let mut volumes = volumes(engine, containers, true).await?;
    volumes.retain(|one| {
        one.links == 0
            && (all || one.volume.anonymous)
            && one.volume.options.is_empty()
            && !one.volume.nerdctls
            && filters.matches(&one.volume.labels, one.volume.created_at)
    });
    Ok(volumes)
}

/// Remove one of them. False when somebody uses it by now, or it is gone.
pub async fn prune(engine: &Engine, one: &VolumeUsage) -> Result<bool> {
    make::remove_unused(engine, &one.volume.name).await
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
