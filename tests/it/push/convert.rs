//! `image convert`: the same files in other layers, which run, are pushed, and are read by skopeo.

use std::io::Write;

use serde_json::Value;

use super::{copied, here, image, index_archive, load_whole, remote};
use crate::engine::{BUSYBOX, TestEngine};
use crate::images::{Image, tar_of};
use crate::registry::Guard;

/// A blob of JSON in containerd's store.
#[track_caller]
fn json(engine: &TestEngine, digest: &str) -> Value {
    serde_json::from_str(engine.ctr(["content", "get", digest]).ok()).expect("JSON")
}

fn kinds(manifest: &Value) -> Vec<&str> {
    let layers = manifest["layers"].as_array().expect("layers");
    layers.iter().filter_map(|layer| layer["mediaType"].as_str()).collect()
}

#[test]
fn zstd_and_plain_layers_run_and_are_pushed() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    engine.busybox();
    // A second layer, in gzip.
    engine.wharfie(["run", "--name", "base", BUSYBOX, "sh", "-c", "echo more >/more"]).ok();
    engine.wharfie(["commit", "base", "base:1"]).ok();
    engine.wharfie(["rm", "base"]).ok();
    let before = json(&engine, &here(&engine, "base:1"));
    let diff_ids = json(&engine, before["config"]["digest"].as_str().unwrap())["rootfs"].clone();
    for (flags, target, kind) in [
        (
            vec!["--zstd", "--zstd-compression-level", "9"],
            "zstd:1",
            "application/vnd.oci.image.layer.v1.tar+zstd",
        ),
        (vec!["--uncompress"], "plain:1", "application/vnd.docker.image.rootfs.diff.tar"),
        (vec!["--uncompress", "--oci"], "oci:1", "application/vnd.oci.image.layer.v1.tar"),
    ] {
        let name = format!("{}/{target}", registry.host);
        let line = ["image", "convert"].into_iter().chain(flags).chain(["base:1", &name]);
        let digest = engine.wharfie(line).ok().to_owned();
        assert_eq!(here(&engine, &name), digest);
        let manifest = json(&engine, &digest);
        assert_eq!(kinds(&manifest), [kind, kind]);
        let config = json(&engine, manifest["config"]["digest"].as_str().unwrap());
        assert_eq!(config["rootfs"], diff_ids, "what is in them stays");
        assert_eq!(engine.wharfie(["run", "--rm", &name, "cat", "/more"]).ok(), "more");
        engine.wharfie(["push", "-q", &name]).ok();
        assert_eq!(remote(&engine, &name), (digest, manifest));
        assert_eq!(copied(&engine, &name), 5);
    }
    // zstd's layers made plain, and those are what plain ones were.
    let zstd = format!("{}/zstd:1", registry.host);
    let again = engine.wharfie(["image", "convert", "--uncompress", &zstd, "again:1"]);
    assert_eq!(again.ok(), here(&engine, &format!("{}/oci:1", registry.host)));
    // What nothing refers to is not collected with its source: the new blobs are kept by labels.
    engine.wharfie(["rmi", "-f", "base:1", BUSYBOX]).ok();
    engine.wharfie(["rmi", "again:1"]).ok();
    let left = engine.ctr(["images", "check"]);
    assert_eq!(left.ok().matches("complete (3/3)").count(), 3, "{left:?}");
    // From the registry once more, without anything of before.
    for name in ["zstd:1", "plain:1", "oci:1"] {
        engine.wharfie(["rmi", &format!("{}/{name}", registry.host)]).ok();
    }
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    assert_eq!(engine.wharfie(["run", "--rm", "-q", &zstd, "cat", "/more"]).ok(), "more");
    engine.wharfie(["rmi", &zstd]).ok();
    engine.assert_clean();
}

