//! `export`: the whole root file system and nothing else.

use super::{engine, inside, sleeper};

#[test]
fn what_is_exported_can_be_imported() {
    let engine = engine();
    engine.sh("mkdir bind; echo host > bind/f");
    let bind = format!("{}:/bound", engine.directory().join("home/bind").display());
    sleeper(&engine, &["--name", "cc", "-v", &bind, "--tmpfs", "/mem"]);
    inside(
        &engine,
        "cc",
        "echo mine > /f; ln /f /g; chown 5:6 /f; chmod 4700 /f; mkfifo /p; touch /mem/f; rm /bin/true",
    );
    engine.wharfie(["export", "-o", "cc.tar", "cc"]).ok();
    assert_eq!(engine.sh("stat -c %a cc.tar; ls -A | grep -c tar"), "600\n1");
    assert_eq!(
        engine.sh("tar -tvf cc.tar --numeric-owner | awk '$6 ~ /^(f|g|p|(bound|mem|proc|dev)\\/.*|bin\\/true)$/ {print $1, $2, $6, $8}'"),
        "drwxr-xr-x 0/0 bound/ \ndrwxr-xr-x 0/0 dev/ \n-rws------ 5/6 f \nhrws------ 5/6 g to\ndrwxr-xr-x 0/0 mem/ \nprw-r--r-- 0/0 p \ndrwxr-xr-x 0/0 proc/ "
    );
    // In the order of names, without a dot before them.
    engine.sh("tar -tf cc.tar > names; head -n 1 names | grep -qx bin/; wharfie export cc | cmp - cc.tar");
    engine.sh("wharfie import cc.tar again:1");
    assert_eq!(engine.wharfie(["run", "--rm", "again:1", "cat", "/g"]).ok(), "mine");
    engine.wharfie(["kill", "cc"]).ok();
    engine.wharfie(["wait", "cc"]).ok();
    engine.sh("wharfie container export cc > stopped.tar; tar -tf stopped.tar | cmp - names");
    engine.wharfie(["rm", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn mistakes() {
    let engine = engine();
    engine.wharfie(["create", "--name", "cc", "busybox"]).ok();
    let mut terminal = engine.terminal(["export", "cc"]);
    terminal.expect("cowardly refusing to save to a terminal. Use the -o flag or redirect");
    assert_eq!(terminal.wait(), 1);
    let nowhere = engine.wharfie(["export", "-o", "/nope/x", "cc"]);
    assert!(nowhere.fails(1).starts_with("failed to export container: invalid output path: "), "{nowhere:?}");
    let missing = engine.wharfie(["export", "-o", "f", "nope"]);
    assert!(
        missing.fails(1).starts_with("Error response from daemon: No such container: nope"),
        "{missing:?}"
    );
    assert_eq!(engine.sh("ls"), "");
    engine.wharfie(["rm", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn containers_of_others() {
    let engine = engine();
    let image = "docker.io/library/busybox:latest";
    engine.ctr(["run", "-d", "--null-io", image, "theirs", "sh", "-c", "echo 1 > /one; sleep 1000"]).ok();
    engine.sh("until test \"$(wharfie export theirs | tar -xO one 2>/dev/null)\" = 1; do :; done");
    engine.wharfie(["rm", "-f", "theirs"]).ok();
    engine.assert_clean();
}
