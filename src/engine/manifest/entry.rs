//! One manifest of a list, in the JSON of docker's files and of `manifest inspect --verbose`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_spec::image::{Descriptor, Digest, ImageManifest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::image::media;
use crate::output::raw_json::{compact, indented};
use crate::registry::Reference;

/// A manifest, and how its list describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its image, in full.
    pub reference: String,
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// What it was built for; None where nobody says.
    pub platform: Option<ListPlatform>,
    /// The manifest's own bytes; none in files of docker's older versions.
    pub(super) raw: Vec<u8>,
    /// The manifest as JSON text.
    text: String,
}

/// A platform in the words of a list, a configuration and docker's files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListPlatform {
    /// `amd64`.
    pub architecture: String,
    /// `linux`.
    pub os: String,
    /// Of Windows alone.
    #[serde(rename = "os.version", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// Of Windows alone.
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// `v8`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub variant: String,
}

/// docker's file. What else stands in it is not ours to keep.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct File {
    #[serde(rename = "Ref")]
    reference: String,
    descriptor: FileDescriptor,
    raw: Option<String>,
    schema_v2_manifest: Option<Value>,
    #[serde(rename = "OCIManifest")]
    oci_manifest: Option<Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileDescriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<ListPlatform>,
}

impl FileDescriptor {
    fn read(self) -> Result<(Descriptor, Option<ListPlatform>)> {
        let digest = &self.digest;
        let digest: Digest =
            digest.parse().map_err(|_| Error::failed(format!("invalid digest {digest:?}")))?;
        Ok((Descriptor::new(self.media_type.as_str().into(), self.size, digest), self.platform))
    }
}

impl Entry {
    /// The manifest `raw` of `descriptor`, which is the image `reference`.
    pub(super) fn new(
        reference: String,
        descriptor: Descriptor,
        platform: Option<ListPlatform>,
        raw: Vec<u8>,
    ) -> Self {
        let text = String::from_utf8_lossy(&raw).into_owned();
        Self { reference, descriptor, platform, raw, text }
    }

    /// Read docker's file at `path`.
    pub(super) fn parse(bytes: &[u8], path: &str) -> Result<Self> {
        let damaged = |cause: String| Error::failed(format!("read {path}: {cause}"));
        let file: File = serde_json::from_slice(bytes).map_err(|cause| damaged(cause.to_string()))?;
        let (descriptor, platform) = file.descriptor.read().map_err(|error| damaged(error.message))?;
        let raw =
            STANDARD.decode(file.raw.unwrap_or_default()).map_err(|cause| damaged(cause.to_string()))?;
        let manifest = file.oci_manifest.or(file.schema_v2_manifest);
        let text = match raw.is_empty() {
            false => String::from_utf8_lossy(&raw).into_owned(),
            true => manifest.ok_or_else(|| damaged("no manifest in it".into()))?.to_string(),
        };
        Ok(Self { reference: file.reference, descriptor, platform, raw, text: compact(&text) })
    }

    /// docker's file.
    pub(super) fn to_file(&self) -> Result<String> {
        let json = |cause: serde_json::Error| Error::failed(format!("write {}: {cause}", self.reference));
        let quoted = |text: &str| Ok::<_, Error>(compact(&serde_json::to_string(text).map_err(json)?));
        let descriptor = FileDescriptor {
            media_type: self.descriptor.media_type().to_string(),
            digest: self.descriptor.digest().to_string(),
            size: self.descriptor.size(),
            platform: self.platform.clone(),
        };
        let descriptor = compact(&serde_json::to_string(&descriptor).map_err(json)?);
        let mut text = format!("{{\"Ref\":{},\"Descriptor\":{descriptor}", quoted(&self.reference)?);
        if !self.raw.is_empty() {
            text.push_str(&format!(",\"Raw\":\"{}\"", STANDARD.encode(&self.raw)));
        }
        let is_docker = self.descriptor.media_type().as_ref() == media::DOCKER_MANIFEST;
        let key = if is_docker { "SchemaV2Manifest" } else { "OCIManifest" };
        text.push_str(&format!(",\"{key}\":{}}}", compact(&self.text)));
        Ok(text)
    }

    /// The manifest for a reader.
    pub fn manifest(&self) -> String {
        indented(&self.text, "\t")
    }

    /// The manifest with all that is known of it, for a reader.
    pub fn verbose(&self) -> Result<String> {
        Ok(indented(&self.to_file()?, "\t"))
    }

    /// Configuration and layers, in docker's order.
    pub(super) fn parts(&self) -> Result<Vec<Descriptor>> {
        let manifest: ImageManifest = serde_json::from_str(&self.text)
            .map_err(|cause| Error::failed(format!("{} is no image manifest: {cause}", self.reference)))?;
        Ok(std::iter::once(manifest.config()).chain(manifest.layers()).cloned().collect())
    }
}

