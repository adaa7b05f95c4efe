//! The companion process of a container: small, and independent of the file that started it.

use std::fs;

use super::{BUSYBOX, engine};

#[test]
fn it_outlives_the_program_that_started_it_and_stays_small() {
    let engine = engine();
    // A copy of the program takes the place of the link, is used, and deleted.
    engine.sh("cp --remove-destination $(readlink -f $(command -v wharfie)) /run/another");
    let script = "mkfifo /go; while read x < /go; do echo got $x; done";
    engine
        .program(
            "/run/another",
            [
                "run",
                "-d",
                "--name",
                "box",
                "--restart",
                "on-failure",
                "-p",
                "8080:80",
                BUSYBOX,
                "sh",
                "-c",
                script,
            ],
        )
        .run()
        .ok();
    engine.program("/run/another", ["run", "-d", "-i", "--name", "in", BUSYBOX, "cat"]).run().ok();
    engine.sh("rm /run/another");
    engine.sh(
        "until wharfie exec box test -p /go; do sleep 0.02; done; wharfie exec box sh -c 'echo one > /go'",
    );
    engine.sh("until wharfie logs box | grep -q 'got one'; do sleep 0.02; done");

    let monitors: Vec<u32> = engine
        .world()
        .processes()
        .into_iter()
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| String::from_utf8_lossy(&line).contains("__monitor"))
        })
        .collect();
    assert_eq!(monitors.len(), 2);
    for pid in &monitors {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert!(
            program.starts_with("/var/lib/wharfie") && !program.display().to_string().contains("deleted"),
            "{program:?}"
        );
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let of = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        // This is a build without optimisation, whose code pages alone are several megabytes: what is its own
        // is measured. The shipped program's whole size is checked by the benchmarks.
        assert!(of("RssAnon:") < 2048, "{status}");
    }
    // Its work at the end needs the program too: the restart, and the ports.
    engine.sh("wharfie exec box sh -c 'kill -9 -1' || :");
    engine
        .ctr([
            "tasks",
            "kill",
            "-s",
            "KILL",
            engine.wharfie(["ps", "-q", "--no-trunc", "--filter", "name=box"]).ok(),
        ])
        .ok();
    engine.sh("until wharfie ps --filter name=box --format '{{.Status}}' | grep -q Up && wharfie exec box true 2>/dev/null; do sleep 0.05; done");
    engine.wharfie(["rm", "-f", "box", "in"]).ok();
    engine.assert_clean();
}

#[test]
fn a_killed_client_leaves_the_clean_up_to_it() {
    let engine = engine();
    let running = engine
        .call([
            "run",
            "--rm",
            "--name",
            "box",
            "-v",
            "/data",
            "-p",
            "8080:80",
            BUSYBOX,
            "sh",
            "-c",
            "echo ready; sleep 1000",
        ])
        .spawn();
    running.expect("ready");
    running.signal(rustix::process::Signal::KILL);
    running.wait();
    assert_eq!(engine.wharfie(["ps", "--format", "{{.Names}}"]).ok(), "box", "the container goes on");
    engine.wharfie(["kill", "box"]).ok();
    engine.assert_clean();
}
