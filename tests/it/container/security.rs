//! `run`: docker's defaults of what a container may do, and the flags that change them.

use std::fs;

use super::{BUSYBOX, engine, inside, run, sh, sleeper};

/// docker's fourteen capabilities.
const DEFAULT: &str = "00000000a80425fb";

#[test]
fn capabilities_and_privileges() {
    let engine = engine();
    let all = {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        status.lines().find_map(|line| line.strip_prefix("CapBnd:")).unwrap().trim().to_owned()
    };
    let bits = |name: &str, script_flags: &[&str]| {
        let output = sh(&engine, script_flags, "cat /proc/self/status");

        output.ok().lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    for (flags, effective) in [
        (&[][..], DEFAULT),
        (&["--cap-drop", "ALL"], "0000000000000000"),
        (&["--cap-drop", "all", "--cap-add", "NET_BIND_SERVICE"], "0000000000000400"),
        (&["--cap-add", "CAP_SYS_ADMIN"], "00000000a82425fb"),
        (&["--cap-drop", "MKNOD"], "00000000a00425fb"),
    ] {
        assert_eq!(bits("CapEff:", flags), effective, "{flags:?}");
        assert_eq!(bits("CapBnd:", flags), effective, "{flags:?}");
    }
    assert_eq!(bits("CapEff:", &["--privileged"]), all);
    assert_eq!(bits("CapEff:", &["-u", "nobody"]), "0000000000000000");
    assert_eq!(bits("CapBnd:", &["-u", "nobody"]), DEFAULT);
    let unknown = run(&engine, &["--cap-add", "NO_SUCH"], &["true"]);
    assert!(unknown.fails(125).contains("NO_SUCH"), "{unknown:?}");

    assert_eq!(bits("Seccomp:", &[]), "2");
    assert_eq!(bits("Seccomp:", &["--security-opt", "seccomp=unconfined"]), "0");
    assert_eq!(bits("Seccomp:", &["--privileged"]), "0");
    assert_eq!(bits("NoNewPrivs:", &[]), "0", "only when asked, as docker");
    assert_eq!(bits("NoNewPrivs:", &["--security-opt", "no-new-privileges"]), "1");
    // The filter does something: a forbidden call, and a profile of the user's own.
    assert!(sh(&engine, &[], "unshare -U true").fails(1).contains("Operation not permitted"));
    let profile = engine.directory().join("profile.json");
    fs::write(&profile, r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":1}]}"#).unwrap();
    let option = format!("seccomp={}", profile.display());
    assert!(
        sh(&engine, &["--security-opt", &option], "mkdir /x").fails(1).contains("Operation not permitted")
    );
    engine.assert_clean();
}

#[test]
fn what_is_masked_and_what_devices_there_are() {
    let engine = engine();
    // Kernels differ in what they have: what is there is empty.
    let masked = "for path in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/asound /proc/acpi /proc/scsi /sys/firmware; do
        test ! -f $path || test -z \"$(head -c1 $path)\" || echo $path; test ! -d $path || ls $path; done";
    assert_eq!(sh(&engine, &[], masked).ok(), "");
    let fixed = "for path in /proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger /sys; do
        test ! -e $path || grep -q \" $path [a-z]* ro,\" /proc/mounts || echo $path; done";
    assert_eq!(sh(&engine, &[], fixed).ok(), "");
    sh(
        &engine,
        &["--security-opt", "systempaths=unconfined"],
        "! grep -E ' /proc/(kcore|keys|timer_list|sys) ' /proc/mounts",
    )
    .ok();

    let devices = sh(&engine, &[], "ls /dev | tr '\\n' ' '").ok().to_owned();
    let devices: Vec<&str> = devices.split_whitespace().collect();
    for name in [
        "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    ] {
        assert!(devices.contains(&name), "/dev/{name} is missing: {devices:?}");
    }
    assert!(devices.len() <= 16, "and little else: {devices:?}");
    // The kernel refuses what was not granted, also where the node is made.
    assert!(sh(&engine, &[], "mknod /k c 1 2 && cat /k").fails(1).contains("Operation not permitted"));
    let granted = sh(
        &engine,
        &["--device", "/dev/null:/dev/nothing:rw"],
        "echo x > /dev/nothing && stat -c '%t %T' /dev/nothing",
    );
    assert_eq!(granted.ok(), "1 3");
    let absent = run(&engine, &["--device", "/dev/not-there"], &["true"]);
    assert!(absent.fails(127).contains("/dev/not-there"), "{absent:?}");
    let privileged: usize = sh(&engine, &["--privileged"], "ls /dev | wc -l").ok().parse().unwrap();
    assert!(privileged > devices.len(), "every device of the machine: {privileged}");
    sh(&engine, &["--privileged"], "mount -t tmpfs none /mnt || { mkdir /m && mount -t tmpfs none /m; }")
        .ok();
    engine.assert_clean();
}

#[test]
fn limits() {
    let engine = engine();
    // Version 2 and version 1 of control groups name their files differently.
    let read = |flags: &[&str], v2: &str, v1: &str| {
        let script = format!("cat /sys/fs/cgroup/{v2} 2>/dev/null || cat /sys/fs/cgroup/{v1}");
        sh(&engine, flags, &script).ok().to_owned()
    };
    assert_eq!(read(&["--memory", "64m"], "memory.max", "memory/memory.limit_in_bytes"), "67108864");
    assert_eq!(read(&["--cpus", "0.5"], "cpu.max", "cpu/cpu.cfs_quota_us").split(' ').next(), Some("50000"));
    assert_eq!(read(&["--pids-limit", "17"], "pids.max", "pids/pids.max"), "17");
    let forks = sh(&engine, &["--pids-limit", "5"], "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done");
    assert!(forks.code != 0 && forks.stderr.contains("fork"), "{forks:?}");
    assert_eq!(sh(&engine, &["--ulimit", "nofile=100:200"], "ulimit -n; ulimit -Hn").ok(), "100\n200");
    assert_eq!(sh(&engine, &["--ulimit", "core=0"], "ulimit -Hc").ok(), "0");
    assert_eq!(run(&engine, &["--oom-score-adj", "500"], &["cat", "/proc/self/oom_score_adj"]).ok(), "500");
    assert_eq!(
        sh(&engine, &["--cpuset-cpus", "0"], "grep Cpus_allowed_list /proc/self/status | cut -f2").ok(),
        "0"
    );
    for (flags, words) in [
        (["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        (["--cpus", "100000"], "Range of CPUs is from 0.01 to"),
        (["--ulimit", "nofile=2:1"], "ulimit soft limit must be less than or equal to hard limit: 2 > 1"),
        (["--cpuset-cpus", "999"], "Requested CPUs are not available"),
    ] {
        let output = run(&engine, &flags, &["true"]);
        assert!(output.fails(125).contains(words), "{output:?}");
    }
    engine.assert_clean();
}

#[test]
fn namespaces() {
    let engine = engine();
    let of_host = |kind: &str| engine.sh(&format!("readlink /proc/self/ns/{kind}")).trim().to_owned();
    let link = |flags: &[&str], kind: &str| {
        run(&engine, flags, &["readlink", &format!("/proc/self/ns/{kind}")]).ok().to_owned()
    };
    for kind in ["pid", "ipc", "uts", "net", "mnt"] {
        assert_ne!(link(&[], kind), of_host(kind), "{kind}");
    }
    for (flag, kind) in
        [("--pid=host", "pid"), ("--ipc=host", "ipc"), ("--uts=host", "uts"), ("--cgroupns=host", "cgroup")]
    {
        assert_eq!(link(&[flag], kind), of_host(kind), "{flag}");
    }
    sleeper(&engine, &["--name", "box"]);
    assert_eq!(link(&["--pid=container:box"], "pid"), inside(&engine, "box", "readlink /proc/self/ns/pid"));
    assert_eq!(sh(&engine, &[], "echo $$").ok(), "1");
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn an_init_reaps() {
    let engine = engine();
    let present = engine.sh("for p in /usr/bin/docker-init /usr/libexec/docker/docker-init /usr/bin/tini-static /usr/bin/tini /usr/bin/catatonit; do if [ -x $p ]; then echo $p; fi; done");
    let output = engine.wharfie(["run", "--rm", "--init", BUSYBOX, "sh", "-c", "echo $$; cat /proc/1/comm"]);
    if present.is_empty() {
        // A clear word, where this machine has no such program.
        assert!(output.fails(125).contains("--init"), "{output:?}");
    } else {
        assert!(output.ok().starts_with(|first: char| first != '1'), "{output:?}");
    }
    engine.assert_clean();
}
