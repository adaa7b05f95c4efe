//! load and save: every compression, several platforms, what skopeo writes and reads, and nothing collected on the way.

use std::fs;

use crate::engine::TestEngine;
use crate::images::{Entry, Image, busybox_rootfs, hostile_tar, index_archive, tar_of};

/// Large enough to be written into containerd's own files.
fn large(architecture: &str) -> Image {
    let more = tar_of([("more", vec![b'x'; 700_000].as_slice())]);
    let layers = [fs::read(busybox_rootfs()).expect("read the root filesystem's tar"), more];
    Image { architecture: architecture.into(), ..Image::new(layers) }
}

fn host() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn other() -> &'static str {
    if host() == "amd64" { "arm64" } else { "amd64" }
}

#[track_caller]
fn write(engine: &TestEngine, name: &str, bytes: &[u8]) {
    fs::write(engine.directory().join("home").join(name), bytes).expect("write a file");
}

/// Collects garbage, and waits for it.
const COLLECT: &str = "ctr leases create --id gc >/dev/null && ctr leases rm --sync gc >/dev/null";

#[test]
fn every_compression_comes_from_files_and_pipes() {
    let engine = TestEngine::new();
    engine.accept();
    write(&engine, "docker.tar", &large(host()).docker_archive("app:1"));
    write(&engine, "oci.tar", &large(host()).oci_archive("docker.io/library/app:1"));
    engine.sh("for f in docker.tar oci.tar; do gzip -k $f; zstd -q $f; xz -0 -k $f; done; mkfifo pipe");
    // The same blobs as containerd's own client brings of the one archive.
    engine.sh(&format!("ctr images import oci.tar >/dev/null; {COLLECT}"));
    let content = engine.ctr(["content", "ls", "-q"]).ok().to_owned();
    let snapshots = engine.sh("ctr snapshots ls | awk '{print $1}' | sort");
    engine.sh(&format!("ctr images rm --sync docker.io/library/app:1 >/dev/null; {COLLECT}"));
    for form in ["oci.tar", "docker.tar"] {
        for end in ["", ".gz", ".zst", ".xz"] {
            let ways = match end {
                "" => &["load -i F", "load < F", "cat F | load", "cat F > pipe & load -i pipe"][..],
                _ => &["load -i F", "cat F | load"],
            };
            for way in ways {
                let file = format!("{form}{end}");
                let script = way.replace("load", "wharfie load").replace('F', &file);
                assert_eq!(engine.sh(&script), "Loaded image: app:1", "{script}");
                if form == "oci.tar" {
                    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), content, "{script}");
                }
                assert_eq!(
                    engine.sh("ctr snapshots ls | awk '{print $1}' | sort"),
                    snapshots,
                    "the same snapshots: {script}"
                );
                engine.wharfie(["rmi", "app:1"]).ok();
                engine.sh(COLLECT);
                assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "", "{script}");
            }
        }
    }
    engine.wharfie(["load", "-q", "-i", "docker.tar.zst"]).ok();
    let run = engine.wharfie(["run", "--rm", "--network", "none", "app:1", "wc", "-c", "/more"]);
    assert_eq!(run.ok().trim(), "700000 /more");
    engine.wharfie(["rmi", "app:1"]).ok();
    engine.assert_clean();
}

#[test]
fn a_root_file_system_comes_in_every_compression() {
    let engine = TestEngine::new();
    engine.accept();
    let rootfs = busybox_rootfs().display();
    engine.sh(&format!("zstd -q {rootfs} -o root.zst; xz -0 -c {rootfs} > root.xz"));
    for (file, kind) in [("root.zst", "tar+zstd"), ("root.xz", "tar")] {
        engine.wharfie(["import", file, "mine:1"]).ok();
        engine.wharfie(["run", "--rm", "--network", "none", "mine:1", "true"]).ok();
        let kinds = engine
            .sh("ctr content get $(ctr images ls | awk 'NR==2 {print $3}') | grep -o 'layer.v1[a-z+.0-9]*'");
        assert_eq!(kinds, format!("layer.v1.{kind}"));
        engine.wharfie(["rmi", "mine:1"]).ok();
    }
    engine.assert_clean();
}

