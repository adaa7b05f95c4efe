//! pull's flags beyond a name; and what is asked of a registry without bringing anything here.

use std::fs;

use serde_json::{Value, json};

use crate::engine::TestEngine;
use crate::images::{Image, tar_of};
use crate::registry::{Guard, Registry};

/// Puts an image for two platforms into a registry as `app:both`: the digests of its index, of the one for s390x, and of
/// the one for this machine.
fn both(engine: &TestEngine, registry: &Registry) -> [String; 3] {
    let own = Image::new([tar_of([("own", b"own".as_slice())])]);
    let mut foreign = Image::new([tar_of([("foreign", b"foreign".as_slice())])]);
    foreign.architecture = "s390x".into();
    let entry = |image: &Image, tag: &str| {
        let digest = registry.put("app", tag, image);
        json!({
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": digest,
            "size": image.blobs()[0].bytes.len(),
            "platform": { "os": "linux", "architecture": image.architecture },
        })
    };
    let entries = [entry(&foreign, "foreign"), entry(&own, "own")];
    let media_type = "application/vnd.oci.image.index.v1+json";
    let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": entries }).to_string();
    fs::write(engine.directory().join("home/index.json"), index).unwrap();
    engine.sh(&format!(
        "curl -sSf -X PUT -H 'Content-Type: {media_type}' --data-binary @index.json http://{}/v2/app/manifests/both",
        registry.host
    ));
    let digest = format!("sha256:{}", engine.sh("sha256sum < index.json | cut -d' ' -f1"));
    let of = |at: usize| entries[at]["digest"].as_str().unwrap().to_owned();
    [digest, of(0), of(1)]
}

#[test]
fn platforms_and_unpacking() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let [_, foreign, _] = both(&engine, &registry);
    let name = format!("{}/app:both", registry.host);
    let snapshots = || engine.sh("ctr snapshots ls | tail -n +2 | wc -l");
    let has_foreign = || engine.sh("ctr content ls -q").contains(&foreign);
    let forget = || {
        engine.wharfie(["rmi", &name]).ok();
        engine.assert_clean();
    };
    engine.wharfie(["pull", "-q", "--unpack=false", &name]).ok();
    assert_eq!((snapshots().as_str(), has_foreign()), ("0", false));
    // What is not unpacked is when it is needed.
    engine.wharfie(["create", "--name", "late", &name, "/own"]).ok();
    engine.wharfie(["rm", "late"]).ok();
    forget();
    engine.wharfie(["pull", "-q", "--all-platforms", &name]).ok();
    assert_eq!((snapshots().as_str(), has_foreign()), ("1", true));
    forget();
    engine.wharfie(["pull", "-q", "--platform", "linux/s390x", "--platform", "linux", &name]).ok();
    assert_eq!((snapshots().as_str(), has_foreign()), ("1", true));
    forget();
    engine.wharfie(["pull", "-q", "--platform=linux/s390x", "--unpack", "false", &name]).ok();
    assert_eq!((snapshots().as_str(), has_foreign()), ("0", true));
    forget();
    let none = engine.wharfie(["pull", "--platform", "linux,linux/riscv64", &name]);
    assert!(none.fails(1).contains("no matching manifest for linux/riscv64"), "{none:?}");
    engine.wharfie(["pull", "--unpack=maybe", &name]).fails(125);
    engine.assert_clean();
}

#[test]
fn every_tag_of_a_repository() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    for tag in ["1.9", "1.10", "latest"] {
        registry.put("app", tag, &Image::new([tar_of([("tag", tag.as_bytes())])]));
    }
    let name = format!("{}/app", registry.host);
    let tags = engine.wharfie(["image", "tags", &name]);
    assert_eq!(tags.ok(), format!("REPOSITORY           TAG\n{name}   1.9\n{name}   1.10\n{name}   latest"));
    assert_eq!(engine.wharfie(["image", "tags", "-q", &name]).ok(), "1.9\n1.10\nlatest");
    assert!(
        engine
            .wharfie(["image", "tags", "--format", "json", &name])
            .ok()
            .starts_with(&format!("{{\"Reference\":\"{name}:1.9\""))
    );
    let pulled = engine.wharfie(["pull", "-a", &name]);
    assert_eq!(pulled.ok().lines().last().unwrap(), name);
    assert_eq!(
        pulled.ok().lines().filter(|line| line.starts_with("Status: Downloaded newer image")).count(),
        3
    );
    assert_eq!(engine.wharfie(["pull", "-aq", &name]).ok(), name);
    assert_eq!(engine.wharfie(["images", "-q"]).ok().lines().count(), 3);
    let wrong = engine.wharfie(["pull", "-a", &format!("{name}:1.9")]);
    assert!(wrong.fails(1).contains("tag can't be used with --all-tags/-a"));
    engine.wharfie(["rmi", &format!("{name}:1.9"), &format!("{name}:1.10"), &format!("{name}:latest")]).ok();
    engine.assert_clean();
}

