//! Bad input: docker's exit code, an error that names the thing and the next step, nothing left behind.

use super::{BUSYBOX, engine, load};
use crate::engine::TestEngine;
use crate::images::Image;

/// A command that must fail with `code`, saying all of `words` and, on a line of its own, what to do next.
#[track_caller]
fn refused(engine: &TestEngine, arguments: &[&str], code: i32, words: &[&str]) {
    let output = engine.wharfie(arguments.iter().copied());
    let said = output.fails(code);
    for word in words {
        assert!(said.contains(word), "{word:?} is not said: {output:?}");
    }
    assert!(said.lines().count() > 1, "no next step: {output:?}");
    assert!(matches!(output.stdout.trim(), "" | "[]"), "{output:?}");
    engine.assert_clean();
}

#[test]
fn what_is_not_there_is_named() {
    let engine = engine();
    refused(
        &engine,
        &["run", "--pull", "never", "no-such-image"],
        125,
        &["No such image: no-such-image:latest"],
    );
    refused(&engine, &["run", "127.0.0.1:9/none:1"], 125, &["127.0.0.1:9/", "connection refused"]);
    refused(&engine, &["run", "Upper/Case"], 125, &["Case", "must be lowercase"]);
    refused(&engine, &["create", "a:b:c"], 125, &["invalid reference format"]);
    for verb in ["start", "stop", "kill", "restart", "rm", "logs", "attach", "wait", "inspect", "port", "top"]
    {
        refused(&engine, &[verb, "ghost"], 1, &["ghost"]);
    }
    refused(&engine, &["exec", "ghost", "true"], 1, &["No such container: ghost"]);
    refused(
        &engine,
        &["run", "--mount", "type=bind,source=/run/no/such/dir,target=/x", BUSYBOX],
        125,
        &["/run/no/such/dir", "bind source path does not exist"],
    );
    refused(&engine, &["run", "--rm", "--network", "ghost", BUSYBOX], 125, &["ghost", "not found"]);
    refused(&engine, &["run", "--network", "container:ghost", BUSYBOX], 125, &["ghost"]);
    refused(&engine, &["run", "--rm", "--runtime", "ghost", BUSYBOX], 125, &["ghost"]);
    refused(&engine, &["run", "--user", "ghost", BUSYBOX], 125, &["ghost", "no matching entries"]);
    refused(&engine, &["run", "--env-file", "/run/no/such/file", BUSYBOX], 125, &["/run/no/such/file"]);
}

#[test]
fn wrong_flags_are_named() {
    let engine = engine();
    refused(&engine, &["run", "--no-such-flag", BUSYBOX], 125, &["--no-such-flag"]);
    refused(&engine, &["ps", "--no-such-flag"], 125, &["--no-such-flag"]);
    refused(&engine, &["run", "-p", "99999:80", BUSYBOX], 125, &["99999"]);
    refused(&engine, &["run", "-v", "relative/../path:/x", BUSYBOX], 125, &["relative/../path"]);
    refused(&engine, &["run", "--memory", "lots", BUSYBOX], 125, &["lots"]);
    refused(&engine, &["run", "--restart", "sometimes", BUSYBOX], 125, &["sometimes"]);
    refused(&engine, &["run", "--name", "bad name", BUSYBOX], 125, &["bad name"]);
    refused(&engine, &["run", "--rm", "--restart", "always", BUSYBOX], 125, &["--restart", "--rm"]);
    refused(&engine, &["ps", "--filter", "nonsense"], 125, &["nonsense"]);
    refused(&engine, &["no-such-verb"], 1, &["no-such-verb"]);
}

#[test]
fn names_and_ports_in_use_leave_nothing() {
    let engine = engine();
    engine
        .wharfie([
            "run",
            "-d",
            "--name",
            "web",
            "-p",
            "8080:80",
            "-p",
            "8053:53/udp",
            BUSYBOX,
            "sleep",
            "1000",
        ])
        .ok();
    let listener = engine.program("busybox", ["httpd", "-f", "-p", "127.0.0.1:9090"]).spawn();
    engine.wait_for_port(9090);
    engine.accept();
    refused(&engine, &["run", "--name", "web", BUSYBOX], 125, &["Conflict", "\"/web\""]);
    for flags in [["-d", "--rm"], ["--rm", "-i"]] {
        let run = |port| [&["run"][..], &flags, &["-v", "/anonymous", "-p", port, BUSYBOX, "true"]].concat();
        refused(&engine, &run("8080:80"), 125, &["0.0.0.0:8080", "port is already allocated"]);
        refused(&engine, &run("127.0.0.1:8053:1/udp"), 125, &["8053", "port is already allocated"]);
        refused(&engine, &run("9090:80"), 125, &["9090", "already in use"]);
    }
    // docker keeps what could not be started, unless it was to be removed.
    let kept = engine.wharfie(["run", "-d", "--name", "kept", "-v", "/anonymous", "-p", "8080:80", BUSYBOX]);
    assert!(kept.fails(125).contains("port is already allocated"), "{kept:?}");
    assert_eq!(
        engine.wharfie(["ps", "-a", "--filter", "name=kept", "--format", "{{.State}}"]).ok(),
        "created"
    );
    engine.wharfie(["rm", "-v", "kept"]).ok();
    engine.assert_clean();
    drop(listener);
}

#[test]
fn an_image_of_another_platform_is_refused() {
    let engine = TestEngine::new();
    let other = if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" };
    let image = Image { architecture: other.into(), ..Image::busybox() };
    let archive = engine.directory().join("archive.tar");
    std::fs::write(&archive, image.oci_archive("docker.io/library/foreign:latest"))
        .expect("write an archive");
    engine.ctr(["images", "import", "--all-platforms", "--no-unpack", archive.to_str().expect("UTF-8")]).ok();
    engine.accept();
    let foreign = engine.wharfie(["run", "--rm", "--pull", "never", "foreign", "true"]);
    assert!(foreign.stderr.contains("WARNING") && foreign.stderr.contains(other), "{foreign:?}");
    engine.assert_clean();
    load(&engine);
    refused(
        &engine,
        &["run", "--pull", "never", "--platform", &format!("linux/{other}"), BUSYBOX],
        125,
        &[other],
    );
}

#[test]
fn a_command_that_cannot_be_executed_leaves_nothing() {
    let engine = engine();
    for flags in
        [&["--rm"][..], &["--rm", "-d"], &["--rm", "-i"], &["--rm", "-p", "8080:80", "-v", "/anonymous"]]
    {
        let run = |command| [&["run"][..], flags, &[BUSYBOX, command]].concat();
        let code = |command| engine.wharfie(run(command)).code;
        assert_eq!(code("/no-such-command"), 127);
        assert_eq!(code("/etc/passwd"), 126);
        engine.assert_clean();
    }
}
