//! A disk that is full or read-only, and files of ours that are not as we wrote them.

use super::{BUSYBOX, engine};

#[test]
fn a_full_disk_is_told_and_passes() {
    let engine = engine();
    // Room for the copy of the program that monitors run from, and a little more.
    engine.sh("mkdir /var/lib/wharfie
         size=$(($(stat -Lc %s \"$(command -v wharfie)\") + 16000000))
         mount -t tmpfs -o size=$size tmpfs /var/lib/wharfie");
    let writer = "while :; do echo 0123456789012345678901234567890123456789; done";
    engine.wharfie(["run", "--rm", BUSYBOX, "true"]).ok();
    engine.accept();
    engine.wharfie(["run", "-d", "--name", "web", BUSYBOX, "sleep", "1000"]).ok();
    engine.wharfie(["run", "-d", "--name", "writer", BUSYBOX, "sh", "-c", writer]).ok();
    engine.sh("until [ $(df --output=avail /var/lib/wharfie | tail -n1) = 0 ]; do sleep 0.05; done");
    // It goes on writing: a log that cannot be kept must not stop it.
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.State.Running}}", "writer"]).ok(), "true");
    assert_eq!(engine.wharfie(["exec", "web", "echo", "in"]).ok(), "in");
    for flags in [&["--rm"][..], &["--rm", "-d"], &["--rm", "-i", "-p", "8080:80", "-v", "/anonymous"]] {
        let run = [&["run"], flags, &[BUSYBOX, "true"]].concat();
        let output = engine.wharfie(run);
        assert!(output.fails(125).contains("no space left on device"), "{output:?}");
        assert!(output.stderr.contains("hint"), "{output:?}");
    }
    assert_eq!(engine.wharfie(["ps", "-a", "--format", "{{.Names}}"]).ok(), "writer\nweb");
    engine.wharfie(["rm", "-f", "writer"]).ok();
    engine.wharfie(["run", "--rm", BUSYBOX, "true"]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn a_read_only_data_root_is_told() {
    let engine = engine();
    engine.wharfie(["run", "-d", "--name", "web", BUSYBOX, "sleep", "1000"]).ok();
    engine.sh("mount --bind /var/lib/wharfie /var/lib/wharfie && mount -o remount,ro,bind /var/lib/wharfie");
    let output = engine.wharfie(["run", "--rm", BUSYBOX, "true"]);
    assert!(output.fails(125).contains("read-only file system"), "{output:?}");
    assert_eq!(engine.wharfie(["ps", "--format", "{{.Names}}"]).ok(), "web");
    engine.wharfie(["exec", "web", "true"]).ok();
    engine.wharfie(["logs", "web"]).ok();
    engine.wharfie(["stop", "-t", "0", "web"]).ok();
    engine.sh("umount -l /var/lib/wharfie");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn files_that_are_not_ours_stop_nobody() {
    let engine = engine();
    engine
        .wharfie(["run", "-d", "--name", "web", "-p", "8080:80", "-v", "data:/x", BUSYBOX, "sleep", "1000"])
        .ok();
    engine.sh(r#"cd /var/lib/wharfie/*/default
           echo garbage > pending/garbage; : > pending/empty; mkdir pending/directory; mkfifo pending/fifo
           head -c 1000000 /dev/zero > pending/zeros; ln -s /etc/passwd pending/link
           echo '{"id":"../../../../../etc","snapshotter":"overlayfs"}' > pending/escape
           echo '{"id":"","snapshotter":""}' > pending/nothing
           echo garbage > containers/*/monitor.json; echo garbage > volumes/data/volume.json
           mkdir volumes/half; mkdir containers/no-container; echo x > containers/a-file
           echo garbage > /run/wharfie/*/recovered-default"#);
    engine.wharfie(["ps", "-a"]).ok();
    engine.wharfie(["run", "--rm", "-v", "data:/x", "-v", "half:/y", BUSYBOX, "true"]).ok();
    assert!(engine.sh("ls /etc/passwd; ls /var/lib/wharfie/*/default/pending").contains("/etc/passwd"));
    engine.wharfie(["restart", "-t", "0", "web"]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.wharfie(["run", "--rm", "-p", "8080:80", BUSYBOX, "true"]).ok();
    // A record of ours that is no record.
    engine
        .ctr([
            "containers",
            "create",
            "--label",
            "wharfie/name=odd",
            "docker.io/library/busybox:latest",
            "odd",
        ])
        .ok();
    engine.wharfie(["ps", "-a"]).ok();
    assert!(engine.wharfie(["start", "odd"]).fails(1).contains("odd"));
    engine.wharfie(["inspect", "odd"]).ok();
    engine.wharfie(["rm", "-f", "odd"]).ok();
    engine.sh(
        "cd /var/lib/wharfie/*/default; rm -rf pending/* volumes/* containers/no-container containers/a-file",
    );
    engine.assert_clean();
}
