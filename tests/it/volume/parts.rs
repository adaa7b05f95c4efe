//! A part of a volume, and the way of an image's files into one.

use std::fs;

use super::{engine, remove_all, store};
use crate::container::{BUSYBOX, inside, sleeper};
use crate::images::Image;

#[test]
fn a_part_is_looked_up_at_each_start_and_leads_nowhere_else() {
    let engine = engine();
    fs::create_dir(engine.directory().join("secret")).unwrap();
    fs::write(engine.directory().join("secret/key"), "secret\n").unwrap();
    engine
        .wharfie([
            "run",
            "--rm",
            "-v",
            "data:/d",
            BUSYBOX,
            "sh",
            "-c",
            "mkdir -p /d/a/b; echo in > /d/a/b/f; echo one > /d/file",
        ])
        .ok();
    let part = "type=volume,src=data,dst=/x,volume-subpath=a/b";
    sleeper(&engine, &["--name", "box", "--mount", part]);
    assert_eq!(inside(&engine, "box", "cat /x/f; echo more > /x/g"), "in");
    // A file, and a container that inherits the part.
    let file = "type=volume,src=data,dst=/y,volume-subpath=file";
    assert_eq!(engine.wharfie(["run", "--rm", "--mount", file, BUSYBOX, "cat", "/y"]).ok(), "one");
    assert_eq!(engine.wharfie(["run", "--rm", "--volumes-from", "box", BUSYBOX, "cat", "/x/g"]).ok(), "more");
    let missing = engine.wharfie([
        "run",
        "--rm",
        "--mount",
        "type=volume,src=data,dst=/x,volume-subpath=none",
        BUSYBOX,
        "true",
    ]);
    assert!(
        missing.fails(125).contains("cannot access path none of volume data: no such file or directory"),
        "{missing:?}"
    );
    let outside = engine.wharfie([
        "run",
        "--rm",
        "--mount",
        "type=volume,src=data,dst=/x,volume-subpath=../x",
        BUSYBOX,
        "true",
    ]);
    assert!(outside.fails(125).contains("subpath must be a relative path within the volume"), "{outside:?}");
    engine.wharfie(["stop", "box"]).ok();
    assert!(engine.wharfie(["cp", "box:/x/f", "-"]).ok().contains("in\n"));
    // While it does not run, another container exchanges the directory for a link out.
    let secret = engine.directory().join("secret").display().to_string();
    let script = format!("rm -r /d/a/b; ln -s {secret} /d/a/b; ln -s ../../../../../../../.. /d/up");
    engine.wharfie(["run", "--rm", "-v", "data:/d", BUSYBOX, "sh", "-c", &script]).ok();
    assert!(engine.wharfie(["start", "box"]).fails(1).contains("cannot access path a/b of volume data"));
    let up = format!("type=volume,src=data,dst=/x,volume-subpath=up{secret}");
    assert!(
        engine
            .wharfie(["run", "--rm", "--mount", &up, BUSYBOX, "cat", "/x/key"])
            .fails(125)
            .contains("cannot access path")
    );
    engine
        .wharfie([
            "run",
            "--rm",
            "-v",
            "data:/d",
            BUSYBOX,
            "sh",
            "-c",
            "rm /d/a/b; mkdir /d/a/b; echo back > /d/a/b/f",
        ])
        .ok();
    engine.wharfie(["start", "box"]).ok();
    assert_eq!(inside(&engine, "box", "cat /x/f"), "back");
    engine.wharfie(["rm", "-f", "box"]).ok();
    // Nothing of the volume went with the container.
    assert_eq!(engine.sh(&format!("cat {}/data/_data/a/b/f", store(&engine))), "back");
    remove_all(&engine);
}

#[test]
fn an_images_files_come_with_everything_and_only_into_an_empty_volume() {
    let engine = engine();
    let script = "mkdir -p /srv/d; echo x > /srv/f; chmod 4750 /srv/f; chown 5:6 /srv/f /srv; chmod 1770 /srv; ln -s f /srv/l; ln /srv/f /srv/d/twin";
    engine.wharfie(["run", "--name", "maker", BUSYBOX, "sh", "-c", script]).ok();
    engine.wharfie(["commit", "maker", "filled"]).ok();
    engine.wharfie(["rm", "maker"]).ok();
    let look = "stat -c '%a %u:%g %h %F' /srv /srv/f /srv/d /srv/l; readlink /srv/l";
    let of_image = engine.wharfie(["run", "--rm", "filled", "sh", "-c", look]).ok().to_owned();
    let run = |flags: &[&str], script: &str| {
        engine.wharfie([&["run", "--rm"], flags, &["filled", "sh", "-c", script]].concat()).ok().to_owned()
    };
    assert_eq!(run(&["-v", "new:/srv"], look), of_image);
    // An empty one that is there already is filled too, in its place: a container may have it.
    sleeper(&engine, &["--name", "watcher", "-v", "empty:/w"]);
    assert_eq!(run(&["-v", "empty:/srv"], look), of_image);
    assert_eq!(inside(&engine, "watcher", "cat /w/d/twin"), "x");
    // One with files keeps them alone, and nocopy keeps it empty.
    engine.wharfie(["run", "--rm", "-v", "mine:/m", BUSYBOX, "touch", "/m/mine"]).ok();
    assert_eq!(run(&["-v", "mine:/srv"], "ls /srv"), "mine");
    assert_eq!(run(&["-v", "bare:/srv:nocopy"], "ls /srv"), "");
    // The same volume twice in one container, and two containers in either order, do not wait for each other.
    assert_eq!(run(&["-v", "twice:/none", "-v", "twice:/srv"], "ls /none/f"), "/none/f");
    engine.sh("for n in $(seq 8); do wharfie run --rm -v aa:/none -v bb:/srv filled true & wharfie run --rm -v bb:/none -v aa:/srv filled true & done; wait");
    engine.wharfie(["rm", "-f", "watcher"]).ok();
    let _ = Image::busybox;
    remove_all(&engine);
}
