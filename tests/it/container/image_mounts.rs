//! `--mount type=image`: another image's files in a container.

use super::{engine, inside, sh, sleeper};
use crate::engine::TestEngine;
use crate::images::{Image, tar_of};

/// Two layers: `d/two` is in the upper one, `d/one` in the lower, `l` leads to `d`.
fn with_tools() -> TestEngine {
    let engine = engine();
    let mut image = Image::new([tar_of([("d/one", b"1".as_slice()), ("f", b"old")])]);
    image.layers.push(tar_of([("d/two", b"2".as_slice()), ("f", b"new")]));
    image.layers.push(crate::images::hostile_tar(&[
        crate::images::Entry::Symlink("l", "/d"),
        crate::images::Entry::Symlink("out", "/../../etc"),
    ]));
    engine.load_with_ctr("docker.io/library/tools:1", &image);
    engine
}

#[test]
fn files_are_there_to_be_read() {
    let engine = with_tools();
    let mount = ["--mount", "type=image,source=tools:1,target=/t"];
    let script = "cat /t/f /t/d/one /t/d/two; echo x > /t/f || echo refused";
    let output = sh(&engine, &mount, script);
    assert_eq!(output.ok(), "new12refused");
    let part = |subpath: &str, script: &str| {
        let mount = format!("type=image,source=tools:1,target=/t,image-subpath={subpath}");
        sh(&engine, &["--mount", &mount], script)
    };
    assert_eq!(part("d", "cat /t/one /t/two; ls /t | wc -l").ok(), "122");
    assert_eq!(part("l", "cat /t/one /t/two").ok(), "12");
    assert_eq!(part("f", "cat /t").ok(), "new");
    assert!(part("out", ":").fails(125).contains("cannot access path out of image tools:1"));
    assert!(part("nope", ":").fails(125).contains("cannot access path nope of image tools:1"));
    // An image of one layer.
    let one = ["--mount", "type=image,src=busybox,dst=/b,image-subpath=etc"];
    assert!(sh(&engine, &one, "cat /b/passwd").ok().starts_with("root:"));
    let missing = sh(&engine, &["--mount", "type=image,src=nope,dst=/b"], ":");
    assert!(missing.fails(125).contains("No such image: nope:latest"), "{missing:?}");
    engine.assert_clean();
}

#[test]
fn the_image_stays_as_long_as_the_container() {
    let engine = with_tools();
    sleeper(&engine, &["--name", "cc", "--mount", "type=image,source=tools:1,target=/t"]);
    let told = "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}} {{range .HostConfig.Mounts}}{{.Type}} {{.Source}}{{end}}";
    assert_eq!(engine.wharfie(["inspect", "-f", told, "cc"]).ok(), "image tools:1 /t false image tools:1");
    engine.wharfie(["rmi", "-f", "tools:1"]).ok();
    engine.sh("ctr content ls -q | wc -l > /dev/null");
    assert_eq!(inside(&engine, "cc", "cat /t/f"), "new");
    // cp sees it, and does not write there.
    engine.sh("wharfie cp cc:/t/d out; cat out/one out/two");
    let refused = engine.wharfie(["cp", "out/one", "cc:/t/"]);
    assert!(refused.fails(1).contains("mounted volume is marked read-only"), "{refused:?}");
    engine.wharfie(["stop", "cc"]).ok();
    engine.wharfie(["start", "cc"]).ok();
    assert_eq!(inside(&engine, "cc", "cat /t/d/one"), "1");
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn others_take_it_over() {
    let engine = with_tools();
    engine
        .wharfie([
            "create",
            "--name",
            "data",
            "--mount",
            "type=image,source=tools:1,target=/t,image-subpath=d",
            "busybox",
        ])
        .ok();
    assert_eq!(sh(&engine, &["--volumes-from", "data"], "cat /t/one").ok(), "1");
    engine.wharfie(["rm", "data"]).ok();
    engine.assert_clean();
}

#[test]
fn killed_while_it_is_made() {
    let engine = with_tools();
    let line = "for i in 1 2 3 4 5 6 7 8 9; do timeout -s KILL 0.0$i wharfie create --mount type=image,source=tools:1,target=/a \
                --mount type=image,source=busybox,target=/b busybox > /dev/null 2>&1 || :; done";
    engine.sh(line);
    engine.wharfie(["create", "--name", "next", "busybox"]).ok();
    engine.sh("wharfie rm -f $(wharfie ps -aq) > /dev/null");
    engine.assert_clean();
}
