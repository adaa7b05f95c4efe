//! How much room images take, what of it they share, and who uses them: the ground for `system df` and for
//! removing what nobody uses.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use crate::containerd::Image;
use crate::engine::Engine;
use crate::engine::container::Container;
use crate::engine::event;
use crate::engine::prune::PruneFilters;
use crate::error::{Error, Result};
use crate::registry::Reference;

use super::list::users;
use super::name::{is_dangling, tags_and_digests};
use super::remove::{Removed, familiar};
use super::usage::{Group, Pieces, groups};

/// CRI's mark on images that its own garbage collection must keep.
const PINNED: (&str, &str) = ("io.cri-containerd.pinned", "pinned");

/// docker's namespace. containerd knows docker's containers only while they run.
const DOCKERS: &str = "moby";

/// One image with what it takes.
#[derive(Debug, Clone, Default)]
pub struct ImageUsage {
    /// The target's digest.
    pub id: String,
    /// containerd's names.
    pub names: Vec<String>,
    /// `busybox:latest`.
    pub tags: Vec<String>,
    /// `busybox@sha256:…`.
    pub digests: Vec<String>,
    /// When it was built.
    pub created: Option<Timestamp>,
    /// When its youngest name was made: pulled, loaded or tagged.
    pub named_at: Option<Timestamp>,
    /// Of the configuration.
    pub labels: BTreeMap<String, String>,
    /// Ids of the containers made from it.
    pub containers: Vec<String>,
    /// It stays whatever is pruned: CRI has pinned it, or pods stand on it.
    pub kept: bool,
    /// Blobs and snapshots with their bytes.
    pieces: Pieces,
}

impl ImageUsage {
    /// Bytes in all.
    pub fn size(&self) -> u64 {
        self.pieces.size()
    }

    /// Bytes in the content store.
    pub fn content(&self) -> u64 {
        self.pieces.content()
    }

    /// Bytes of the unpacked layers.
    pub fn unpacked(&self) -> u64 {
        self.pieces.unpacked()
    }

    /// Whether it has no name.
    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }
}

/// Every image with its room and its users among `containers`, the youngest first.
pub async fn usage(engine: &Engine, containers: &[Container]) -> Result<Vec<ImageUsage>> {
    let groups = groups(engine).await?;
    let mut usages: Vec<ImageUsage> = groups.iter().filter_map(|group| describe(group, containers)).collect();
    usages.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.tags.cmp(&b.tags)));
    Ok(usages)
}

fn describe(group: &Group, containers: &[Container]) -> Option<ImageUsage> {
    let target = &group.records.first()?.target;
    let id = target.digest().to_string();
    let names = group.names();
    let (tags, digests) = tags_and_digests(&names, target);
    let best = group.best();
    let labels = best.map(|part| part.brief.labels()).into_iter().flatten();
    Some(ImageUsage {
        created: best.and_then(|part| part.brief.created),
        named_at: group.records.iter().filter_map(|image| image.created_at).max(),
        labels: labels.map(|(key, value)| (key.clone(), value.clone())).collect(),
        containers: users(&id, &names, containers).map(|container| container.id.clone()).collect(),
        kept: group.records.iter().any(|image| why_kept(image).is_some()),
        id,
        names,
        tags,
        digests,
        pieces: group.pieces.clone(),
    })
}

/// Why an image stays whatever is pruned: CRI has pinned it, or by its name pods' sandboxes are made of it. containerd
/// before 1.7 pins none, and a node that cannot pull it starts no pod any more.
pub(super) fn why_kept(image: &Image) -> Option<&'static str> {
    let repository = Reference::parse(&image.name).map(|reference| reference.name()).unwrap_or_default();
    let last = repository.rsplit('/').next().unwrap_or_default();
    if image.labels.get(PINNED.0).is_some_and(|value| value == PINNED.1) {
        Some("CRI has pinned it")
    } else if last == "pause" || last.starts_with("pause-") {
        Some("the sandboxes of pods are made of it")
    } else {
        None
    }
}

/// Bytes of all these images together: what they share counts once.
pub fn total<'a>(images: impl IntoIterator<Item = &'a ImageUsage>) -> u64 {
    let mut all = Pieces::default();
    for image in images {
        all.extend(&image.pieces);
    }
    all.size()
}

/// For each image the bytes that others have too, in their order; the rest of its size is its own.
pub fn shared(images: &[ImageUsage]) -> Vec<u64> {
    let mut owners: HashMap<(bool, &str), usize> = HashMap::new();
    for (piece, _) in images.iter().flat_map(|image| image.pieces.iter()) {
        *owners.entry(piece).or_default() += 1;
    }
    let in_common = |piece: &(bool, &str)| owners.get(piece).is_some_and(|count| *count > 1);
    images
        .iter()
        .map(|image| image.pieces.iter().filter(|(piece, _)| in_common(piece)).map(|(_, bytes)| bytes).sum())
        .collect()
}

