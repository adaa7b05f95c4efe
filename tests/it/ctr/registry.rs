//! `ctr` with registries: unlike containerd's own it reads hosts.toml and docker's credentials, and says so.

use std::fs;

use super::{IMAGE, run_ours, with_image};
use crate::engine::TestEngine;
use crate::images::Image;
use crate::registry::{Guard, PASSWORD, USER};

#[test]
fn what_is_pushed_can_be_pulled() {
    let engine = with_image();
    let registry = engine.registry(Guard::Plain);
    let name = format!("{}/team/app:1", registry.host);
    let pushed = run_ours(&engine, ["images", "push", &name, IMAGE]);
    assert!(pushed.ok().contains("\tpushed"), "{}", pushed.stdout);
    // Nothing is sent twice, and an alias of the same content needs its manifest alone.
    run_ours(&engine, ["images", "push", &format!("{}/team/app:2", registry.host), IMAGE]).ok();
    let other = TestEngine::new();
    drop(other);
    run_ours(&engine, ["images", "rm", "--sync", IMAGE]).ok();
    run_ours(&engine, ["images", "pull", &name]).ok();
    assert!(run_ours(&engine, ["images", "check"]).ok().contains("complete (2/2)"));
    let digest = engine.sh("ctr images ls | awk 'NR==2 {print $3}'");
    let fetched = run_ours(&engine, ["content", "fetch-object", &name]);
    let stored = run_ours(&engine, ["content", "get", digest.trim()]);
    assert_eq!(fetched.ok(), stored.ok());
    let config = serde_json::from_str::<serde_json::Value>(fetched.ok()).unwrap()["config"]["digest"].clone();
    let config = config.as_str().unwrap().to_owned();
    let blob = run_ours(&engine, ["content", "fetch-blob", &name, &config]);
    assert_eq!(blob.ok(), run_ours(&engine, ["content", "get", &config]).ok());
    let again = format!("{}/team/parts:1", registry.host);
    let sent = run_ours(
        &engine,
        ["content", "push-object", &again, &config, "application/vnd.oci.image.config.v1+json"],
    );
    assert_eq!(sent.ok(), format!("Pushed {config} application/vnd.oci.image.config.v1+json"));
    run_ours(&engine, ["images", "rm", &name]).ok();
    run_ours(&engine, ["content", "fetch", "--label", "a=b", &name]).ok();
    assert!(run_ours(&engine, ["images", "ls"]).ok().contains(" a=b "));
}

#[test]
fn the_configuration_is_read_and_named() {
    let engine = with_image();
    let registry = engine.registry(Guard::Password);
    registry.put("team/app", "1", &Image::busybox());
    let name = "registry.example/team/app:1";
    engine.sh(&format!(
        "mkdir -p /etc/containerd/certs.d/registry.example; echo 'server = \"http://{}\"' > /etc/containerd/certs.d/registry.example/hosts.toml",
        registry.host
    ));
    let refused = run_ours(&engine, ["images", "pull", name]);
    assert!(
        refused
            .fails(1)
            .contains("ctr: registry.example: hosts from /etc/containerd/certs.d/registry.example")
    );
    let user = format!("{USER}:{PASSWORD}");
    run_ours(&engine, ["images", "pull", "--user", &user, name]).ok();
    run_ours(&engine, ["images", "rm", "--sync", name]).ok();
    let auth = engine.sh(&format!("printf %s {user} | base64"));
    let home = engine.directory().join("home/.docker");
    fs::create_dir_all(&home).unwrap();
    let config = format!(r#"{{"auths": {{"{}": {{"auth": "{}"}}}}}}"#, registry.host, auth.trim());
    fs::write(home.join("config.json"), config).unwrap();
    let pulled = run_ours(&engine, ["images", "pull", name]);
    pulled.ok();
    assert!(
        pulled.stderr.contains("credentials from") && pulled.stderr.contains("config.json"),
        "{}",
        pulled.stderr
    );
    assert!(!pulled.stderr.contains(PASSWORD) && !pulled.stderr.contains(auth.trim()));
    run_ours(&engine, ["images", "push", "registry.example/team/copy:1", name]).ok();
}

#[test]
fn tls_is_verified_unless_told() {
    let engine = with_image();
    let registry = engine.registry(Guard::Tls);
    let name = format!("localhost:{}/team/app:1", registry.host.split(':').nth(1).unwrap());
    let authority = registry.authority.to_str().unwrap();
    run_ours(&engine, ["images", "push", "--tlscacert", authority, &name, IMAGE]).ok();
    run_ours(&engine, ["images", "pull", "--skip-verify", &name]).ok();
    assert!(run_ours(&engine, ["images", "pull", "--http-dump", &name]).fails(1).contains("not here"));
}