#[test]
fn flags_of_one_pull_reach_the_registry() {
    let engine = TestEngine::new();
    let (plain, tls) = (engine.registry(Guard::Plain), engine.registry(Guard::Tls));
    engine.sh("echo '127.0.0.1 far.example' >> /etc/hosts");
    for registry in [&plain, &tls] {
        registry.put("app", "1", &Image::new([tar_of([("file", b"x".as_slice())])]));
    }
    let at = |registry: &Registry| format!("far.example:{}/app:1", registry.host.split(':').nth(1).unwrap());
    for (flags, registry, fine) in [
        (&[][..], &plain, false),
        (&["--plain-http"], &plain, true),
        (&["--insecure-registry"], &plain, true),
        (&[], &tls, false),
        (&["--insecure-registry"], &tls, true),
    ] {
        let name = at(registry);
        let arguments = ["pull", "-q"].iter().chain(flags).copied().chain([name.as_str()]);
        let output = engine.wharfie(arguments);
        assert_eq!(output.code == 0, fine, "{output:?}");
        if fine {
            engine.wharfie(["rmi", &name]).ok();
        }
    }
    // A directory of certificates, as docker has them: also relative.
    engine.sh(&format!(
        "mkdir -p certs/{0}; cp {1} certs/{0}/ca.crt",
        at(&tls).split('/').next().unwrap(),
        tls.authority.display()
    ));
    let name = at(&tls).replace("far.example", "localhost");
    engine.sh(&format!("mv certs/far.example* certs/{}", name.split('/').next().unwrap()));
    let traced = engine.wharfie(["pull", "-q", "--trace", "--hosts-dir", "certs", &name]);
    assert_eq!(traced.ok(), name);
    assert!(
        traced.stderr.contains(&format!("host: {}/home/certs/localhost:", engine.directory().display())),
        "{traced:?}"
    );
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}

#[test]
fn an_image_is_inspected_where_it_is() {
    let engine = TestEngine::new();
    let registry = engine.registry(Guard::Plain);
    let [index, foreign, _] = both(&engine, &registry);
    let name = format!("{}/app:both", registry.host);
    let inspect = |flags: &[&str]| -> Value {
        let arguments = ["image", "inspect"].iter().chain(flags).copied().chain([name.as_str()]);
        serde_json::from_str::<Value>(engine.wharfie(arguments).ok()).unwrap()[0].take()
    };
    let mut remote = inspect(&["--remote"]);
    assert_eq!((&remote["Id"], &remote["RepoTags"]), (&json!(index), &json!([name])));
    let other = inspect(&["--remote", "--platform", "linux/s390x"]);
    assert_eq!((&other["Id"], &other["Architecture"]), (&json!(foreign), &json!("s390x")));
    assert_eq!(engine.wharfie(["images", "-aq"]).ok(), "");
    // What is told of the image is the same when it is here.
    engine.wharfie(["pull", "-q", &name]).ok();
    let mut local = inspect(&[]);
    for image in [&mut remote, &mut local] {
        image["Metadata"].take();
    }
    // Only what is here is unpacked by something.
    local.as_object_mut().unwrap().shift_remove("GraphDriver");
    assert_eq!(remote, local);
    let format = ["image", "inspect", "--remote", "-f", "{{.Os}} {{json .Config.Cmd}}", &name];
    assert_eq!(engine.wharfie(format).ok(), "linux [\"sh\"]");
    let none = engine.wharfie(["image", "inspect", "--remote", &format!("{}/none", registry.host)]);
    assert!(none.fails(1).contains("not found"), "{none:?}");
    engine.wharfie(["rmi", &name]).ok();
    engine.assert_clean();
}
