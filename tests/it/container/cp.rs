//! `cp`: what goes where, in docker's words. The expectations were taken from docker 28 with this very script's
//! commands.

use super::{engine, inside, sleeper};
use crate::engine::TestEngine;

/// What both sides have: on this machine `src` with a file of others, a link and a directory; in the container
/// `/d` with the same, and `/ld` that leads there.
const HERE: &str = "mkdir -p src/sub; echo x > src/f; echo y > src/sub/g; ln -s f src/l; chown 1000:1001 src/f; chmod 4755 src/f";
const THERE: &str = "mkdir -p /d/e; echo 1 > /d/a; ln -s a /d/l; chown 5:6 /d/a; chmod 4755 /d/a; mkfifo /d/fifo; ln -s /d /ld; ln /d/a /d/h";

fn prepared(flags: &[&str]) -> TestEngine {
    let engine = engine();
    engine.sh(HERE);
    sleeper(&engine, &[&["--name", "cc"], flags].concat());
    inside(&engine, "cc", THERE);
    engine
}

/// Each line: the arguments, the exit code, what stderr begins with.
#[track_caller]
fn check(engine: &TestEngine, cases: &[(&str, i32, &str)]) {
    for (line, code, said) in cases {
        let output = engine.wharfie(["cp", "-q=false"].into_iter().chain(line.split(' ')));
        assert!(output.code == *code && output.stderr.starts_with(said), "{line}: {output:?}");
    }
}

