//! `diff`: docker's letters for what a container did, and nothing for what the runtime did.

use super::{engine, inside, sleeper};
use crate::images::Image;

const IMAGE: &str = r#"mkdir /x; touch /x/1 /x/2; mkdir /x/k; touch /x/k/l; mkdir /y; touch -d "2001-01-01 00:00:00" /y/f; ln /y/f /y/g; mkdir /m; touch /m/1; mkdir /same; touch /same/f"#;
/// docker 28 says the same of this (its order apart, which is the order of a hash table there).
const CHANGES: &str = "rm -r /x/1; rm -rf /y; mkdir /y; touch /y/g; touch /y/h; rm -r /m; touch /m; chmod 700 /bin; \
    echo 1 >> /etc/passwd; mv /bin/true /bin/true2; mkdir /ziel; ln -s /y /lnk; rm /same/f; rmdir /same; touch /tmp/a; rm /tmp/a";
const TOLD: &str = "C /bin\nD /bin/true\nA /bin/true2\nC /etc\nC /etc/passwd\nA /lnk\nC /m\nA /m2\nD /same\nC /x\nD /x/1\nC /y\nD /y/f\nC /y/g\nA /y/h\nA /ziel";

#[test]
fn every_kind_of_change() {
    let engine = engine();
    engine.wharfie(["run", "--name", "base", "busybox", "sh", "-c", IMAGE]).ok();
    engine.wharfie(["commit", "base", "base:1"]).ok();
    engine.wharfie(["rm", "base"]).ok();
    engine.wharfie(["create", "--name", "fresh", "base:1"]).ok();
    assert_eq!(engine.wharfie(["diff", "fresh"]).ok(), "");
    engine
        .wharfie([
            "run",
            "-d",
            "--name",
            "cc",
            "-v",
            "/data:/m2",
            "-v",
            "vol:/x/k",
            "base:1",
            "sh",
            "-c",
            "while :; do sleep 0.05; done",
        ])
        .ok();
    assert_eq!(engine.wharfie(["diff", "cc"]).ok(), "A /m2");
    inside(&engine, "cc", CHANGES);
    assert_eq!(engine.wharfie(["diff", "cc"]).ok(), TOLD);
    engine.wharfie(["kill", "cc"]).ok();
    engine.wharfie(["wait", "cc"]).ok();
    assert_eq!(engine.wharfie(["container", "diff", "cc"]).ok(), TOLD);
    let missing = engine.wharfie(["diff", "nope"]);
    assert!(
        missing.fails(1).starts_with("Error response from daemon: No such container: nope"),
        "{missing:?}"
    );
    engine.wharfie(["rm", "-f", "cc", "fresh"]).ok();
    engine.sh("rm -rf /var/lib/wharfie/*/*/volumes/* /data");
    engine.assert_clean();
}

#[test]
fn without_an_overlay_both_trees_are_compared() {
    let engine = engine();
    engine.sh("wharfie save busybox | wharfie --snapshotter native load");
    engine.accept();
    let native = |line: &str| engine.wharfie(["--snapshotter", "native"].into_iter().chain(line.split(' ')));
    native("run -d --name cc busybox sleep 1000").ok();
    inside(&engine, "cc", "echo 1 >> /etc/passwd; rm /bin/true; mkdir /new; touch /new/f");
    assert_eq!(native("diff cc").ok(), "C /bin\nD /bin/true\nC /etc\nC /etc/passwd\nA /new\nA /new/f");
    native("rm -f cc").ok();
    engine.assert_clean();
}

#[test]
fn containers_of_others_and_images_of_one_layer() {
    let engine = engine();
    let image = engine.load_with_ctr("host/two:1", &two_layers());
    engine
        .ctr(["run", "-d", "--null-io", image, "theirs", "sh", "-c", "rm /f; echo 2 > /g; sleep 1000"])
        .ok();
    engine.sh("until wharfie diff theirs | grep -q /g; do :; done");
    assert_eq!(engine.wharfie(["diff", "theirs"]).ok(), "D /f\nC /g\nA /run");
    engine.wharfie(["rm", "-f", "theirs"]).ok();
    sleeper(&engine, &["--name", "one"]);
    assert_eq!(engine.wharfie(["diff", "one"]).ok(), "");
    engine.wharfie(["rm", "-f", "one"]).ok();
    engine.assert_clean();
}

fn two_layers() -> Image {
    let mut image = Image::busybox();
    image.layers.push(crate::images::tar_of([("f", b"1".as_slice()), ("g", b"1".as_slice())]));
    image
}
