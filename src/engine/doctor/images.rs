//! The images that a node cannot do without: the one of sandboxes, and those of static pods.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::facts::Facts;
use super::finding::Finding;
use super::kubelet::parse;
use crate::registry::Reference;

const CHECK: &str = "images";
/// What CRI keeps from the kubelet's removal of unused images.
const PINNED: (&str, &str) = ("io.cri-containerd.pinned", "pinned");
/// From here on CRI pins its sandbox image itself.
const PINS: (u32, u32) = (1, 7);

/// An image that a static pod asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// As written, with what a short name leaves out.
    pub(super) image: String,
    /// The registry.
    pub(super) domain: String,
    /// The manifest.
    pub(super) manifest: PathBuf,
    /// Fetched at every start, whether or not it is here.
    pub(super) always: bool,
}

/// Whether they are there.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    if !facts.is_kubernetes() {
        return vec![Finding::note(CHECK, "not a Kubernetes node: no image must be there")];
    }
    let Some(namespaces) = &facts.namespaces else {
        return vec![super::containerd::unanswered(facts, CHECK, "its images")];
    };
    let of_kubernetes = namespaces.iter().find(|namespace| namespace.name == super::facts::KUBERNETES);
    let present: BTreeMap<&str, bool> = of_kubernetes
        .iter()
        .flat_map(|namespace| &namespace.images)
        .map(|image| (image.name.as_str(), image.labels.get(PINNED.0).is_some_and(|value| value == PINNED.1)))
        .collect();
    let mut findings = pause(facts, &present);
    let (wanted, broken) = wanted(facts);
    findings.extend(broken);
    for wanted in &wanted {
        if !present.contains_key(wanted.image.as_str()) {
            findings.push(
                Finding::error(
                    CHECK,
                    format!("not here, and the static pod of {} wants it", wanted.manifest.display()),
                )
                .of(&wanted.image)
                .next(format!("wharfie -n k8s.io pull {}", wanted.image)),
            );
        }
    }
    if findings.iter().all(|finding| !finding.is_problem()) {
        let message = format!(
            "{} of static pods and the sandboxes' are here",
            super::finding::count(wanted.len(), "image")
        );
        findings.push(Finding::ok(CHECK, message));
    }
    findings
}

fn pause(facts: &Facts, present: &BTreeMap<&str, bool>) -> Vec<Finding> {
    let Some(image) =
        facts.settings.cri.sandbox_image.as_deref().and_then(normal).map(|wanted| wanted.canonical())
    else {
        // containerd 2 does not tell which one it takes by default; what it has pinned is it.
        return match present.values().any(|pinned| *pinned) {
            true => Vec::new(),
            false => vec![Finding::note(
                CHECK,
                "containerd does not say which image its sandboxes have, and none is pinned",
            )],
        };
    };
    let next = format!("wharfie ctr -n k8s.io images label {image} {}={}", PINNED.0, PINNED.1);
    match present.get(image.as_str()) {
        None => vec![
            Finding::error(
                CHECK,
                "the image of sandboxes is not here: unless it can be pulled, no pod starts",
            )
            .next(format!("wharfie -n k8s.io pull {image}"))
            .of(image),
        ],
        Some(false) if facts.version().is_none_or(|version| version >= PINS) => vec![
            Finding::warning(
                CHECK,
                "the image of sandboxes is not pinned: the kubelet may remove it when the disk fills",
            )
            .of(image)
            .next(next),
        ],
        Some(false) => vec![
            Finding::note(CHECK, "the image of sandboxes is not pinned; this containerd pins none by itself")
                .of(image)
                .next(next),
        ],
        Some(true) => Vec::new(),
    }
}

fn normal(image: &str) -> Option<Reference> {
    Reference::parse(image).ok().map(Reference::with_default_tag)
}

/// The images of static pods, and what is wrong with their manifests.
pub(super) fn wanted(facts: &Facts) -> (Vec<Wanted>, Vec<Finding>) {
    let (mut wanted, mut findings) = (Vec::new(), Vec::new());
    for path in facts.node.files(&facts.kubelet.manifests, &["yaml", "yml", "json"]) {
        let pod = match facts
            .node
            .text(&path)
            .ok_or_else(|| "cannot be read".to_owned())
            .and_then(|text| parse(&text))
        {
            Ok(pod) => pod,
            Err(why) => {
                findings.push(
                    Finding::error(CHECK, format!("not the manifest of a pod: {why}"))
                        .of(path.display())
                        .next(format!("kubectl apply --dry-run=client -f {}", path.display())),
                );
                continue;
            }
        };
        let lists = ["initContainers", "containers"].map(|key| pod.pointer(&format!("/spec/{key}")));
        for container in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
            let text = |key: &str| container.get(key).and_then(Value::as_str).unwrap_or_default();
            let always = text("imagePullPolicy") == "Always";
            match normal(text("image")) {
                Some(reference) => wanted.push(Wanted {
                    image: reference.canonical(),
                    domain: reference.domain().to_owned(),
                    manifest: path.clone(),
                    always,
                }),
                None => findings.push(
                    Finding::error(CHECK, format!("{:?} is no image name", text("image"))).of(path.display()),
                ),
            }
        }
    }
    (wanted, findings)
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::*;

    #[tokio::test]
    async fn static_pods_are_read() {
        let (_root, facts) = facts(&[
            ("/var/lib/kubelet/config.yaml", "staticPodPath: /pods\n"),
            (
                "/pods/a.yaml",
                "kind: Pod\nspec:\n  initContainers:\n  - image: busybox\n  containers:\n  - image: registry.k8s.io/etcd:3.5\n    imagePullPolicy: Always\n  - image: ''\n",
            ),
            ("/pods/b.yaml", "kind: [\n"),
            ("/pods/c.txt", "no manifest"),
        ])
        .await;
        let (wanted, broken) = wanted(&facts);
        let images: Vec<(&str, &str, bool)> =
            wanted.iter().map(|one| (one.image.as_str(), one.domain.as_str(), one.always)).collect();
        assert_eq!(
            images,
            [
                ("docker.io/library/busybox:latest", "docker.io", false),
                ("registry.k8s.io/etcd:3.5", "registry.k8s.io", true)
            ]
        );
        assert_eq!(broken.len(), 2, "{broken:?}");
    }
}