#[test]
fn platforms_are_chosen() {
    let engine = TestEngine::new();
    engine.accept();
    let images = [
        large(host()),
        Image { architecture: other().into(), ..Image::new([tar_of([("o", b"o".as_slice())])]) },
    ];
    let wanted = format!("linux/{}", other());
    for nested in [0, 1] {
        write(&engine, "both.tar", &index_archive("docker.io/library/both:1", &images, nested));
        let count = |expected: usize, what: &str| {
            let found = engine.sh(&format!("{COLLECT}; ctr content ls -q")).lines().count();
            assert_eq!(found, expected, "{what}, {nested} nested");
        };
        let foreign = ["image", "inspect", "-f", "{{.Architecture}}", "both:1"];
        for way in ["wharfie load -i both.tar", "cat both.tar | wharfie load"] {
            engine.sh(way);
            // Two manifests, two configurations, three layers.
            count(7 + 1 + nested, way);
            assert_eq!(engine.wharfie(foreign).ok(), host());
            engine.wharfie(["run", "--rm", "--network", "none", "both:1", "true"]).ok();
            engine.wharfie(["rmi", "both:1"]).ok();
            engine.sh(&format!("{way} --platform {wanted}"));
            count(3 + 1 + nested, "one platform");
            assert_eq!(engine.wharfie(foreign).ok(), other());
            engine.wharfie(["rmi", "both:1"]).ok();
            engine.sh(&format!("{way} --platform {wanted},linux/{}", host()));
            count(7 + 1 + nested, "both platforms");
            engine.wharfie(["rmi", "both:1"]).ok();
            let none = engine.program("bash", ["-c", &format!("{way} --platform linux/s390x")]).run();
            assert!(none.fails(1).contains("requested platform (linux/s390x)"), "{none:?}");
            count(0, "none");
        }
        // And out again: all, one, both.
        engine.wharfie(["load", "-i", "both.tar"]).ok();
        engine.wharfie(["save", "-o", "all.tar", "both:1"]).ok();
        engine.wharfie(["save", "-o", "one.tar", "--platform", &wanted, "both:1"]).ok();
        let both = format!("{wanted},linux/{}", host());
        engine.wharfie(["save", "-o", "two.tar", "--platform", &both, "both:1"]).ok();
        let none = engine.wharfie(["save", "-o", "none.tar", "--platform", "linux/s390x", "both:1"]);
        assert!(none.fails(1).contains("does not provide the specified platform (linux/s390x)"), "{none:?}");
        engine.wharfie(["rmi", "both:1"]).ok();
        for (file, expected) in [("all.tar", 8 + nested), ("one.tar", 3), ("two.tar", 8 + nested)] {
            assert_eq!(engine.wharfie(["load", "-i", file]).ok(), "Loaded image: both:1");
            count(expected, file);
            engine.wharfie(["rmi", "both:1"]).ok();
        }
    }
    engine.assert_clean();
}

