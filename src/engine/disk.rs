//! How much room everything takes: images, containers, volumes.

use futures_util::future::join_all;

use super::Engine;
use super::container::{Container, list};
use super::image::{ImageUsage, usage};
use super::volume::{VolumeUsage, volumes};
use crate::error::Result;

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
        volumes(engine, &containers, true),
        join_all(containers.iter().map(|container| layer(engine, container)))
    );
    let (images, mut volumes) = (images?, volumes?);
    // docker's rule: what lies somewhere else takes no room here.
    volumes.retain(|one| one.volume.options.is_empty());
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
