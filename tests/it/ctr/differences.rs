//! What is not as containerd's own ctr has it, and why; and what cannot be compared line by line.

use std::fs;

use super::{IMAGE, id, ours, run_ours, version, with_image};
use crate::engine::TestEngine;
use crate::images::Image;

/// A command line and what its error says.
const REFUSED: &[(&str, &str)] = &[
    ("pprof heap", "ctr: pprof is for those who develop containerd, and not here"),
    ("shim --id x state", "ctr: talking to a shim past containerd is for those who develop it, and not here"),
    ("images import --compress-blobs x.tar", "ctr: --compress-blobs is not here"),
    (
        "images import --discard-unpacked-layers --no-unpack x.tar",
        "ctr: --discard-unpacked-layers and --no-unpack are incompatible options",
    ),
    ("install IMAGE", "ctr: installing programs of an image into containerd's opt directory is not here"),
    ("containers restore a b", "ctr: restoring from checkpoints is not here"),
];

#[test]
fn what_is_not_here_says_so_in_a_line() {
    let engine = with_image();
    for (line, expected) in REFUSED {
        let words: Vec<&str> =
            line.split(' ').map(|word| if word == "IMAGE" { IMAGE } else { word }).collect();
        let output = run_ours(&engine, words);
        let first = output.fails(1).lines().next().unwrap_or_default();
        assert!(first.starts_with(expected), "{line}: {}", output.stderr);
    }
    engine.assert_clean();
}

#[test]
fn services_that_this_containerd_lacks_are_named() {
    let engine = with_image();
    let sandboxes = run_ours(&engine, ["sandboxes", "ls"]);
    let runtime = run_ours(&engine, ["plugins", "inspect-runtime"]);
    match version().as_str() {
        "1.6" => assert!(
            sandboxes.fails(1).contains("this containerd has no sandbox service"),
            "{}",
            sandboxes.stderr
        ),
        _ => assert_eq!(sandboxes.ok().trim_end(), "ID CREATED RUNTIME"),
    }
    match version().as_str() {
        "1.6" | "1.7" => assert!(runtime.fails(1).contains("from version 2.0 on"), "{}", runtime.stderr),
        _ => assert!(runtime.ok().contains("\"Name\": \"io.containerd.runc.v2\"")),
    }
}

#[test]
fn help_is_there_with_examples() {
    let engine = with_image();
    for words in
        [&["--help"][..], &["images", "pull", "--help"], &["help", "run"], &["tasks"], &["t", "exec", "-h"]]
    {
        let help = run_ours(&engine, words.iter().copied());
        assert!(help.ok().contains("Usage: ctr"), "{words:?}: {}", help.stdout);
    }
    assert!(run_ours(&engine, ["run", "--help"]).ok().contains("Examples:\n  ctr run --rm -t"));
    assert!(run_ours(&engine, ["--version"]).ok().starts_with("ctr wharfie "));
}

#[test]
fn the_environment_and_the_global_flags_count() {
    let engine = with_image();
    let there = ours(&engine, ["images", "ls", "-q"]).env("CONTAINERD_NAMESPACE", "nope").run();
    assert_eq!(there.ok(), "");
    let there =
        ours(&engine, ["-n", "default", "images", "ls", "-q"]).env("CONTAINERD_NAMESPACE", "nope").run();
    assert_eq!(there.ok(), IMAGE);
    let refused = run_ours(&engine, ["--address", "/nope.sock", "images", "ls"]);
    assert!(
        refused.fails(1).starts_with("ctr: cannot connect to containerd at /nope.sock"),
        "{}",
        refused.stderr
    );
    let late = run_ours(&engine, ["--timeout", "300ms", "events"]);
    assert!(late.fails(1).contains("ctr: --timeout: context deadline exceeded"), "{}", late.stderr);
    assert_eq!(engine.wharfie(["-n", "nope", "ctr", "images", "ls", "-q"]).ok(), "");
}

#[test]
fn events_come_as_they_happen() {
    let engine = with_image();
    let watching = ours(&engine, ["events"]).spawn();
    // Listening has begun when something has been heard.
    engine.sh(&format!(
        "ctr() {{ command ctr \"$@\" >/dev/null; }}; for n in $(seq 50); do ctr images label {IMAGE} n=$n; sleep 0.02; done"
    ));
    watching
        .expect("default /images/update {\"name\":\"docker.io/library/busybox:latest\",\"labels\":{\"n\":\"");
    let one = id("events");
    run_ours(&engine, ["run", "--rm", IMAGE, &one, "true"]).ok();
    watching.expect(&format!("default /tasks/start {{\"container_id\":\"{one}\",\"pid\":"));
    watching.expect(&format!("default /containers/delete {{\"id\":\"{one}\"}}"));
    watching.signal(rustix::process::Signal::INT);
    watching.wait();
    engine.ctr(["images", "label", IMAGE, "n="]).ok();
    engine.assert_clean();
}

#[test]
fn archives_go_out_and_come_in() {
    let engine = with_image();
    let path = engine.directory().join("out.tar");
    let path = path.to_str().unwrap();
    run_ours(&engine, ["images", "export", path, IMAGE]).ok();
    let names = engine.sh(&format!("tar tf {path}"));
    assert!(names.contains("manifest.json") && names.contains("index.json") && names.contains("oci-layout"));
    run_ours(&engine, ["images", "rm", "--sync", IMAGE]).ok();
    let import = run_ours(&engine, ["images", "import", "--local", "--label", "a=b", path]);
    assert!(
        import.ok().starts_with(&format!("unpacking {IMAGE} (sha256:"))
            && import.stdout.ends_with(")...done\n")
    );
    assert!(run_ours(&engine, ["images", "ls"]).ok().contains(" a=b "));
    let digests = run_ours(&engine, ["images", "import", "--digests", "--base-name", "host/app", path]);
    assert!(digests.ok().contains("host/app@sha256:"), "{}", digests.stdout);
    let archive = fs::read(path).unwrap();
    ours(&engine, ["images", "import", "--no-unpack", "-"]).stdin(archive).run().ok();
}

