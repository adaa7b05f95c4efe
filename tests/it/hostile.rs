//! Containers, names and archives that mean harm: nothing of the host is read or written through them, and
//! nothing of theirs moves the user's terminal.

use crate::engine::{BUSYBOX, TestEngine};
use crate::images::{Entry, Image, busybox_rootfs, hostile_tar};

fn engine() -> TestEngine {
    let engine = TestEngine::new();
    engine.load_with_ctr("docker.io/library/busybox:latest", &Image::busybox());
    engine
}

/// busybox with one more layer of these entries: its name.
#[track_caller]
fn image(engine: &TestEngine, entries: &[Entry<'_>]) -> &'static str {
    let rootfs = std::fs::read(busybox_rootfs()).expect("read the root filesystem's tar");
    engine.load_with_ctr("docker.io/library/hostile:latest", &Image::new([rootfs, hostile_tar(entries)]));
    "hostile"
}

/// A file of the host that must not be read, and must stay as it is.
#[track_caller]
fn secret(engine: &TestEngine) {
    std::fs::create_dir(engine.directory().join("host")).expect("make a directory");
    std::fs::write(engine.directory().join("host/secret"), "harbour:x:4242:4242::/:/bin/sh\n")
        .expect("write a secret");
}

#[test]
fn a_password_file_that_leads_outside_is_not_followed() {
    let engine = engine();
    secret(&engine);
    let target = engine.directory().join("host/secret");
    let target = target.to_str().expect("UTF-8");
    let hostile =
        image(&engine, &[Entry::Symlink("etc/passwd", target), Entry::Symlink("etc/group", target)]);
    let output = engine.wharfie(["run", "--rm", "-u", "harbour", hostile, "id", "-u"]);
    assert!(output.fails(125).contains("harbour"), "{output:?}");
    assert_eq!(engine.wharfie(["run", "--rm", "-u", "7", hostile, "id", "-u"]).ok(), "7");
    engine.assert_clean();
}

#[test]
fn directories_behind_links_stay_inside() {
    let engine = engine();
    secret(&engine);
    let host = engine.directory().join("host");
    let host = host.to_str().expect("UTF-8");
    let hostile = image(
        &engine,
        &[
            Entry::Symlink("work", host),
            Entry::Symlink("data", host),
            Entry::Symlink("up", "../../../../../.."),
        ],
    );
    let list = |flags: &[&str], path: &str| {
        let run = [&["run", "--rm"], flags, &[hostile, "ls", path]].concat();
        engine.wharfie(run)
    };
    // A working directory that is not there is made, inside.
    let output = list(&["-w", "/work/new"], ".");
    assert!(matches!(output.code, 0 | 125), "{output:?}");
    // A volume's mount point, and the copy of what lies there.
    let output = list(&["-v", "copy:/data"], "/data");
    assert!(!output.stdout.contains("secret"), "{output:?}");
    assert_eq!(
        engine.sh("ls -A /var/lib/wharfie/*/default/volumes/copy/_data"),
        "",
        "nothing of the host is copied"
    );
    let output = list(&["-v", "/up/host-made"], "/");
    assert!(output.code == 125 || output.stdout.contains("host-made"), "{output:?}");
    assert_eq!(engine.sh(&format!("ls {host}")), "secret", "nothing was made there");
    assert_eq!(engine.sh("ls -d /host-made 2>/dev/null || echo none"), "none");
    engine.sh("rm -r /var/lib/wharfie/*/default/volumes/*");
    engine.assert_clean();
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let engine = engine();
    let escape = "\u{1b}]0;owned\u{7}\u{1b}[2J";
    for name in [escape, "a\nb", "../../etc", "-rf", "a/b", "nämé", ""] {
        let output = engine.wharfie(["create", "--name", name, BUSYBOX]);
        if name.is_empty() {
            engine.wharfie(["rm", output.ok()]).ok();
            continue;
        }
        assert!(
            output.code == 125 && !output.stderr.contains('\u{1b}') && !output.stderr.contains('\u{7}'),
            "{output:?}"
        );
    }
    let label = format!("evil={escape}");
    let command = format!("echo {escape}");
    engine.wharfie(["run", "-d", "--name", "web", "-l", &label, BUSYBOX, "sh", "-c", &command]).ok();
    for arguments in [&["ps", "-a"][..], &["ps", "-a", "--no-trunc"], &["inspect", "web"]] {
        let output = engine.wharfie(arguments.iter().copied());
        assert!(output.code == 0 && !output.stdout.contains('\u{1b}'), "{output:?}");
    }
    let ghost = engine.wharfie(["start", escape]);
    assert!(ghost.code == 1 && !ghost.stderr.contains('\u{1b}'), "{ghost:?}");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn large_values_are_kept_or_refused() {
    let engine = engine();
    let lines = "line\n".repeat(10_000);
    let run = ["run", "-d", "--name", "web", "-l", &format!("long={lines}"), "-e", &format!("LONG={lines}")];
    engine.wharfie(run.into_iter().chain([BUSYBOX, "sleep", "1000"])).ok();
    assert_eq!(
        engine.wharfie(["inspect", "-f", "{{len (index .Config.Labels \"long\")}}", "web"]).ok(),
        "50000"
    );
    assert_eq!(engine.wharfie(["exec", "web", "sh", "-c", "echo \"$LONG\" | wc -l"]).ok().trim(), "10001");
    engine.wharfie(["ps"]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    let label = "x".repeat(100_000);
    let many: Vec<String> = (0..10).map(|number| format!("l{number}={label}")).collect();
    let flags = many.iter().flat_map(|label| ["-l", label]);
    let output = engine.wharfie(["create", "--name", "many"].into_iter().chain(flags).chain([BUSYBOX]));
    assert!(matches!(output.code, 0 | 125), "{:?}", output.code);
    engine.wharfie(["rm", "-f", "many"]).ok();
    engine.assert_clean();
}

#[test]
fn an_archive_that_escapes_writes_nothing_outside() {
    let engine = engine();
    secret(&engine);
    let host = engine.directory().join("host");
    let host = host.to_str().expect("UTF-8");
    let through = format!("{host}/../host/through");
    let cases: [&[Entry<'_>]; 5] = [
        &[Entry::File("../../../../../../../../escaped", b"x")],
        &[Entry::File("/absolute-escaped", b"x")],
        &[Entry::Symlink("out", host), Entry::File("out/through", b"x")],
        &[Entry::Hardlink("stolen", &format!("{host}/secret")), Entry::File("ok", b"x")],
        &[Entry::Symlink("out", &through), Entry::File("out", b"x")],
    ];
    for (number, entries) in cases.iter().enumerate() {
        let archive = engine.directory().join("hostile.tar");
        std::fs::write(&archive, hostile_tar(entries)).expect("write an archive");
        let path = archive.to_str().expect("UTF-8");
        let imported = engine.wharfie(["import", path, "escape:1"]);
        assert!(imported.code <= 1 && !imported.stderr.contains("panicked"), "{number}: {imported:?}");
        let layer = Image::new([std::fs::read(busybox_rootfs()).expect("read"), hostile_tar(entries)]);
        for archive in [layer.oci_archive("docker.io/library/escape:2"), layer.docker_archive("escape:2")] {
            std::fs::write(path, archive).expect("write an archive");
            let loaded = engine.wharfie(["load", "-i", path]);
            if loaded.code == 0 {
                let run = engine.wharfie([
                    "run",
                    "--rm",
                    "escape:2",
                    "sh",
                    "-c",
                    "cat /stolen /out/secret 2>/dev/null || :",
                ]);
                assert!(!run.stdout.contains("harbour"), "{number}: {run:?}");
            } else {
                assert!(loaded.fails(1).lines().count() >= 1, "{number}: {loaded:?}");
            }
        }
        assert_eq!(
            engine.sh(&format!("ls {host}; cat {host}/secret")),
            "secret\nharbour:x:4242:4242::/:/bin/sh",
            "{number}"
        );
        assert_eq!(
            engine.sh("ls -d /escaped /absolute-escaped 2>/dev/null || echo none"),
            "none",
            "{number}"
        );
        engine.assert_clean();
    }
}

#[test]
fn a_corrupt_archive_is_refused_and_leaves_nothing() {
    // Without busybox: of blobs that are here already nothing is read.
    let engine = TestEngine::new();
    engine.accept();
    let whole = Image::busybox().oci_archive("docker.io/library/broken:latest");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let cut = whole[..whole.len() / 2].to_vec();
    let cases: [(&str, Vec<u8>); 5] = [
        ("flipped", flipped),
        ("cut", cut),
        ("empty", Vec::new()),
        ("noise", vec![0xa5; 100_000]),
        ("zeros", vec![0; 10_240]),
    ];
    for (what, bytes) in cases {
        let archive = engine.directory().join("broken.tar");
        std::fs::write(&archive, bytes).expect("write an archive");
        let loaded = engine.wharfie(["load", "-i", archive.to_str().expect("UTF-8")]);
        assert!(!loaded.fails(1).is_empty() && loaded.stderr.contains("hint"), "{what}: {loaded:?}");
        engine.assert_clean();
    }
}
