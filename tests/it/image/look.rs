//! `image files`, `image cat`, `image diff` and `history`.

use serde_json::{Value, json};

use crate::container::engine;
use crate::engine::TestEngine;
use crate::filter::filter;
use crate::images::{Entry, Image, hostile_tar, tar_of};

/// Two layers with links that lead out, a name that moves the cursor, and a whiteout.
fn tools() -> Image {
    let mut image = Image::new([tar_of([("d/one", b"1".as_slice()), ("d/gone", b"x"), ("f", b"old")])]);
    image.layers.push(tar_of([("d/two", b"22".as_slice()), ("f", b"new"), ("d/.wh.gone", b"")]));
    image.layers.push(hostile_tar(&[
        Entry::Symlink("l", "/d"),
        Entry::Symlink("out", "/../../../../../../etc/hostname"),
        Entry::Hardlink("same", "f"),
        Entry::File("e\u{1b}[2Jx", b"esc"),
    ]));
    image
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[test]
fn files_of_an_image_are_seen_without_a_container() {
    let engine = TestEngine::new();
    engine.accept();
    let archive = engine.directory().join("archive.tar");
    std::fs::write(&archive, tools().oci_archive("docker.io/library/tools:1")).unwrap();
    // Not unpacked.
    engine.ctr(["images", "import", "--no-unpack", archive.to_str().unwrap()]).ok();
    std::fs::remove_file(&archive).unwrap();
    let names = |arguments: &[&str]| {
        engine.wharfie(["image", "files", "-q"].iter().chain(arguments).copied()).ok().to_owned()
    };
    assert_eq!(lines(&names(&["tools:1"])), ["d", "e\u{1b}[2Jx", "f", "l", "out", "same"]);
    assert_eq!(lines(&names(&["tools:1", "/d"])), ["one", "two"]);
    assert_eq!(
        lines(&names(&["-R", "tools:1:/"])),
        ["d", "d/one", "d/two", "e\u{1b}[2Jx", "f", "l", "out", "same"]
    );
    assert_eq!(lines(&names(&["tools:1", "l/"])), ["one", "two"]);
    assert_eq!(lines(&names(&["tools:1", "/l"])), ["/l"]);
    assert_eq!(lines(&names(&["tools:1", "/d/one"])), ["/d/one"]);
    // `image ls` of what no name can be.
    let listed = engine.wharfie(["image", "ls", "-q", "tools:1:/d"]);
    assert_eq!(lines(listed.ok()), ["one", "two"]);
    let table = engine.wharfie(["image", "ls", "tools:1:/"]);
    let rows: Vec<Vec<&str>> = table.ok().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["MODE", "UID", "GID", "SIZE", "MODIFIED", "NAME"]);
    assert_eq!(rows[3], ["-rw-r--r--", "0", "0", "3", "1970-01-01", "00:00:00", "f"]);
    assert_eq!(rows[4][6..], ["l", "->", "/d"]);
    assert_eq!(rows[6][6..], ["same", "=", "f"]);
    assert!(table.ok().contains("e\\u{1b}[2Jx"), "{table:?}");
    let json = engine.wharfie(["image", "files", "--format", "json", "tools:1", "/f"]);
    let json: Value = serde_json::from_str(json.ok()).unwrap();
    assert_eq!((&json["Type"], &json["Size"]), (&"file".into(), &"3".into()));

    let cat = |arguments: &[&str]| engine.wharfie(["image", "cat"].iter().chain(arguments).copied());
    assert_eq!(cat(&["tools:1", "f", "/l/two", "/d/one"]).ok(), "new221");
    assert_eq!(cat(&["tools:1:/same"]).ok(), "new");
    // A link out of the image stays in it.
    assert!(cat(&["tools:1", "/out"]).fails(1).contains("no such file or directory in the image"));
    assert!(cat(&["tools:1", "/d/../../../f"]).ok() == "new");
    assert!(cat(&["tools:1", "/d"]).fails(1).contains("/d: is a directory"));
    assert!(cat(&["tools:1", "/d/gone"]).fails(1).contains("no such file"));
    assert!(cat(&["nope", "/d"]).fails(1).contains("No such image: nope:latest"));
    assert!(cat(&["tools:1"]).fails(125).contains("name a file of the image"));
    engine.sh("set +o pipefail; wharfie image cat tools:1 /f | true");
    engine.assert_clean();
}

#[test]
fn an_image_without_layers_is_empty() {
    let engine = TestEngine::new();
    engine.accept();
    engine.load_with_ctr("docker.io/library/none:1", &Image::new([]));
    engine.accept();
    assert_eq!(engine.wharfie(["image", "files", "-q", "none:1"]).ok(), "");
    engine.assert_clean();
}

