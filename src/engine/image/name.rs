//! Image names: what they point at, and what becomes of an image that loses its last one.

use std::collections::HashMap;

use oci_spec::image::Descriptor;

use crate::containerd::{Client, Image};
use crate::error::Result;
use crate::registry::Reference;

/// Docker's name for an image without one.
const DANGLING: &str = "moby-dangling@";
/// The kubelet collects images itself and knows no nameless ones.
const KUBERNETES: &str = "k8s.io";

/// Whether a containerd image name stands for no name at all.
pub fn is_dangling(name: &str) -> bool {
    name.starts_with(DANGLING)
}

/// The name under which a nameless image is kept.
pub(super) fn dangling(target: &Descriptor) -> String {
    format!("{DANGLING}{}", target.digest())
}

/// Point `name` at `target`. An image that loses its last name to this stays as a nameless one, as with
/// docker; one that gains its first name loses the nameless record.
pub(super) async fn put(client: &Client, name: &str, target: &Descriptor) -> Result<()> {
    let before = match client.image(name).await {
        Ok(image) => Some(image),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(old) = &before
        && old.target.digest() != target.digest()
        && client.namespace() != KUBERNETES
        && same_target(client, &old.target).await?.len() == 1
    {
        client.put_image(&record(&dangling(&old.target), &old.target, HashMap::new())).await?;
    }
    let labels = before.map(|old| old.labels).unwrap_or_default();
    client.put_image(&record(name, target, labels)).await?;
    if !is_dangling(name) {
        match client.delete_image(&dangling(target), false).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

/// Every name of the same target.
pub(super) async fn same_target(client: &Client, target: &Descriptor) -> Result<Vec<Image>> {
    Ok(client.images(&[format!("target.digest=={}", target.digest())]).await?)
}

fn record(name: &str, target: &Descriptor, labels: HashMap<String, String>) -> Image {
    Image { name: name.to_owned(), target: target.clone(), labels, created_at: None, updated_at: None }
}

/// Tags and digests of an image as docker shows them (`busybox:latest`, `busybox@sha256:…`), from its names.
pub(super) fn tags_and_digests(names: &[String], target: &Descriptor) -> (Vec<String>, Vec<String>) {
    let (mut tags, mut digests) = (Vec::new(), Vec::new());
    for name in names.iter().filter(|name| !is_dangling(name)) {
        // The kubelet's `sha256:…` names are ids, and names that nobody can write are shown as they are.
        let Ok(reference) = Reference::parse(name) else {
            if !name.starts_with("sha256:") {
                tags.push(name.clone());
            }
            continue;
        };
        if name.starts_with("sha256:") {
            continue;
        }
        if reference.digest().is_none() {
            tags.push(reference.familiar());
        }
        digests.push(reference.with_digest(target.digest()).familiar());
    }
    for list in [&mut tags, &mut digests] {
        list.sort();
        list.dedup();
    }
    (tags, digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_docker_does() {
        let digest = crate::image::digest::sha256(b"x");
        let target = Descriptor::new("application/vnd.oci.image.index.v1+json".into(), 1, digest.clone());
        let names = [
            "docker.io/library/busybox:latest".to_owned(),
            format!("docker.io/library/busybox@{digest}"),
            format!("quay.io/a/b@{digest}"),
            digest.to_string(),
            dangling(&target),
            "Strange Name".to_owned(),
        ];
        let (tags, digests) = tags_and_digests(&names, &target);
        assert_eq!(tags, ["Strange Name", "busybox:latest"]);
        assert_eq!(digests, [format!("busybox@{digest}"), format!("quay.io/a/b@{digest}")]);
    }
}
