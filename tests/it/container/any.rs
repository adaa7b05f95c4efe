//! Every verb on containers of every origin: one table, one container each of ours, nerdctl's, ctr's and a pod's.

use std::cell::RefCell;
use std::fmt::Write;

use super::{BUSYBOX, engine};
use crate::call::Output;
use crate::engine::TestEngine;

const IMAGE: &str = "docker.io/library/busybox:latest";
const SCRIPT: &str = "trap 'exit 3' TERM; echo hello; while :; do sleep 0.05; done";

/// A container that somebody made.
struct Made {
    origin: &'static str,
    /// What a user types.
    reference: String,
    /// Whether wharfie can read its log, and start it again.
    logs: bool,
    ours: bool,
    /// What a kubelet's needs.
    force: &'static [&'static str],
}

/// One of each, running.
fn one_of_each(engine: &TestEngine) -> Vec<Made> {
    let line = ["run", "-d", "--name", "mine", "-p", "127.0.0.1:8080:80", BUSYBOX, "sh", "-c", SCRIPT];
    engine.wharfie(line).ok();
    let id = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    let directory = format!("/var/lib/nerdctl/1935db59/containers/default/{id}");
    engine.sh(&format!(
        "mkdir -p {directory}; echo '{{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-02T03:04:05Z\"}}' > {directory}/{id}-json.log"
    ));
    let run = |labels: &[&str], id: &str| {
        let labels = labels.iter().flat_map(|label| ["--label", *label]);
        let line = ["run", "-d", "--null-io"].into_iter().chain(labels);
        engine.ctr(line.chain([IMAGE, id, "sh", "-c", SCRIPT])).ok();
    };
    run(&["nerdctl/name=theirs", "nerdctl/namespace=default", &format!("nerdctl/state-dir={directory}")], id);
    run(&[], "plain");
    run(
        &[
            "io.cri-containerd.kind=container",
            "io.kubernetes.pod.name=web",
            "io.kubernetes.pod.namespace=shop",
            "io.kubernetes.container.name=app",
        ],
        "podded",
    );
    let made = |origin, reference: &str, logs, ours, force| Made {
        origin,
        reference: reference.into(),
        logs,
        ours,
        force,
    };
    vec![
        made("wharfie", "mine", true, true, &[]),
        made("nerdctl", "theirs", true, false, &[]),
        made("ctr", "plain", false, false, &[]),
        made("cri", "podded", false, false, &["--force"]),
    ]
}

#[test]
fn every_verb_on_every_origin() {
    let engine = engine();
    let all = one_of_each(&engine);
    assert_eq!(engine.wharfie(["ps", "-q"]).ok().lines().count(), all.len());
    // What each verb must say: in place of a difference, its words.
    let wrong = RefCell::new(String::new());
    for one in &all {
        let reference = one.reference.as_str();
        let check = |line: &[&str], expected: Result<&str, &str>| {
            let output: Output = engine.wharfie(line.to_vec());
            let well = match expected {
                Ok(words) => output.code == 0 && output.stdout.contains(words),
                Err(words) => output.code == 1 && output.stderr.contains(words),
            };
            if !well {
                let _ = writeln!(
                    wrong.borrow_mut(),
                    "{}: {line:?} should tell {expected:?}: {output:?}",
                    one.origin
                );
            }
        };
        let state = ["inspect", "-f", "{{.State.Status}}", reference];
        check(&["ps", "--format", "{{.ID}} {{.Names}} {{.State}}"], Ok("running"));
        check(&state, Ok("running"));
        check(&["inspect", "--mode", "native", reference], Ok("\"Spec\""));
        let log = if one.logs { Ok("hello") } else { Err("keeps no log that can be read") };
        check(&["logs", reference], log);
        check(&["exec", reference, "echo", "inside"], Ok("inside"));
        check(&["top", reference], Ok("sh -c"));
        check(&["port", reference], Ok(if one.ours { "80/tcp -> 127.0.0.1:8080" } else { "" }));
        check(&["stats", "--no-stream", "--format", "{{.PIDs}} {{.MemUsage}}", reference], Ok("iB / "));
        let with = |verb: &[&'static str]| -> Vec<String> {
            let words = verb.iter().chain(one.force).chain([&reference]).map(|word| (*word).to_owned());
            words.collect()
        };
        let forced = |verb: &[&'static str], expected: Result<&str, &str>| {
            let line = with(verb);
            let line: Vec<&str> = line.iter().map(String::as_str).collect();
            check(&line, expected);
        };
        forced(&["update", "--pids-limit", "50"], Ok(reference));
        forced(&["pause"], Ok(reference));
        check(&state, Ok("paused"));
        check(&["unpause", reference], Ok(reference));
        check(&["inspect", "-f", "{{.HostConfig.PidsLimit}}", reference], Ok("50"));
        let renamed = match one.origin {
            "wharfie" => Ok(""),
            "nerdctl" => Err("nerdctl made it and keeps its name in files of its own"),
            "ctr" => Err("it has an id but no name"),
            _ => Err("that a kubelet manages"),
        };
        check(&["rename", reference, "another"], renamed);
        if one.ours {
            check(&["rename", "another", reference], Ok(""));
        }
        if !one.ours {
            let refused =
                if one.force.is_empty() { "was not made by wharfie" } else { "that a kubelet manages" };
            check(&["restart", reference], Err(refused));
            check(&state, Ok("running"));
        }
        check(&["rm", reference], Err(if one.force.is_empty() { "container is running" } else { "kubelet" }));
        forced(&["kill", "-s", "WINCH"], Ok(reference));
        let wait = engine.call(["wait", reference]).spawn();
        // It has asked long before the next command does.
        engine.sh(&format!(
            "until ls -l /proc/$(pgrep -fx 'wharfie wait {reference}')/fd 2>/dev/null | grep -q socket; do sleep 0.02; done"
        ));
        forced(&["stop", "-t", "600"], Ok(reference));
        assert_eq!(wait.wait().ok(), "3", "{}", one.origin);
        check(&["ps", "-a", "-q", "--filter", &format!("id={reference}")], Ok(""));
        check(&["pause", reference], Err(if one.force.is_empty() { "is not running" } else { "kubelet" }));
        check(
            &["stats", "--no-stream", "--format", "{{.CPUPerc}} {{.MemUsage}}", reference],
            Ok("0.00% 0B / 0B"),
        );
        check(&["system", "df"], Ok("Containers"));
        forced(&["rm"], Ok(reference));
        check(&["inspect", reference], Err(reference));
    }
    let wrong = wrong.into_inner();
    assert!(wrong.is_empty(), "{wrong}");
    engine.sh("rm -rf /var/lib/nerdctl");
    engine.assert_clean();
}
