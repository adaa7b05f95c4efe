//! login, logout: docker's words, what is kept and where, and what pulls make of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::{config, configure, helper, server};
use crate::engine::TestEngine;
use crate::images::{Image, tar_of};
use crate::registry::{Guard, PASSWORD, USER};

const WARNING: &str = "WARNING! Your credentials are stored unencrypted in '";

fn image() -> Image {
    Image::new([tar_of([("file", b"text".as_slice())])])
}

#[test]
fn a_log_in_is_tried_kept_used_and_forgotten() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Password);
    registry.put("app", "1", &image());
    let (host, name) = (registry.host.as_str(), format!("{}/app:1", registry.host));
    engine.wharfie(["pull", &name]).fails(1);

    let login = |arguments: &[&str], input: &str| {
        let arguments = ["login"].iter().chain(arguments).copied();
        engine.call(arguments).stdin(input).run()
    };
    let wrong = login(&["-u", USER, "--password-stdin", host], "hunter2");
    assert!(
        wrong.fails(1).contains(&format!(
            "Error response from daemon: login attempt to http://{host}/v2/ failed with status: 401 Unauthorized"
        )),
        "{wrong:?}"
    );
    assert!(!wrong.stderr.contains("hunter2"), "{wrong:?}");
    assert!(!engine.directory().join("home/.docker/config.json").exists());

    configure(&engine, "{\"psFormat\": \"{{.ID}}\", \"other\": {\"z\": 1, \"a\": [2]}}");
    let kept =
        login(&["-u", USER, "--password-stdin", &format!("http://{host}/")], &format!("{PASSWORD}\r\n"));
    assert_eq!(kept.ok(), "Login Succeeded");
    let home = engine.directory().join("home/.docker/config.json");
    assert!(kept.stderr.contains(&format!("\n{WARNING}{}'.\n", home.display())), "{kept:?}");
    assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o600);
    let file: Value = serde_json::from_str(&config(&engine)).unwrap();
    assert_eq!(file["auths"].as_object().unwrap().keys().collect::<Vec<_>>(), [host]);
    assert_eq!((&file["psFormat"], &file["other"]), (&json!("{{.ID}}"), &json!({ "z": 1, "a": [2] })));
    assert_eq!(engine.wharfie(["pull", "-q", &name]).ok(), name);

    // What is kept is tried again; skopeo reads what we wrote.
    let again = login(&[host], "");
    assert_eq!(again.ok(), "Login Succeeded");
    assert!(
        again.stderr.contains(&format!("Authenticating with existing credentials... [Username: {USER}]")),
        "{again:?}"
    );
    let skopeo = format!("skopeo inspect --tls-verify=false --authfile {} docker://{name}", home.display());
    assert!(engine.sh(&skopeo).contains("\"RepoTags\""));

    assert_eq!(engine.wharfie(["logout", host]).ok(), format!("Removing login credentials for {host}"));
    let file: Value = serde_json::from_str(&config(&engine)).unwrap();
    assert_eq!((&file["auths"], &file["psFormat"]), (&json!({}), &json!("{{.ID}}")));
    assert_eq!(engine.wharfie(["logout"]).ok(), "Removing login credentials for https://index.docker.io/v1/");
    engine.wharfie(["rmi", &name]).ok();
    engine.wharfie(["pull", "-q", &name]).fails(1);

    let given = login(&["-u", USER, "-p", PASSWORD, host], "");
    assert_eq!(given.ok(), "Login Succeeded");
    let warning = "WARNING! Using --password via the CLI is insecure. Use --password-stdin.";
    assert!(given.stderr.starts_with(warning), "{given:?}");
    engine.assert_clean();
}

#[test]
fn mistakes_are_told_in_dockers_words() {
    let engine = TestEngine::new();
    engine.accept();
    let cases: &[(&[&str], &str)] = &[
        (&["-u", "a"], "error: cannot perform an interactive login from a non-TTY device"),
        (&[], "error: cannot perform an interactive login from a non-TTY device"),
        (
            &["-u", "a", "-p", "b", "--password-stdin"],
            "conflicting options: cannot specify both --password and --password-stdin",
        ),
        (&["--password-stdin"], "the --password-stdin option requires --username to be set"),
        (&["-u", "", "-p", "x"], "username is empty"),
        (&["-u", "a", "-p", ""], "password is empty"),
        (&["-u", "a", "--password-stdin"], "password is empty"),
        (&["-u", "a", "-p", "b", "127.0.0.1:1"], "Get \"http://127.0.0.1:1/v2/\": connection refused"),
    ];
    for (arguments, message) in cases {
        let output = engine.wharfie(["login"].iter().chain(*arguments).copied());
        assert!(output.fails(1).contains(message), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
    configure(&engine, "{");
    let broken = engine.wharfie(["login", "-u", "a", "-p", "b", "127.0.0.1:1"]);
    broken.fails(1);
    assert_eq!(config(&engine), "{");
    engine.assert_clean();
}

#[test]
fn a_person_is_asked_and_the_password_does_not_show() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Password);
    let mut terminal = engine.terminal(["login", &registry.host]);
    terminal.expect("Username: ");
    terminal.send(format!("{USER}\n"));
    terminal.expect("Password: ");
    terminal.send(format!("{PASSWORD}\n"));
    terminal.expect("Login Succeeded");
    assert_eq!(terminal.wait(), 0, "{}", terminal.screen());
    assert!(!terminal.screen().contains(PASSWORD), "{}", terminal.screen());
    // Enter alone takes the name that is known.
    let mut file: Value = serde_json::from_str(&config(&engine)).unwrap();
    file["auths"][&registry.host] = json!({ "username": USER, "password": "old" });
    configure(&engine, &file.to_string());
    let mut terminal = engine.terminal(["login", &registry.host]);
    terminal.expect("Stored credentials invalid or expired");
    terminal.expect(&format!("Username ({USER}): "));
    terminal.send("\n");
    terminal.expect("Password: ");
    terminal.send(format!("{PASSWORD}\n"));
    terminal.expect("Login Succeeded");
    assert_eq!(terminal.wait(), 0);
    engine.assert_clean();
}

