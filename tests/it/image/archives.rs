//! load, save and import: honest archives round, hostile ones refused without a trace.

use std::fs;

use crate::engine::TestEngine;
use crate::images::{Entry, Image, busybox_rootfs, hostile_tar, tar_of};

fn small() -> Image {
    Image::new([tar_of([("file", b"content".as_slice())])])
}

#[test]
fn both_kinds_of_archives_go_round() {
    let engine = TestEngine::new();
    engine.accept();
    let load = |archive: Vec<u8>| engine.call(["load"]).stdin(archive).run();
    assert_eq!(load(small().docker_archive("docker:1")).ok(), "Loaded image: docker:1");
    assert_eq!(load(small().oci_archive("docker.io/library/oci:1")).ok(), "Loaded image: oci:1");
    engine.wharfie(["tag", "oci:1", "host:5000/oci:2"]).ok();
    let file = engine.directory().join("saved.tar");
    let file = file.to_str().unwrap();
    let ids = engine.wharfie(["images", "-q", "--no-trunc"]).ok().to_owned();
    engine.wharfie(["save", "-o", file, "docker", "oci:1", "host:5000/oci:2"]).ok();
    engine.wharfie(["rmi", "docker:1", "oci:1", "host:5000/oci:2"]).ok();
    engine.assert_clean();

    engine.sh(&format!("gzip -k {file}"));
    let loaded = engine.wharfie(["load", "-i", &format!("{file}.gz")]);
    assert_eq!(loaded.ok(), "Loaded image: docker:1\nLoaded image: oci:1\nLoaded image: host:5000/oci:2");
    assert_eq!(engine.wharfie(["images", "-q", "--no-trunc"]).ok(), ids);
    engine.wharfie(["rmi", "docker:1", "oci:1", "host:5000/oci:2"]).ok();
    engine.ctr(["images", "import", file]).ok();
    let found = engine.ctr(["images", "ls", "-q"]);
    assert_eq!(found.ok(), "docker.io/library/docker:1\ndocker.io/library/oci:1\nhost:5000/oci:2");
    // Standard output is the archive itself.
    engine.sh(&format!("wharfie save docker:1 oci:1 host:5000/oci:2 | cmp - {file}"));
    let mut terminal = engine.terminal(["save", "docker:1"]);
    terminal.expect("cowardly refusing to save to a terminal. Use the -o flag or redirect");
    let nowhere = engine.wharfie(["save", "-o", "/nowhere/x.tar", "docker:1"]);
    assert!(nowhere.fails(1).contains("directory \"/nowhere\" does not exist"), "{nowhere:?}");
    let missing = engine.wharfie(["save", "-o", file, "docker:1", "nope"]);
    assert!(missing.fails(1).contains("No such image: nope:latest"), "{missing:?}");
}

#[test]
fn a_nameless_image_is_loaded_by_id() {
    let engine = TestEngine::new();
    engine.accept();
    engine.call(["load"]).stdin(small().docker_archive("a:1")).run().ok();
    let id = engine.wharfie(["images", "-q", "--no-trunc"]).ok().to_owned();
    let file = engine.directory().join("by-id.tar");
    let file = file.to_str().unwrap();
    engine.wharfie(["save", "-o", file, &id]).ok();
    engine.wharfie(["rmi", "a:1"]).ok();
    assert_eq!(engine.wharfie(["load", "-i", file]).ok(), format!("Loaded image ID: {id}"));
    assert_eq!(
        engine.wharfie(["images", "-a"]).stdout.lines().nth(1).unwrap().split_whitespace().next(),
        Some("<none>")
    );
    assert_eq!(engine.wharfie(["rmi", &id[7..19]]).ok(), format!("Deleted: {id}"));
    engine.assert_clean();
}

