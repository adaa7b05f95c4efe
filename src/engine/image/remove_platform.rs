//! Remove one platform of an image: the index lets go of its manifest, and what nothing else refers to is collected.
//! No blob is deleted, so nothing that another image shares is ever lost.

use std::collections::HashMap;

use crate::engine::{Engine, event};
use crate::error::Result;
use crate::image::platform::Platform;

use super::lease::Lease;
use super::name::same_target;
use super::remove::{RemoveOptions, Removed, conflict, familiar, permit, remove, short};
use super::resolve::{find, other_platform};
use super::usage::{Part, groups};

/// What the labels begin with by which one blob keeps others.
const CONTENT_REFERENCE: &str = "containerd.io/gc.ref.content";

/// Remove these platforms of the image that `text` means. When none would stay, the image goes as a whole.
///
/// # Errors
/// [`Kind::NotFound`](crate::error::Kind::NotFound) for a platform that is not here; a conflict as [`remove`] has them.
pub async fn remove_platforms(
    engine: &Engine,
    text: &str,
    platforms: &[Platform],
    options: RemoveOptions,
) -> Result<Vec<Removed>> {
    let image = find(engine, text).await?;
    let digest = image.target.digest();
    let group = groups(engine)
        .await?
        .into_iter()
        .find(|group| group.records.first().is_some_and(|record| record.target.digest() == digest));
    let parts = group.map(|group| group.parts).unwrap_or_default();
    let mut going: Vec<&Part> = Vec::new();
    for wanted in platforms {
        // One that would merely run there is not meant.
        let part = parts.iter().find(|part| part.brief.platform() == *wanted);
        let part = part.ok_or_else(|| other_platform(&image, wanted))?;
        if going.iter().all(|other| other.descriptor.digest() != part.descriptor.digest()) {
            going.push(part);
        }
    }
    if going.len() == parts.len() {
        return remove(engine, text, options).await;
    }
    if !options.force {
        let all = same_target(&engine.containerd, &image.target).await?;
        permit(engine, text, &all.iter().collect::<Vec<_>>()).await?;
    }
    for part in &going {
        if let Some(container) = user(engine, part).await? {
            let why = format!("image is being used by container {}", short(&container));
            return Err(conflict(&familiar(&image.name), "cannot be forced", &why));
        }
    }
    let lease = Lease::begin(engine, &format!("rmi {digest}")).await?;
    let released = async {
        let labels = engine.containerd.blob(digest.as_ref()).await?.labels;
        let is_kept = |key: &str, value: &str| {
            let goes = going.iter().any(|part| part.descriptor.digest().as_ref() == value);
            !(goes && key.starts_with(CONTENT_REFERENCE))
        };
        let gone: HashMap<String, String> = labels
            .into_iter()
            .filter(|(key, value)| !is_kept(key, value))
            .map(|(key, _)| (key, String::new()))
            .collect();
        engine.containerd.relabel_blob(digest.as_ref(), gone).await
    };
    let released = released.await;
    lease.end(!options.asynchronous).await;
    released?;
    let removed = going.iter().map(|part| {
        let id = part.descriptor.digest().to_string();
        engine.note(&[event::of_image("delete", &id, &familiar(&image.name))]);
        Removed::Deleted(id)
    });
    Ok(removed.collect())
}

/// A container that stands on the platform's layers.
async fn user(engine: &Engine, part: &Part) -> Result<Option<String>> {
    let Some(top) = part.chain.last() else { return Ok(None) };
    for container in engine.containerd.containers(&[]).await? {
        if container.snapshot_key.is_empty() {
            continue;
        }
        let snapshot = engine.containerd.snapshot(&container.snapshotter, &container.snapshot_key).await;
        match snapshot {
            Ok(snapshot) if snapshot.parent == *top => return Ok(Some(container.id)),
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(None)
}
