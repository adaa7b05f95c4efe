//! The same command lines run by containerd's own ctr and by wharfie, each in a namespace of its own: what they print
//! and how they end must be the same once times and process ids are taken out.

use std::fmt::Write as _;

use super::{IMAGE, id, named_ctr, version};
use crate::engine::TestEngine;
use crate::images::Image;

/// What both do, from one state to the next: `IMAGE` and `ONE` stand for the image and a container. Words are
/// separated by spaces. A line that begins with `2 ` is for containerd 2's ctr alone: an older one lacks the command,
/// or prints otherwise (`ps` a Go structure, `exec` its help, `version` takes any word).
const LINES: &str = "
images ls
images ls -q
images list -quiet=true
images check
images check -q
i ls name==nope
images tag IMAGE docker.io/library/foo:1
images tag nope docker.io/library/foo:2
images tag
images label docker.io/library/foo:1 a=b
images label docker.io/library/foo:1 a=
images label nope a=b
images label
images rm docker.io/library/foo:1
images rm nope
images frob
images pull
images push
images export
images mount
images unmount
images import /nope
2 images usage IMAGE
2 images inspect IMAGE
2 images inspect --content IMAGE
2 images prune
content ls -q
content active
content get sha256:1
content get sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
content label
content label sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa a=b
content rm x
content ingest
snapshots ls
snapshots usage
snapshots usage -b
snapshots usage nope
snapshots tree
snapshots prepare -t /mnt --mounts p1
snapshots view v1
snapshots mounts /mnt p1
snapshots commit c1 p1
snapshots ls
snapshots rm v1
snapshots rm c1
snapshots rm c1
snapshots diff
snapshots unpack sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
leases ls
leases create --id l1 a=b
leases ls
leases ls -q
leases rm l1
leases rm l1
containers ls
containers create --env A=b --label q=r --memory-limit 100000000 IMAGE ONE sleep 1000
containers ls
containers ls -q
containers info ONE
containers info --spec ONE
containers info nope
containers info
containers create
containers create IMAGE
tasks ls
tasks start -d ONE
tasks ls
tasks ls -q
tasks ps ONE
tasks exec --exec-id e1 ONE echo hi
tasks exec --exec-id e2 ONE sh -c exit\u{20}7
tasks exec --exec-id e3 --user 1000 --cwd /bin ONE id
tasks exec -d --exec-id e4 ONE sleep 1000
2 tasks ps ONE
2 tasks exec ONE
tasks exec --exec-id e5 nope true
tasks metrics --format nope ONE
tasks pause ONE
tasks ls
tasks resume ONE
tasks rm ONE
containers rm ONE
tasks start -d ONE
tasks kill -s KILL ONE
tasks attach ONE
tasks rm ONE
containers rm ONE
containers rm nope
containers rm
tasks rm nope
tasks kill nope
tasks kill
tasks pause nope
tasks ps
tasks start
tasks metrics nope
tasks checkpoint nope
run --rm IMAGE ONE echo out
run --rm IMAGE ONE sh -c exit\u{20}3
run --rm --net-host --cpus 0.5 --hostname hh IMAGE ONE hostname
run --rm --read-only IMAGE ONE touch /x
run
run IMAGE
run nope ONE
plugins ls
plugins ls -q
plugins ls -d id==overlayfs
2 info
2 deprecations list
2 sandboxes ls
2 version extra
frob
";

#[test]
fn every_line_does_as_containerds_ctr_does() {
    // A view that nothing refers to is containerd's to collect: not before its line has come.
    let engine = TestEngine::with_config(
        "[plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"1h\"\nmutation_threshold = 1000000\n",
    );
    let archive = engine.directory().join("archive.tar");
    std::fs::write(&archive, Image::busybox().oci_archive(IMAGE)).expect("write an archive");
    let archive = archive.to_str().expect("a path in UTF-8");
    let named = named_ctr(&engine);
    let programs = ["ctr", named.to_str().expect("a path in UTF-8")];
    let spaces = ["ctr-real", "ctr-ours"];
    for space in spaces {
        engine.ctr(["-n", space, "images", "import", archive]).ok();
    }
    let (one, mut wrong) = (id("same"), String::new());
    for line in LINES.lines().filter(|line| !line.is_empty()) {
        let line = match line.strip_prefix("2 ") {
            Some(_) if !version().starts_with('2') => continue,
            Some(line) => line,
            None => line,
        };
        // containerd 1's ctr has no such flag.
        if line.contains("--hostname") && !version().starts_with('2') {
            continue;
        }
        let told: Vec<(String, i32)> = std::iter::zip(programs, spaces)
            .map(|(program, space)| {
                let words = line.split(' ').map(|word| match word {
                    "IMAGE" => IMAGE.to_owned(),
                    "ONE" => one.clone(),
                    word => word.replace("\\u{20}", " "),
                });
                let words: Vec<String> =
                    ["-n".to_owned(), space.to_owned()].into_iter().chain(words).collect();
                let output = engine.program(program, words.iter().map(String::as_str)).run();
                if line.starts_with("tasks kill -s KILL") {
                    engine.sh(&format!(
                        "while ctr -n {space} tasks ls | grep -q 'RUNNING'; do sleep 0.02; done"
                    ));
                }
                (settled(&output.stdout, space, line), output.code)
            })
            .collect();
        if told[0] != told[1] {
            let _ = writeln!(
                wrong,
                "== ctr {line}\n-- theirs {}\n{}\n-- ours {}\n{}",
                told[0].1, told[0].0, told[1].1, told[1].0
            );
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

/// What varies taken out: the namespace, times, process ids, the numbers of overlay's directories, what is a
/// version's own.
fn settled(text: &str, space: &str, line: &str) -> String {
    // The help of a family is each program's own.
    if text.contains("USAGE:") || text.contains("Usage:") {
        return "<help>".into();
    }
    let text = text.replace(space, "<space>");
    let lines = text.lines().map(|line| {
        let plain = crate::filter::filter(line, std::path::Path::new("/nowhere"));
        let pid = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit()) && word.len() < 8;
        let words: Vec<&str> = plain.split(' ').map(|word| if pid(word) { "<n>" } else { word }).collect();
        let changed =
            plain != line.split_whitespace().collect::<Vec<_>>().join(" ") || words.contains(&"<n>");
        if changed { overlay(&words.join(" ")) } else { overlay(line) }
    });
    let lines: Vec<String> = lines.filter(|line| !versioned(line)).collect();
    let mut lines: Vec<String> = lines;
    // Go walks its maps in no order.
    if line.starts_with("plugins ls -d") {
        lines.sort();
    }
    lines.join("\n")
}

/// Lines that 1.6 and 1.7 print otherwise than 2.1, whose way is ours.
fn versioned(line: &str) -> bool {
    let line = line.trim();
    [
        "\"ociVersion\"",
        "\"Extensions\"",
        "\"SandboxID\"",
        "\"Target\"",
        "\"/sys/devices/virtual/powercap\"",
        "Created:",
        "Updated:",
        "\"pid\":",
        "\"pidns\":",
    ]
    .iter()
    .any(|start| line.starts_with(start) || line.contains(start))
}

fn overlay(line: &str) -> String {
    let mut out = String::new();
    for (number, part) in line.split("/snapshots/").enumerate() {
        if number == 0 {
            out.push_str(part);
        } else {
            out.push_str("/snapshots/N");
            out.push_str(part.trim_start_matches(|letter: char| letter.is_ascii_digit()));
        }
    }
    out
}
