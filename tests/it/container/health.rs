//! Health checks: scheduled by the monitor, kept, shown, waited for.

use std::fs;

use serde_json::Value;

use super::{BUSYBOX, engine, sleeper};
use crate::engine::TestEngine;
use crate::images::Image;

/// State.Health of a container.
fn health(engine: &TestEngine, container: &str) -> Value {
    let json = engine.wharfie(["inspect", "--format", "{{json .State.Health}}", container]);
    serde_json::from_str(json.ok()).unwrap()
}

/// Until `inspect` says so of the container.
fn until(engine: &TestEngine, container: &str, status: &str) {
    engine.sh(&format!(
        "until wharfie inspect --format '{{{{.State.Health.Status}}}}' {container} | grep -qx {status}; do sleep 0.02; done"
    ));
}

/// `ps`'s column of one container.
fn shown(engine: &TestEngine, column: &str) -> String {
    engine.wharfie(["ps", "-a", "--format", &format!("{{{{.{column}}}}}")]).ok().to_owned()
}

#[test]
fn from_starting_to_healthy_to_unhealthy_and_back() {
    let engine = engine();
    sleeper(
        &engine,
        &[
            "--name",
            "box",
            "--health-cmd",
            "echo said; cat /ready",
            "--health-interval",
            "100ms",
            "--health-retries",
            "2",
            "--health-start-period",
            "100s",
            "--health-start-interval",
            "50ms",
        ],
    );
    // The start period lasts: failures are kept and do not count.
    engine
        .sh("until [ $(wharfie inspect --format '{{len .State.Health.Log}}' box) = 5 ]; do sleep 0.02; done");
    let starting = health(&engine, "box");
    assert_eq!((&starting["Status"], &starting["FailingStreak"]), (&"starting".into(), &0.into()));
    let entry = &starting["Log"][4];
    assert_eq!(entry["ExitCode"], 1);
    let output = entry["Output"].as_str().unwrap();
    assert!(output.contains("said\n") && output.contains("/ready"), "both streams: {output:?}");
    assert!(entry["Start"].as_str().unwrap() < entry["End"].as_str().unwrap(), "{entry}");
    assert!(shown(&engine, "Status").ends_with(" (health: starting)"), "{}", shown(&engine, "Status"));
    for (value, names) in [("starting", "box"), ("healthy", ""), ("none", "")] {
        let filter = format!("health={value}");
        assert_eq!(engine.wharfie(["ps", "--filter", &filter, "--format", "{{.Names}}"]).ok(), names);
    }

    engine.wharfie(["exec", "box", "touch", "/ready"]).ok();
    assert_eq!(engine.wharfie(["wait", "--condition", "healthy", "box"]).ok(), "healthy");
    assert!(shown(&engine, "Status").ends_with(" (healthy)"));
    assert_eq!(shown(&engine, "HealthStatus"), "healthy");
    // Once it was healthy the start period says nothing any more.
    engine.wharfie(["exec", "box", "rm", "/ready"]).ok();
    until(&engine, "box", "unhealthy");
    assert!(health(&engine, "box")["FailingStreak"].as_u64().unwrap() >= 2);
    assert!(shown(&engine, "Status").ends_with(" (unhealthy)"));
    engine.wharfie(["exec", "box", "touch", "/ready"]).ok();
    until(&engine, "box", "healthy");
    assert_eq!(health(&engine, "box")["FailingStreak"], 0);

    let kept = engine.sh("stat -c %a /var/lib/wharfie/*/default/containers/*/health.json");
    assert_eq!(kept.trim(), "600");
    // A frozen one is not checked.
    engine.wharfie(["pause", "box"]).ok();
    let paused = engine.wharfie(["healthcheck", "box"]);
    assert!(paused.fails(1).contains("container box is paused"), "{paused:?}");
    let before = health(&engine, "box")["Log"].clone();
    engine.sh("sleep 0.5");
    assert_eq!(health(&engine, "box")["Log"], before);
    engine.wharfie(["unpause", "box"]).ok();
    // One that has ended has no check that goes on.
    engine.wharfie(["stop", "box"]).ok();
    assert_eq!(health(&engine, "box")["Status"], "unhealthy", "docker's word for what is not checked");
    assert!(shown(&engine, "Status").starts_with("Exited (0)"));
    engine.sh("! pgrep -f [_]_healthcheck");
    let told = [
        "events",
        "--since",
        "1h",
        "--until",
        "0s",
        "--filter",
        "event=health_status",
        "--format",
        "{{.Action}}",
    ];
    let expected = ["healthy", "unhealthy", "healthy"].map(|status| format!("health_status: {status}"));
    assert_eq!(engine.wharfie(told).ok().lines().collect::<Vec<_>>(), expected);
    // The next start begins anew, with another monitor.
    engine.wharfie(["start", "--wait", "box"]).ok();
    assert_eq!(health(&engine, "box")["Status"], "healthy");
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn the_images_check_and_the_flags() {
    let engine = engine();
    let mut image = Image::busybox();
    image.config["Healthcheck"] =
        serde_json::json!({ "Test": ["CMD", "test", "-e", "/ok"], "Interval": 50_000_000, "Retries": 1 });
    engine.load_with_ctr("docker.io/library/checked:latest", &image);
    let run = |name: &str, flags: &[&str]| {
        let line = [&["run", "-d", "--name", name], flags, &["checked", "sleep", "1000"]].concat();
        engine.wharfie(line)
    };
    let settled = |name: &str| {
        let json = engine.wharfie(["inspect", "--format", "{{json .Config.Healthcheck}}", name]);
        serde_json::from_str::<Value>(json.ok()).unwrap()
    };
    run("plain", &[]).ok();
    assert_eq!(settled("plain"), image.config["Healthcheck"]);
    until(&engine, "plain", "unhealthy");
    let failed = engine.wharfie(["wait", "--condition", "healthy", "plain"]);
    assert!(failed.fails(1).contains("container plain is unhealthy"), "{failed:?}");
    assert!(failed.stderr.contains("its last check ended with 1"), "{failed:?}");

    run("other", &["--health-cmd", "true", "--health-timeout", "7s", "--wait"]).ok();
    assert_eq!(
        settled("other"),
        serde_json::json!({ "Test": ["CMD-SHELL", "true"], "Interval": 50_000_000, "Timeout": 7_000_000_000_i64, "Retries": 1 })
    );
    run("off", &["--no-healthcheck", "--wait"]).ok();
    assert_eq!(settled("off")["Test"], serde_json::json!(["NONE"]));
    assert_eq!(health(&engine, "off"), Value::Null);
    assert_eq!(engine.wharfie(["inspect", "--format", "{{.State.Status}}", "off"]).ok(), "running");
    assert!(engine.wharfie(["healthcheck", "off"]).fails(1).contains("container off has no health check"));
    assert_eq!(engine.wharfie(["ps", "--filter", "health=none", "--format", "{{.Names}}"]).ok(), "off");
    engine.wharfie(["rm", "-f", "plain", "other", "off"]).ok();
    engine.assert_clean();
}

#[test]
fn one_at_once_and_waiting_for_it() {
    let engine = engine();
    let flags =
        ["--health-cmd", "echo checked; test -e /ok", "--health-interval", "1h", "--health-retries", "1"];
    sleeper(&engine, &[&["--name", "box"], &flags[..]].concat());
    let late = engine.wharfie(["wait", "--condition", "healthy", "--timeout", "300ms", "box"]);
    assert!(late.fails(1).contains("gave up waiting for container box after 300ms"), "{late:?}");
    engine.wharfie(["exec", "box", "touch", "/ok"]).ok();
    let waiting = engine.call(["wait", "--condition", "healthy", "box"]).spawn();
    assert_eq!(engine.wharfie(["container", "healthcheck", "box"]).ok(), "checked");
    assert_eq!(waiting.wait().ok(), "healthy");
    engine.wharfie(["exec", "box", "rm", "/ok"]).ok();
    engine.wharfie(["container", "healthcheck", "box"]).fails(1);
    assert_eq!(health(&engine, "box")["Status"], "unhealthy", "one failure is enough here");
    engine.wharfie(["stop", "box"]).ok();
    assert!(engine.wharfie(["healthcheck", "box"]).fails(1).contains("container box is exited"));
    let ended = engine.wharfie(["wait", "--condition", "healthy", "box"]);
    assert!(ended.fails(1).contains("container box exited (0)"), "{ended:?}");

    // What is waited for beside health, by who comes long before it.
    for (condition, flag) in [("next-exit", "--tty"), ("removed", "--rm")] {
        engine.wharfie(["rm", "box"]).ok();
        let line = ["run", "-d", flag, "--name", "box", BUSYBOX, "sh", "-c", "sleep 3; exit 9"];
        engine.wharfie(line).ok();
        assert_eq!(engine.wharfie(["wait", "--condition", condition, "box"]).ok(), "9", "{condition}");
    }
    let crash = engine.wharfie([
        "run",
        "-d",
        "--wait",
        "--name",
        "crash",
        "--health-cmd",
        "true",
        BUSYBOX,
        "sh",
        "-c",
        "sleep 0.2; exit 3",
    ]);
    assert!(crash.fails(1).contains("container crash exited (3)"), "{crash:?}");
    engine.wharfie(["rm", "crash"]).ok();
    engine.assert_clean();
}

#[test]
fn a_check_that_hangs_is_killed_with_what_it_started() {
    let engine = engine();
    let flags = [
        "--health-cmd",
        "yes | head -c 10000; sleep 7654 & sleep 7654",
        "--health-interval",
        "50ms",
        "--health-timeout",
        "300ms",
        "--health-retries",
        "2",
    ];
    sleeper(&engine, &[&["--name", "box"], &flags[..]].concat());
    until(&engine, "box", "unhealthy");
    let last = &health(&engine, "box")["Log"][0];
    assert_eq!(last["ExitCode"], -1);
    let output = last["Output"].as_str().unwrap();
    assert!(output.starts_with("Health check exceeded timeout (300ms): y\ny\n"), "{output:?}");
    assert!(output.ends_with("...") && output.len() < 4200, "{} bytes", output.len());
    // The monitor serves all the same, and of each check nothing is left but the one that runs.
    assert_eq!(engine.wharfie(["exec", "box", "echo", "here"]).ok(), "here");
    engine.wharfie(["logs", "box"]).ok();
    let left = engine.wharfie(["exec", "box", "sh", "-c", "ps | grep -c '[s]leep 7654' || :"]);
    assert!(left.ok().trim().parse::<u32>().unwrap() <= 2, "{left:?}");
    // A command that is not there is told.
    engine.wharfie(["rm", "-f", "box"]).ok();
    let mut image = Image::busybox();
    image.config["Healthcheck"] =
        serde_json::json!({ "Test": ["CMD", "no-such-thing"], "Interval": 50_000_000 });
    engine.load_with_ctr("docker.io/library/broken:latest", &image);
    engine.wharfie(["run", "-d", "--name", "box", "broken", "sleep", "1000"]).ok();
    until(&engine, "box", "unhealthy");
    let last = &health(&engine, "box")["Log"][0];
    assert!(last["ExitCode"] == -1 && last["Output"].as_str().unwrap().contains("no-such-thing"), "{last}");
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}

#[test]
fn the_monitor_stays_small_and_a_killed_one_is_replaced() {
    let engine = engine();
    let flags = ["--health-cmd", "true", "--health-interval", "50ms"];
    sleeper(&engine, &[&["--name", "box"], &flags[..]].concat());
    engine
        .sh("until [ $(wharfie inspect --format '{{len .State.Health.Log}}' box) = 5 ]; do sleep 0.02; done");
    let monitor = engine.sh("pgrep -f __monitor").trim().to_owned();
    let status = fs::read_to_string(format!("/proc/{}/status", outside(&engine, "__monitor"))).unwrap();
    let anonymous = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kilobytes: u64 = anonymous.trim().trim_end_matches(" kB").parse().unwrap();
    // As in the monitor's own test: what is its own is measured, in a build without optimisation.
    assert!(kilobytes < 2048, "{status}");
    engine.sh(&format!("kill -9 {monitor}"));
    engine.wharfie(["restart", "-t", "0", "box"]).ok();
    assert_eq!(engine.wharfie(["wait", "--condition", "healthy", "box"]).ok(), "healthy");
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}

/// The process id, as this test sees it, of the one process with this word in its command line.
fn outside(engine: &TestEngine, word: &str) -> u32 {
    let mut found = engine.world().processes().into_iter().filter(|pid| {
        fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(word))
    });
    found.next().unwrap()
}

#[test]
fn a_pause_comes_between_two_checks() {
    let engine = engine();
    sleeper(&engine, &["--name", "box", "--health-cmd", "true", "--health-interval", "1ms"]);
    // What runc starts would freeze half-made, and the shim, which waits for it, would answer nobody any more.
    for _ in 0..15 {
        engine.wharfie(["pause", "box"]).ok();
        assert!(shown(&engine, "Status").ends_with(" (Paused)"));
        engine.wharfie(["unpause", "box"]).ok();
    }
    engine.wharfie(["rm", "-f", "box"]).ok();
    engine.assert_clean();
}
