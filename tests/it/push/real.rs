//! push to Debian's docker-registry: docker's lines, what is there is not sent, mounts, platforms, log-ins.

use std::fs;

use serde_json::json;

use super::{copied, here, image, index_archive, load_whole, noise, remote};
use crate::engine::TestEngine;
use crate::images::{Image, tar_of};
use crate::registry::{Guard, PASSWORD, USER};

#[test]
fn docker_s_lines_and_what_skopeo_reads() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let host = &registry.host;
    let local = engine.load_with_ctr("docker.io/library/app:1", &image(1, 300_000));
    let name = format!("{host}/team/app:1");
    engine.wharfie(["tag", "app:1", &name]).ok();
    let digest = here(&engine, "app:1");
    let pushed = engine.wharfie(["push", &name]);
    let lines: Vec<&str> = pushed.ok().lines().collect();
    assert_eq!(lines[0], format!("The push refers to repository [{host}/team/app]"));
    assert_eq!(lines.iter().filter(|line| line.ends_with(": Preparing")).count(), 2);
    assert_eq!(lines.iter().filter(|line| line.ends_with(": Pushed")).count(), 2);
    let size = engine.ctr(["content", "get", &digest]).ok().len();
    assert_eq!(*lines.last().unwrap(), format!("1: digest: {digest} size: {size}"));
    assert_eq!(remote(&engine, &name).0, digest);
    assert_eq!(copied(&engine, &name), 5, "manifest, version, configuration and two layers");
    assert!(engine.ctr(["leases", "ls", "-q"]).ok().is_empty());

    // What is there is not sent again; a bare name is latest; the name alone when quiet.
    engine.wharfie(["tag", "app:1", &format!("{host}/team/app")]).ok();
    let again = engine.wharfie(["push", &format!("{host}/team/app")]);
    assert!(again.ok().starts_with("Using default tag: latest\nThe push refers to"), "{again:?}");
    assert_eq!(again.ok().matches(": Layer already exists\n").count(), 2);
    assert!(again.ok().contains(&format!("\nlatest: digest: {digest} size: ")), "{again:?}");
    assert_eq!(engine.wharfie(["image", "push", "-q", &name]).ok(), name);

    // Into another repository of the registry: from the one that has it.
    let other = format!("{host}/team/copy:1");
    engine.wharfie(["tag", "app:1", &other]).ok();
    let mounted = engine.wharfie(["push", &other]);
    assert_eq!(mounted.ok().matches(": Mounted from team/app\n").count(), 2, "{mounted:?}");
    assert_eq!((remote(&engine, &other).0, copied(&engine, &other)), (digest.clone(), 5));
    registry.expect("/v2/team/copy/blobs/uploads/?mount=sha256%3A");
    // containerd's own label says where each blob is.
    let labels = engine.ctr(["content", "ls"]);
    let source = "containerd.io/distribution.source.127.0.0.1=team/app,team/copy";
    assert_eq!(labels.ok().matches(source).count(), 4, "{labels:?}");

    for name in [local, &name, &other, &format!("{host}/team/app")] {
        engine.wharfie(["rmi", name]).ok();
    }
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
}

#[test]
fn a_pull_says_where_a_push_may_mount_from() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let name = format!("{}/from:1", registry.host);
    registry.put("from", "1", &image(2, 50_000));
    engine.wharfie(["pull", "-q", &name]).ok();
    let target = format!("{}/to:1", registry.host);
    engine.wharfie(["tag", &name, &target]).ok();
    let pushed = engine.wharfie(["push", &target]);
    assert_eq!(pushed.ok().matches(": Mounted from from\n").count(), 2, "{pushed:?}");
    // A source that is none any more: the blob is sent.
    let third = format!("{}/third:1", registry.host);
    engine.load_with_ctr(&third, &image(3, 50_000));
    // The collector may take the archive's own index meanwhile.
    engine.sh("for d in $(ctr content ls -q); do ctr content label $d containerd.io/distribution.source.127.0.0.1=gone >/dev/null \
         || [ -z \"$(ctr content ls -q | grep $d)\" ]; done");
    let sent = engine.wharfie(["push", &third]);
    assert_eq!(sent.ok().matches(": Pushed\n").count(), 2, "{sent:?}");
    assert_eq!(copied(&engine, &third), 5);
}

