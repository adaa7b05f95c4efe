//! Where the programs come from, and what they see.

use super::{BARE, end, engine, target};

/// What a script sees that stands beside the container: its processes, its network, its name, its files.
const LOOK: &str = "cat $TARGET/mark; tr '\\0' ' ' </proc/1/cmdline; echo; hostname; \
    ip -o -4 addr show eth0 | grep -oE '[0-9.]+/[0-9]+'; readlink /proc/self/ns/ipc; id -u";

#[test]
fn a_container_without_a_shell_is_looked_at_with_any_programs() {
    let engine = engine();
    for flags in [&["-h", "bare"][..], &["-h", "bare", "--read-only", "-u", "1000", "--cap-drop", "ALL"]] {
        target(&engine, flags);
        let address = engine
            .wharfie([
                "inspect",
                "-f",
                "{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}",
                "web",
            ])
            .ok()
            .to_owned();
        let ipc = engine.sh("readlink /proc/$(wharfie inspect -f {{.State.Pid}} web)/ns/ipc");
        let seen = format!("of the target\n/sleep 1000 \nbare\n{address}\n{ipc}\n0");
        for (tools, told) in [
            (&[][..], "programs of this machine, read-only"),
            (&["--tools", "host"], "programs of this machine, read-only"),
            (&["--image", "busybox", "--pull", "never"], "programs from image busybox"),
            (&["--tools", "image"], "programs from image busybox"),
            (&["--tools", "toolbox"], "programs from /bin/busybox, read-only"),
        ] {
            let debug = engine.wharfie([&["debug"], tools, &["web", "--", "sh", "-c", LOOK]].concat());
            assert_eq!(debug.ok(), seen, "{debug:?}");
            assert_eq!(
                debug.stderr,
                format!("Beside web: {told}; its files are in $TARGET = /proc/1/root\n")
            );
        }
        engine.wharfie(["rm", "-f", "web"]).ok();
    }
    engine.assert_clean();
}