#[test]
fn images_are_compared() {
    let engine = TestEngine::new();
    let file = |name: &'static str, text: &'static str| (name, text.as_bytes());
    let mut old = Image::new([tar_of([
        file("bin/tool", "version 1"),
        file("etc/conf", "a=1"),
        file("share/doc/a", "12345"),
        file("share/doc/b", "12345"),
        file("same", "same"),
        file("swap/x", "123"),
    ])]);
    let mut new = Image::new([tar_of([
        // The same size and the same time.
        file("bin/tool", "version 2"),
        file("etc/conf", "a=1\nb=2"),
        file("same", "same"),
        file("swap", "1"),
        file("added/file", "1234567"),
    ])]);
    new.config["Env"] = json!(["PATH=/bin", "A=1"]);
    new.config["Labels"] = json!({ "l": "v" });
    old.config["Env"] = json!(["PATH=/bin"]);
    old.config["ExposedPorts"] = json!({ "80/tcp": {} });
    engine.load_with_ctr("docker.io/library/app:1", &old);
    engine.load_with_ctr("docker.io/library/app:2", &new);
    let diff = |arguments: &[&str]| {
        engine.wharfie(["image", "diff"].iter().chain(arguments).copied()).ok().to_owned()
    };
    assert_eq!(
        diff(&["app:1", "app:2"]),
        "A /added\nA /added/file\nC /bin\nC /bin/tool\nC /etc\nC /etc/conf\nD /share\nC /swap"
    );
    let sizes =
        diff(&["--format", "{{.Kind}} {{.Path}} {{.Growth}} {{.OldSize}} {{.NewSize}}", "app:1", "app:2"]);
    for line in [
        "A /added/file +7B <nil> 7",
        "C /bin/tool 0B 9 9",
        "C /etc/conf +4B 3 7",
        "D /share -10B 10 <nil>",
        "C /swap -2B 3 1",
    ] {
        assert!(lines(&sizes).contains(&line), "{line}: {sizes}");
    }
    assert!(
        diff(&["-s", "app:1", "app:2"]).starts_with("KIND      GROWTH    PATH\nA                   /added\n")
    );
    assert_eq!(diff(&["app:1", "app:1"]), "");
    assert_eq!(diff(&["--config", "app:1", "app:2"]), "A Env.A: 1\nD ExposedPorts.80/tcp\nA Labels.l: v");
    assert_eq!(
        diff(&["--config", "--format", "{{.Name}}={{.New}}", "app:2", "app:1"]),
        "Env.A=\nExposedPorts.80/tcp=\nLabels.l="
    );
    // Layers that both have are the same files.
    let mut more = old.clone();
    more.layers.push(tar_of([("etc/more", b"x".as_slice())]));
    engine.load_with_ctr("docker.io/library/app:3", &more);
    assert_eq!(diff(&["app:1", "app:3"]), "C /etc\nA /etc/more");
    engine.wharfie(["image", "diff", "app:1", "nope"]).fails(1);
    engine.assert_clean();
}

#[test]
fn history_is_dockers() {
    let engine = engine();
    engine.wharfie(["run", "--name", "c", "busybox", "sh", "-c", "head -c 5000 /dev/zero > /zeros"]).ok();
    engine.wharfie(["commit", "-m", "some words", "-c", "ENV A=b", "c", "made:1"]).ok();
    engine.wharfie(["rm", "c"]).ok();
    let table = engine.wharfie(["history", "made:1"]);
    let table = filter(&table.stdout, engine.directory());
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows[0], "IMAGE CREATED CREATED BY SIZE COMMENT");
    assert!(rows[1].starts_with("<id> <age> ") && rows[1].ends_with(" some words"), "{table}");
    let show =
        |format: &str| engine.wharfie(["image", "history", "--format", format, "made:1"]).ok().to_owned();
    let ids = show("{{.ID}}");
    assert_eq!(lines(&ids).len(), rows.len() - 1);
    assert!(lines(&ids)[1..].iter().all(|id| *id == "<missing>"), "{ids}");
    let whole = engine.wharfie(["history", "-q", "--no-trunc", "made:1"]).ok().to_owned();
    let id = engine.wharfie(["image", "inspect", "-f", "{{.Id}}", "made:1"]).ok().to_owned();
    assert_eq!(lines(&whole)[0], id);
    // Bytes as containerd's snapshotter tells them, a layer a step.
    let bytes = engine
        .wharfie(["history", "-H=false", "--format", "{{.Snapshot}} {{.Size}}", "made:1"])
        .ok()
        .to_owned();
    let (snapshot, size) = lines(&bytes)[0].split_once(' ').unwrap();
    let told = engine.sh(&format!("ctr snapshots usage -b {snapshot} | tail -1 | awk '{{print $2}}'"));
    assert_eq!(size, told.trim());
    let json: Value = serde_json::from_str(lines(&show("json"))[0]).unwrap();
    assert_eq!(json["Comment"], "some words");
    assert!(json["CreatedAt"].as_str().unwrap().ends_with('Z'), "{json}");
    let missing = engine.wharfie(["history", "nope"]);
    assert!(missing.fails(1).contains("No such image: nope:latest"), "{missing:?}");
    engine.assert_clean();
}