/// What a prune of images removes: those without a name, or `all` that no container is made from; and the
/// bytes that only they take. What CRI has pinned, and what pods stand on, is not among them.
///
/// # Errors
/// In docker's own namespace: which images its stopped containers need only docker knows.
pub async fn prunable(
    engine: &Engine,
    containers: &[Container],
    all: bool,
    filters: &PruneFilters,
) -> Result<(Vec<ImageUsage>, u64)> {
    if engine.containerd.namespace() == DOCKERS {
        return Err(Error::conflict(
            "images in the namespace moby are docker's: only docker knows which of them its stopped containers need",
        )
        .hint("use docker's own `docker image prune`"));
    }
    let images = usage(engine, containers).await?;
    let before = total(&images);
    let (going, staying): (Vec<ImageUsage>, Vec<ImageUsage>) =
        images.into_iter().partition(|image| is_unused(image, all, filters));
    let bytes = before.saturating_sub(total(&staying));
    Ok((going, bytes))
}

fn is_unused(image: &ImageUsage, all: bool, filters: &PruneFilters) -> bool {
    !image.kept
        && image.containers.is_empty()
        && (all || image.is_dangling())
        && filters.matches(&image.labels, image.named_at)
}

/// Remove these images with all their names. A name that has moved to another image since stays.
pub async fn prune(engine: &Engine, images: &[ImageUsage]) -> Result<Vec<Removed>> {
    let client = &engine.containerd;
    let mut removed = Vec::new();
    for (index, image) in images.iter().enumerate() {
        let mut whole = true;
        for (place, name) in image.names.iter().enumerate() {
            match client.image(name).await {
                Ok(now) if now.target.digest().to_string() == image.id => {}
                Err(error) if error.is_not_found() => continue,
                Ok(_) => {
                    whole = false;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            // With the last one, what they alone kept is collected.
            let last = index + 1 == images.len() && place + 1 == image.names.len();
            match client.delete_image(name, last).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
            if !is_dangling(name) && !name.starts_with("sha256:") {
                let name = familiar(name);
                engine.note(&[event::of_image("untag", &image.id, &name)]);
                removed.push(Removed::Untagged(name));
            }
        }
        if whole {
            engine.note(&[event::of_image("delete", &image.id, &image.id)]);
            removed.push(Removed::Deleted(image.id.clone()));
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str, pieces: &[(&str, u64)]) -> ImageUsage {
        ImageUsage { id: id.into(), pieces: Pieces::of_blobs(pieces), ..ImageUsage::default() }
    }

    #[test]
    fn what_is_shared_counts_once() {
        let images = [
            image("a", &[("base", 100), ("a", 10)]),
            image("b", &[("base", 100), ("b", 1)]),
            image("c", &[("c", 7)]),
        ];
        assert_eq!(total(&images), 118);
        assert_eq!(shared(&images), [100, 100, 0]);
        assert_eq!(images.each_ref().map(ImageUsage::size), [110, 101, 7]);
    }

    #[test]
    fn what_somebody_needs_stays() {
        let none = PruneFilters::default();
        let nameless = image("a", &[]);
        let tagged = ImageUsage { tags: vec!["a:1".into()], ..nameless.clone() };
        for (image, all, expected) in [
            (nameless.clone(), false, true),
            (tagged.clone(), false, false),
            (tagged.clone(), true, true),
            (ImageUsage { containers: vec!["c".into()], ..nameless.clone() }, true, false),
            (ImageUsage { kept: true, ..nameless.clone() }, true, false),
        ] {
            assert_eq!(is_unused(&image, all, &none), expected, "{image:?}");
        }
        let labels = PruneFilters { labels: vec!["x".into()], ..none };
        assert!(!is_unused(&nameless, false, &labels));
    }

    #[test]
    fn sandboxes_are_known_by_name_and_by_pin() {
        let record = |name: &str, labels: &[(&str, &str)]| Image {
            name: name.into(),
            target: oci_spec::image::Descriptor::new(
                "application/vnd.oci.image.index.v1+json".into(),
                1,
                crate::image::digest::sha256(b"x"),
            ),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            created_at: None,
            updated_at: None,
        };
        for (name, labels, expected) in [
            ("registry.k8s.io/pause:3.10", &[][..], true),
            ("docker.io/rancher/pause-amd64:3.1", &[], true),
            ("docker.io/library/paused:1", &[], false),
            ("docker.io/library/a:1", &[("io.cri-containerd.pinned", "pinned")], true),
            ("docker.io/library/a:1", &[("io.cri-containerd.image", "managed")], false),
        ] {
            assert_eq!(why_kept(&record(name, labels)).is_some(), expected, "{name} {labels:?}");
        }
    }
}
