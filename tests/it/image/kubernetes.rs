//! `--k8s` and `--pin`: images that a kubelet sees and keeps, with CRI and without.

use std::fs;

use crate::cri;
use crate::engine::TestEngine;
use crate::images::{Image, busybox_rootfs, tar_of};
use crate::registry::Guard;

/// The labels of a record in Kubernetes' namespace.
#[track_caller]
fn labels(engine: &TestEngine, name: &str) -> String {
    engine.sh(&format!("ctr -n k8s.io images ls name=={name} | awk 'NR==2 {{print $NF}}'"))
}

/// An image unlike the others.
fn image(content: &str) -> Image {
    let more = tar_of([("more", content.as_bytes())]);
    Image::new([fs::read(busybox_rootfs()).expect("read the root filesystem's tar"), more])
}

fn config(image: &Image) -> String {
    image.blobs()[1].digest.clone()
}

#[test]
fn an_image_is_brought_for_the_kubelet() {
    let engine = cri::engine();
    let loaded = image("loaded");
    let id = config(&loaded);
    let load =
        engine.call(["load", "--k8s", "--pin"]).stdin(loaded.oci_archive("docker.io/library/app:1")).run();
    assert_eq!(load.ok(), "Loaded image: app:1");
    // Only a CRI of 1.7 and later knows pins; the label is there for its successor.
    let knows_pins = !load.stderr.contains("knows no pins");
    let pinned = if knows_pins { ", pinned" } else { "" };
    assert!(load.stderr.contains(&format!("app:1: the kubelet sees it{pinned} (CRI says so)")), "{load:?}");
    assert!(
        knows_pins || std::env::var("WHARFIE_CONTAINERD").map_or(true, |version| version == "1.6"),
        "{load:?}"
    );
    assert_eq!(engine.wharfie(["images", "-q", "app"]).ok(), "", "nothing in the default namespace");
    let digest = loaded.blobs()[0].digest.clone();
    for name in [&id, "docker.io/library/app:1", &format!("docker.io/library/app@{digest}")] {
        let labels = labels(&engine, name);
        assert!(labels.contains("io.cri-containerd.image=managed"), "{name}: {labels}");
        assert!(labels.contains("io.cri-containerd.pinned=pinned"), "{name}: {labels}");
    }
    let status = engine.program("crictl", ["inspecti", "-o", "json", "app:1"]).run().ok().to_owned();
    let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
    assert_eq!(status["status"]["id"], id.as_str());
    assert_eq!(status["status"]["repoTags"][0], "docker.io/library/app:1");
    assert_eq!(status["status"]["repoDigests"][0], format!("docker.io/library/app@{digest}"));

    let rootfs = busybox_rootfs().to_str().unwrap();
    let import = engine.wharfie(["-n", "elsewhere", "import", "--k8s", rootfs, "made:1"]);
    assert!(import.ok().starts_with("sha256:"), "{import:?}");
    assert!(import.stderr.contains("made:1: the kubelet sees it (CRI says so)"), "{import:?}");
    assert!(labels(&engine, "docker.io/library/made:1").contains("image=managed"));
    assert!(!labels(&engine, "docker.io/library/made:1").contains("pinned"));

    let registry = engine.registry(Guard::Plain);
    registry.put("shop/web", "2", &image("pulled"));
    let name = format!("{}/shop/web:2", registry.host);
    let pull = engine.wharfie(["pull", "-q", "--k8s", "--pin", &name]);
    assert_eq!(pull.ok(), name);
    assert!(pull.stderr.contains("the kubelet sees it"), "{pull:?}");
    assert!(labels(&engine, &name).contains("pinned=pinned"));

    let alone = engine.wharfie(["load", "--pin", "-i", "x"]);
    assert!(alone.fails(125).contains("--k8s"), "{alone:?}");
}

#[test]
fn an_image_is_brought_while_cri_is_down() {
    let engine = cri::engine();
    engine.restart_without_cri();
    let loaded = image("without CRI");
    let id = config(&loaded);
    let load = engine.call(["load", "--k8s", "--pin"]).stdin(loaded.docker_archive("down:1")).run();
    assert_eq!(load.ok(), "Loaded image: down:1");
    let said = "down:1: the kubelet will see it, pinned (by containerd's records; CRI does not answer";
    assert!(load.stderr.contains(said), "{load:?}");
    // Without a name it is known by its id.
    let nameless = image("nameless");
    engine.call(["load"]).stdin(nameless.oci_archive("docker.io/library/gone:1")).run().ok();
    let digest = engine.wharfie(["images", "-q", "--no-trunc", "gone"]).ok().to_owned();
    engine.wharfie(["save", "-o", "nameless.tar", &digest]).ok();
    engine.wharfie(["rmi", "gone:1"]).ok();
    let load = engine.wharfie(["load", "--k8s", "-i", "nameless.tar"]);
    assert!(load.ok().starts_with("Loaded image ID: "), "{load:?}");
    assert!(load.stderr.contains(&format!("{}: the kubelet will see it", config(&nameless))), "{load:?}");
    let names = engine.ctr(["-n", "k8s.io", "images", "ls", "-q"]).ok().to_owned();
    assert!(!names.contains("dangling") && names.contains(&config(&nameless)), "{names}");
    engine.restart_with_cri();
    let ready = "until crictl version >/dev/null 2>&1; do sleep 0.05; done";
    engine.sh(ready);
    for (name, id) in [("down:1", id), (config(&nameless).as_str(), config(&nameless))] {
        let status = engine.program("crictl", ["inspecti", "-o", "json", name]).run().ok().to_owned();
        let status: serde_json::Value = serde_json::from_str(&status).expect("JSON");
        assert_eq!(status["status"]["id"], id.as_str(), "{name}");
    }
}