#[test]
fn helpers_keep_and_forget() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Password);
    registry.put("app", "1", &image());
    let (host, name) = (registry.host.as_str(), format!("{}/app:1", registry.host));
    helper(&engine, "test");
    for settings in
        [json!({ "credsStore": "test" }), json!({ "credHelpers": { host: "test" }, "credsStore": "none" })]
    {
        configure(&engine, &settings.to_string());
        let kept = engine.call(["login", "-u", USER, "--password-stdin", host]).stdin(PASSWORD).run();
        assert_eq!(kept.ok(), "Login Succeeded");
        assert!(!kept.stderr.contains(WARNING), "{kept:?}");
        let file: Value = serde_json::from_str(&config(&engine)).unwrap();
        assert_eq!(file["auths"], json!({ host: {} }));
        let entry: Value = serde_json::from_str(&engine.sh(&format!("cat kept/{host}"))).unwrap();
        assert_eq!(entry, json!({ "ServerURL": host, "Username": USER, "Secret": PASSWORD }));
        assert_eq!(engine.wharfie(["pull", "-q", &name]).ok(), name);
        engine.wharfie(["rmi", &name]).ok();
        engine.wharfie(["logout", host]).ok();
        assert_eq!(engine.sh("ls kept"), "");
        let file: Value = serde_json::from_str(&config(&engine)).unwrap();
        assert_eq!(file["auths"], json!({}));
        engine.wharfie(["pull", "-q", &name]).fails(1);
    }
    // A helper that is not there: nothing is kept, nothing is lost.
    configure(&engine, "{\"credsStore\": \"gone\"}");
    let lost = engine.wharfie(["login", "-u", USER, "-p", PASSWORD, host]);
    assert!(
        lost.fails(1).contains("error saving credentials: cannot run docker-credential-gone"),
        "{lost:?}"
    );
    assert_eq!(config(&engine), "{\"credsStore\": \"gone\"}");
    engine.assert_clean();
}

#[test]
fn a_token_server_is_asked_and_its_identity_token_kept() {
    let engine = TestEngine::new();
    let _server = server(&engine, 5700, &[]);
    let host = "127.0.0.1:5700";
    let wrong = engine.wharfie(["login", "-u", USER, "-p", "hunter2", host]);
    assert!(
        wrong.fails(1).contains("Error response from daemon: Get \"http://127.0.0.1:5700/v2/\": unauthorized: incorrect username or password"),
        "{wrong:?}"
    );
    engine.wharfie(["login", "-u", USER, "-p", PASSWORD, host]).ok();
    assert!(config(&engine).contains("\"auth\": \""), "{}", config(&engine));
    engine.wharfie(["login", "-u", "offline", "-p", PASSWORD, host]).ok();
    let file: Value = serde_json::from_str(&config(&engine)).unwrap();
    assert_eq!(file["auths"], json!({ host: { "identitytoken": "refresh-1" } }));
    let traced = engine.wharfie(["login", "--trace", "-u", USER, "-p", PASSWORD, host]);
    assert_eq!(traced.ok(), "Login Succeeded");
    assert!(traced.stderr.contains("GET http://127.0.0.1:5700/token 200 "), "{traced:?}");
    assert!(traced.stderr.contains("credentials: command line, host: default"), "{traced:?}");
    assert!(!traced.stderr.contains(PASSWORD) && !traced.stderr.contains("access-1"), "{traced:?}");
    engine.wharfie(["login", "-u", "offline", "-p", PASSWORD, host]).ok();
    // The identity token is what later requests get their tokens with.
    engine.sh("rm asked");
    let pulled = engine.wharfie(["pull", "127.0.0.1:5700/app:a"]);
    assert!(pulled.fails(1).contains("manifest for 127.0.0.1:5700/app:a not found"), "{pulled:?}");
    let asked = engine.sh("cat asked");
    assert!(asked.contains("POST /token none"), "{asked}");
    assert!(!asked.contains("Basic") && asked.contains("Bearer"), "{asked}");
    engine.assert_clean();
}

#[test]
fn the_environment_s_log_ins_come_first() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Password);
    registry.put("app", "1", &image());
    let name = format!("{}/app:1", registry.host);
    let given =
        json!({ "auths": { &registry.host: { "username": USER, "password": PASSWORD } } }).to_string();
    assert_eq!(engine.call(["pull", "-q", &name]).env("DOCKER_AUTH_CONFIG", &given).run().ok(), name);
    let warned = engine.call(["logout"]).env("DOCKER_AUTH_CONFIG", &given).run();
    assert!(warned.stderr.contains("DOCKER_AUTH_CONFIG is set and takes precedence"), "{warned:?}");
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}