/// Several manifests with all that is known of them, for a reader.
pub fn verbose_list(entries: &[Entry]) -> Result<String> {
    let files: Vec<String> = entries.iter().map(Entry::to_file).collect::<Result<_>>()?;
    Ok(indented(&format!("[{}]", files.join(",")), "\t"))
}

/// The manifests that the list or index `bytes` names.
pub(super) fn described(bytes: &[u8], reference: &Reference) -> Result<Vec<(Descriptor, ListPlatform)>> {
    #[derive(Deserialize)]
    struct List {
        manifests: Vec<FileDescriptor>,
    }
    let damaged = |cause: String| Error::failed(format!("{reference} is damaged: {cause}"));
    let list: List = serde_json::from_slice(bytes).map_err(|cause| damaged(cause.to_string()))?;
    let read = list.manifests.into_iter().map(|one| {
        let (descriptor, platform) = one.read().map_err(|error| damaged(error.message))?;
        Ok((descriptor, platform.unwrap_or_default()))
    });
    read.collect()
}

/// The list as it is pushed and shown, and its media type: OCI's where the first manifest is one of OCI's.
pub(super) fn list_of(entries: &[(Descriptor, ListPlatform)]) -> Result<(&'static str, String)> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct List<'a> {
        schema_version: u8,
        media_type: &'a str,
        manifests: Vec<Item<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Item<'a> {
        media_type: String,
        size: u64,
        digest: String,
        platform: &'a ListPlatform,
    }
    let is_oci = entries.first().is_some_and(|(first, _)| first.media_type().as_ref() == media::OCI_MANIFEST);
    let media_type = if is_oci { media::OCI_INDEX } else { media::DOCKER_INDEX };
    let manifests = entries
        .iter()
        .map(|(descriptor, platform)| Item {
            media_type: descriptor.media_type().to_string(),
            size: descriptor.size(),
            digest: descriptor.digest().to_string(),
            platform,
        })
        .collect();
    let list = List { schema_version: 2, media_type, manifests };
    let text = serde_json::to_string(&list)
        .map_err(|cause| Error::failed(format!("cannot make a manifest list: {cause}")))?;
    Ok((media_type, indented(&compact(&text), "   ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: &str = r#"{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:0194b34847c8ce8763e79d303ae99ce678361fce81a1e713c5dbee501ec8a1f2", "size": 173}, "layers": [], "annotations": {"a": "<b>&c"}}"#;

    fn entry() -> Entry {
        let digest = crate::image::digest::sha256(RAW.as_bytes());
        let descriptor = Descriptor::new(media::OCI_MANIFEST.into(), RAW.len() as u64, digest);
        let platform = ListPlatform {
            architecture: "arm64".into(),
            os: "linux".into(),
            variant: "v8".into(),
            ..ListPlatform::default()
        };
        Entry::new("host/app:1".into(), descriptor, Some(platform), RAW.into())
    }

    #[test]
    fn files_are_docker_s() {
        let file = entry().to_file().unwrap();
        let digest = crate::image::digest::sha256(RAW.as_bytes());
        let raw = STANDARD.encode(RAW);
        let expected = format!(
            r#"{{"Ref":"host/app:1","Descriptor":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{digest}","size":{},"platform":{{"architecture":"arm64","os":"linux","variant":"v8"}}}},"Raw":"{raw}","OCIManifest":{{"schemaVersion":2,"#,
            RAW.len()
        );
        assert!(file.starts_with(&expected), "{file}");
        assert!(file.ends_with(r#""annotations":{"a":"\u003cb\u003e\u0026c"}}}"#), "{file}");
        let read = Entry::parse(file.as_bytes(), "file").unwrap();
        assert_eq!(
            (read.raw, read.platform, read.descriptor),
            (RAW.into(), entry().platform, entry().descriptor)
        );
        let older = file.replace(&format!(",\"Raw\":\"{raw}\""), "");
        let read = Entry::parse(older.as_bytes(), "file").unwrap();
        assert!(read.raw.is_empty() && read.parts().unwrap().len() == 1);
        for damaged in
            ["", "{}", "[]", &file.replace("sha256:", "sha256"), &older.replace("OCIManifest", "x")]
        {
            assert!(Entry::parse(damaged.as_bytes(), "file").is_err(), "{damaged}");
        }
    }

    #[test]
    fn the_first_manifest_decides_the_list_s_type() {
        let oci = (entry().descriptor, ListPlatform::default());
        let mut docker = oci.clone();
        docker.0.set_media_type(media::DOCKER_MANIFEST.into());
        assert_eq!(list_of(&[oci.clone(), docker.clone()]).unwrap().0, media::OCI_INDEX);
        let (kind, text) = list_of(&[docker, oci]).unwrap();
        assert_eq!(kind, media::DOCKER_INDEX);
        assert!(text.starts_with("{\n   \"schemaVersion\": 2,\n   \"mediaType\": \""), "{text}");
        assert!(
            text.contains("\"platform\": {\n            \"architecture\": \"\",\n            \"os\": \"\"\n"),
            "{text}"
        );
    }
}