#[test]
fn all_tags_and_names_that_are_not_here() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let at = |name: &str| format!("{}/{name}", registry.host);
    engine.load_with_ctr(&at("app:1"), &image(4, 1000));
    engine.load_with_ctr(&at("app:2"), &image(5, 1000));
    engine.load_with_ctr(&at("apple:1"), &image(6, 1000));
    let pushed = engine.wharfie(["push", "-a", &at("app")]);
    assert_eq!(pushed.ok().matches("The push refers to repository").count(), 1);
    for tag in ["1", "2"] {
        let name = at(&format!("app:{tag}"));
        assert!(
            pushed.ok().contains(&format!("{tag}: digest: {} size: ", here(&engine, &name))),
            "{pushed:?}"
        );
        assert_eq!(remote(&engine, &name).0, here(&engine, &name));
    }
    assert_eq!(engine.wharfie(["push", "-aq", &at("app")]).ok(), at("app"));
    let cases: &[(&[&str], String)] = &[
        (&["-a", &at("app:1")], "tag can't be used with --all-tags/-a".into()),
        (&["-a", &at("nope")], format!("An image does not exist locally with the tag: {}", at("nope"))),
        (&[&at("app:3")], format!("tag does not exist: {}", at("app:3"))),
        (&["Upper"], "invalid reference format: repository name (library/Upper) must be lowercase".into()),
        (&["a", "b"], "\"wharfie push\" requires 1 argument.".into()),
        (&["--platform", "linux/s390x", &at("app:1")], "does not provide the specified platform".into()),
        (&["--platform", "a/b,c/d", &at("app:1")], "more than one --platform is not supported".into()),
    ];
    for (arguments, message) in cases {
        let output = engine.wharfie(["push"].iter().chain(*arguments).copied());
        assert!(output.fails(1).contains(message), "{output:?}");
    }
    for (flag, value) in [("--sign", "cosign"), ("--ipfs-address", "/ip4/127.0.0.1")] {
        let output = engine.wharfie(["push", flag, value, &at("app:1")]);
        assert!(output.fails(125).contains("is not supported"), "{output:?}");
    }
    engine.program("nerdctl", ["push", "--sign", "none", "--soci-span-size", "-1", &at("app:1")]).run().ok();
}

#[test]
fn an_index_goes_whole_or_as_the_image_that_is_here() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let second = engine.registry(Guard::Plain);
    let name = format!("{}/multi:1", registry.host);
    let own = Image::busybox().architecture;
    let far = if own == "arm64" { "amd64" } else { "arm64" };
    let (archive, digest) = index_archive(&name, &[(far, image(7, 70_000)), (&own, image(8, 80_000))]);
    load_whole(&engine, &archive);
    let pushed = engine.wharfie(["push", &name]);
    assert!(pushed.ok().contains(&format!("1: digest: {digest} size: ")), "{pushed:?}");
    assert_eq!(remote(&engine, &name).0, digest);
    assert_eq!(
        copied(&engine, &name),
        9,
        "two manifests, configurations and layers, one of those shared, and the index"
    );
    // One platform alone.
    let one = format!("{}/one:1", registry.host);
    engine.wharfie(["tag", &name, &one]).ok();
    engine.wharfie(["push", "--platform", &format!("linux/{far}"), &one]).ok();
    let (_, manifest) = remote(&engine, &one);
    assert!(manifest["layers"].is_array(), "{manifest}");
    let config = engine.sh(&format!("skopeo inspect --config --tls-verify=false docker://{one}"));
    assert!(config.contains(far), "{config}");

    // Only this machine's image is here, after a pull.
    engine.wharfie(["rmi", &name, &one]).ok();
    engine.wharfie(["pull", "-q", &name]).ok();
    let elsewhere = format!("{}/part:1", second.host);
    engine.wharfie(["tag", &name, &elsewhere]).ok();
    let part = engine.wharfie(["push", &elsewhere]);
    let note =
        "Not all multiplatform-content is present and only the available single-platform image was pushed";
    let (pushed, manifest) = remote(&engine, &elsewhere);
    assert!(part.ok().contains(&format!("1: digest: {pushed} size: ")) && manifest["layers"].is_array());
    assert!(part.stderr.contains(&format!("{note}\n{digest} -> {pushed}")), "{part:?}");
    let refused = engine.wharfie(["push", "--all-platforms", &elsewhere]);
    assert!(refused.fails(1).contains("is not in containerd's store"), "{refused:?}");
    // The rest of it is there already: the whole index is pushed.
    let again = format!("{}/multi:2", registry.host);
    engine.wharfie(["tag", &name, &again]).ok();
    engine.wharfie(["push", &again]).ok();
    assert_eq!(remote(&engine, &again).0, digest);
}

