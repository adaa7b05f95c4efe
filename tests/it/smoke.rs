//! The main job from end to end, in docker's words, flags and exit codes. The verbs' own tests go further.

use crate::engine::{BUSYBOX, TestEngine};
use crate::filter::filter;

fn with_busybox() -> TestEngine {
    let engine = TestEngine::new();
    engine.busybox();
    engine
}

#[test]
fn run_says_what_the_command_says_and_leaves_nothing() {
    let engine = with_busybox();
    let output = engine.wharfie(["run", "--rm", BUSYBOX, "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(
        (output.code, output.stdout.as_str(), output.stderr.as_str()),
        (0, "out\n", "err\n"),
        "{output:?}"
    );
    engine.assert_clean();
}

#[test]
fn exit_codes_are_dockers() {
    let engine = with_busybox();
    let run = |arguments: &[&str]| engine.wharfie(["run", "--rm"].iter().chain(arguments).copied());
    assert_eq!(run(&[BUSYBOX, "true"]).code, 0);
    assert_eq!(run(&[BUSYBOX, "sh", "-c", "exit 7"]).code, 7);
    assert_eq!(run(&[BUSYBOX, "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]).code, 137);
    assert!(run(&["--no-such-flag", BUSYBOX]).fails(125).contains("--no-such-flag"));
    assert!(run(&[BUSYBOX, "/etc/passwd"]).fails(126).contains("permission denied"));
    assert!(run(&[BUSYBOX, "no-such-command"]).fails(127).contains("executable file not found in $PATH"));
    engine.assert_clean();
}

#[test]
fn a_container_is_shown_entered_stopped_and_removed() {
    let engine = with_busybox();
    let script = "echo out; echo err >&2; exec sleep 1000";
    let run = engine.wharfie(["run", "-d", "--name", "web", BUSYBOX, "sh", "-c", script]);
    let id = run.ok();
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{run:?}");

    // The command's output may come after `run -d` is back.
    engine.call(["logs", "-f", "web"]).spawn().expect("out");
    engine.sh("until wharfie logs web 2>&1 | grep -q err; do sleep 0.02; done");
    let logs = engine.wharfie(["logs", "web"]);
    assert_eq!((logs.ok(), logs.stderr.as_str()), ("out", "err\n"));

    assert_eq!(
        engine.wharfie(["exec", "web", "sh", "-c", "echo in $HOSTNAME"]).ok(),
        format!("in {}", &id[..12])
    );
    assert_eq!(engine.wharfie(["exec", "web", "sh", "-c", "exit 9"]).code, 9);
    assert_eq!(engine.wharfie(["exec", "-i", "web", "cat"]).code, 0);
    assert_eq!(engine.call(["exec", "-i", "web", "cat"]).stdin("typed").run().ok(), "typed");

    assert_eq!(engine.wharfie(["stop", "-t", "1", "web"]).ok(), "web");
    assert_eq!(engine.wharfie(["wait", "web"]).ok(), "137");
    assert_eq!(engine.wharfie(["ps", "-q"]).ok(), "");
    assert_eq!(engine.wharfie(["ps", "-aq"]).ok(), &id[..12]);
    assert_eq!(engine.wharfie(["start", "web"]).ok(), "web");
    assert_eq!(engine.wharfie(["rm", "-f", "web"]).ok(), "web");
    assert_eq!(engine.wharfie(["ps", "-aq"]).ok(), "");
    engine.assert_clean();
}

#[test]
fn ps_prints_dockers_table_and_templates() {
    let engine = with_busybox();
    engine.wharfie(["run", "-d", "--name", "one", BUSYBOX, "sleep", "1000"]).ok();
    let table = filter(&engine.wharfie(["ps"]).stdout, engine.directory());
    assert_eq!(
        table,
        "CONTAINER ID IMAGE COMMAND CREATED STATUS PORTS NAMES\n<id> busybox:latest \"sleep 1000\" <age> ago Up <age> one"
    );
    let template = |text: &str| engine.wharfie(["ps", "--format", text]).ok().to_owned();
    assert_eq!(template("{{.Names}} {{.State}} {{.Image}}"), "one running busybox:latest");
    assert_eq!(template("table {{.Names}}\t{{.Image}}"), "NAMES     IMAGE\none       busybox:latest");
    let json: serde_json::Value = serde_json::from_str(&template("json")).expect("one JSON object a line");
    assert_eq!((&json["Names"], &json["State"]), (&"one".into(), &"running".into()));
    assert_eq!(engine.wharfie(["inspect", "-f", "{{.State.Status}} {{.Name}}", "one"]).ok(), "running /one");
}

#[test]
fn input_reaches_the_command_and_ends() {
    let engine = with_busybox();
    let cat = |input: &[u8]| engine.call(["run", "--rm", "-i", BUSYBOX, "cat"]).stdin(input).run();
    assert_eq!(cat(b"x\n").ok(), "x");
    assert_eq!(cat(b"").ok(), "");
    let long: String = (0..50_000).fold(String::new(), |text, number| text + &number.to_string() + "\n");
    assert!(cat(long.as_bytes()).stdout == long, "every byte comes back");
    engine.assert_clean();
}

#[test]
fn a_name_in_use_is_a_conflict() {
    let engine = with_busybox();
    let create = engine.wharfie(["create", "--name", "taken", BUSYBOX]);
    let id = create.ok();
    engine.accept();
    let again = engine.wharfie(["run", "--name", "taken", BUSYBOX]);
    let expected = format!("Conflict. The container name \"/taken\" is already in use by container \"{id}\"");
    assert!(again.fails(125).contains(&expected), "{again:?}");
    engine.assert_clean();
}

#[test]
fn many_commands_at_once_do_not_meet() {
    let engine = with_busybox();
    engine.sh(&format!("seq 60 | xargs -P 8 -I{{}} wharfie create --name many-{{}} {BUSYBOX} true"));
    assert_eq!(engine.wharfie(["ps", "-aq"]).ok().lines().count(), 60);
    engine.sh("wharfie ps -aq | xargs wharfie rm");
    engine.assert_clean();
}

#[test]
fn a_published_port_is_reached_from_the_host() {
    let engine = with_busybox();
    engine
        .wharfie([
            "run", "-d", "--name", "web", "-p", "8080:80", BUSYBOX, "httpd", "-f", "-p", "80", "-h", "/etc",
        ])
        .ok();
    assert_eq!(engine.wharfie(["port", "web"]).ok().lines().next(), Some("80/tcp -> 0.0.0.0:8080"));
    // httpd listens a moment after `run -d` is back.
    let fetch = "until curl -fsS --max-time 2 http://127.0.0.1:8080/passwd 2>/dev/null; do sleep 0.05; done";
    assert!(engine.sh(fetch).starts_with("root:x:0:0"));
    let taken = engine.wharfie(["run", "--rm", "-p", "8080:80", BUSYBOX, "true"]);
    assert!(taken.fails(125).contains("8080"), "{taken:?}");
    engine.wharfie(["rm", "-f", "web"]).ok();
    engine.assert_clean();
}

#[test]
fn a_terminal_is_real() {
    let engine = with_busybox();
    let mut shell = engine.terminal(["run", "--rm", "-it", BUSYBOX, "sh"]);
    shell.expect("/ #");
    assert!(shell.is_raw());
    shell.send("stty size\n");
    shell.expect("24 80");
    shell.resize(40, 100);
    // The size arrives on its own time.
    shell.send("until stty size | grep '40 100'; do sleep 0.1; done\n");
    shell.expect("\n40 100");
    shell.send("exit 3\n");
    assert_eq!(shell.wait(), 3);
    assert!(!shell.is_raw(), "the terminal is as before");
    engine.assert_clean();
}

#[test]
fn docker_and_nerdctl_are_names_for_it() {
    let engine = with_busybox();
    for name in ["docker", "nerdctl"] {
        assert_eq!(engine.program(name, ["run", "--rm", BUSYBOX, "echo", name]).run().ok(), name);
    }
}

#[test]
fn no_containerd_is_said_with_every_socket() {
    let engine = TestEngine::without_containerd("");
    let output = engine.wharfie(["ps"]);
    assert!(output.fails(1).contains("/run/containerd/containerd.sock"), "{output:?}");
}
