//! pull: from plain, encrypted and guarded registries, and what goes wrong on the way.

use std::fs;

use serde_json::json;

use crate::engine::TestEngine;
use crate::images::{Image, tar_of};
use crate::registry::{Guard, PASSWORD, USER};

fn image(text: &str) -> Image {
    Image::new([
        tar_of([("file", text.as_bytes()), ("other", b"the same in all".as_slice())]),
        tar_of([("above", b"layer".as_slice())]),
    ])
}

#[test]
fn docker_s_lines_and_what_containerd_s_client_sees() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let digest = registry.put("app", "1", &image("one"));
    let name = format!("{}/app:1", registry.host);
    let output = engine.wharfie(["pull", &name]);
    let lines: Vec<&str> = output.ok().lines().collect();
    assert_eq!(lines[0], "1: Pulling from app");
    assert_eq!(lines.iter().filter(|line| line.ends_with(": Pulling fs layer")).count(), 2);
    assert_eq!(lines.iter().filter(|line| line.ends_with(": Pull complete")).count(), 2);
    let end =
        [format!("Digest: {digest}"), format!("Status: Downloaded newer image for {name}"), name.clone()];
    assert_eq!(lines[lines.len() - 3..], end);
    assert!(engine.ctr(["images", "check"]).ok().contains("complete (3/3)"));
    assert!(engine.ctr(["leases", "ls", "-q"]).ok().is_empty());

    let again = engine.wharfie(["pull", &name]);
    assert!(again.ok().contains(&format!("Status: Image is up to date for {name}")), "{again:?}");
    assert_eq!(engine.wharfie(["pull", "-q", &name]).ok(), name);

    // A moved tag: the old image stays without a name.
    let newer = registry.put("app", "1", &image("two"));
    let moved = engine.wharfie(["pull", &name]);
    assert!(moved.ok().contains("Downloaded newer image"), "{moved:?}");
    assert_eq!(engine.wharfie(["images", "-q", "--no-trunc"]).ok(), newer);
    assert_eq!(engine.wharfie(["images", "-q", "--no-trunc", "-f", "dangling=true"]).ok(), digest);
    // What was there before is named by digest alone.
    let by_digest = format!("{}/app@{digest}", registry.host);
    assert_eq!(engine.wharfie(["pull", "-q", &by_digest]).ok(), by_digest);
    assert_eq!(engine.wharfie(["images", "-q", "-f", "dangling=true"]).ok(), "");
}

#[test]
fn encrypted_and_guarded_registries() {
    let engine = TestEngine::new();
    let tls = engine.registry(Guard::Tls);
    tls.put("app", "1", &image("tls"));
    let mirrored = "far.example/app:1";
    let hosts = engine.directory().join("certs.d/far.example");
    fs::create_dir_all(&hosts).unwrap();
    let file = format!(
        "[host.\"https://{}\"]\ncapabilities = [\"pull\", \"resolve\"]\nca = \"{}\"\n",
        tls.host,
        tls.authority.display()
    );
    fs::write(hosts.join("hosts.toml"), file).unwrap();
    let certs = engine.directory().join("certs.d");
    let certs = certs.to_str().unwrap();
    assert_eq!(engine.wharfie(["--hosts-dir", certs, "pull", "-q", mirrored]).ok(), mirrored);

    let guarded = engine.registry(Guard::Password);
    guarded.put("app", "1", &image("guarded"));
    let name = format!("{}/app:1", guarded.host);
    let denied = engine.wharfie(["pull", &name]);
    assert!(
        denied.fails(1).contains(&format!(
            "pull access denied for {}/app, repository does not exist or may require 'docker login'",
            guarded.host
        )),
        "{denied:?}"
    );
    let login = |password: &str| {
        let config = engine.directory().join("docker");
        fs::create_dir_all(&config).unwrap();
        let auths = json!({ "auths": { &guarded.host: { "username": USER, "password": password } } });
        fs::write(config.join("config.json"), auths.to_string()).unwrap();
        engine.call(["pull", "-q", &name]).env("DOCKER_CONFIG", config.to_str().unwrap()).run()
    };
    let wrong = login("hunter2");
    assert!(wrong.fails(1).contains("pull access denied") && !wrong.stderr.contains("hunter2"), "{wrong:?}");
    assert_eq!(login(PASSWORD).ok(), name);
    engine.wharfie(["rmi", mirrored, &name]).ok();
    engine.assert_clean();
}

#[test]
fn failures_name_the_thing_and_leave_nothing() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let mut foreign = image("foreign");
    foreign.architecture = "s390x".into();
    registry.put("foreign", "1", &foreign);
    let spoilt = image("spoilt");
    registry.put("spoilt", "1", &spoilt);
    let layer = &spoilt.blobs()[2].digest;
    let length = fs::metadata(registry.blob(layer)).unwrap().len();
    fs::write(registry.blob(layer), vec![0; usize::try_from(length).unwrap()]).unwrap();
    let at = |name: &str| format!("{}/{name}", registry.host);
    let host = &registry.host;
    let cases: &[(&[&str], String)] = &[
        (&[&at("nope:1")], format!("manifest for {host}/nope:1 not found: manifest unknown")),
        (&["127.0.0.1:1/x"], "\"http://127.0.0.1:1/v2/x/manifests/latest\": connection refused".into()),
        (&["no-such-host.invalid/x"], "no such host".into()),
        (
            &["Busybox"],
            "invalid reference format: repository name (library/Busybox) must be lowercase".into(),
        ),
        (&["a b"], "invalid reference format".into()),
        (&["--platform", "what/ever/is/this", "x"], "invalid OS platform".into()),
        (
            &["--platform", "linux/arm64", &at("foreign:1")],
            "its platform (linux/s390x) does not match the specified platform (linux/arm64)".into(),
        ),
        (&[&at("spoilt:1")], format!("verification failed for digest {layer}")),
    ];
    for (arguments, message) in cases {
        let output = engine.wharfie(["pull"].iter().chain(*arguments).copied());
        assert!(output.fails(1).contains(message), "{output:?}");
    }
    assert_eq!(engine.wharfie(["images", "-aq"]).ok(), "");
    engine.assert_clean();
}

#[test]
fn many_pulls_of_one_image_at_once() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    registry.put("app", "1", &image("one"));
    let name = format!("{}/app:1", registry.host);
    let pulls: Vec<_> = (0..4).map(|_| engine.call(["pull", "-q", &name]).spawn()).collect();
    for pull in pulls {
        assert_eq!(pull.wait().ok(), name);
    }
    assert!(engine.ctr(["images", "check"]).ok().contains("true"));
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}