#[test]
fn an_archive_s_list_is_named_or_left_out_and_layers_are_discarded() {
    let engine = with_image();
    let path = engine.directory().join("out.tar");
    let path = path.to_str().unwrap();
    run_ours(&engine, ["images", "export", "--skip-manifest-json", path, IMAGE]).ok();
    let names = engine.sh(&format!("tar tf {path}"));
    assert!(!names.contains("manifest.json") && names.contains("index.json"), "{names}");
    run_ours(&engine, ["images", "rm", "--sync", IMAGE]).ok();
    let target = |space: &str, name: &str| {
        engine.sh(&format!("ctr -n {space} images ls name=={name} | awk 'NR == 2 {{ print $2, $3 }}'"))
    };
    let all = "host.example/all:1";
    let import = ["images", "import", "--local", "--index-name", all, path];
    let told = run_ours(&engine, import);
    assert!(told.ok().starts_with(&format!("unpacking {all} (sha256:")), "{told:?}");
    assert!(told.ok().contains(&format!("\nunpacking {IMAGE} (sha256:")), "{told:?}");
    engine.ctr(["-n", "theirs", "images", "import", "--index-name", all, path]).ok();
    assert_eq!(target("default", all), target("theirs", all));
    assert_eq!(target("default", IMAGE), target("theirs", IMAGE));
    // An archive of docker's form has no list of that kind: one is made.
    let docker = engine.directory().join("docker.tar");
    fs::write(&docker, Image::busybox().docker_archive("busybox:2")).unwrap();
    run_ours(
        &engine,
        ["images", "import", "--index-name", "host.example/docker:1", docker.to_str().unwrap()],
    )
    .ok();
    let list = target("default", "host.example/docker:1");
    let list = run_ours(&engine, ["content", "get", list.split(' ').nth(1).unwrap()]);
    let one = target("default", "docker.io/library/busybox:2");
    assert!(list.ok().contains(one.split(' ').nth(1).unwrap()), "{list:?}");
    assert!(list.ok().contains("\"io.containerd.image.name\":\"busybox:2\""), "{list:?}");
    for name in [all, "host.example/docker:1", "docker.io/library/busybox:2", IMAGE] {
        run_ours(&engine, ["images", "rm", "--sync", name]).ok();
    }
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    // A manifest and a configuration stay, and what was unpacked runs.
    run_ours(&engine, ["images", "import", "--discard-unpacked-layers", path]).ok();
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok().lines().count(), 2);
    run_ours(&engine, ["run", "--rm", IMAGE, &id("discarded"), "true"]).ok();
}

#[test]
fn an_image_is_mounted_and_unmounted() {
    let engine = with_image();
    engine.sh("mkdir -p /run/look");
    let mounted = run_ours(&engine, ["images", "mount", IMAGE, "/run/look"]);
    assert!(
        mounted.ok().starts_with("sha256:") && mounted.stdout.ends_with("/run/look\n"),
        "{}",
        mounted.stdout
    );
    engine.sh("test -x /run/look/bin/busybox; ! touch /run/look/x 2>/dev/null");
    run_ours(&engine, ["images", "unmount", "--rm", "/run/look"]).ok();
    run_ours(&engine, ["images", "mount", "--rw", IMAGE, "/run/look"]).ok();
    engine.sh("touch /run/look/x");
    run_ours(&engine, ["images", "unmount", "--rm", "/run/look"]).ok();
    engine.sh("rmdir /run/look");
    engine.assert_clean();
}

#[test]
fn content_is_written_edited_and_pruned() {
    // What nothing refers to is containerd's to collect: not before this has ended.
    let engine = TestEngine::with_config(
        "[plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"1h\"\nmutation_threshold = 1000000\n",
    );
    engine.load_with_ctr(IMAGE, &Image::busybox());
    let hash = "sha256:edeaaff3f1774ad2888673770c6d64097e391bc362d7d6fb34982ddf0efd18cb";
    ours(&engine, ["content", "ingest", "--expected-digest", hash, "key"]).stdin("abc\n").run().ok();
    assert_eq!(run_ours(&engine, ["content", "get", hash]).stdout, "abc\n");
    let wrong = ours(&engine, ["content", "ingest", "--expected-size", "9", "other"]).stdin("abc\n").run();
    assert!(wrong.fails(1).contains("ctr: "), "{}", wrong.stderr);
    let edited = run_ours(&engine, ["content", "edit", "--editor", "sed -i s/abc/xyz/", hash]);
    assert_eq!(run_ours(&engine, ["content", "get", edited.ok()]).stdout, "xyz\n");
    let dry = run_ours(&engine, ["content", "prune", "references", "--dry"]);
    dry.ok();
    assert!(dry.stderr.contains("containerd.io/gc.ref.content.l.0"), "{}", dry.stderr);
    let layer = run_ours(&engine, ["snapshots", "prepare", "mine"]);
    layer.ok();
    let tar = run_ours(
        &engine,
        ["snapshots", "diff", "--media-type", "application/vnd.oci.image.layer.v1.tar", "mine"],
    );
    assert_eq!(tar.code, 0, "{}", tar.stderr);
    run_ours(&engine, ["snapshots", "rm", "mine"]).ok();
    run_ours(&engine, ["content", "rm", hash, edited.ok()]).ok();
    engine.assert_clean();
}
