//! What is done in and to containers.

use std::fs;

use serde_json::Value;

use super::{call, crictl, engine, make, message};
use crate::cri::{self, Wanted};

#[test]
fn crictl_executes_commands() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let id = pod.container.as_str();
    assert_eq!(crictl(&engine, ["exec", id, "echo", "-n", "hello"]).ok(), "hello");
    assert_eq!(call(&engine, ["exec", "-i", id, "cat"]).stdin("typed\n").run().ok(), "typed");
    let both = crictl(&engine, ["exec", &id[..13], "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((both.ok(), both.stderr.as_str()), ("out", "err\n"));
    let failed = crictl(&engine, ["exec", id, "sh", "-c", "exit 3"]);
    assert_eq!(
        message(failed.fails(1)),
        format!("execing command in container {id}: command terminated with exit code 3")
    );
    let sync = crictl(&engine, ["exec", "-s", id, "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(sync.stdout, "out\n\nerr\n\n");
    sync.ok();
    let failed = crictl(&engine, ["exec", "--sync", id, "sh", "-c", "echo why >&2; exit 4"]);
    assert_eq!(
        message(failed.fails(1)),
        format!(
            "execing command in container {id} synchronously: command 'sh -c echo why >&2; exit 4' exited with 4: why\n"
        )
    );
    let filtered = crictl(&engine, ["exec", "--name", "^app", "echo", "hi"]);
    assert_eq!(filtered.ok(), format!("{id}:\nhi"));
    assert_eq!(crictl(&engine, ["exec", "-q", "--latest", "echo", "hi"]).ok(), "hi");
    let ignored = crictl(&engine, ["exec", "-e", id, "false"]);
    assert!(ignored.stderr.contains("level=warning"), "{ignored:?}");
    ignored.ok();
    let missing = crictl(&engine, ["exec", "feedbeef", "true"]);
    assert_eq!(
        message(missing.fails(1)),
        "execing command in container feedbeef: rpc error: code = NotFound desc = an error occurred when try to find \
         container \"feedbeef\": not found"
    );
    let tty = crictl(&engine, ["exec", "-t", id, "true"]);
    assert!(message(tty.fails(1)).ends_with("tty=true must be specified with interactive=true"), "{tty:?}");
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_gives_a_command_a_terminal() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let mut terminal = engine.terminal_of("crictl", ["exec", "-it", &pod.container, "sh"]);
    terminal.send("stty size; exit\n");
    terminal.expect("24 80");
    assert_eq!(terminal.wait(), 0);
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_attaches() {
    let engine = engine();
    let wanted =
        Wanted { script: "read line; echo got $line", stdin: true, stdin_once: true, ..Wanted::default() };
    let pod = cri::pod_with(&engine, &wanted);
    let attached = call(&engine, ["attach", "-i", &pod.container]).stdin("words\n").run();
    assert_eq!(attached.ok(), "got words");
    let ended = crictl(&engine, ["attach", &pod.container]);
    assert_eq!(
        message(ended.fails(1)),
        "attaching running container failed: rpc error: code = Unknown desc = container is in CONTAINER_EXITED state"
    );
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_reads_logs() {
    let engine = engine();
    // Two streams keep no order between them: the second is written to when the first has arrived.
    let script = "for i in 1 2 3; do echo line $i; done; until [ -e /go ]; do sleep 0.05; done; echo oops >&2; \
                  while :; do sleep 0.05; done";
    let pod = cri::pod_with(&engine, &Wanted { script, ..Wanted::default() });
    let id = pod.container.as_str();
    engine.sh(&format!("until crictl logs {id} 2>&1 | grep -q 'line 3'; do sleep 0.05; done"));
    crictl(&engine, ["exec", id, "touch", "/go"]).ok();
    engine.sh(&format!("until crictl logs {id} 2>&1 | grep -q oops; do sleep 0.05; done"));
    let all = crictl(&engine, ["logs", id]);
    assert_eq!((all.ok(), all.stderr.as_str()), ("line 1\nline 2\nline 3", "oops\n"));
    let last = crictl(&engine, ["logs", "--tail=2", id]);
    assert_eq!((last.ok(), last.stderr.as_str()), ("line 3", "oops\n"));
    assert_eq!(crictl(&engine, ["logs", "-s", "stderr", id]).stdout, "");
    assert_eq!(crictl(&engine, ["logs", "--limit-bytes", "8", id]).stdout, "line 1\nl");
    let timed = crictl(&engine, ["logs", "-t", "--tail", "1", id]);
    assert!(timed.stderr.starts_with("20") && timed.stderr.ends_with(" oops\n"), "{timed:?}");
    assert_eq!(crictl(&engine, ["logs", "--since", "2099-01-01T00:00:00Z", id]).ok(), "");
    let reopened = crictl(&engine, ["logs", "--reopen", "--tail", "0", id]);
    assert!(reopened.stderr.contains("Container logs reopened"), "{reopened:?}");
    let followed = call(&engine, ["logs", "-f", id]).spawn();
    followed.expect("line 3");
    crictl(&engine, ["stop", id]).ok();
    assert_eq!(followed.wait().code, 0);
    let previous = crictl(&engine, ["logs", "--previous", id]);
    assert_eq!(message(previous.fails(1)), "previous terminated container app not found");
    // What crictl's own rm does: the log goes with its container.
    assert_eq!(crictl(&engine, ["rm", id]).ok(), id);
    assert!(engine.sh("ls /var/log/pods/web").is_empty());
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_stops_and_removes() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let running = crictl(&engine, ["rm", &pod.container]);
    assert_eq!(
        message(running.fails(1)),
        format!("container \"{}\" is running, please stop it first", pod.container)
    );
    let running = crictl(&engine, ["rmp", &pod.sandbox]);
    assert_eq!(
        message(running.fails(1)),
        format!("pod sandbox \"{}\" is running, please stop it first", pod.sandbox)
    );
    let both = crictl(&engine, ["stop", "-a", "x"]);
    assert_eq!(both.fails(1), "cannot specify CONTAINER-ID(s) when using --all");
    assert_eq!(crictl(&engine, ["stop", "--timeout", "5", "--all"]).ok(), pod.container);
    assert_eq!(crictl(&engine, ["stop", "-a"]).ok(), "No running containers found.");
    assert_eq!(crictl(&engine, ["stopp", &pod.sandbox]).ok(), format!("Stopped sandbox {}", pod.sandbox));
    assert_eq!(crictl(&engine, ["rm", "-a"]).ok(), pod.container);
    assert!(crictl(&engine, ["rm", "-a"]).stderr.contains("msg=\"No containers to remove\""));
    assert_eq!(crictl(&engine, ["rmp", "-a"]).ok(), format!("Removed sandbox {}", pod.sandbox));
    assert!(crictl(&engine, ["rmp", "--all"]).stderr.contains("msg=\"No pods to remove\""));
    // A container that is not there counts as stopped from containerd 2 on.
    let gone = crictl(&engine, ["start", "nope", "nope2"]);
    let lead = "starting the container \"nope\": rpc error: code = NotFound desc = ";
    assert!(message(gone.fails(1)).starts_with(lead), "{gone:?}");
    engine.assert_clean();
}

#[test]
fn crictl_measures() {
    let engine = engine();
    let script = "while :; do :; done";
    let pod = cri::pod_with(&engine, &Wanted { script, ..Wanted::default() });
    let stats = crictl(&engine, ["stats"]);
    let table = stats.ok().strip_prefix("\u{1b}[2J\u{1b}[H").expect("a cleared screen");
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["CONTAINER", "NAME", "CPU", "%", "MEM", "DISK", "INODES", "SWAP"]
    );
    let row: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(row[..2], [&pod.container[..13], "app"]);
    assert!(row[2].parse::<f64>().unwrap() > 0.0, "{row:?}");
    let json: Value =
        serde_json::from_str(crictl(&engine, ["stats", "-o", "json", &pod.container]).ok()).unwrap();
    assert_eq!(json["stats"][0]["attributes"]["id"], pod.container.as_str());
    assert!(json["stats"][0]["cpu"]["usageCoreNanoSeconds"]["value"].is_string(), "{json}");
    let pods = crictl(&engine, ["statsp", "-o", "json"]);
    if pods.code == 0 {
        let json: Value = serde_json::from_str(pods.ok()).unwrap();
        assert_eq!(json["stats"][0]["attributes"]["id"], pod.sandbox.as_str());
    } else {
        assert!(
            pods.fails(1).contains("get pod stats: list pod sandbox stats: rpc error: code = "),
            "{pods:?}"
        );
    }
    assert_eq!(crictl(&engine, ["update", "--cpu-share", "512", &pod.container]).ok(), pod.container);
    let spec = crictl(&engine, ["inspect", &pod.container]).stdout;
    assert!(spec.contains("\"shares\": 512"), "{spec}");
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_tells_events() {
    let engine = engine();
    let events =
        call(&engine, ["events", "-o", "go-template", "--template", "{{.containerEventType}}"]).spawn();
    let probe = crictl(&engine, ["events", "-o", "xml"]);
    assert_eq!(message(probe.fails(1)), "don't support \"xml\" format");
    if engine.sh("containerd --version").contains(" 1.6.") {
        let refused = events.wait();
        assert!(
            message(refused.fails(1))
                .starts_with("getting container events: rpc error: code = Unimplemented")
        );
        return engine.assert_clean();
    }
    // containerd does not say when it begins to tell: pods come and go until one is told of.
    let pod = make::pod(&engine);
    let stop = engine.directory().join("stop");
    let script = format!(
        "until [ -e {} ]; do crictl -t 60s rmp -f $(crictl -t 60s runp {pod} 2>/dev/null); done",
        stop.display()
    );
    let pods = engine.program("bash", ["-c", &script]).spawn();
    events.expect("CONTAINER_DELETED_EVENT");
    fs::write(stop, "").unwrap();
    assert_eq!(pods.wait().code, 0);
    events.signal(rustix::process::Signal::INT);
    events.wait();
    engine.sh("rm -rf /var/log/pods/job");
    engine.assert_clean();
}

#[test]
fn crictl_wants_a_place_for_a_checkpoint() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let without = crictl(&engine, ["checkpoint", &pod.container]);
    assert!(message(without.fails(1)).ends_with("Use --export=/path/to/checkpoint.tar"), "{without:?}");
    let archive = engine.directory().join("checkpoint.tar");
    let path = archive.to_str().unwrap();
    let refused = crictl(&engine, ["checkpoint", "-e", path, &pod.container]);
    // No CRIU here, and containerd 1.6 has no such call.
    assert!(
        message(refused.fails(1).lines().next().unwrap()).starts_with(&format!(
            "checkpointing the container \"{}\" failed: rpc error: code = ",
            pod.container
        )),
        "{refused:?}"
    );
    let _ = fs::remove_file(archive);
    cri::remove(&engine, &pod);
    engine.assert_clean();
}