#[test]
fn hostile_archives_are_refused_by_name_and_leave_nothing() {
    let engine = TestEngine::new();
    engine.accept();
    let archive = small().docker_archive("x:1");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &archive).unwrap();
    let gzip = gzip.finish().unwrap();
    let wrong_diff_id = {
        let blobs = small().blobs();
        let other = Image::new([tar_of([("file", b"changed".as_slice())])]).blobs();
        let manifest = r#"[{"Config":"c.json","RepoTags":["x:1"],"Layers":["l.tar"]}]"#;
        tar_of([
            ("manifest.json", manifest.as_bytes()),
            ("c.json", blobs[1].bytes.as_slice()),
            ("l.tar", other[2].bytes.as_slice()),
        ])
    };
    let manifest =
        |layer: &str| format!(r#"[{{"Config":"c.json","RepoTags":["x:1"],"Layers":["{layer}"]}}]"#);
    let missing = tar_of([("manifest.json", manifest("l.tar").as_bytes()), ("c.json", b"{}".as_slice())]);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("\"../../evil\" leads out of the archive", hostile_tar(&[Entry::File("../../evil", b"x")])),
        ("\"/etc/evil\" leads out of the archive", hostile_tar(&[Entry::File("/etc/evil", b"x")])),
        ("\"evil\" links to \"/etc/passwd\"", hostile_tar(&[Entry::Symlink("evil", "/etc/passwd")])),
        ("\"a/evil\" links to \"../../etc\"", hostile_tar(&[Entry::Symlink("a/evil", "../../etc")])),
        ("\"evil\" links to \"../x\"", hostile_tar(&[Entry::Hardlink("evil", "../x")])),
        ("\"evil\" occurs twice", hostile_tar(&[Entry::File("evil", b"1"), Entry::File("evil", b"2")])),
        ("neither manifest.json nor index.json", tar_of([("file", b"x".as_slice())])),
        ("names the file \"l.tar\" and does not have it", missing),
        ("wrong diff id", wrong_diff_id),
        ("corrupt or truncated", archive[..archive.len() - 3000].to_vec()),
        ("corrupt or truncated", gzip[..gzip.len() - 5].to_vec()),
        ("corrupt or truncated", b"no tar at all".to_vec()),
        ("the archive is empty", vec![]),
    ];
    for (message, bytes) in cases {
        let output = engine.call(["load"]).stdin(bytes).run();
        assert!(output.fails(1).contains(message), "{message}: {output:?}");
        assert_eq!(engine.wharfie(["images", "-aq"]).ok(), "");
        assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "", "{message}");
    }
    engine.assert_clean();
}

#[test]
fn a_root_file_system_becomes_an_image() {
    let engine = TestEngine::new();
    engine.accept();
    let rootfs = busybox_rootfs().to_str().unwrap();
    let id = engine
        .wharfie([
            "import",
            "-c",
            "ENTRYPOINT [\"echo\"]",
            "-c",
            "ENV A=b C=d",
            "-c",
            "EXPOSE 80",
            "-c",
            "USER 1",
            "-m",
            "made",
            rootfs,
            "mine:1",
        ])
        .ok()
        .to_owned();
    let inspect = |format: &str| engine.wharfie(["image", "inspect", "-f", format, "mine:1"]).ok().to_owned();
    assert_eq!(inspect("{{.Id}} {{.Comment}} {{.Config.User}}"), format!("{id} made 1"));
    assert_eq!(
        inspect("{{json .Config.Entrypoint}} {{json .Config.Env}} {{json .Config.ExposedPorts}}"),
        r#"["echo"] ["A=b","C=d"] {"80/tcp":{}}"#
    );
    let piped = engine.sh(&format!("gzip -c {rootfs} | wharfie import --platform linux/arm64 - other"));
    assert!(piped.starts_with("sha256:"), "{piped}");
    assert_eq!(engine.wharfie(["image", "inspect", "-f", "{{.Architecture}}", "other"]).ok(), "arm64");
    engine.sh(&format!("mkdir www; cp {rootfs} www/root.tar; busybox httpd -p 127.0.0.1:8001 -h www"));
    engine.wait_for_port(8001);
    let nameless = engine.wharfie(["import", "http://127.0.0.1:8001/root.tar"]);
    assert!(nameless.ok().starts_with("sha256:"), "{nameless:?}");
    let gone = engine.wharfie(["import", "http://127.0.0.1:8001/nope.tar"]);
    assert!(gone.fails(1).contains("404 Not Found"), "{gone:?}");
}

#[test]
fn hostile_root_file_systems_are_refused_by_name() {
    let engine = TestEngine::new();
    engine.accept();
    let cases = [
        hostile_tar(&[Entry::File("../evil", b"x")]),
        hostile_tar(&[Entry::File("/evil", b"x")]),
        hostile_tar(&[Entry::Hardlink("evil", "../../etc/passwd")]),
        hostile_tar(&[Entry::Symlink("out", "/etc"), Entry::File("out/evil", b"x")]),
    ];
    for bytes in cases {
        let output = engine.call(["import", "-", "evil:1"]).stdin(bytes).run();
        assert!(output.fails(1).contains("evil\""), "{output:?}");
    }
    let cut = fs::read(busybox_rootfs()).unwrap();
    let output = engine.call(["import", "-"]).stdin(&cut[..100_000]).run();
    assert!(output.fails(1).contains("corrupt or truncated"), "{output:?}");
    let change = engine.wharfie(["import", "-c", "RUN x", busybox_rootfs().to_str().unwrap()]);
    assert!(change.fails(1).contains("run is not a valid change command"), "{change:?}");
    let missing = engine.wharfie(["import", "/nowhere.tar"]);
    assert!(missing.fails(1).contains("/nowhere.tar: no such file or directory"), "{missing:?}");
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
}