#[test]
fn platforms_are_chosen_and_indexes_kept() {
    let engine = TestEngine::new();
    let own = Image::busybox().architecture;
    let far = if own == "arm64" { "amd64" } else { "arm64" };
    let name = "docker.io/library/multi:1";
    let (archive, digest) = index_archive(name, &[(far, image(21, 7000)), (&own, image(22, 8000))]);
    load_whole(&engine, &archive);
    let convert = |flags: &[&str]| {
        let line = ["image", "convert", "--zstd"].into_iter().chain(flags.iter().copied());
        json(&engine, engine.wharfie(line.chain(["multi:1", "made:1"])).ok())
    };
    let architecture = |manifest: &Value| {
        json(&engine, manifest["config"]["digest"].as_str().unwrap())["architecture"].clone()
    };
    let one = convert(&[]);
    assert_eq!((kinds(&one).len(), architecture(&one)), (2, own.as_str().into()));
    assert_eq!(architecture(&convert(&["--platform", &format!("linux/{far}")])), far);
    for flags in [vec!["--all-platforms"], vec!["--platform", "linux/amd64,linux/arm64"]] {
        let index = convert(&flags);
        let mut found: Vec<String> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| {
                let manifest = json(&engine, entry["digest"].as_str().unwrap());
                assert!(kinds(&manifest).iter().all(|kind| kind.ends_with("+zstd")));
                entry["platform"]["architecture"].as_str().unwrap().to_owned()
            })
            .collect();
        found.sort();
        assert_eq!(found, ["amd64", "arm64"]);
    }
    // Nothing to convert: a platform taken out, or the whole as it was.
    let same = engine.wharfie(["image", "convert", "--all-platforms", "multi:1", "same:1"]);
    assert_eq!(same.ok(), digest);
    let told = engine.wharfie(["image", "convert", "--format", "json", "multi:1", "one:1"]);
    let made = here(&engine, "one:1");
    let expected =
        format!("{{\n    \"Image\": \"docker.io/library/one:1@{made}\",\n    \"ExtraImages\": null\n}}");
    assert_eq!(told.ok(), expected);
    assert!(engine.ctr(["leases", "ls", "-q"]).ok().is_empty());
    for (line, code, message) in [
        (
            "--estargz multi:1 x",
            125,
            "--estargz is not supported: its layers are for the stargz snapshotter alone",
        ),
        ("--nydus multi:1 x", 125, "--nydus is not supported"),
        ("--overlaybd --overlaybd-vsize 3 multi:1 x", 125, "--overlaybd is not supported"),
        ("--zstd --zstd-compression-level 40 multi:1 x", 125, "invalid argument \"40\""),
        ("--platform linux/s390x multi:1 x", 1, "the image has no manifest for linux/s390x"),
        ("nope:1 x", 1, "No such image: nope:1"),
        ("multi:1 X", 1, "must be lowercase"),
    ] {
        let output = engine.wharfie(["image", "convert"].into_iter().chain(line.split(' ')));
        assert!(output.fails(code).contains(message), "{output:?}");
    }
    let by_ctr =
        engine.wharfie(["ctr", "images", "convert", "--uncompress", name, "docker.io/library/ctr:1"]);
    assert_eq!(by_ctr.ok(), here(&engine, "ctr:1"));
}

