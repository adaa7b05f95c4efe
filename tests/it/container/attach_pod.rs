//! `attach` to a kubelet's containers: their input, their terminal, and the log where there is neither.

use crate::cri::{self, Wanted};
use crate::engine::TestEngine;

const ECHO: &str =
    "echo ready; while read line; do echo got $line; echo warn $line >&2; done; echo over; exit 4";

/// The words of `wharfie attach` to a container of a pod.
fn attach(container: &str) -> [&str; 4] {
    ["-n", "k8s.io", "attach", container]
}

fn wait_for_log(engine: &TestEngine, text: &str) {
    engine.sh(&format!("until grep -q '{text}' /var/log/pods/web/app.log; do sleep 0.02; done"));
}

#[test]
fn input_that_ends_alone() {
    let engine = cri::engine();
    // The ticks tell when a client has arrived.
    let script = format!("(while sleep 0.1; do echo tick; done) & {ECHO}");
    let wanted = Wanted { script: &script, stdin: true, stdin_once: true, ..Wanted::default() };
    let pod = cri::pod_with(&engine, &wanted);
    let watcher = engine.call(["-n", "k8s.io", "attach", "--no-stdin", &pod.container]).spawn();
    let mut first = engine.call(attach(&pod.container)).open_stdin().spawn();
    for client in [&watcher, &first] {
        client.expect("tick\n");
    }
    first.send("one\n");
    for client in [&watcher, &first] {
        client.expect("got one\n");
    }
    first.send("two\n");
    first.close();
    let (first, watcher) = (first.wait(), watcher.wait());
    assert_eq!((first.code, watcher.code), (4, 4), "{first:?} {watcher:?}");
    for output in [&first, &watcher] {
        assert!(output.stdout.contains("over\n"), "the output goes on when the input has ended: {output:?}");
        assert_eq!(output.stderr, "warn one\nwarn two\n");
    }
    // The kubelet's log has every line: nobody has read in containerd's place.
    for line in
        ["stdout F got one", "stderr F warn one", "stdout F got two", "stderr F warn two", "stdout F over"]
    {
        wait_for_log(&engine, line);
    }
    cri::remove(&engine, &pod);
}

#[test]
fn input_that_stays_open() {
    let engine = cri::engine();
    let pod = cri::pod_with(&engine, &Wanted { script: ECHO, stdin: true, ..Wanted::default() });
    wait_for_log(&engine, "ready");
    let first = engine.call(attach(&pod.container)).stdin("one\n").spawn();
    first.expect("got one\n");
    let mut second = engine.call(attach(&pod.container)).open_stdin().spawn();
    second.send("two\n");
    first.expect("got two\n");
    // Ctrl-C is not for a kubelet's container, unless it is asked for.
    second.signal(rustix::process::Signal::INT);
    assert_eq!(second.wait().code, 130);
    assert_eq!(engine.wharfie(["-n", "k8s.io", "ps", "-q"]).ok().lines().count(), 1);
    cri::remove(&engine, &pod);
    assert_eq!(first.wait().code, 137);
}

#[test]
fn a_terminal() {
    let engine = cri::engine();
    let pod =
        cri::pod_with(&engine, &Wanted { script: "exec sh", stdin: true, tty: true, ..Wanted::default() });
    let mut shell = engine.terminal(attach(&pod.container));
    shell.send("\n");
    shell.expect("/ # ");
    assert!(shell.is_raw());
    shell.send("until stty size | grep '24 80'; do sleep 0.05; done; x=kept; ls /nowhere\n");
    shell.expect("\n24 80");
    shell.expect("No such file");
    shell.resize(40, 100);
    shell.send("until stty size | grep '40 100'; do sleep 0.05; done\n");
    shell.expect("\n40 100");
    shell.send([16]);
    shell.send([17]);
    assert_eq!(shell.wait(), 0);
    assert!(!shell.is_raw());
    let mut again = engine.terminal(attach(&pod.container));
    again.send("echo it is $x\n");
    again.expect("it is kept");
    again.send("exit 6\n");
    assert_eq!(again.wait(), 6);
    cri::remove(&engine, &pod);
}

#[test]
fn without_input_the_log_is_followed() {
    let engine = cri::engine();
    let script = "trap 'exit 3' TERM; while :; do echo tick; sleep 0.05; done";
    let pod = cri::pod_with(&engine, &Wanted { script, ..Wanted::default() });
    let client = engine.call(attach(&pod.container)).open_stdin().spawn();
    client.expect("tick\ntick\n");
    engine.wharfie(["-n", "k8s.io", "stop", "--force", &pod.container]).ok();
    let output = client.wait();
    assert_eq!((output.code, output.stderr.as_str()), (3, ""), "{output:?}");
    cri::remove(&engine, &pod);
}

#[test]
fn cri_that_does_not_serve() {
    // Streams over TLS, with a certificate that containerd makes for itself.
    let engine = cri::engine_with("enable_tls_streaming = true\n");
    let script =
        "while read line; do echo $line; done & trap 'exit 3' TERM; while :; do echo tick; sleep 0.05; done";
    let pod = cri::pod_with(&engine, &Wanted { script, stdin: true, ..Wanted::default() });
    let client = engine.call(attach(&pod.container)).open_stdin().spawn();
    client.expect("tick\n");
    engine.wharfie(["-n", "k8s.io", "stop", "--force", &pod.container]).ok();
    let output = client.wait();
    assert_eq!(output.code, 3, "{output:?}");
    assert!(
        output.stderr.contains("serves streams over TLS") && output.stderr.contains("input is not possible"),
        "{output:?}"
    );
    cri::remove(&engine, &pod);
}
