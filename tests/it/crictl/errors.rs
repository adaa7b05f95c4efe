//! Wrong command lines, settings, and what is not there to be asked.

use super::{crictl, engine, message};
use crate::engine::TestEngine;

#[test]
fn crictl_tells_what_is_wrong_as_crictl_does() {
    let engine = TestEngine::new();
    engine.accept();
    let run = |words: &str| engine.program("crictl", words.split(' ')).run();
    let wrong = run("ps --nope");
    assert!(
        wrong.stdout.starts_with("Incorrect Usage: flag provided but not defined: -nope\n\n"),
        "{wrong:?}"
    );
    assert_eq!(message(wrong.fails(1)), "flag provided but not defined: -nope");
    let wrong = run("pods --last x");
    assert_eq!(message(wrong.fails(1)), "invalid value \"x\" for flag -last: parse error");
    let unknown = run("frob");
    assert_eq!(unknown.fails(3), "No help topic for 'frob'");
    assert!(run("logs a b").ok().contains("Usage: crictl logs"), "too many arguments show the help");
    assert!(run("--version").ok().starts_with("crictl version "));
    assert!(run("--help").ok().contains("Usage: crictl"));
    assert!(engine.program("crictl", []).run().ok().contains("Usage: crictl"));
    assert!(run("help").ok().contains("port-forward"));
    assert!(run("help ps").ok().contains("--resolve-image-path"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(run(&format!("completion {shell}")).ok().contains("inspectp"));
    }
    // This containerd has no CRI.
    let without = run("-t 60s ps");
    let mut lines = without.fails(1).lines();
    assert_eq!(
        message(lines.next().unwrap()),
        "validate service connection: validate CRI v1 runtime API for endpoint \
         \"unix:///run/containerd/containerd.sock\": rpc error: code = Unimplemented desc = unknown service \
         runtime.v1.RuntimeService"
    );
    assert!(lines.next().unwrap().contains("`wharfie pod ls`"), "{without:?}");
    let nobody = run("-r unix:///run/nobody.sock ps");
    assert_eq!(
        message(nobody.fails(1).lines().next().unwrap()),
        "validate service connection: validate CRI v1 runtime API for endpoint \"unix:///run/nobody.sock\": rpc \
         error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix \
         /run/nobody.sock: connect: no such file or directory\""
    );
    engine.assert_clean();
}

#[test]
fn crictl_at_a_terminal_says_how_long_it_took() {
    let engine = TestEngine::new();
    engine.accept();
    let mut terminal = engine.terminal_of("crictl", ["start"]);
    terminal.expect("FATA");
    terminal.expect("[0000] ID cannot be empty");
    assert_eq!(terminal.wait(), 1);
    engine.assert_clean();
}

#[test]
fn crictl_heeds_its_configuration() {
    let engine = engine();
    let run = |words: &str| engine.program("crictl", words.split(' ')).run();
    assert_eq!(run("config --set runtime-endpoint=unix:///run/nobody.sock,timeout=30").ok(), "");
    assert_eq!(
        engine.sh("cat /etc/crictl.yaml"),
        "runtime-endpoint: unix:///run/nobody.sock\nimage-endpoint: \"\"\ntimeout: 30\ndebug: false\n\
         pull-image-on-create: false\ndisable-pull-on-run: false"
    );
    assert_eq!(run("config --get timeout").ok(), "30");
    let list = run("config --list");
    assert!(list.ok().contains("runtime-endpoint       unix:///run/nobody.sock\n"), "{list:?}");
    assert!(run("pods").fails(1).contains("/run/nobody.sock"));
    let endpoint = "unix:///run/containerd/containerd.sock";
    assert_eq!(run(&format!("-r {endpoint} -t 60s pods -q")).ok(), "");
    let by_environment =
        engine.program("crictl", ["pods", "-q"]).env("CONTAINER_RUNTIME_ENDPOINT", endpoint).run();
    assert_eq!(by_environment.ok(), "");
    let other = engine.directory().join("other.yaml");
    std::fs::write(&other, format!("runtime-endpoint: {endpoint}\ntimeout: 60\n")).unwrap();
    assert_eq!(run(&format!("-c {} pods -q", other.display())).ok(), "");
    let set = run("config debug true");
    assert!(set.stderr.contains("setting key \\\"debug\\\" to value \\\"true\\\""), "{set:?}");
    assert!(run(&format!("-r {endpoint} -t 60s pods -q")).stderr.contains("level=debug"));
    assert_eq!(message(run("config --get nope").fails(1)), "no configuration option named nope");
    assert_eq!(
        message(run("-c /nope.yaml ps").fails(1)),
        "load config file: stat /nope.yaml: no such file or directory"
    );
    engine.sh("rm /etc/crictl.yaml");
    assert_eq!(crictl(&engine, ["pods", "-q"]).ok(), "");
    engine.assert_clean();
}
