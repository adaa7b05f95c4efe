//! `diff`: what a container has changed of its image's files. An overlay keeps the changes in a directory of
//! their own, so that only those are looked at; of other snapshotters both trees are.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use super::image_view::ImageView;
use super::model::Container;
use super::spec;
use crate::containerd::Mount;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::sys::mount::{self, Access};
use crate::sys::tree::{self, Change, ChangeKind, Compared};
use crate::sys::view::clone_of;

/// What the runtime makes in a root file system that lacks it, for what it mounts there. docker's containers have
/// these from the beginning.
const PLACES: [&str; 10] = [
    "/dev",
    "/dev/console",
    "/dev/mqueue",
    "/dev/pts",
    "/dev/shm",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/proc",
    "/sys",
];

/// The changes, directories before what lies in them, in the order of names.
pub async fn diff(engine: &Engine, container: &Container) -> Result<Vec<Change>> {
    let raw = &container.raw;
    if raw.snapshot_key.is_empty() {
        return Err(Error::failed(format!(
            "container {} stands on no image: it has no changes",
            container.name
        ))
        .hint("its root file system is a directory of this machine"));
    }
    let parent = engine.containerd.snapshot(&raw.snapshotter, &raw.snapshot_key).await?.parent;
    let mounts = engine.containerd.snapshot_mounts(&raw.snapshotter, &raw.snapshot_key).await?;
    super::settle(engine).await?;
    let image = ImageView::of_snapshot(engine, &raw.snapshotter, &parent).await?;
    let changes = compare(&image.mounts, &mounts);
    image.close().await;
    Ok(without_places(changes?))
}

fn compare(old: &[Mount], new: &[Mount]) -> Result<Vec<Change>> {
    let old = mount::detached(&spec::plain(old), Access::Read)?;
    match upper(new) {
        Some(upper) => tree::compare(&old, &clone_of(&upper, false, false)?, Compared::Upper),
        None => {
            let new: OwnedFd = mount::detached(&spec::plain(new), Access::Read)?;
            tree::compare(&old, &new, Compared::Whole)
        }
    }
}

/// The directory that holds an overlay's changes, unless it names its content by other paths.
fn upper(mounts: &[Mount]) -> Option<PathBuf> {
    let [mount] = mounts else { return None };
    let elsewhere = ["redirect_dir=on", "metacopy=on"];
    if mount.kind != "overlay" || mount.options.iter().any(|option| elsewhere.contains(&option.as_str())) {
        return None;
    }
    mount.options.iter().find_map(|option| option.strip_prefix("upperdir=")).map(PathBuf::from)
}

/// Without [`PLACES`] that were added, and without directories that count as changed for nothing else.
fn without_places(changes: Vec<Change>) -> Vec<Change> {
    let is_place = |path: &Path| PLACES.iter().any(|place| path == Path::new(place));
    let is_hidden = |change: &Change| change.kind == ChangeKind::Added && is_place(&change.path);
    let hidden: Vec<PathBuf> =
        changes.iter().filter(|change| is_hidden(change)).map(|change| change.path.clone()).collect();
    let kept: Vec<Change> = changes
        .into_iter()
        .filter(|change| !hidden.contains(&change.path) || change.kind != ChangeKind::Added)
        .collect();
    let only_above = |change: &Change| {
        change.kind == ChangeKind::Changed
            && change.own == Some(false)
            && hidden.iter().any(|path| path.starts_with(&change.path))
            && !kept.iter().any(|other| other.path != change.path && other.path.starts_with(&change.path))
    };
    let gone: Vec<PathBuf> =
        kept.iter().filter(|change| only_above(change)).map(|change| change.path.clone()).collect();
    kept.into_iter().filter(|change| !gone.contains(&change.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: &str, kind: ChangeKind, own: bool) -> Change {
        Change { path: path.into(), kind, own: Some(own) }
    }

    #[test]
    fn places_of_mounts_are_no_changes() {
        use ChangeKind::{Added, Changed, Deleted};
        let left = |changes: Vec<Change>| -> Vec<String> {
            without_places(changes).iter().map(|change| change.path.display().to_string()).collect()
        };
        let places = || vec![change("/etc/hosts", Added, true), change("/proc", Added, true)];
        let with = |more: Vec<Change>| [more, places()].concat();
        assert!(left(with(vec![change("/etc", Changed, false)])).is_empty());
        assert_eq!(left(with(vec![change("/etc", Changed, true)])), ["/etc"]);
        let other = vec![change("/etc", Changed, false), change("/etc/new", Added, true)];
        assert_eq!(left(with(other)), ["/etc", "/etc/new"]);
        assert_eq!(left(vec![change("/etc/hosts", Deleted, true)]), ["/etc/hosts"]);
    }

    #[test]
    fn only_overlays_have_an_upper_directory() {
        let mount = |kind: &str, options: &[&str]| Mount {
            kind: kind.into(),
            options: options.iter().map(|option| option.to_string()).collect(),
            ..Mount::default()
        };
        let overlay = mount("overlay", &["lowerdir=/l", "upperdir=/u", "workdir=/w"]);
        assert_eq!(upper(&[overlay]), Some("/u".into()));
        assert_eq!(upper(&[mount("overlay", &["upperdir=/u", "metacopy=on"])]), None);
        assert_eq!(upper(&[mount("bind", &["rw"])]), None);
    }
}