#[test]
fn skopeo_reads_what_is_saved_and_writes_what_is_loaded() {
    let engine = TestEngine::new();
    engine.accept();
    engine.call(["load"]).stdin(large(host()).docker_archive("app:1")).run().ok();
    engine.call(["load"]).stdin(Image::busybox().oci_archive("docker.io/library/box:2")).run().ok();
    let ids = engine.sh("wharfie image inspect -f '{{.Id}}' app:1 box:2");
    engine.wharfie(["save", "-o", "saved.tar", "app:1", "box:2"]).ok();
    engine.sh("wharfie save app:1 box:2 | cmp - saved.tar; test \"$(stat -c %a saved.tar)\" = 600");
    for (name, tag) in [("docker.io/library/app:1", "1"), ("docker.io/library/box:2", "2")] {
        let raw = engine.sh(&format!("skopeo inspect --raw oci-archive:saved.tar:{tag} | sha256sum"));
        let id = engine.wharfie(["image", "inspect", "-f", "{{.Id}}", name]).ok().to_owned();
        assert_eq!(format!("sha256:{}", &raw[..64]), id, "the manifest as it was");
        engine.sh(&format!("skopeo copy -q --insecure-policy docker-archive:saved.tar:{name} dir:dir{tag}"));
        let config =
            engine.sh(&format!("skopeo inspect --config --raw docker-archive:saved.tar:{name} | sha256sum"));
        assert_eq!(
            config,
            engine.sh(&format!("skopeo inspect --config --raw oci-archive:saved.tar:{tag} | sha256sum"))
        );
    }
    // What it writes: gzip and zstd layers, both forms, several of them in turn.
    engine.sh(
        "skopeo copy -q --insecure-policy docker-archive:saved.tar:docker.io/library/app:1 docker-archive:d.tar:app:3
         skopeo copy -q --insecure-policy oci-archive:saved.tar:1 oci-archive:g.tar:app:4
         skopeo copy -q --insecure-policy --dest-compress-format zstd --dest-compress docker-archive:d.tar oci:z:app:5
         tar -C z -cf z.tar .",
    );
    engine.wharfie(["rmi", "app:1", "box:2"]).ok();
    for (file, name) in
        [("d.tar", "app:3"), ("g.tar", "app:4"), ("z.tar", "app:5"), ("saved.tar", "app:1\nbox:2")]
    {
        let loaded = engine.wharfie(["load", "-i", file]);
        let expected: Vec<String> = name.lines().map(|name| format!("Loaded image: {name}")).collect();
        assert_eq!(loaded.ok(), expected.join("\n"));
        let first = name.lines().next().unwrap();
        engine.wharfie(["run", "--rm", "--network", "none", first, "test", "-s", "/more"]).ok();
        if file == "saved.tar" {
            assert_eq!(engine.sh("wharfie image inspect -f '{{.Id}}' app:1 box:2"), ids);
        }
        engine.wharfie(["rmi"].into_iter().chain(name.lines())).ok();
    }
    engine.sh(COLLECT);
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
}

#[test]
fn hostile_files_are_refused_by_name_and_leave_nothing() {
    let engine = TestEngine::new();
    engine.accept();
    let image = large(host());
    let archive = image.oci_archive("docker.io/library/x:1");
    let blobs = image.blobs();
    let entry = |size: usize| {
        format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"{}","digest":"{}","size":{size}}}]}}"#,
            blobs[0].media_type, blobs[0].digest
        )
    };
    let layout = |changed: &[(&str, Vec<u8>)], index: Option<String>| {
        let mut files: Vec<(String, Vec<u8>)> =
            blobs.iter().map(|blob| (blob.path(), blob.bytes.clone())).collect();
        for (name, bytes) in changed {
            files.retain(|(known, _)| known != name);
            if !bytes.is_empty() {
                files.push(((*name).to_owned(), bytes.clone()));
            }
        }
        let index = index.unwrap_or_else(|| entry(blobs[0].bytes.len()));
        files.push(("oci-layout".into(), b"{}".to_vec()));
        files.push(("index.json".into(), index.into_bytes()));
        tar_of(files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
    };
    let manifest = blobs[0].path();
    let layer = blobs[3].path();
    let mut other_bytes = blobs[3].bytes.clone();
    other_bytes[600] ^= 1;
    let many: Vec<String> = (0..10_001)
        .map(|number| {
            format!(r#"{{"mediaType":"{}","digest":"sha256:{number:064}","size":1}}"#, blobs[0].media_type)
        })
        .collect();
    let many = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, many.join(","));
    let link = |target: &str| {
        hostile_tar(&[
            Entry::File("oci-layout", b"{}"),
            Entry::File("index.json", entry(blobs[0].bytes.len()).as_bytes()),
            Entry::Symlink(&manifest, target),
            Entry::File("data", b"not what the name says"),
        ])
    };
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("damaged", layout(&[(&layer, other_bytes)], None)),
        ("damaged", layout(&[(&manifest, b"{}".to_vec())], None)),
        ("lacks the layer", layout(&[(&layer, vec![])], None)),
        ("is not what it says", layout(&[], Some(entry(blobs[0].bytes.len() + 1)))),
        ("larger than", layout(&[], Some(entry(9 << 20)))),
        ("lists more than 10000 images", layout(&[], Some(many))),
        ("indexes inside of indexes", index_archive("x:1", std::slice::from_ref(&image), 7)),
        ("links to", link("../../../outside")),
        ("links to", link("/etc/passwd")),
        ("is not what it says", link("../../data")),
        ("corrupt or truncated", archive[..archive.len() / 2].to_vec()),
        ("corrupt or truncated", archive[..700].to_vec()),
    ];
    for (number, (message, bytes)) in cases.into_iter().enumerate() {
        write(&engine, "x.tar", &bytes);
        let output = engine.wharfie(["load", "-i", "x.tar"]);
        assert!(output.fails(1).contains(message), "{number} {message}: {output:?}");
        let output = engine.call(["load"]).stdin(bytes).run();
        let refused = output.fails(1);
        let same =
            refused.contains(message) || refused.contains("damaged") || refused.contains("does not have it");
        assert!(same, "{number} {message}: {output:?}");
        assert_eq!(engine.wharfie(["images", "-aq"]).ok(), "", "{number}");
        assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "", "{number}");
    }
    // What wants more memory than it should get: a window of 2 GiB, a dictionary of 1 GiB.
    write(&engine, "window.zst", &[0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00]);
    engine.sh("echo small | xz -c --lzma2=dict=1GiB > dictionary.xz");
    for file in ["window.zst", "dictionary.xz"] {
        for verb in [&["load", "-i", file][..], &["import", file]] {
            let output = engine.wharfie(verb.iter().copied());
            assert!(output.fails(1).contains("memory"), "{verb:?}: {output:?}");
        }
    }
    let directory = engine.wharfie(["save", "-o", ".", "x:1"]);
    assert!(directory.fails(1).contains("is a directory"), "{directory:?}");
    engine.assert_clean();
}