#[test]
fn layers_on_their_way_are_told_and_attestations_stay() {
    let engine = TestEngine::new();
    let host = image(51, 30_000);
    let attestation = Image::new([b"{\"predicate\":1}".to_vec()]).blobs();
    let blobs: Vec<_> = host.blobs().into_iter().chain(attestation).collect();
    let described = |blob: &crate::images::Blob| serde_json::json!({ "mediaType": blob.media_type, "digest": blob.digest, "size": blob.bytes.len() });
    let (mut one, mut other) = (described(&blobs[0]), described(&blobs[4]));
    one["platform"] = serde_json::json!({ "os": "linux", "architecture": host.architecture });
    other["platform"] = serde_json::json!({ "os": "unknown", "architecture": "unknown" });
    other["annotations"] = serde_json::json!({
        "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": blobs[0].digest,
    });
    let kind = "application/vnd.oci.image.index.v1+json";
    let index =
        serde_json::json!({ "schemaVersion": 2, "mediaType": kind, "manifests": [one, other] }).to_string();
    let digest = super::sha256(index.as_bytes());
    let top = serde_json::json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": kind, "digest": digest, "size": index.len(),
        "annotations": { "io.containerd.image.name": "docker.io/library/attested:1" },
    }] });
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), top.to_string().into_bytes()),
        (format!("blobs/sha256/{}", &digest["sha256:".len()..]), index.into_bytes()),
    ];
    files.extend(blobs.iter().map(|blob| (blob.path(), blob.bytes.clone())));
    load_whole(&engine, &tar_of(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))));
    engine.accept();
    // Nothing is said where nothing is compressed.
    let same = engine.wharfie(["image", "convert", "--all-platforms", "attested:1", "same:1"]);
    assert_eq!((same.ok(), same.stderr.as_str()), (digest.as_str(), ""));
    let made = engine.wharfie(["image", "convert", "--zstd", "--all-platforms", "attested:1", "made:1"]);
    let index = json(&engine, made.ok());
    let short = |at: usize| blobs[at].digest["sha256:".len()..][..12].to_owned();
    for layer in [short(2), short(3)] {
        for word in ["Converting", "Converted"] {
            assert!(made.stderr.contains(&format!("{layer}: {word}\n")), "{made:?}");
        }
    }
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 2, "{index}");
    assert!(
        kinds(&json(&engine, manifests[0]["digest"].as_str().unwrap()))
            .iter()
            .all(|kind| kind.ends_with("+zstd"))
    );
    assert_eq!(manifests[1]["digest"], blobs[4].digest.as_str());
    assert_eq!(manifests[1]["annotations"]["vnd.docker.reference.digest"], manifests[0]["digest"]);
    // It is kept by the new image alone, too.
    engine.wharfie(["rmi", "attested:1", "same:1"]).ok();
    json(&engine, &blobs[4].digest);
    // One platform is an image, and has none.
    let one = engine.wharfie(["image", "convert", "--uncompress", "made:1", "one:1"]);
    assert!(json(&engine, one.ok())["layers"].is_array());
    engine.wharfie(["rmi", "made:1", "one:1"]).ok();
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
}

#[test]
fn a_damaged_layer_becomes_no_image() {
    let engine = TestEngine::new();
    // A layer that is not what its image says: gzip of something else.
    let mut image = image(23, 9000);
    let honest = image.blobs();
    image.layers[0] = Vec::new();
    let mut gzip = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    gzip.stdin.take().unwrap().write_all(b"something else").unwrap();
    let other = gzip.wait_with_output().unwrap().stdout;
    let digest = super::sha256(&other);
    let mut manifest: Value = serde_json::from_slice(&honest[0].bytes).unwrap();
    manifest["layers"][0]["digest"] = digest.as_str().into();
    manifest["layers"][0]["size"] = other.len().into();
    let manifest = manifest.to_string().into_bytes();
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let top = serde_json::json!({ "schemaVersion": 2, "manifests": [{
        "mediaType": kind, "digest": super::sha256(&manifest), "size": manifest.len(),
        "annotations": { "io.containerd.image.name": "docker.io/library/bad:1" },
    }] });
    let mut files = vec![
        ("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec()),
        ("index.json".to_owned(), top.to_string().into_bytes()),
    ];
    let blobs = [manifest, other, honest[1].bytes.clone(), honest[3].bytes.clone()];
    files.extend(
        blobs.map(|bytes| (format!("blobs/sha256/{}", &super::sha256(&bytes)["sha256:".len()..]), bytes)),
    );
    let archive = crate::images::tar_of(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    load_whole(&engine, &archive);
    engine.accept();
    let output = engine.wharfie(["image", "convert", "--zstd", "bad:1", "made:1"]);
    assert!(output.fails(1).contains(&format!("{digest} is damaged")), "{output:?}");
    assert!(engine.wharfie(["images", "-q", "made:1"]).ok().is_empty());
    engine.wharfie(["rmi", "bad:1"]).ok();
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
}
