//! Images for tests: the machine's busybox, and archives put together byte by byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A tar of busybox's root filesystem, made once for all tests of a run.
pub(crate) fn busybox_rootfs() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/busybox-rootfs");
        let made = Command::new(&script).output().expect("start scripts/busybox-rootfs");
        assert!(made.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&made.stderr));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("busybox.tar");
        let part = path.with_extension(std::process::id().to_string());
        fs::write(&part, made.stdout).expect("write the root filesystem's tar");
        fs::rename(&part, &path).expect("name the root filesystem's tar");
        path
    })
}

/// An image with uncompressed layers.
#[derive(Clone)]
pub(crate) struct Image {
    /// The layers' tars, the lowest first.
    pub(crate) layers: Vec<Vec<u8>>,
    /// The `config` member of the image's configuration: Env, Cmd, …
    pub(crate) config: Value,
    /// The architecture in OCI's words.
    pub(crate) architecture: String,
}

impl Image {
    /// Made of these layers, for this machine, with docker's PATH and `sh` as the command.
    pub(crate) fn new(layers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self {
            layers: layers.into_iter().collect(),
            config: json!({
                "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                "Cmd": ["sh"],
            }),
            architecture: architecture().into(),
        }
    }

    /// The machine's busybox in one layer.
    pub(crate) fn busybox() -> Self {
        Self::new([fs::read(busybox_rootfs()).expect("read the root filesystem's tar")])
    }

    /// Configuration, manifest and layers as they are stored: media type, digest and bytes; the manifest first.
    pub(crate) fn blobs(&self) -> Vec<Blob> {
        let layers: Vec<Blob> = self
            .layers
            .iter()
            .map(|tar| Blob::new("application/vnd.oci.image.layer.v1.tar", tar.clone()))
            .collect();
        let config = Blob::json(
            "application/vnd.oci.image.config.v1+json",
            &json!({
                "created": "2020-01-02T03:04:05Z",
                "architecture": self.architecture,
                "os": "linux",
                "config": self.config,
                "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| layer.digest.clone()).collect::<Vec<_>>() },
            }),
        );
        let manifest = Blob::json(
            "application/vnd.oci.image.manifest.v1+json",
            &json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config.descriptor(),
                "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
            }),
        );
        [manifest, config].into_iter().chain(layers).collect()
    }

    /// An archive in OCI's image layout that names the image `reference`.
    pub(crate) fn oci_archive(&self, reference: &str) -> Vec<u8> {
        let blobs = self.blobs();
        let mut index = blobs[0].descriptor();
        index["annotations"] = json!({ "io.containerd.image.name": reference });
        let mut entries = vec![
            ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
            (
                "index.json".to_owned(),
                json!({ "schemaVersion": 2, "manifests": [index] }).to_string().into_bytes(),
            ),
        ];
        entries.extend(
            blobs
                .into_iter()
                .map(|blob| (format!("blobs/sha256/{}", &blob.digest["sha256:".len()..]), blob.bytes)),
        );
        tar_of(entries.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
    }

    /// An archive as `docker save` made it before OCI's layout: manifest.json, configuration, layers.
    pub(crate) fn docker_archive(&self, reference: &str) -> Vec<u8> {
        let blobs = self.blobs();
        let name = |blob: &Blob, end: &str| format!("{}{end}", &blob.digest["sha256:".len()..]);
        let config = name(&blobs[1], ".json");
        let layers: Vec<String> = blobs[2..].iter().map(|layer| name(layer, "/layer.tar")).collect();
        let manifest = json!([{ "Config": config, "RepoTags": [reference], "Layers": layers }]).to_string();
        let mut entries = vec![("manifest.json", manifest.as_bytes()), (&config, &blobs[1].bytes)];
        entries.extend(
            layers.iter().map(String::as_str).zip(blobs[2..].iter().map(|layer| layer.bytes.as_slice())),
        );
        tar_of(entries)
    }
}

/// An archive in OCI's image layout of one index for several platforms, which lies `nested` indexes deep.
pub(crate) fn index_archive(reference: &str, images: &[Image], nested: usize) -> Vec<u8> {
    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    let mut blobs = Vec::new();
    let mut entries = Vec::new();
    for image in images {
        let parts = image.blobs();
        let mut entry = parts[0].descriptor();
        entry["platform"] = json!({ "os": "linux", "architecture": image.architecture });
        entries.push(entry);
        blobs.extend(parts);
    }
    for _ in 0..=nested {
        let index =
            Blob::json(INDEX, &json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": entries }));
        entries = vec![index.descriptor()];
        blobs.push(index);
    }
    entries[0]["annotations"] = json!({ "io.containerd.image.name": reference });
    let index = json!({ "schemaVersion": 2, "manifests": entries }).to_string();
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), index.into_bytes()),
    ];
    files.extend(blobs.into_iter().map(|blob| (blob.path(), blob.bytes)));
    tar_of(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

/// Some bytes with their digest.
pub(crate) struct Blob {
    pub(crate) media_type: &'static str,
    pub(crate) digest: String,
    pub(crate) bytes: Vec<u8>,
}

/// `sha256:…` of these bytes.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}

impl Blob {
    fn new(media_type: &'static str, bytes: Vec<u8>) -> Self {
        Self { media_type, digest: digest(&bytes), bytes }
    }

    fn json(media_type: &'static str, value: &Value) -> Self {
        Self::new(media_type, value.to_string().into_bytes())
    }

    /// Where it lies in OCI's image layout.
    pub(crate) fn path(&self) -> String {
        format!("blobs/sha256/{}", &self.digest["sha256:".len()..])
    }

    fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len() })
    }
}

/// A tar of regular files.
pub(crate) fn tar_of<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes).expect("write a tar entry");
    }
    tar.into_inner().expect("end the tar")
}

/// One entry of [`hostile_tar`].
pub(crate) enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Symlink(&'a str, &'a str),
    Hardlink(&'a str, &'a str),
}

/// A tar whose names are written as they are, `../` and leading slashes included.
pub(crate) fn hostile_tar(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let (name, target, bytes, kind): (&str, &str, &[u8], _) = match entry {
            Entry::File(name, bytes) => (name, "", bytes, tar::EntryType::Regular),
            Entry::Symlink(name, target) => (name, target, &[], tar::EntryType::Symlink),
            Entry::Hardlink(name, target) => (name, target, &[], tar::EntryType::Link),
        };
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        // The crate's own setters refuse what this is for.
        let fields = header.as_old_mut();
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
        header.set_cksum();
        tar.append(&header, bytes).expect("write a tar entry");
    }
    tar.into_inner().expect("end the tar")
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
