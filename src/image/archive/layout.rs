//! Which images an archive says it has: docker's manifest.json, or the OCI layout's index.json.

use oci_spec::image::{Descriptor, ImageIndex};
use serde::Deserialize;

use crate::error::{Error, Result};

use super::read::{Blob, Contents};

/// The annotation of an image's whole name in an OCI layout.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
const OCI_NAME: &str = "org.opencontainers.image.ref.name";
const MOST_IMAGES: usize = 10_000;

/// The images of an archive.
#[derive(Debug)]
pub enum Layout {
    /// Indexes and manifests are blobs of the archive.
    Oci(Vec<NamedTarget>),
    /// Only configurations and layers are there.
    Docker(Vec<DockerImage>),
}

/// An index or manifest, with the name it has in the archive.
#[derive(Debug, PartialEq)]
pub struct NamedTarget {
    /// The index or manifest.
    pub target: Descriptor,
    /// A whole name (`docker.io/library/busybox:latest`); None when it has only a tag, or nothing.
    pub name: Option<String>,
}

/// One image of docker's manifest.json.
#[derive(Debug, PartialEq)]
pub struct DockerImage {
    /// The configuration.
    pub config: Blob,
    /// The layers, lowest first.
    pub layers: Vec<Blob>,
    /// `busybox:latest`.
    pub tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// What the archive's own lists say.
pub fn interpret(contents: &Contents) -> Result<Layout> {
    let docker = contents.manifest_json.as_deref().map(docker_entries).transpose()?;
    if let (true, Some(index)) = (contents.oci_layout, &contents.index_json) {
        return oci(contents, index, docker.as_deref().unwrap_or_default()).map(Layout::Oci);
    }
    let Some(entries) = docker else {
        return Err(Error::failed(
            "the archive has neither manifest.json nor index.json: it is no image archive",
        )
        .hint("a root file system becomes an image with `wharfie import`"));
    };
    let images = entries.iter().map(|entry| {
        let layers = entry.layers.iter().flatten().map(|name| contents.file(name).cloned());
        Ok(DockerImage {
            config: contents.file(&entry.config)?.clone(),
            layers: layers.collect::<Result<_>>()?,
            tags: entry.repo_tags.clone().unwrap_or_default(),
        })
    });
    images.collect::<Result<_>>().map(Layout::Docker)
}

fn docker_entries(bytes: &[u8]) -> Result<Vec<DockerEntry>> {
    let entries: Vec<DockerEntry> = serde_json::from_slice(bytes)
        .map_err(|cause| Error::failed(format!("the archive's manifest.json is damaged: {cause}")))?;
    bounded(entries)
}

fn bounded<T>(list: Vec<T>) -> Result<Vec<T>> {
    if list.len() > MOST_IMAGES {
        return Err(Error::failed(format!("the archive lists more than {MOST_IMAGES} images")));
    }
    Ok(list)
}

fn oci(contents: &Contents, index: &[u8], docker: &[DockerEntry]) -> Result<Vec<NamedTarget>> {
    let index: ImageIndex = serde_json::from_slice(index)
        .map_err(|cause| Error::failed(format!("the archive's index.json is damaged: {cause}")))?;
    let mut targets = Vec::new();
    for target in bounded(index.manifests().clone())? {
        if contents.blob(target.digest()).is_none() {
            return Err(Error::failed(format!("the archive lists {} and does not have it", target.digest()))
                .hint("the archive is incomplete: write it again"));
        }
        let annotation = |key: &str| target.annotations().as_ref().and_then(|all| all.get(key).cloned());
        let whole = |name: &String| name.contains(['/', ':']);
        let name = annotation(CONTAINERD_NAME).or_else(|| annotation(OCI_NAME).filter(whole));
        targets.push(NamedTarget { target, name });
    }
    // One image without a name here, and named in docker's list, is the same image.
    if let ([only], [entry]) = (targets.as_mut_slice(), docker)
        && only.name.is_none()
    {
        let mut tags = entry.repo_tags.iter().flatten();
        only.name = tags.next().cloned();
        let more: Vec<NamedTarget> =
            tags.map(|tag| NamedTarget { target: only.target.clone(), name: Some(tag.clone()) }).collect();
        targets.extend(more);
    }
    Ok(targets)
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::contents;
    use super::*;
    use crate::image::digest::sha256;
    use tar::EntryType::Regular;

    #[test]
    fn docker_archives() {
        let list = br#"[{"Config":"c.json","RepoTags":["a:1","b:2"],"Layers":["l/layer.tar"]},
                        {"Config":"c.json","RepoTags":null,"Layers":null}]"#;
        let found = contents(&[
            ("c.json", Regular, "", b"{}"),
            ("l/layer.tar", Regular, "", b"layer"),
            ("manifest.json", Regular, "", list),
        ])
        .unwrap();
        let Layout::Docker(images) = interpret(&found).unwrap() else { panic!() };
        assert_eq!(images.len(), 2);
        assert_eq!(images[0].tags, ["a:1", "b:2"]);
        assert_eq!(images[0].layers[0].digest, Some(sha256(b"layer")));
        assert!(images[1].layers.is_empty());
    }

    #[test]
    fn oci_archives() {
        let manifest = b"{}";
        let digest = sha256(manifest);
        let blob = format!("blobs/sha256/{}", digest.digest());
        let entry = |annotation: &str| {
            format!(
                r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":2{annotation}}}"#
            )
        };
        let cases = [
            (
                r#","annotations":{"io.containerd.image.name":"docker.io/library/a:1"}"#,
                Some("docker.io/library/a:1"),
            ),
            (r#","annotations":{"org.opencontainers.image.ref.name":"quay.io/a:1"}"#, Some("quay.io/a:1")),
            (r#","annotations":{"org.opencontainers.image.ref.name":"latest"}"#, None),
            ("", None),
        ];
        for (annotation, name) in cases {
            let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(annotation));
            let found = contents(&[
                ("oci-layout", Regular, "", b"{}"),
                (&blob, Regular, "", manifest),
                ("index.json", Regular, "", index.as_bytes()),
            ])
            .unwrap();
            let Layout::Oci(targets) = interpret(&found).unwrap() else { panic!() };
            assert_eq!(targets[0].name.as_deref(), name, "{annotation}");
        }
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entry(""));
        let without =
            contents(&[("oci-layout", Regular, "", b"{}"), ("index.json", Regular, "", index.as_bytes())])
                .unwrap();
        assert!(interpret(&without).unwrap_err().message.contains("does not have it"));
    }

    #[test]
    fn no_image_archive() {
        let error = interpret(&contents(&[("etc/passwd", Regular, "", b"x")]).unwrap()).unwrap_err();
        assert!(error.message.contains("no image archive"), "{error}");
        let error = interpret(&contents(&[("manifest.json", Regular, "", b"{")]).unwrap()).unwrap_err();
        assert!(error.message.contains("manifest.json is damaged"), "{error}");
        let list = br#"[{"Config":"../../etc/passwd","Layers":[]}]"#;
        assert!(interpret(&contents(&[("manifest.json", Regular, "", list)]).unwrap()).is_err());
    }
}
