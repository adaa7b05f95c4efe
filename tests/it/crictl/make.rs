//! Pods and containers from configuration files.

use std::fs;

use serde_json::{Value, json};

use super::{crictl, engine, message};
use crate::engine::TestEngine;

/// Writes a file in the test's directory: its path.
fn file(engine: &TestEngine, name: &str, content: &str) -> String {
    let path = engine.directory().join(name);
    fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A pod's configuration: its path.
pub(super) fn pod(engine: &TestEngine) -> String {
    // The documentation's form: names as in the .proto file.
    let config = json!({
        "metadata": {"name": "job", "namespace": "batch", "uid": "u1", "attempt": 1},
        "log_directory": "/var/log/pods/job",
        "linux": {"cgroup_parent": "", "security_context": {"namespace_options": {"network": 2}}}
    });
    file(engine, "pod.json", &config.to_string())
}

const CONTAINER: &str = "metadata:\n  name: worker\nimage:\n  image: busybox\ncommand: [sh, -c]\n\
                         args:\n- 'echo $A; sleep 1000'\nenvs:\n- key: A\n  value: from yaml\n\
                         log_path: worker.log\nlinux: {}\n";

#[test]
fn crictl_makes_pods_and_containers() {
    let engine = engine();
    let (pod, container) = (pod(&engine), file(&engine, "container.yaml", CONTAINER));
    engine.sh("mkdir -p /var/log/pods/job");
    let ran = crictl(&engine, ["runp", &pod]);
    let sandbox = ran.ok().to_owned();
    assert_eq!(sandbox.len(), 64, "{ran:?}");
    assert!(ran.stderr.contains("level=warning msg=\"cgroup_parent is not set."), "{ran:?}");
    let created = crictl(&engine, ["create", "--no-pull", &sandbox, &container, &pod]);
    let id = created.ok().to_owned();
    let state = crictl(&engine, ["ps", "-a", "--state", "created", "-q"]);
    assert_eq!(state.ok(), id);
    assert_eq!(crictl(&engine, ["start", &id]).ok(), id);
    engine.sh(&format!("until crictl logs {id} | grep -q 'from yaml'; do sleep 0.05; done"));
    let inspected: Value = serde_json::from_str(crictl(&engine, ["inspect", &id]).ok()).unwrap();
    assert_eq!(inspected["status"]["metadata"]["name"], "worker");
    crictl(&engine, ["rm", "-f", &id]).ok();
    crictl(&engine, ["rmp", "-f", &sandbox]).ok();
    engine.sh("rmdir /var/log/pods/job");
    engine.assert_clean();
}

#[test]
fn crictl_runs_a_container_in_a_new_pod() {
    let engine = engine();
    let (pod, container) = (pod(&engine), file(&engine, "container.yaml", CONTAINER));
    engine.sh("mkdir -p /var/log/pods/job");
    let ran = crictl(&engine, ["run", "--no-pull", &container, &pod]);
    assert_eq!(crictl(&engine, ["ps", "-q"]).ok(), ran.ok());
    crictl(&engine, ["rm", "-fa"]).ok();
    crictl(&engine, ["rmp", "-fa"]).ok();
    engine.sh("rmdir /var/log/pods/job");
    engine.assert_clean();
}

#[test]
fn crictl_refuses_what_is_no_configuration() {
    let engine = engine();
    for (content, why) in [
        ("{}", "load podSandboxConfig: metadata is not set"),
        ("metadata: {name: x}", "load podSandboxConfig: name or namespace is not in metadata of FILE"),
        (
            "metadata: {name: 5}",
            "load podSandboxConfig: FILE: PodSandboxMetadata.name: a text is wanted, not a number",
        ),
    ] {
        let path = file(&engine, "wrong.yaml", content);
        let refused = crictl(&engine, ["runp", &path]);
        assert_eq!(message(refused.fails(1)), why.replace("FILE", &path));
    }
    let missing = crictl(&engine, ["runp", "/nope.json"]);
    assert_eq!(message(missing.fails(1)), "load podSandboxConfig: config at /nope.json not found");
    let both = crictl(&engine, ["run", "--no-pull", "--with-pull", "a", "b"]);
    assert_eq!(message(both.fails(1)), "conflict: no-pull and with-pull are both set");
    let schema: Value = serde_json::from_str(crictl(&engine, ["runp", "js"]).ok()).unwrap();
    assert_eq!(schema["$ref"], "#/$defs/PodSandboxConfig");
    let schema: Value = serde_json::from_str(crictl(&engine, ["create", "jsonschema", "-c"]).ok()).unwrap();
    assert!(schema["$defs"]["ContainerConfig"]["properties"]["log_path"].is_object());
    engine.assert_clean();
}