#[test]
fn into_a_container() {
    let engine = prepared(&[]);
    check(
        &engine,
        &[
            ("src/f cc:/d/", 0, "Successfully copied 2.05kB to cc:/d/\n"),
            ("src/f cc:/d/nope/", 1, "no such directory\n"),
            (
                "src/f cc:/nope/x",
                1,
                "Error response from daemon: Could not find the file /nope in container cc\n",
            ),
            ("src cc:/d/a", 1, "cannot copy directory\n"),
            ("src cc:/ne", 0, "Successfully copied 4.61kB to cc:/ne\n"),
            ("src/. cc:/d", 0, "Successfully copied 4.61kB to cc:/d\n"),
            ("src/l cc:/d/ll", 0, "Successfully copied 1.54kB to cc:/d/ll\n"),
            ("-L src/l cc:/d/lf", 0, "Successfully copied 2.05kB to cc:/d/lf\n"),
            ("src/f cc:e2", 0, "Successfully copied 2.05kB to cc:e2\n"),
            ("src/f cc:/ld", 0, "Successfully copied 2.05kB to cc:/d\n"),
            ("src cc:/ld", 0, "Successfully copied 4.61kB to cc:/d\n"),
            ("src/f/ cc:/ld", 1, "not a directory\n"),
            ("-a src/f cc:/af", 0, "Successfully copied 2.05kB to cc:/af\n"),
            ("nope cc:/", 1, "lstat "),
            ("src/nope/x cc:/ld", 1, "lstat "),
            ("src/f cc:/d/e", 0, "Successfully copied 2.05kB to cc:/d/e\n"),
            ("src/f cc:", 1, "no such directory\n"),
            ("src/f cc:.", 0, "Successfully copied 2.05kB to cc:.\n"),
            ("- cc:/d/a", 1, "destination \"cc:/d/a\" must be a directory\n"),
            ("- cc:/nope", 1, "destination \"cc:/nope\" must be a directory\n"),
            ("src/f cc:/d/a/x", 1, ""),
            ("cc:/d cc:/e", 1, "copying between containers is not supported\n"),
            ("a b", 1, "must specify at least one container source\n"),
            ("src/f nope:/x", 1, "Error response from daemon: No such container: nope\n"),
        ],
    );
    assert_eq!(engine.call(["cp", "", "cc:/"]).run().fails(1), "source can not be empty");
    // docker keeps the numbers of who owns the files here, with -a and without.
    let stat = "stat -c '%n %a %u:%g' /d/f /af /ne/f /e2 /d/e/f /d/src/sub/g; readlink /d/ll; stat -c %F /d/lf; cat /d/lf";
    assert_eq!(
        inside(&engine, "cc", stat),
        "/d/f 4755 1000:1001\n/af 4755 1000:1001\n/ne/f 4755 1000:1001\n/e2 4755 1000:1001\n/d/e/f 4755 1000:1001\n/d/src/sub/g 644 0:0\nf\nregular file\nx"
    );
    // Without a terminal it says nothing.
    assert_eq!(engine.wharfie(["cp", "src/f", "cc:/q"]).stderr, "");
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn out_of_a_container() {
    let engine = prepared(&[]);
    check(
        &engine,
        &[
            ("cc:/d out", 0, "Successfully copied "),
            ("cc:/d out", 0, "Successfully copied "),
            ("cc:/d/. out2", 0, "Successfully copied "),
            ("cc:/d/a out3/", 1, "no such directory\n"),
            ("cc:/nope .", 1, "Error response from daemon: Could not find the file /nope in container cc\n"),
            ("cc:/d src/f", 1, "cannot copy directory\n"),
            ("cc:/ld .", 0, "Successfully copied 1.54kB to "),
            ("-L cc:/ld lout", 0, "Successfully copied "),
            ("cc:/ld/ out5", 0, "Successfully copied "),
            ("cc:/d/a out", 0, "Successfully copied 2.05kB to "),
            ("cc:/d/fifo out/ff", 0, "Successfully copied 1.54kB to "),
            ("cc:/etc/passwd/ x", 1, "Error response from daemon: lstat /etc/passwd/: not a directory\n"),
            (
                "cc:/proc/version x",
                1,
                "Error response from daemon: Could not find the file /proc/version in container cc\n",
            ),
            (
                "cc:/d/a /dev/null",
                1,
                "invalid output path: \"/dev/null\" must be a directory or a regular file: got a device\n",
            ),
            ("cc:/d/a /nope/x", 1, "invalid output path: directory \"/nope\" does not exist\n"),
            ("-a cc:/d/a kept", 0, "Successfully copied 2.05kB to "),
            ("nope:/d x", 1, "Error response from daemon: No such container: nope\n"),
        ],
    );
    let here =
        engine.sh("readlink ld; find out out2 out5 lout kept | sort | xargs stat -c '%n %F %a %u:%g %h'");
    assert_eq!(
        here,
        "/d\n\
         kept regular file 4755 5:6 1\n\
         lout directory 755 0:0 3\nlout/a regular file 755 0:0 2\nlout/e directory 755 0:0 2\nlout/fifo fifo 644 0:0 1\nlout/h regular file 755 0:0 2\nlout/l symbolic link 777 0:0 1\n\
         out directory 755 0:0 4\nout/a regular file 755 0:0 1\nout/d directory 755 0:0 3\nout/d/a regular file 755 0:0 2\nout/d/e directory 755 0:0 2\nout/d/fifo fifo 644 0:0 1\nout/d/h regular file 755 0:0 2\nout/d/l symbolic link 777 0:0 1\n\
         out/e directory 755 0:0 2\nout/ff fifo 644 0:0 1\nout/fifo fifo 644 0:0 1\nout/h regular file 755 0:0 1\nout/l symbolic link 777 0:0 1\n\
         out2 directory 755 0:0 3\nout2/a regular file 755 0:0 2\nout2/e directory 755 0:0 2\nout2/fifo fifo 644 0:0 1\nout2/h regular file 755 0:0 2\nout2/l symbolic link 777 0:0 1\n\
         out5 directory 755 0:0 3\nout5/a regular file 755 0:0 2\nout5/e directory 755 0:0 2\nout5/fifo fifo 644 0:0 1\nout5/h regular file 755 0:0 2\nout5/l symbolic link 777 0:0 1"
    );
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn tar_streams() {
    let engine = prepared(&[]);
    let listed = |path: &str| {
        engine.sh(&format!(
            "wharfie cp {path} - | tar -tv --numeric-owner | awk '{{print $1, $2, $6, $7, $8, $9}}'"
        ))
    };
    assert_eq!(
        listed("cc:/d"),
        "drwxr-xr-x 0/0 d/   \n-rwsr-xr-x 5/6 d/a   \ndrwxr-xr-x 0/0 d/e/   \nprw-r--r-- 0/0 d/fifo   \nhrwsr-xr-x 5/6 d/h link to d/a\nlrwxrwxrwx 0/0 d/l -> a "
    );
    assert!(listed("cc:/d/.").starts_with("drwxr-xr-x 0/0 ./   \n-rwsr-xr-x 5/6 ./a"));
    assert_eq!(listed("cc:/d/a"), "-rwsr-xr-x 5/6 a   ");
    assert_eq!(listed("cc:/ld"), "lrwxrwxrwx 0/0 ld -> /d ");
    assert!(listed("cc:/ld/").starts_with("drwxr-xr-x 0/0 ld/   \n-rwsr-xr-x 5/6 ld/a"));
    assert!(listed("cc:/").starts_with("drwxr-xr-x 0/0 /   \n"));
    // In again, plain and in gzip, with owners, and through a link of the container.
    engine.sh("tar -C src -c . | wharfie cp - cc:/d/e; tar -C src -cz sub | wharfie cp - cc:/ld");
    assert_eq!(
        inside(&engine, "cc", "stat -c '%n %a %u:%g' /d/e/f /d/sub/g; readlink /d/e/l"),
        "/d/e/f 4755 1000:1001\n/d/sub/g 644 0:0\nf"
    );
    assert_eq!(engine.call(["cp", "-", "cc:/d"]).stdin("").run().ok(), "");
    let noise = engine.call(["cp", "-", "cc:/d"]).stdin(vec![b'x'; 1000]).run();
    assert!(noise.fails(1).contains("corrupt or truncated"), "{noise:?}");
    // docker's rule for what is there already.
    engine.sh("mkdir -p t/a; wharfie cp cc:/d - | wharfie cp - cc:/");
    let refused = engine.sh("tar -C t -c a | wharfie cp - cc:/d 2>&1 || echo $?");
    assert!(
        refused.starts_with(
            "Error response from daemon: cannot overwrite non-directory \"/d/a\" with directory \"/d\""
        ),
        "{refused}"
    );
    engine.wharfie(["rm", "-f", "cc"]).ok();
    engine.assert_clean();
}

#[test]
fn mounts_and_read_only_roots() {
    let engine = engine();
    engine.sh("mkdir -p bind/sub; echo b > bind/b; echo f > f; chown 7:8 f");
    let bind = engine.directory().join("home/bind").display().to_string();
    let (writable, read_only) = (format!("{bind}:/w"), format!("{bind}:/r:ro"));
    let mounts = ["-v", &writable, "-v", &read_only, "-v", "vol:/vol", "--tmpfs", "/tm"];
    sleeper(&engine, &[&["--name", "ro", "--read-only"], &mounts[..]].concat());
    let read_only_root = "Error response from daemon: container rootfs is marked read-only\n";
    let read_only_volume = "Error response from daemon: mounted volume is marked read-only\n";
    check(
        &engine,
        &[
            ("f ro:/", 1, read_only_root),
            ("f ro:/w/", 0, "Success"),
            ("f ro:/vol/", 0, "Success"),
            ("f ro:/r/", 1, read_only_volume),
            ("f ro:/w/sub/../../r/x", 1, read_only_volume),
            ("f ro:/tm/x", 1, read_only_root),
            ("ro:/w/b .", 0, "Success"),
            ("ro:/vol/f vf", 0, "Success"),
            ("ro:/etc/hosts hosts", 0, "Success"),
        ],
    );
    // A file that is mounted can be written, not replaced.
    sleeper(&engine, &["--name", "cc"]);
    check(&engine, &[("f cc:/etc/hosts", 0, "Success")]);
    assert_eq!(inside(&engine, "cc", "cat /etc/hosts"), "f");
    assert_eq!(engine.sh("cat bind/f vf; stat -c %u:%g bind/f; grep -q localhost hosts"), "f\nf\n7:8");
    // One that was never started has its volumes all the same, and their places are made.
    engine
        .wharfie(["create", "--name", "st", "-v", &format!("{bind}:/new/dir"), "-v", "two:/two", "busybox"])
        .ok();
    check(
        &engine,
        &[
            ("st:/new/dir/b fromst", 0, "Success"),
            ("f st:/two/", 0, "Success"),
            ("f st:/two/g", 0, "Success"),
            ("f st:/etc/f", 0, "Success"),
        ],
    );
    assert_eq!(engine.sh("cat fromst"), "b");
    assert_eq!(
        engine.sh("wharfie run --rm -v two:/t busybox sh -c 'cat /t/f /t/g'; wharfie start -a st; wharfie cp st:/etc/f - | tar -xO"),
        "f\nf\nf"
    );
    engine.wharfie(["rm", "-f", "ro", "cc", "st"]).ok();
    engine.sh("rm -rf /var/lib/wharfie/*/*/volumes/*");
    engine.assert_clean();
}

#[test]
fn out_of_an_image() {
    let engine = engine();
    engine.accept();
    engine.sh("wharfie cp busybox:latest:/etc/passwd .; wharfie cp busybox:/bin/. bin; test -s passwd -a -x bin/busybox");
    assert!(engine.sh("wharfie cp docker.io/library/busybox:latest:/etc - | tar -t").starts_with("etc/\n"));
    let missing = engine.wharfie(["cp", "busybox:latest:/nope", "."]);
    assert!(
        missing
            .fails(1)
            .starts_with("Error response from daemon: Could not find the file /nope in image busybox:latest"),
        "{missing:?}"
    );
    let refused = engine.wharfie(["cp", "passwd", "busybox:latest:/etc/"]);
    assert!(refused.fails(1).contains("cannot copy into the image"), "{refused:?}");
    engine.assert_clean();
    // Killed in the middle, it leaves nothing that the next command does not take.
    let mut copying =
        engine.program("sh", ["-c", "wharfie cp busybox:latest:/ - | (echo ready; sleep 1000)"]).spawn();
    copying.expect("ready");
    engine.sh("until wharfie_view=$(ctr snapshots ls | grep View); do sleep 0.01; done; pkill -KILL -x wharfie || pkill -KILL -f '^wharfie cp'");
    engine.sh("ctr snapshots ls | grep View; ctr leases ls | grep wharfie-view");
    engine.wharfie(["create", "--name", "next", "busybox"]).ok();
    engine.wharfie(["rm", "next"]).ok();
    copying.signal(rustix::process::Signal::KILL);
    copying.close();
    drop(copying);
    engine.sh("pkill -KILL sleep || :");
    engine.assert_clean();
}

#[test]
fn containers_of_others() {
    let engine = engine();
    let image = "docker.io/library/busybox:latest";
    engine.ctr(["run", "-d", "--null-io", image, "theirs", "sleep", "1000"]).ok();
    engine.sh("echo f > f; wharfie cp f theirs:/etc/f; wharfie cp theirs:/etc/f g; cat g");
    assert_eq!(engine.wharfie(["exec", "theirs", "cat", "/etc/f"]).ok(), "f");
    engine.wharfie(["kill", "theirs"]).ok();
    engine.wharfie(["wait", "theirs"]).ok();
    engine.sh("wharfie cp f theirs:/etc/h; wharfie cp theirs:/etc/h h; cat h");
    engine.wharfie(["rm", "-f", "theirs"]).ok();
    engine.assert_clean();
}