#[test]
fn encrypted_and_guarded_registries() {
    let engine = TestEngine::new();
    let tls = engine.registry(Guard::Tls);
    let port = tls.host.split(':').nth(1).unwrap().to_owned();
    let name = format!("localhost:{port}/team/app:1");
    engine.load_with_ctr(&name, &image(9, 5000));
    let hosts = engine.directory().join("certs.d");
    let own = hosts.join(format!("far.example:{port}"));
    fs::create_dir_all(&own).unwrap();
    let authority = tls.authority.display();
    fs::write(
        own.join("hosts.toml"),
        format!("server = \"https://localhost:{port}\"\nca = \"{authority}\"\n"),
    )
    .unwrap();
    let far = format!("far.example:{port}/team/app:1");
    engine.wharfie(["tag", &name, &far]).ok();
    engine.wharfie(["push", "--hosts-dir", hosts.to_str().unwrap(), &far]).ok();
    engine.wharfie(["--hosts-dir", hosts.to_str().unwrap(), "push", &far]).ok();
    // As docker does, one on this machine is not verified.
    engine.wharfie(["push", &name]).ok();
    assert_eq!(remote(&engine, &name).0, here(&engine, &name));
    fs::write(
        own.join("hosts.toml"),
        format!("[host.\"https://localhost:{port}\"]\ncapabilities = [\"pull\"]\n"),
    )
    .unwrap();
    fs::write(
        own.join("hosts.toml"),
        format!("server = \"https://localhost:{port}\"\ncapabilities = [\"pull\"]\n"),
    )
    .unwrap();
    let none = engine.wharfie(["push", "--hosts-dir", hosts.to_str().unwrap(), &far]);
    assert!(none.fails(1).contains("takes uploads"), "{none:?}");

    let guarded = engine.registry(Guard::Password);
    let name = format!("{}/app:1", guarded.host);
    engine.load_with_ctr(&name, &image(10, 5000));
    let push = |password: &str| {
        let config = engine.directory().join("docker");
        fs::create_dir_all(&config).unwrap();
        let auths = json!({ "auths": { &guarded.host: { "username": USER, "password": password } } });
        fs::write(config.join("config.json"), auths.to_string()).unwrap();
        engine.call(["push", "-q", &name]).env("DOCKER_CONFIG", config.to_str().unwrap()).run()
    };
    let nobody = engine.wharfie(["push", &name]);
    assert!(nobody.fails(1).contains("no basic auth credentials"), "{nobody:?}");
    let wrong = push("hunter2");
    let told = wrong.fails(1);
    assert!(told.contains("401 Unauthorized: unauthorized: authentication required"), "{wrong:?}");
    assert!(told.contains(&guarded.host) && !told.contains("hunter2"), "{wrong:?}");
    assert_eq!(push(PASSWORD).ok(), name);
    engine.wharfie(["rmi", &name]).ok();
}

#[test]
fn a_registry_that_is_not_there_and_content_that_is_not() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let image = Image::new([tar_of([("file", noise(11, 9000).as_slice())])]);
    engine.load_with_ctr("127.0.0.1:1/app:1", &image);
    let down = engine.wharfie(["push", "127.0.0.1:1/app:1"]);
    assert!(down.fails(1).contains("connection refused") && down.stderr.contains("127.0.0.1:1"), "{down:?}");
    let name = format!("{}/app:1", registry.host);
    engine.wharfie(["tag", "127.0.0.1:1/app:1", &name]).ok();
    let layer = &image.blobs()[2].digest;
    engine.ctr(["content", "rm", layer]).ok();
    let output = engine.wharfie(["push", &name]);
    let message = format!("content {layer} is not in containerd's store");
    assert!(output.fails(1).contains(&message), "{output:?}");
    assert!(output.stderr.contains("hint: the image is incomplete"), "{output:?}");
    engine.wharfie(["rmi", "127.0.0.1:1/app:1", &name]).ok();
    assert_eq!(engine.ctr(["content", "ls", "-q"]).ok(), "");
    engine.assert_clean();
}

/// A way to the registry on port 5000 that breaks twice: after 1.5 MB of one connection, and after 18 MB of a later one.
const BREAKING: &str = "
import socket, threading
limits = [1_500_000, 18_000_000]
def carry(source, target, counts):
    seen = 0
    try:
        while data := source.recv(65536):
            seen += len(data)
            if counts and limits and seen > limits[0]:
                limits.pop(0)
                with open('broken', 'a') as log: print(seen, file=log)
                break
            target.sendall(data)
    except OSError: pass
    for end in (source, target):
        try: end.shutdown(socket.SHUT_RDWR)
        except OSError: pass
