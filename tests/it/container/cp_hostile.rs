//! `cp` against those who would use it: containers and archives that want out.

use std::fs;

use super::{engine, inside, sleeper};
use crate::images::{Entry, hostile_tar};

#[test]
fn archives_stay_within() {
    let engine = engine();
    sleeper(&engine, &["--name", "cc"]);
    inside(&engine, "cc", "mkdir /d; ln -s /etc /d/inner; ln -s / /d/root");
    let copy = |entries: &[Entry<'_>]| engine.call(["cp", "-", "cc:/d"]).stdin(hostile_tar(entries)).run();
    for entry in [Entry::File("../../escaped", b"x"), Entry::Hardlink("twin", "../../../etc/passwd")] {
        let refused = copy(&[entry]);
        assert!(refused.fails(1).contains("is outside of \"/d\""), "{refused:?}");
    }
    // A link leads where it would lead the container, and no further.
    copy(&[
        Entry::Symlink("away", "/../../../../etc"),
        Entry::File("away/through", b"1"),
        Entry::File("inner/inner", b"2"),
        Entry::File("root/../up", b"3"),
        Entry::File("/absolute", b"4"),
        Entry::Hardlink("away/twin", "/d/absolute"),
    ]);
    assert_eq!(inside(&engine, "cc", "cat /etc/through /etc/inner /d/up /d/absolute"), "1234");
    engine.sh("test ! -e /etc/through -a ! -e /etc/inner -a ! -e /escaped");
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn nothing_is_read_or_written_outside() {
    let engine = engine();
    let secret = engine.directory().join("secret");
    fs::write(&secret, "host").unwrap();
    sleeper(&engine, &["--name", "cc"]);
    inside(
        &engine,
        "cc",
        &format!(
            "mkdir /d; ln -s {0} /d/secret; ln -s ../../../../../..{0} /d/up; ln -s /proc/1/root{0} /d/magic; \
             ln -s {1} /d/dir; mknod /d/dev c 1 5; mkfifo /d/fifo; ln -s /proc/self/exe /d/exe; \
             truncate -s 1099511627776 /d/sparse; printf end >> /d/sparse",
            secret.display(),
            engine.directory().display()
        ),
    );
    for path in ["cc:/d/secret/", "cc:/d/dir/secret", "cc:/d/dir/", "cc:/d/magic/", "cc:/d/up/."] {
        let output = engine.wharfie(["cp", path, "stolen"]);
        assert!(output.code == 1, "{output:?}");
    }
    for path in ["cc:/d/secret", "cc:/d/up", "cc:/d/magic", "cc:/d/exe"] {
        let output = engine.wharfie(["cp", "-L", path, "stolen"]);
        assert!(output.fails(1).contains("Could not find the file"), "{output:?}");
    }
    engine.sh("echo mine > f");
    for path in ["cc:/d/dir/secret", "cc:/d/secret"] {
        let output = engine.wharfie(["cp", "f", path]);
        assert!(output.fails(1).contains("Could not find the file"), "{output:?}");
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), "host");
    // A terabyte of holes takes no time, a FIFO stops nobody, and no device appears on this machine.
    let copied = engine.wharfie(["cp", "cc:/d", "."]);
    assert_eq!(copied.ok(), "");
    assert!(copied.stderr.contains("d/dev is a device: not copied"), "{copied:?}");
    assert_eq!(
        engine.sh("test ! -e d/dev; stat -c %s d/sparse; tail -c 3 d/sparse; echo; du -k d/sparse | cut -f 1; readlink d/secret"),
        format!("1099511627779\nend\n4\n{}", secret.display())
    );
    // What is put over a link that is there already replaces it, and does not go through it.
    engine.sh("mkdir -p over/d; ln -s ../../victim over/d/file; echo safe > victim");
    inside(&engine, "cc", "rm -r /d; mkdir /d; echo new > /d/file");
    engine.wharfie(["cp", "cc:/d", "over"]).ok();
    assert_eq!(engine.sh("cat victim over/d/file; test ! -L over/d/file"), "safe\nnew");
    engine.sh("rm -r over/d; ln -s /etc over/d");
    let through = engine.wharfie(["cp", "cc:/d", "over"]);
    assert!(through.fails(1).starts_with("cannot overwrite non-directory"), "{through:?}");
    engine.sh("test ! -e /etc/file; rm -rf d over");
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn a_race_with_links_leads_nowhere() {
    let engine = engine();
    let outside = engine.directory().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("f"), "host").unwrap();
    sleeper(&engine, &["--name", "cc"]);
    // The container exchanges a directory for a link to a path that means something else outside.
    let swap = format!(
        "mkdir -p /r/a; echo guest > /r/a/f; ln -s {} /r/b; cd /r; while :; do mv a t; mv b a; mv a b; mv t a; done",
        outside.display()
    );
    engine.wharfie(["exec", "-d", "cc", "sh", "-c", &swap]).ok();
    engine.sh("echo mine > f; until wharfie exec cc test -L /r/b -o -L /r/a; do :; done");
    for _ in 0..40 {
        // Whether it is found depends on the moment; what is found is the guest's.
        let _ = engine.wharfie(["cp", "cc:/r/a/f", "got"]);
        engine.sh("rm -rf gotten");
        let _ = engine.wharfie(["cp", "cc:/r/a", "gotten"]);
        let _ = engine.wharfie(["cp", "f", "cc:/r/a/f"]);
    }
    assert_eq!(fs::read_to_string(outside.join("f")).unwrap(), "host");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(
        engine.sh("test -L gotten && rm gotten; cat got gotten/f 2>/dev/null | grep -c host || :"),
        "0"
    );
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn a_link_in_a_volume_brings_no_file_of_this_machine() {
    let engine = engine();
    fs::write(engine.directory().join("secret"), "host").unwrap();
    engine.wharfie(["run", "--rm", "-v", "vol:/v", "busybox", "mkdir", "/v/sub"]).ok();
    sleeper(&engine, &["--name", "cc", "--mount", "type=volume,src=vol,dst=/s,volume-subpath=sub"]);
    let link = format!("rm -r /v/sub; ln -s {} /v/sub", engine.directory().display());
    engine.wharfie(["run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", &link]).ok();
    let output = engine.wharfie(["cp", "cc:/s/secret", "stolen"]);
    assert!(output.code == 1 && engine.sh("ls").is_empty(), "{output:?}");
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.sh("rm -rf /var/lib/wharfie/*/*/volumes/*");
    engine.assert_clean();
}