#[test]
fn a_directory_of_programs_is_enough() {
    let engine = engine();
    target(&engine, &[]);
    engine.sh("mkdir flat other tree tree/bin tree/etc; cp /bin/busybox flat; cp /bin/busybox other/sh
         printf '#!/bin/sh\\necho mine $1\\n' > flat/tool; chmod +x flat/tool; echo no > flat/readme
         cp /bin/busybox tree/bin/sh; echo root:x:0:0::/root:/bin/sh > tree/etc/passwd");
    let sh = |flags: &[&str], script: &str| {
        engine.wharfie([&["debug", "-q"], flags, &["web", "sh", "-c", script]].concat())
    };
    let seen = sh(
        &["--toolbox", "flat"],
        "tool x; cat /target/mark; ls /bin/readme || wc -c < /etc/hosts | grep -q .",
    );
    assert_eq!(seen.ok(), "mine x\nof the target", "{seen:?}");
    assert_eq!(sh(&["--toolbox", "other"], "read x < /target/mark; echo $x $0").ok(), "of the target sh");
    let tree = sh(&["--tools", "toolbox", "--toolbox", "tree"], "read x < /target/mark; echo $x $HOME");
    assert_eq!(tree.ok(), "of the target /root");
    // The shell is the default, fed from the standard input.
    let piped = engine.call(["debug", "web", "--toolbox", "flat"]).stdin("echo said; exit 3\n").run();
    assert_eq!((piped.stdout.as_str(), piped.code), ("said\n", 3), "{piped:?}");
    assert!(piped.stderr.contains("/home/flat, read-only; its files"), "{piped:?}");
    engine.sh("rm -r flat other tree");
    end(&engine);
}

#[test]
fn the_machine_is_not_written_to() {
    let engine = engine();
    target(&engine, &[]);
    let sh = |script: &str| engine.wharfie(["debug", "-q", "web", "--", "bash", "-c", script]);
    for path in ["/usr/x", "/etc/x", "/x", "/bin/x", "/opt/x", "/lib/x", "/target-x", "/etc/passwd"] {
        let refused = sh(&format!("echo x >> {path}"));
        assert!(refused.code != 0 && refused.stderr.contains("Read-only file system"), "{refused:?}");
    }
    assert!(sh("mount -o remount,rw /usr").code != 0);
    // Data is not even seen, and there is room for files of the session.
    let seen = sh("for d in /home /var/lib /srv /mnt; do test ! -e $d || echo $d; done; \
        echo x > /tmp/x; echo y > /root/y; cat /tmp/x /root/y; ls /");
    assert_eq!(seen.ok().lines().take(2).collect::<Vec<_>>(), ["x", "y"], "{seen:?}");
    // The target's files can be changed, as far as it can itself.
    assert_eq!(sh("echo new > $TARGET/new; cat $TARGET/new").ok(), "new");
    assert_eq!(engine.sh("wharfie cp web:/new - | tar -xO"), "new");
    // What is asked for is mounted.
    engine.sh("mkdir data; echo 1 > data/one");
    let told = engine.wharfie([
        "debug",
        "-q",
        "-v",
        "./data:/data",
        "web",
        "--",
        "sh",
        "-c",
        "cat /data/one; echo 2 > /data/two",
    ]);
    assert_eq!(told.ok(), "1");
    assert_eq!(engine.sh("cat data/two; rm -r data"), "2");
    end(&engine);
}

#[test]
fn users_capabilities_and_variables() {
    let engine = engine();
    target(&engine, &[]);
    let sh = |flags: &[&str], script: &str| {
        engine.wharfie([&["debug", "-q"], flags, &["web", "--", "sh", "-c", script]].concat())
    };
    // docker's set and SYS_PTRACE.
    let effective = "sed -n 's/CapEff:.0*//p' /proc/self/status";
    assert_eq!(sh(&[], effective).ok(), "a80c25fb");
    assert_eq!(sh(&["--cap-drop", "sys_ptrace"], effective).ok(), "a80425fb");
    assert_eq!(sh(&["--cap-add", "NET_ADMIN"], effective).ok(), "a80c35fb");
    assert!(sh(&["--privileged"], effective).ok().len() > 8);
    assert_eq!(sh(&["-u", "1000:1001"], "id -u; id -g").ok(), "1000\n1001");
    assert_eq!(sh(&["-w", "/tmp"], "pwd").ok(), "/tmp");
    assert_eq!(sh(&["-e", "A=b"], "echo $A [$OWN]").ok(), "b []");
    assert_eq!(
        sh(&["--target-env", "-e", "A=b"], "echo $A [$OWN] $PATH").ok(),
        format!("b [variable] {PATH}")
    );
    for (line, message) in [
        (&["--tools", "hammer", "web"][..], "invalid --tools: \"hammer\""),
        (&["--tools", "host", "--image", "x", "web"], "conflicting options: --tools host and --image"),
        (&["--toolbox", "x", "--image", "x", "web"], "conflicting options: --image and --toolbox"),
        (&["--toolbox", "nope", "web"], "nope: no such directory"),
        (&["--image", "nope", "--pull", "never", "web"], "No such image: nope"),
        (&["--image", "UPPER", "web"], "must be lowercase"),
        (&["-w", "x", "web"], "the working directory 'x' is invalid"),
        (&["--pull", "some", "web"], "invalid pull option: 'some'"),
        (&["nope"], "No such container: nope"),
        (&["-t", "web"], "stdin is not a terminal"),
    ] {
        let refused = engine.wharfie([&["debug"], line].concat());
        assert!(refused.fails(125).contains(message), "{refused:?}");
    }
    assert!(sh(&["--toolbox", "/etc"], "true").code == 127);
    assert_eq!(engine.wharfie(["debug", "-q", "web", "--", "nonsense"]).code, 127);
    assert_eq!(engine.wharfie(["debug", "-q", "web", "--", "/etc/passwd"]).code, 126);
    assert_eq!(sh(&[], "exit 42").code, 42);
    engine.wharfie(["stop", "-t", "0", "web"]).ok();
    let stopped = engine.wharfie(["debug", "web"]);
    assert!(stopped.fails(125).contains("container web is not running"), "{stopped:?}");
    assert!(stopped.stderr.contains("with `wharfie cp`"), "{stopped:?}");
    assert_eq!(engine.sh("wharfie cp web:/mark - | tar -xO"), "of the target");
    end(&engine);
}

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[test]
fn namespaces_that_the_target_shares() {
    let engine = engine();
    let sh = |script: &str| engine.wharfie(["debug", "-q", "web", "--", "sh", "-c", script]);
    // The machine's: its root is below the number that it has there.
    target(&engine, &["--pid", "host", "--network", "host", "--ipc", "host", "--uts", "host"]);
    let pid = engine.wharfie(["inspect", "-f", "{{.State.Pid}}", "web"]).ok().to_owned();
    assert_eq!(
        sh("echo $TARGET; cat $TARGET/mark; readlink /proc/self/ns/net /proc/self/ns/uts").ok(),
        format!(
            "/proc/{pid}/root\nof the target\n{}",
            engine.sh("readlink /proc/self/ns/net /proc/self/ns/uts")
        )
    );
    engine.wharfie(["rm", "-f", "web"]).ok();
    // Another container's.
    engine.wharfie(["run", "-d", "--name", "first", "--ipc", "shareable", "--dns", "192.0.2.9", BARE]).ok();
    target(
        &engine,
        &["--pid", "container:first", "--network", "container:first", "--ipc", "container:first"],
    );
    let seen = sh("cat $TARGET/mark; echo $TARGET | sed 's/[0-9][0-9]*/N/'; test $TARGET != /proc/1/root; \
        grep -o 192.0.2.9 /etc/resolv.conf; echo 1 > /dev/shm/one; cat /proc/1/root/dev/shm/one");
    assert_eq!(seen.ok(), "of the target\n/proc/N/root\n192.0.2.9\n1", "{seen:?}");
    engine.wharfie(["rm", "-f", "first"]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    // None at all.
    target(&engine, &["--network", "none"]);
    assert_eq!(
        sh("ip -o link | wc -l").ok(),
        engine.wharfie(["netns", "web", "sh", "-c", "ip -o link | wc -l"]).ok()
    );
    // Frozen, it can be looked at.
    engine.wharfie(["pause", "web"]).ok();
    let paused = engine.wharfie(["debug", "web", "--", "cat", "/target/mark"]);
    assert_eq!(paused.ok(), "of the target");
    assert!(paused.stderr.contains("web is paused"), "{paused:?}");
    end(&engine);
}

#[test]
fn it_traces_the_target_and_cannot_be_looked_into() {
    let engine = engine();
    engine
        .wharfie([
            "run",
            "-d",
            "--name",
            "web",
            "-u",
            "1000",
            "--cap-drop",
            "ALL",
            "busybox",
            "sleep",
            "1000",
        ])
        .ok();
    let script = "strace -o /tmp/trace -p 1 2>/tmp/told & until grep -q attached /tmp/told; do sleep 0.02; done; kill $!";
    engine.wharfie(["debug", "-q", "web", "--", "bash", "-c", script]).ok();
    engine.wharfie(["rm", "-f", "web"]).ok();
    // The target's root has fewer capabilities: what the session sees of this machine stays the session's.
    engine.wharfie(["run", "-d", "--name", "web", "busybox", "sleep", "1000"]).ok();
    let mut debug = engine
        .call(["debug", "-q", "web", "--", "sh", "-c", "echo at $$; read x; echo $x"])
        .open_stdin()
        .spawn();
    debug.expect("at ");
    let look = "for p in $(pidof sh); do ls /proc/$p/root/ /proc/$p/fd/ && exit 0; done; exit 5";
    let seen = engine.wharfie(["exec", "web", "/bin/busybox", "ash", "-c", look]);
    assert!(seen.code == 5 && seen.stderr.contains("ermission denied"), "{seen:?}");
    debug.send("done\n");
    debug.wait().ok();
    end(&engine);
}
