//! What lists show of images with several names and platforms, and what goes with one of them.

use serde_json::{Value, json};

use crate::cri;
use crate::engine::TestEngine;
use crate::images::{Image, tar_of};
use crate::registry::Guard;

/// An image of one small file for this machine, and one for another.
fn both() -> [Image; 2] {
    let small = |text: &str| Image::new([tar_of([("file", text.as_bytes())])]);
    [small("ours"), Image { architecture: "s390x".into(), ..small("theirs, a bit longer") }]
}

/// An archive of an index of these images.
fn index_archive(name: &str, images: &[Image]) -> Vec<u8> {
    let mut files = vec![("oci-layout".to_owned(), br#"{"imageLayoutVersion":"1.0.0"}"#.to_vec())];
    let mut manifests = Vec::new();
    for image in images {
        for (number, blob) in image.blobs().into_iter().enumerate() {
            if number == 0 {
                let platform = json!({ "os": "linux", "architecture": image.architecture });
                manifests.push(json!({ "mediaType": blob.media_type, "digest": blob.digest,
                    "size": blob.bytes.len(), "platform": platform }));
            }
            files.push((format!("blobs/sha256/{}", &blob.digest[7..]), blob.bytes));
        }
    }
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests }).to_string();
    let digest = crate::images::digest(index.as_bytes());
    let entry = json!({ "mediaType": media_type, "digest": digest, "size": index.len(),
        "annotations": { "io.containerd.image.name": name } });
    files.push((format!("blobs/sha256/{}", &digest[7..]), index.into_bytes()));
    files.push((
        "index.json".into(),
        json!({ "schemaVersion": 2, "manifests": [entry] }).to_string().into_bytes(),
    ));
    tar_of(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
}

fn load(engine: &TestEngine, archive: Vec<u8>) {
    engine.call(["load"]).stdin(archive).run().ok();
}

fn digests(engine: &TestEngine) -> usize {
    engine.ctr(["content", "ls", "-q"]).ok().lines().count()
}

#[test]
fn a_platform_goes_and_comes_back() {
    let engine = TestEngine::new();
    engine.accept();
    let archive = || index_archive("docker.io/library/multi:1", &both());
    load(&engine, archive());
    engine.wharfie(["tag", "multi:1", "other/multi:2"]).ok();
    let all = digests(&engine);
    assert_eq!(all, 7);
    let tree = || -> Vec<String> {
        let output = engine.wharfie(["images", "--tree"]);
        output.ok().lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let lines = tree();
    assert_eq!(lines[..2], ["IMAGE ID DISK USAGE CONTENT SIZE EXTRA", "multi:1"]);
    assert!(lines[2].starts_with("other/multi:2 "), "{lines:#?}");
    assert!(lines[3].starts_with("├─ linux/") && lines[4].starts_with("└─ linux/s390x "), "{lines:#?}");
    let theirs = &both()[1].blobs()[0].digest;
    let removed = engine.wharfie(["rmi", "--platform", "linux/s390x", "multi:1"]);
    assert_eq!(removed.ok(), format!("Deleted: {theirs}"));
    assert_eq!(digests(&engine), all - 3);
    let lines = tree();
    assert!(lines[4].starts_with("└─ linux/s390x ") && lines[4].ends_with(" 0B 0B"), "{lines:#?}");
    let gone = engine.wharfie(["rmi", "--platform", "linux/s390x", "multi:1"]);
    assert!(gone.fails(1).contains("does not provide the specified platform (linux/s390x)"), "{gone:?}");
    load(&engine, archive());
    engine.wharfie(["image", "prune", "--orphans", "-f"]).ok();
    assert_eq!(digests(&engine), all);
    // Who stands on a platform keeps it.
    engine.wharfie(["create", "--name", "user", "multi:1", "true"]).ok();
    let ours = engine.wharfie(["image", "inspect", "-f", "{{.Os}}/{{.Architecture}}", "multi:1"]);
    let conflict = engine.wharfie(["rmi", "-f", "--platform", ours.ok(), "multi:1"]);
    assert!(
        conflict.fails(1).contains("(cannot be forced) - image is being used by container"),
        "{conflict:?}"
    );
    assert!(engine.wharfie(["images", "--tree"]).ok().contains("   U"), "in use");
    engine.wharfie(["rm", "user"]).ok();
    // What loses its last platform goes as a whole.
    engine.wharfie(["rmi", "--platform", ours.ok(), "multi:1"]).ok();
    let whole = engine.wharfie(["rmi", "--all-aliases", "--platform", "linux/s390x", "multi:1"]);
    assert!(whole.ok().starts_with("Untagged: multi:1\n"), "{whole:?}");
    assert!(whole.ok().contains("Untagged: other/multi:2\n"), "{whole:?}");
    assert_eq!(digests(&engine), 0);
    engine.assert_clean();
}

#[test]
fn a_shared_platform_stays_with_the_other_image() {
    let engine = TestEngine::new();
    engine.accept();
    let [ours, theirs] = both();
    load(&engine, index_archive("docker.io/library/multi:1", &[ours, theirs.clone()]));
    load(&engine, theirs.oci_archive("docker.io/library/alone:1"));
    engine.wharfie(["rmi", "--platform", "linux/s390x", "multi:1"]).ok();
    let platform = engine.wharfie(["image", "inspect", "-f", "{{.Architecture}}", "alone:1"]);
    assert_eq!(platform.ok(), "s390x");
    engine.wharfie(["image", "prune", "--orphans", "-f"]).ok();
    engine.wharfie(["image", "cat", "alone:1", "/file"]).ok();
    engine.assert_clean();
}

#[test]
fn aliases_go_together_when_asked() {
    let engine = TestEngine::new();
    engine.accept();
    engine.load_with_ctr("docker.io/library/a:1", &both()[0]);
    for name in ["a:2", "quay.io/b:1", "c"] {
        engine.wharfie(["tag", "a:1", name]).ok();
    }
    let removed = engine.wharfie(["rmi", "--async", "c"]);
    assert_eq!(removed.ok(), "Untagged: c:latest");
    let removed = engine.wharfie(["rmi", "--all-aliases", "quay.io/b:1"]);
    let mut lines: Vec<&str> = removed.ok().lines().collect();
    assert!(lines.pop().is_some_and(|line| line.starts_with("Deleted: sha256:")), "{removed:?}");
    lines.sort_unstable();
    assert_eq!(lines, ["Untagged: a:1", "Untagged: a:2", "Untagged: quay.io/b:1"]);
    assert_eq!(digests(&engine), 0);
    // By id without a conflict, too.
    let id =
        engine.wharfie(["import", crate::images::busybox_rootfs().to_str().unwrap(), "a:1"]).ok().to_owned();
    engine.wharfie(["tag", "a:1", "b:1"]).ok();
    engine.wharfie(["rmi", &id]).fails(1);
    assert!(engine.wharfie(["rmi", "--all-aliases", &id]).ok().ends_with(&format!("Deleted: {id}")));
    engine.assert_clean();
}

#[test]
fn lists_have_nerdctls_names_and_order_by_age() {
    let engine = TestEngine::new();
    engine.busybox();
    engine.load_with_ctr("docker.io/library/old:1", &both()[0]);
    engine.wharfie(["run", "--name", "c", "busybox", "touch", "/x"]).ok();
    engine.wharfie(["commit", "c", "young:1"]).ok();
    let list = |arguments: &[&str]| -> Vec<String> {
        let format = ["images", "--format", "{{.Repository}}"];
        let output = engine.wharfie(format.iter().chain(arguments).copied());
        output.ok().lines().map(str::to_owned).collect()
    };
    assert_eq!(list(&[]), ["young", "busybox", "old"]);
    assert_eq!(list(&["-f", "before=young:1"]), ["busybox", "old"]);
    assert_eq!(list(&["-f", "since=old:1"]), ["young", "busybox"]);
    assert_eq!(list(&["-f", "since=old:1", "-f", "before=young:1"]), ["busybox"]);
    assert_eq!(list(&["-f", "until=24h"]), ["old"]);
    let names = engine.wharfie(["images", "--names", "old"]);
    let lines: Vec<Vec<&str>> = names.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["NAME", "IMAGE", "ID", "CREATED", "PLATFORM", "SIZE", "BLOB", "SIZE"]);
    assert_eq!(lines[1][0], "docker.io/library/old:1");
    assert!(lines[1].iter().any(|cell| cell.starts_with("linux/")), "{names:?}");
    let missing = engine.wharfie(["images", "-f", "before=nope"]);
    assert!(missing.fails(1).contains("No such image: nope:latest"), "{missing:?}");
    engine.wharfie(["rm", "c"]).ok();
    engine.assert_clean();
}

#[test]
fn containerds_own_record_is_shown() {
    let engine = TestEngine::new();
    engine.accept();
    load(&engine, index_archive("docker.io/library/multi:1", &both()));
    for line in [["image", "inspect", "--mode=native", "multi:1"], ["inspect", "--mode", "native", "multi:1"]]
    {
        let native: Value = serde_json::from_str(engine.wharfie(line).ok()).unwrap();
        let native = &native[0];
        assert_eq!(native["Image"]["Name"], "docker.io/library/multi:1");
        assert_eq!(native["Index"]["manifests"].as_array().unwrap().len(), 2);
        assert_eq!(native["IndexDesc"]["digest"], native["Image"]["Target"]["digest"]);
        assert_eq!(native["ManifestDesc"]["digest"], native["Index"]["manifests"][0]["digest"]);
        assert_eq!(native["ImageConfig"]["config"]["Cmd"][0], "sh");
    }
    let format = ["image", "inspect", "-f", "{{.GraphDriver.Name}} {{.Architecture}}"];
    let line = format.iter().chain(&["--platform", "linux/s390x", "multi:1"]).copied();
    assert_eq!(engine.wharfie(line).ok(), "overlayfs s390x");
    let wrong = engine.wharfie(["image", "inspect", "--mode", "nope", "multi:1"]);
    assert!(wrong.fails(125).contains("unknown mode \"nope\""), "{wrong:?}");
    engine.assert_clean();
}

#[test]
fn kubernetes_images_are_a_row_each() {
    let engine = cri::engine();
    let registry = engine.registry(Guard::Plain);
    let name = format!("{}/app:1", registry.host);
    registry.put("app", "1", &both()[0]);
    engine.program("crictl", ["pull", &name]).run().ok();
    let rows = || -> Vec<String> {
        let line = ["-n", "k8s.io", "images", "--digests", "--format", "{{.Repository}}:{{.Tag}}"];
        let mut rows: Vec<String> = engine.wharfie(line).ok().lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    let others = ["busybox:latest", "registry.local/pause:1"];
    assert_eq!(rows(), [&[name.as_str()], &others[..]].concat());
    // The tag, the digest, the id.
    let records = |part: &str| {
        engine
            .sh(&format!("ctr -n k8s.io images ls -q | grep -c {part} || true"))
            .trim()
            .parse::<usize>()
            .unwrap()
    };
    assert_eq!(records(&registry.host), 2);
    let before = records("^sha256:");
    let removed = engine.wharfie(["-n", "k8s.io", "rmi", &name]);
    assert!(removed.ok().contains("\nDeleted: sha256:"), "{removed:?}");
    assert_eq!((records(&registry.host), records("^sha256:")), (0, before - 1));
    assert_eq!(rows(), others);
    // What sandboxes are made of stays, whether or not CRI pins it.
    let kept = engine.wharfie(["-n", "k8s.io", "rmi", "registry.local/pause:1"]);
    assert!(kept.fails(1).contains("(must be forced) - "), "{kept:?}");
    let look = engine.wharfie(["-n", "k8s.io", "image", "prune", "-a", "--dry-run"]).ok().to_owned();
    assert!(look.contains("busybox:latest") && !look.contains("pause"), "{look}");
    let pruned = engine.wharfie(["-n", "k8s.io", "image", "prune", "-af"]).ok().to_owned();
    assert_eq!(rows(), ["registry.local/pause:1"]);
    let bytes = |text: &str| text.rsplit(' ').next().map(str::to_owned);
    assert_eq!(bytes(&look), bytes(&pruned));
    drop(registry);
    engine.assert_clean();
}
