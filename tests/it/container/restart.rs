//! `restart`, and the restart policies.

use super::{BUSYBOX, engine, inside, sleeper};

#[test]
fn by_the_user() {
    let engine = engine();
    let id = sleeper(&engine, &["--name", "box", "-p", "8080:80", "-v", "/data"]);
    inside(&engine, "box", "echo kept > /data/file; echo kept > /file");
    let pid = || {
        engine
            .ctr(["tasks", "ls"])
            .ok()
            .lines()
            .find(|line| line.starts_with(&id))
            .unwrap()
            .split_whitespace()
            .nth(1)
            .unwrap()
            .to_owned()
    };
    let before = pid();
    assert_eq!(engine.wharfie(["restart", "box"]).ok(), "box");
    assert_ne!(pid(), before);
    assert_eq!(inside(&engine, "box", "cat /data/file /file"), "kept\nkept");
    assert_eq!(engine.wharfie(["ps", "--format", "{{.Ports}}"]).ok(), "0.0.0.0:8080->80/tcp");
    engine.wharfie(["stop", "box"]).ok();
    let some = engine.wharfie(["restart", "-t", "0", "nobody", "box"]);
    assert!(some.fails(1).contains("No such container: nobody"), "{some:?}");
    assert_eq!(some.stdout, "box\n", "one that does not run is started");
    engine.wharfie(["rm", "-fv", "box"]).ok();
    // --rm does not take it between the two.
    sleeper(&engine, &["--rm", "--name", "once", "-v", "/data"]);
    engine.wharfie(["restart", "-t", "0", "once"]).ok();
    inside(&engine, "once", "test -d /data");
    engine.wharfie(["stop", "-t", "0", "once"]).ok();
    engine.assert_clean();
}

#[test]
fn by_policy() {
    let engine = engine();
    let status = |name: &str| {
        engine
            .wharfie(["ps", "-a", "--filter", &format!("name=^{name}$"), "--format", "{{.Status}}"])
            .ok()
            .to_owned()
    };
    let logged = |name: &str, lines: usize| {
        engine.sh(&format!("until test $(wharfie logs {name} | wc -l) -ge {lines}; do sleep 0.02; done"));
    };
    let start = |name: &str, policy: &str, script: &str| {
        engine.wharfie(["run", "-d", "--name", name, "--restart", policy, BUSYBOX, "sh", "-c", script]).ok();
    };
    start("failing", "on-failure:2", "echo run; exit 3");
    start("good", "on-failure", "echo run; exit 0");
    start("never", "no", "echo run; exit 3");
    start("always", "always", "echo run; exit 0");
    start("unless", "unless-stopped", "echo run; sleep 0.2; exit 1");
    logged("failing", 3);
    logged("always", 3);
    logged("unless", 3);
    engine.sh("until wharfie ps -a --filter name=failing --format '{{.Status}}' | grep -q '^Exited (3)'; do sleep 0.05; done");
    assert_eq!(engine.wharfie(["logs", "failing"]).ok().lines().count(), 3, "twice more and then not");
    for name in ["good", "never"] {
        assert_eq!(engine.wharfie(["logs", name]).ok(), "run", "{name}");
        assert!(status(name).starts_with("Exited ("), "{}", status(name));
    }
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.RestartCount}}", "failing"]).ok(), "2");
    // docker's back-off: 100 ms, twice as long each time. The fifth run is not before 1.5 s.
    logged("always", 5);
    let times = engine.wharfie(["logs", "-t", "always"]).ok().to_owned();
    let seconds: Vec<f64> = times
        .lines()
        .take(5)
        .map(|line| line.split(' ').next().unwrap())
        .map(|time| {
            let (_, clock) = time.split_once('T').unwrap();
            clock
                .trim_end_matches('Z')
                .split(':')
                .fold(0.0, |sum, part| sum * 60.0 + part.parse::<f64>().unwrap())
        })
        .collect();
    let gaps: Vec<f64> = seconds.windows(2).map(|pair| (pair[1] - pair[0]).rem_euclid(86400.0)).collect();
    for (gap, least) in gaps.iter().zip([0.1, 0.2, 0.4, 0.8]) {
        assert!(*gap >= least && *gap < least + 2.0, "{gaps:?}");
    }
    // The user's stop is the last word, in every state.
    engine.wharfie(["stop", "-t", "1", "always", "unless"]).ok();
    let before = engine.sh("wharfie logs always; wharfie logs unless");
    engine.sh("sleep 2.5");
    assert_eq!(engine.sh("wharfie logs always; wharfie logs unless"), before);
    for name in ["always", "unless"] {
        assert!(status(name).starts_with("Exited ("), "{}", status(name));
    }
    // Also for one that has never ended before, whose policy would start it again at once.
    sleeper(&engine, &["--name", "calm", "--restart", "always"]);
    engine.wharfie(["stop", "calm"]).ok();
    engine.sh("sleep 0.7");
    assert!(status("calm").starts_with("Exited ("), "{}", status("calm"));
    engine.wharfie(["rm", "calm"]).ok();
    // A signal from inside is no wish of the user's; `kill` is.
    let script = "echo run; while :; do sleep 0.05; done";
    start("long", "always", script);
    logged("long", 1);
    engine
        .ctr([
            "tasks",
            "kill",
            "-s",
            "KILL",
            engine.wharfie(["ps", "-q", "--no-trunc", "--filter", "name=long"]).ok(),
        ])
        .ok();
    logged("long", 2);
    engine.sh("until wharfie ps --filter name=long | grep -q Up; do sleep 0.02; done");
    engine.wharfie(["kill", "long"]).ok();
    engine.sh(
        "until wharfie ps -a --filter name=long | grep -q 'Exited (137)'; do sleep 0.02; done; sleep 1.5",
    );
    assert_eq!(engine.wharfie(["logs", "long"]).ok().lines().count(), 2);
    let both = engine.wharfie(["run", "--rm", "--restart", "always", BUSYBOX]);
    assert!(
        both.fails(125).contains("conflicting options: cannot specify both --restart and --rm"),
        "{both:?}"
    );
    let invalid = engine.wharfie(["run", "--restart", "sometimes", BUSYBOX]);
    assert!(invalid.fails(125).contains("sometimes"), "{invalid:?}");
    engine.wharfie(["rm", "-f", "failing", "good", "never", "always", "unless", "long"]).ok();
    engine.assert_clean();
}
