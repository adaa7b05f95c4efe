//! push, manifest lists and converted images, read back by skopeo.

mod convert;
mod faulty;
mod lists;
mod real;

use std::fs;

use serde_json::{Value, json};

use crate::engine::TestEngine;
use crate::images::{Image, tar_of};

/// Bytes that no compression shrinks, other ones for each seed.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// An image with a layer of `size` bytes and a small one.
fn image(seed: u64, size: usize) -> Image {
    Image::new([tar_of([("big", noise(seed, size).as_slice())]), tar_of([("small", b"the same".as_slice())])])
}

/// An OCI archive with an index over `images`, which it names `reference`; the index's digest.
fn index_archive(reference: &str, images: &[(&str, Image)]) -> (Vec<u8>, String) {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut manifests = Vec::new();
    for (architecture, image) in images {
        let mut image = image.clone();
        image.architecture = (*architecture).to_owned();
        for (number, blob) in image.blobs().into_iter().enumerate() {
            if number == 0 {
                manifests.push(json!({
                    "mediaType": blob.media_type, "digest": blob.digest, "size": blob.bytes.len(),
                    "platform": { "architecture": architecture, "os": "linux" },
                }));
            }
            files.push((blob.digest, blob.bytes));
        }
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": kind, "manifests": manifests }).to_string();
    let digest = sha256(index.as_bytes());
    let top = json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": kind, "digest": digest, "size": index.len(),
        "annotations": { "io.containerd.image.name": reference },
    }] });
    files.push((digest.clone(), index.into_bytes()));
    files.sort();
    files.dedup();
    let mut entries = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), top.to_string().into_bytes()),
    ];
    entries.extend(
        files
            .into_iter()
            .map(|(digest, bytes)| (format!("blobs/sha256/{}", &digest["sha256:".len()..]), bytes)),
    );
    (tar_of(entries.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))), digest)
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hash}")
}

/// Has containerd take an archive whole: every platform.
#[track_caller]
fn load_whole(engine: &TestEngine, archive: &[u8]) {
    let file = engine.directory().join("home/whole.tar");
    fs::write(&file, archive).expect("write an archive");
    engine.ctr(["images", "import", "--all-platforms", "--no-unpack", "whole.tar"]).ok();
    fs::remove_file(&file).expect("remove the archive");
}

/// What skopeo finds under a name: the manifest's digest, and the manifest.
#[track_caller]
fn remote(engine: &TestEngine, name: &str) -> (String, Value) {
    let raw = engine.sh(&format!("skopeo inspect --raw --tls-verify=false docker://{name} | tee raw | cat"));
    let digest = engine.sh("sha256sum raw | cut -d' ' -f1; rm raw");
    let value = serde_json::from_str(&raw).unwrap_or_else(|error| panic!("{name}: {error}: {raw}"));
    (format!("sha256:{digest}"), value)
}

/// skopeo fetches the image and verifies each of its blobs: how many files that makes.
#[track_caller]
fn copied(engine: &TestEngine, name: &str) -> usize {
    let all = "--insecure-policy copy --all --src-tls-verify=false";
    engine.sh(&format!("rm -rf out; skopeo {all} docker://{name} dir:out >/dev/null"));
    let files = engine.sh("ls out | wc -l; rm -r out");
    files.trim().parse().expect("a number")
}

/// The digest that a name has here.
#[track_caller]
fn here(engine: &TestEngine, name: &str) -> String {
    engine.wharfie(["images", "-q", "--no-trunc", name]).ok().to_owned()
}
