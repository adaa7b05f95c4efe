//! `--rootfs`: a directory of this machine as the root file system.

use super::{engine, inside};

#[test]
fn a_directory_is_the_root() {
    let engine = engine();
    engine.sh("mkdir root; wharfie cp busybox:latest:/. root; echo mine > root/file");
    let path = engine.directory().join("home/root").display().to_string();
    assert_eq!(engine.wharfie(["run", "--rm", "--rootfs", "./root", "cat", "/file"]).ok(), "mine");
    engine.accept();
    let script = "trap 'exit 0' TERM; while :; do sleep 0.05; done";
    engine.wharfie(["run", "-d", "--name", "cc", "-u", "root", "--rootfs", &path, "sh", "-c", script]).ok();
    assert_eq!(engine.wharfie(["ps", "--format", "{{.Image}} {{.State}}"]).ok(), format!("{path} running"));
    assert_eq!(
        engine.wharfie(["inspect", "-f", "{{.Config.Image}} [{{.Image}}]", "cc"]).ok(),
        format!("{path} []")
    );
    inside(&engine, "cc", "echo new > /new");
    assert_eq!(engine.sh("cat root/new; echo 1 > f; wharfie cp f cc:/etc/f; cat root/etc/f; wharfie cp cc:/new got; cat got"), "new\n1\nnew");
    assert_eq!(engine.sh("wharfie export cc | tar -xO new"), "new");
    for verb in ["commit", "diff"] {
        let refused = engine.wharfie([verb, "cc"]);
        assert!(refused.fails(1).contains("stands on no image"), "{refused:?}");
    }
    engine.wharfie(["stop", "cc"]).ok();
    engine.sh("wharfie cp f cc:/etc/g; cat root/etc/g");
    engine.wharfie(["start", "cc"]).ok();
    assert_eq!(inside(&engine, "cc", "cat /new /etc/g"), "new\n1");
    engine.wharfie(["restart", "-t", "0", "cc"]).ok();
    engine.wharfie(["rm", "-f", "cc"]).ok();
    assert_eq!(engine.sh("cat root/new"), "new");
    let missing = engine.wharfie(["create", "--rootfs", "/nope", "sh"]);
    assert!(missing.fails(125).contains("/nope: no such file or directory"), "{missing:?}");
    engine.assert_clean();
}

#[test]
fn made_by_ctr() {
    let engine = engine();
    engine.sh("mkdir root; wharfie cp busybox:latest:/. root");
    let path = engine.directory().join("home/root").display().to_string();
    engine.ctr(["run", "-d", "--null-io", "--rootfs", &path, "theirs", "/bin/sleep", "1000"]).ok();
    engine.sh("echo 1 > f; wharfie cp f theirs:/etc/f; cat root/etc/f; wharfie export theirs | tar -t > names; grep -qx etc/f names");
    engine.wharfie(["rm", "-f", "theirs"]).ok();
    engine.assert_clean();
}
