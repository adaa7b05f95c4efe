//! `manifest`: lists put together of what a registry has, in docker's files and docker's JSON.

use std::fs;

use super::{copied, image, remote};
use crate::engine::TestEngine;
use crate::registry::{Guard, Registry};

/// Two repositories, the images of two platforms in one and another one in the second.
fn with_images(engine: &TestEngine) -> (Registry, [String; 3]) {
    let registry = engine.registry(Guard::Plain);
    let digests = [("app", "amd64", 1), ("app", "arm64", 2), ("other", "s390x", 3)].map(
        |(repository, architecture, seed)| {
            let mut image = image(seed, 2000);
            image.architecture = architecture.into();
            registry.put(repository, architecture, &image)
        },
    );
    (registry, digests)
}

/// What Python makes of JSON on standard input with this indentation: keys in their order, one more a line.
fn laid_out(engine: &TestEngine, name: &str, unit: &str) -> String {
    let python = format!("import json,sys; print(json.dumps(json.load(sys.stdin), indent={unit}))");
    engine.sh(&format!("skopeo inspect --raw --tls-verify=false docker://{name} | python3 -c '{python}'"))
}

#[test]
fn a_list_is_made_annotated_pushed_and_read_by_others() {
    let engine = TestEngine::without_containerd("");
    let (registry, digests) = with_images(&engine);
    let host = registry.host.clone();
    let at = |name: &str| format!("{host}/{name}");
    let list = at("app:all");
    let created = engine.wharfie(["manifest", "create", &list, &at("app:amd64"), &at("app:arm64")]);
    assert_eq!(created.ok(), format!("Created manifest list {list}"));
    let file = |name: &str| {
        let directory = engine
            .directory()
            .join("home/.docker/manifests")
            .join(format!("{}_app-all", host.replace(':', "-")));
        fs::read_to_string(directory.join(format!("{}_{name}", host.replace(':', "-")))).unwrap()
    };
    let stored = file("app-amd64");
    let size =
        engine.sh(&format!("skopeo inspect --raw --tls-verify=false docker://{} | wc -c", at("app:amd64")));
    let begin = format!(
        r#"{{"Ref":"{}","Descriptor":{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{size},"platform":{{"architecture":"amd64","os":"linux"}}}},"Raw":""#,
        at("app:amd64"),
        digests[0]
    );
    assert!(stored.starts_with(&begin), "{stored}\n{begin}");
    assert!(stored.contains(r#"","OCIManifest":{"schemaVersion":2,"mediaType":"#), "{stored}");

    // A shell is told of it, and of one whose tag looks like a part of a name, but not of one that could be several.
    for more in ["app:all-x_y", "app_all:1"] {
        engine.wharfie(["manifest", "create", &at(more), &at("app:amd64")]).ok();
    }
    let told = engine.call(["--", "wharfie", "manifest", "push", &host]).env("COMPLETE", "fish").run();
    assert_eq!(told.ok(), format!("{list}\n{}", at("app:all-x_y")));
    engine.wharfie(["manifest", "rm", &at("app:all-x_y"), &at("app_all:1")]).ok();

    let again = engine.wharfie(["manifest", "create", &list, &at("app:amd64")]);
    assert!(again.fails(1).contains("refusing to amend an existing manifest list with no --amend flag"));
    engine.wharfie(["manifest", "create", "-a", &list, &at("other:s390x")]).ok();
    let annotate = |words: &[&str]| {
        engine.wharfie(["manifest", "annotate", &list].into_iter().chain(words.iter().copied()))
    };
    annotate(&[&at("app:arm64"), "--variant", "v8", "--os-features", "a,b", "--os-features", "b"]).ok();
    annotate(&[&at("app:arm64"), "--os-version", "10", "--arch", "arm64", "--os", "linux"]).ok();
    for (words, message) in [
        (
            vec![at("app:arm64"), "--arch".into(), "nope".into()],
            "manifest entry for image has unsupported os/arch combination: /nope".to_owned(),
        ),
        (
            vec![at("app:zzz"), "--arch".into(), "arm".into()],
            format!("manifest for image {} does not exist in {list}", at("app:zzz")),
        ),
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(annotate(&words).fails(1), message);
    }

    let shown = engine.wharfie(["manifest", "inspect", &list]);
    let arm = format!(
        "      {{\n         \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n         \"size\": {},\n         \
         \"digest\": \"{}\",\n         \"platform\": {{\n            \"architecture\": \"arm64\",\n            \"os\": \"linux\",\n            \
         \"os.version\": \"10\",\n            \"os.features\": [\n               \"a\",\n               \"b\"\n            ],\n            \
         \"variant\": \"v8\"\n         }}\n      }},\n",
        engine.sh(&format!("skopeo inspect --raw --tls-verify=false docker://{} | wc -c", at("app:arm64"))),
        digests[1]
    );
    assert!(shown.ok().starts_with(
        "{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"application/vnd.oci.image.index.v1+json\",\n"
    ));
    assert!(shown.ok().contains(&arm), "{}\n{arm}", shown.ok());
    // One of a list in the making, and all of it at length.
    let one = engine.wharfie(["manifest", "inspect", &list, &at("app:amd64")]);
    assert_eq!(one.ok(), laid_out(&engine, &at("app:amd64"), "\"\\t\""));
    let verbose = engine.wharfie(["manifest", "inspect", "-v", &list]);
    let start = format!(
        "[\n\t{{\n\t\t\"Ref\": \"{}\",\n\t\t\"Descriptor\": {{\n\t\t\t\"mediaType\": ",
        at("app:amd64")
    );
    assert!(verbose.ok().starts_with(&start), "{verbose:?}");

    let pushed = engine.wharfie(["manifest", "push", "-p", &list]);
    let told: Vec<&str> = pushed.ok().lines().collect();
    assert_eq!(told[0], format!("Pushed ref {}@{} with digest: {}", at("app"), digests[2], digests[2]));
    let (digest, index) = remote(&engine, &list);
    assert_eq!(told[1..], [digest.as_str()]);
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(3));
    assert_eq!(
        copied(&engine, &list),
        12,
        "three manifests, configurations and layers, one of those in all, and the index"
    );
    registry.expect("from=other");
    assert_eq!(engine.sh("ls -A .docker/manifests"), "", "it is purged");
    // From the registry it looks the same.
    assert_eq!(engine.wharfie(["manifest", "inspect", &list]).ok(), shown.ok());
    let verbose = engine.wharfie(["manifest", "inspect", "--verbose", &list]);
    assert!(
        verbose.ok().starts_with(&format!("[\n\t{{\n\t\t\"Ref\": \"{list}@{}\",\n", digests[0])),
        "{verbose:?}"
    );
}

#[test]
fn single_manifests_and_what_is_not_there() {
    let engine = TestEngine::without_containerd("");
    let (registry, digests) = with_images(&engine);
    let at = |name: &str| format!("{}/{name}", registry.host);
    let one = engine.wharfie(["manifest", "inspect", "--insecure", &at("app:arm64")]);
    assert_eq!(one.ok(), laid_out(&engine, &at("app:arm64"), "\"\\t\""));
    let by_digest = engine.wharfie(["manifest", "inspect", &at(&format!("app@{}", digests[1]))]);
    assert_eq!(by_digest.ok(), one.ok());
    let verbose = engine.wharfie(["manifest", "inspect", "-v", &at("app:arm64")]);
    let start = format!(
        "{{\n\t\"Ref\": \"{}\",\n\t\"Descriptor\": {{\n\t\t\"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n\t\t\"digest\": \"{}\",\n\t\t\"size\": ",
        at("app:arm64"),
        digests[1]
    );
    assert!(verbose.ok().starts_with(&start), "{verbose:?}");
    let platform = ",\n\t\t\"platform\": {\n\t\t\t\"architecture\": \"arm64\",\n\t\t\t\"os\": \"linux\"\n\t\t}\n\t},\n\t\"Raw\": \"";
    assert!(verbose.ok().contains(platform), "{verbose:?}");
    let list = at("list:1");
    engine.wharfie(["manifest", "create", &list, &at("app:amd64")]).ok();
    engine.wharfie(["manifest", "push", &list]).ok();
    engine.wharfie(["manifest", "create", "far.example/a:1", &at("app:amd64")]).ok();
    let host = &registry.host;
    let foreign = format!(
        "cannot use source images from a different registry than the target image: {host} != far.example"
    );
    let cases: &[(&[&str], String)] = &[
        (&["inspect", &at("nope:1")], format!("no such manifest: {}", at("nope:1"))),
        (&["inspect", &list, &at("app:none")], format!("No such manifest: {}", at("app:none"))),
        (
            &["inspect", "Upper"],
            "invalid reference format: repository name (library/Upper) must be lowercase".into(),
        ),
        (&["inspect", "far.example/a:1"], format!("failed to assemble ManifestDescriptor: {foreign}")),
        (&["push", "far.example/a:1"], foreign.clone()),
        (&["push", "nolist"], "No such manifest: docker.io/library/nolist:latest".into()),
        (&["create", &at("b:1"), &list], format!("{list} is a manifest list")),
        (&["create", &at("b:1"), &at("nope:1")], format!("no such manifest: {}", at("nope:1"))),
        (&["rm", &list, &at("zz:1")], format!("No such manifest: {}", at("zz:1"))),
        (&["rm", &list], format!("No such manifest: {list}")),
        (&["frobnicate"], "unknown command: wharfie manifest frobnicate".into()),
    ];
    for (arguments, message) in cases {
        let output = engine.wharfie(["manifest"].iter().chain(*arguments).copied());
        assert!(output.fails(1).contains(message), "{output:?}");
    }
    assert!(engine.wharfie(["manifest", "create", "x"]).code != 0);
    assert_eq!(engine.wharfie(["manifest", "rm", "far.example/a:1"]).ok(), "");
    assert_eq!(engine.sh("ls -A .docker/manifests"), "");
}

#[test]
fn a_file_of_an_older_docker_has_no_raw_bytes() {
    let engine = TestEngine::without_containerd("");
    let (registry, digests) = with_images(&engine);
    let at = |name: &str| format!("{}/{name}", registry.host);
    engine.wharfie(["manifest", "create", &at("app:2"), &at("other:s390x")]).ok();
    engine.sh("cd .docker/manifests/*; sed -i 's/\"Raw\":\"[^\"]*\",//' *; ! grep -q Raw *");
    engine.wharfie(["manifest", "push", &at("app:2")]).ok();
    let (_, index) = remote(&engine, &at("app:2"));
    assert_eq!(index["manifests"][0]["digest"], digests[2].as_str());
    assert_eq!(copied(&engine, &at("app:2")), 6);
    // A manifest without a platform is named.
    engine.sh("cd .docker/manifests/*; sed -i 's/\"os\":\"linux\"/\"os\":\"\"/' *");
    let homeless = engine.wharfie(["manifest", "push", &at("app:2")]);
    let message =
        format!("manifest {} must have an OS and Architecture to be pushed to a registry", at("other:s390x"));
    assert!(homeless.fails(1).contains(&message), "{homeless:?}");
}
