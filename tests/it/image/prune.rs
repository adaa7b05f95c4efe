//! `image prune`.

use crate::container::{BUSYBOX, engine};
use crate::images::{Image, tar_of};

#[test]
fn what_no_container_uses_goes_and_what_is_pinned_stays() {
    let engine = engine();
    let image = |text: &str| Image::new([tar_of([("file", text.as_bytes())])]);
    for name in ["a:1", "b:1", "pinned:1", "theirs:1", "pods:1"] {
        engine.load_with_ctr(&format!("docker.io/library/{name}"), &image(name));
    }
    engine.ctr(["images", "label", "docker.io/library/pinned:1", "io.cri-containerd.pinned=pinned"]).ok();
    engine.wharfie(["create", "--name", "ours", BUSYBOX]).ok();
    engine.ctr(["containers", "create", "docker.io/library/theirs:1", "theirs", "true"]).ok();
    let pod = ["--label", "io.cri-containerd.kind=sandbox", "docker.io/library/pods:1", "pod", "true"];
    engine.ctr(["containers", "create"].into_iter().chain(pod)).ok();
    // A name that has moved on does not make the image unused.
    engine.wharfie(["tag", BUSYBOX, "kept:1"]).ok();
    engine.wharfie(["tag", "a:1", BUSYBOX]).ok();
    let names = || {
        let mut names: Vec<String> = engine
            .wharfie(["images", "--format", "{{.Repository}}:{{.Tag}}"])
            .ok()
            .lines()
            .map(str::to_owned)
            .collect();
        names.sort();
        names.join(" ")
    };
    let question = |words: &str| {
        format!("WARNING! This will remove all {words}.\nAre you sure you want to continue? [y/N] ")
    };
    assert_eq!(engine.call(["image", "prune"]).stdin("").run().ok(), question("dangling images"));
    assert_eq!(
        engine.call(["image", "prune", "--all"]).stdin("n").run().ok(),
        question("images without at least one container associated to them")
    );
    assert_eq!(engine.wharfie(["image", "prune", "-f"]).ok(), "Total reclaimed space: 0B");
    assert_eq!(
        engine.wharfie(["image", "prune", "-af", "--filter", "until=24h"]).ok(),
        "Total reclaimed space: 0B"
    );
    let before = names();
    let look = engine.wharfie(["image", "prune", "-a", "--dry-run"]).ok().to_owned();
    assert!(look.contains("b:1") && !look.contains("pinned") && !look.contains("kept"), "{look}");
    assert_eq!(names(), before);
    let pruned = engine.wharfie(["image", "prune", "-af"]).ok().to_owned();
    assert!(pruned.starts_with("Deleted Images:\nuntagged: "), "{pruned}");
    assert!(pruned.contains("untagged: b:1\ndeleted: sha256:") && !pruned.ends_with(" 0B"), "{pruned}");
    assert_eq!(names(), "kept:1 pinned:1 pods:1 theirs:1");
    let dockers = engine.wharfie(["-n", "moby", "image", "prune", "-af"]);
    assert!(dockers.fails(1).contains("images in the namespace moby are docker's"), "{dockers:?}");
    let wrong = engine.wharfie(["image", "prune", "-f", "--filter", "dangling=maybe"]);
    assert!(wrong.fails(1).contains("invalid filter 'dangling"), "{wrong:?}");
    engine.wharfie(["start", "-a", "ours"]).ok();
}
