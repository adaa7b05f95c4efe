//! Logs of pods: their form, their files, their attempts.

use crate::cri::{self, SLEEPER, Spec, container, sandbox};

#[test]
fn logs_of_pods_are_read_over_files_and_attempts() {
    let engine = cri::engine();
    let web = Spec::new("shop", "web", "uid-1");
    let webs = sandbox(&engine, &web);
    let first = container(&engine, (&web, &webs), ("app", 0), "echo zero; echo err >&2; exit 1");
    cri::wait_for_end(&engine, &first);
    let second = container(
        &engine,
        (&web, &webs),
        ("app", 1),
        "trap 'exit 0' TERM; echo one; while :; do sleep 0.05; [ ! -e /more ] || { cat /more; rm /more; }; done",
    );
    let directory = format!("{}/app", web.logs());
    let wait_for = |file: &str, text: &str| {
        engine.sh(&format!("until grep -q '{text}' {directory}/{file}; do sleep 0.02; done"));
    };
    wait_for("1.log", "one");
    let logs = |line: &[&str]| engine.wharfie([&["logs"], line].concat()).ok().to_owned();
    // By the pod's name, by the container's, by its id; the attempt before, also when its record is gone.
    assert_eq!(logs(&["web"]), "one");
    assert_eq!(logs(&["shop/web/app"]), "one");
    assert_eq!(logs(&[&first]), "zero");
    let previous = engine.wharfie(["logs", "--previous", "web"]);
    assert_eq!((previous.ok(), previous.stderr.as_str()), ("zero", "err\n"));
    assert_eq!(logs(&["-p", &second]), "zero");
    cri::remove_container(&engine, &first);
    assert_eq!(engine.wharfie(["pod", "logs", "-p", "web"]).ok(), "zero");
    // containerd may write what came last by one stream before what came first by the other.
    let last = engine.wharfie(["logs", "-p", "--tail", "1", "web"]);
    assert!(matches!((last.ok(), last.stderr.as_str()), ("", "err\n") | ("zero", "")), "{last:?}");
    // Older files, one of them packed; parts are joined over the border.
    engine.sh(&format!(
        "cd {directory}
         echo '2026-01-01T00:00:00Z stdout F oldest' > 1.log.20260101-000000
         echo '2026-01-01T00:00:01Z stdout P long' >> 1.log.20260101-000000; gzip 1.log.20260101-000000
         {{ echo '2026-01-02T00:00:00Z stdout P  and'; echo '2026-01-02T00:00:00Z stderr F between'; \
            echo '2026-01-02T00:00:01Z stdout F  longer'; }} > 1.log.20260102-000000
         echo partial > 1.log.20260102-000000.tmp"
    ));
    assert_eq!(logs(&["web"]), "oldest\nlong and longer\none");
    assert_eq!(logs(&["--tail", "2", "web"]), " longer\none");
    assert_eq!(logs(&["--until", "2026-01-01T12:00:00Z", "-t", "web"]), {
        "2026-01-01T00:00:00.000000000Z oldest\n2026-01-01T00:00:01.000000000Z long and longer"
    });
    assert_eq!(logs(&["--since", "2026-01-02T00:00:00Z", "web"]), "one");
    // Followed over a rotation as a kubelet makes it, and into the next attempt.
    let follow = engine.call(["logs", "-f", "--tail", "1", "shop/web/app"]).spawn();
    follow.expect("one");
    engine.wharfie(["exec", "web", "sh", "-c", "echo two > /tmp/x; mv /tmp/x /more"]).ok();
    follow.expect("two");
    engine.sh(&format!("mv {directory}/1.log {directory}/1.log.20260103-000000"));
    cri::reopen_log(&engine, &second);
    engine.wharfie(["exec", "web", "sh", "-c", "echo three > /tmp/x; mv /tmp/x /more"]).ok();
    follow.expect("three");
    cri::stop_container(&engine, &second);
    container(&engine, (&web, &webs), ("app", 2), "echo four; sleep 1000");
    follow.expect("four");
    // Several containers at once, led by their names, without CRI.
    container(&engine, (&web, &webs), ("sidecar", 0), SLEEPER);
    engine.sh(&format!("until grep -q hello {}/sidecar/0.log; do sleep 0.02; done", web.logs()));
    engine.restart_without_cri();
    assert_eq!(logs(&["web"]), "app     | four\nsidecar | hello");
    assert_eq!(engine.wharfie(["pod", "logs", "web", "-c", "sidecar"]).ok(), "hello");
    assert!(engine.wharfie(["pod", "logs", "web", "-c", "none"]).fails(1).contains("app, sidecar"));
    let mut terminal = engine.terminal(["logs", "web"]);
    terminal.expect("hello");
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.screen().contains("\u{1b}[36mapp     | "), "{}", terminal.screen());
    cri::restart(&engine);
    // The end of the pod is the end of what is followed.
    cri::stop_sandbox(&engine, &webs);
    assert_eq!(follow.wait().ok(), "one\ntwo\nthree\nfour");
    cri::remove_sandboxes(&engine, &[&webs]);
    // Records gone, files there; the same without containerd.
    for _ in 0..2 {
        assert_eq!(engine.wharfie(["pod", "logs", "web", "-c", "app"]).ok(), "four");
        assert_eq!(
            engine.wharfie(["pod", "logs", "shop/web/app", "--previous"]).ok().lines().last(),
            Some("three")
        );
        engine.kill_containerd();
    }
    let read = engine.wharfie(["pod", "logs", "shop/web"]);
    assert_eq!(read.ok(), "app     | four\nsidecar | hello");
    assert!(read.stderr.contains("reading the files that a kubelet names"), "{read:?}");
    assert!(engine.wharfie(["pod", "logs", "none"]).fails(1).contains("No such pod: none"));
    engine.start_containerd();
    engine.assert_clean();
}