#[test]
fn nothing_is_collected_in_the_middle() {
    let engine = TestEngine::new();
    engine.accept();
    write(&engine, "x.tar", &large(host()).oci_archive("docker.io/library/x:1"));
    // A load that waits for the second half of its archive, in which the names are.
    engine.sh(&format!(
        "mkfifo in out
         wharfie load < in > loaded & load=$!
         exec 3> in
         half=$(($(stat -c %s x.tar) / 2))
         head -c $half x.tar >&3
         until ctr content ls -q | grep . >/dev/null; do sleep 0.01; done
         {COLLECT}
         ctr content prune references >/dev/null 2>&1 || true
         ctr content ls -q | grep . >/dev/null
         tail -c +$((half + 1)) x.tar >&3
         exec 3>&-
         wait $load
         grep -q 'Loaded image: x:1' loaded"
    ));
    engine.wharfie(["run", "--rm", "--network", "none", "x:1", "test", "-s", "/more"]).ok();
    // A save whose image goes while it is written.
    engine.sh(&format!(
        "wharfie save x:1 > before.tar
         wharfie save x:1 > out & save=$!
         exec 3< out
         dd bs=512 count=4 iflag=fullblock <&3 > after.tar 2>/dev/null
         wharfie rmi x:1 >/dev/null
         {COLLECT}
         cat <&3 >> after.tar
         wait $save
         cmp before.tar after.tar
         {COLLECT}"
    ));
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "", "and then it is gone");
    engine.assert_clean();
}

#[test]
fn a_killed_load_is_cleared_away_by_the_next() {
    let engine = TestEngine::new();
    engine.accept();
    let archive = large(host()).oci_archive("docker.io/library/x:1");
    for share in [3, 2] {
        write(&engine, "half.tar", &archive[..archive.len() / share]);
        engine.sh("rm -f in; mkfifo in
             wharfie load < in & load=$!
             exec 3> in
             cat half.tar >&3
             until ctr leases ls -q | grep wharfie >/dev/null; do sleep 0.01; done
             kill -9 $load
             wait $load || true
             exec 3>&-");
    }
    let small = Image::new([tar_of([("file", b"content".as_slice())])]);
    engine.call(["load"]).stdin(small.docker_archive("small:1")).run().ok();
    engine.wharfie(["rmi", "small:1"]).ok();
    engine.sh(COLLECT);
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
}