server = socket.create_server(('127.0.0.1', 5901))
while True:
    near = server.accept()[0]
    far = socket.create_connection(('127.0.0.1', 5000))
    threading.Thread(target=carry, args=(near, far, True), daemon=True).start()
    threading.Thread(target=carry, args=(far, near, False), daemon=True).start()
";

#[test]
fn a_connection_that_breaks_twice_costs_no_push() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    assert_eq!(registry.host, "127.0.0.1:5000");
    fs::write(engine.directory().join("home/breaking.py"), BREAKING).unwrap();
    let _proxy =
        engine.program("python3", ["breaking.py"]).timeout(std::time::Duration::from_secs(3600)).spawn();
    engine.wait_for_port(5901);
    engine.accept();
    let name = "127.0.0.1:5901/app:1";
    engine.load_with_ctr(name, &image(12, 20_000_000));
    engine.call(["push", name]).timeout(std::time::Duration::from_secs(180)).run().ok();
    assert_eq!(engine.sh("wc -l <broken"), "2");
    let there = format!("{}/app:1", registry.host);
    assert_eq!((remote(&engine, &there).0, copied(&engine, &there)), (here(&engine, name), 5));
    engine.wharfie(["rmi", name]).ok();
    engine.assert_clean();
}

#[test]
fn each_request_of_a_push_is_told() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Password);
    let host = &registry.host;
    engine.call(["login", "-u", USER, "--password-stdin", host]).stdin(PASSWORD).run().ok();
    let name = format!("{host}/app:1");
    engine.load_with_ctr(&name, &image(31, 40_000));
    let pushed = engine.wharfie(["push", "--trace", &name]);
    assert!(pushed.ok().contains("1: digest: sha256:"), "{pushed:?}");
    let told = |begin: &str| {
        let begin = begin.replace("HOST", &format!("http://{host}/v2/app"));
        pushed.stderr.lines().filter(|line| line.starts_with(&begin)).collect::<Vec<_>>()
    };
    // Who asks is found out once; then each blob is asked for, begun and sent, and the manifest comes last.
    assert_eq!(
        told("HEAD HOST/manifests/sha256:").iter().filter(|line| line.contains(" 401 ")).count(),
        1,
        "{pushed:?}"
    );
    assert_eq!(
        told("HEAD HOST/blobs/sha256:").iter().filter(|line| line.contains(" 404 ")).count(),
        3,
        "{pushed:?}"
    );
    assert_eq!(told("POST HOST/blobs/uploads/ 202 ").len(), 3, "{pushed:?}");
    let sent = told("PUT HOST/blobs/uploads/");
    assert_eq!(sent.iter().filter(|line| line.contains(" 201 ")).count(), 3, "{pushed:?}");
    assert!(sent.iter().any(|line| line.contains("41.")), "its bytes: {pushed:?}");
    assert_eq!(told("PUT HOST/manifests/1 201 ").len(), 1, "{pushed:?}");
    assert!(sent.iter().all(|line| line.contains("credentials: config.json, host: default")), "{pushed:?}");
    assert!(!pushed.stderr.contains(PASSWORD) && !pushed.stderr.contains("_state"), "{pushed:?}");
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}

#[test]
fn indexes_inside_of_indexes_are_pushed_whole() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let name = format!("{}/nested:1", registry.host);
    let own = Image::busybox().architecture;
    let far = if own == "arm64" { "amd64" } else { "arm64" };
    let images = [(far, 41), (own.as_str(), 42)].map(|(architecture, seed)| {
        let mut image = image(seed, 5000);
        image.architecture = architecture.into();
        image
    });
    load_whole(&engine, &crate::images::index_archive(&name, &images, 2));
    let digest = here(&engine, &name);
    let pushed = engine.wharfie(["push", &name]);
    assert!(pushed.ok().contains(&format!("1: digest: {digest} size: ")), "{pushed:?}");
    // Three lists, one in the other, and at their end the images, which can be had.
    let (mut at, mut manifests) = (remote(&engine, &name), Vec::new());
    assert_eq!(at.0, digest);
    for _ in 0..3 {
        manifests = at.1["manifests"].as_array().unwrap().clone();
        let first = manifests[0]["digest"].as_str().unwrap();
        at = remote(&engine, &format!("{}/nested@{first}", registry.host));
    }
    assert_eq!(manifests.len(), 2);
    for manifest in manifests {
        let one = format!("{}/nested@{}", registry.host, manifest["digest"].as_str().unwrap());
        assert_eq!(copied(&engine, &one), 5, "{one}");
    }
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}
