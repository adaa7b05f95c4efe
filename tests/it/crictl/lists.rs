//! Lists and what is inspected: columns, formats, filters.

use serde_json::Value;

use super::{crictl, engine};
use crate::cri;

/// A table's cells; columns are three spaces apart at least.
fn cells(line: &str) -> Vec<&str> {
    line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

#[test]
fn crictl_lists_pods() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let listed = crictl(&engine, ["pods"]);
    let lines: Vec<&str> = listed.ok().lines().collect();
    assert_eq!(listed.stderr, "");
    assert_eq!(
        lines[0],
        "POD ID              CREATED                  STATE               NAME                NAMESPACE           \
         ATTEMPT             RUNTIME"
            .replace("CREATED                  ", &lines[0][20..lines[0].find("STATE").unwrap()])
    );
    let row = cells(lines[1]);
    assert_eq!(row[0], &pod.sandbox[..13]);
    assert!(row[1].ends_with(" ago"), "{row:?}");
    assert_eq!(&row[2..], ["Ready", "web", "shop", "0", "(default)"]);
    for (filter, found) in [
        (vec!["--name", "^we"], true),
        (vec!["--name", "^eb"], false),
        (vec!["--namespace", "sh.p"], true),
        (vec!["--state", "Ready"], true),
        (vec!["-s", "notready"], false),
        (vec!["--id", &pod.sandbox[..13]], true),
        (vec!["--label", "io.kubernetes.pod.name=web"], true),
        (vec!["--label", "io.kubernetes.pod.name=db"], false),
        (vec!["-l"], true),
        (vec!["--last", "1"], true),
    ] {
        let arguments = ["pods", "-q"].into_iter().chain(filter.iter().copied());
        let expected = if found { pod.sandbox.as_str() } else { "" };
        assert_eq!(crictl(&engine, arguments).ok(), expected, "{filter:?}");
    }
    let json: Value = serde_json::from_str(crictl(&engine, ["pods", "-o", "json"]).ok()).unwrap();
    let item = &json["items"][0];
    assert_eq!(item["id"], pod.sandbox.as_str());
    assert_eq!(item["state"], "SANDBOX_READY");
    assert!(item["createdAt"].is_string(), "64 bits are a string: {item}");
    assert_eq!(item["metadata"]["attempt"], 0);
    assert_eq!(item["runtimeHandler"], "");
    let yaml = crictl(&engine, ["pods", "-o", "yaml"]);
    assert!(yaml.ok().starts_with("items:\n- annotations: {}\n"), "{yaml:?}");
    assert!(yaml.ok().contains("\n  state: SANDBOX_READY"), "{yaml:?}");
    let verbose = crictl(&engine, ["pods", "-v"]);
    let expected =
        format!("ID: {}\nName: web\nUID: uid-1\nNamespace: shop\nStatus: Ready\nCreated: ", pod.sandbox);
    assert!(verbose.ok().starts_with(&expected), "{verbose:?}");
    assert!(verbose.ok().contains("\nLabels:\n\tio.kubernetes.pod.name -> web\n"), "{verbose:?}");
    assert!(verbose.ok().contains("\nRuntime: (default)\n"), "{verbose:?}");
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_lists_containers() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let listed = crictl(&engine, ["ps"]);
    let lines: Vec<&str> = listed.ok().lines().collect();
    assert_eq!(
        cells(lines[0]),
        ["CONTAINER", "IMAGE", "CREATED", "STATE", "NAME", "ATTEMPT", "POD ID", "POD", "NAMESPACE"]
    );
    let row = cells(lines[1]);
    assert_eq!((row[0], row[3], row[4], row[5]), (&pod.container[..13], "Running", "app", "0"));
    assert_eq!(&row[6..], [&pod.sandbox[..13], "web", "shop"]);
    let whole = crictl(&engine, ["ps", "--no-trunc"]);
    assert!(whole.ok().contains(&pod.container) && whole.ok().contains(&pod.sandbox), "{whole:?}");
    let named = crictl(&engine, ["ps", "-r", "--image", "docker.io/library/busybox:latest"]);
    assert!(named.ok().contains("docker.io/library/busybox:latest"), "{named:?}");
    for (filter, found) in [
        (vec!["--name", "^app$"], true),
        (vec!["-p", &pod.sandbox], true),
        (vec!["--pod", "nope"], false),
        (vec!["--state=exited"], false),
        (vec!["--namespace", "^shop$"], true),
        (vec!["--image", "registry.local/pause:1"], false),
        (vec!["-a", "--latest"], true),
    ] {
        let arguments = ["ps", "-q"].into_iter().chain(filter.iter().copied());
        let expected = if found { pod.container.as_str() } else { "" };
        assert_eq!(crictl(&engine, arguments).ok(), expected, "{filter:?}");
    }
    crictl(&engine, ["stop", "-t", "5", &pod.container]).ok();
    assert_eq!(crictl(&engine, ["ps", "-q"]).ok(), "");
    assert_eq!(crictl(&engine, ["ps", "-aq"]).ok(), pod.container);
    let json: Value = serde_json::from_str(crictl(&engine, ["ps", "-a", "-o", "json"]).ok()).unwrap();
    assert_eq!(json["containers"][0]["state"], "CONTAINER_EXITED");
    assert_eq!(json["containers"][0]["podSandboxId"], pod.sandbox.as_str());
    let verbose = crictl(&engine, ["ps", "-av"]);
    assert!(verbose.ok().contains(&format!(
        "PodID: {}\nNamespace: shop\nName: app\nAttempt: 0\nState: Exited\n",
        pod.sandbox
    )));
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_inspects() {
    let engine = engine();
    let pod = cri::pod(&engine);
    let container: Value = serde_json::from_str(crictl(&engine, ["inspect", &pod.container]).ok()).unwrap();
    let status = &container["status"];
    assert_eq!((&status["state"], &status["exitCode"]), (&"CONTAINER_RUNNING".into(), &0.into()));
    assert_eq!(status["finishedAt"], "0001-01-01T00:00:00Z");
    assert!(status["createdAt"].as_str().unwrap().starts_with("20"), "{status}");
    assert!(container["info"]["pid"].as_u64().unwrap() > 1, "{container}");
    let keys: Vec<&String> = status.as_object().unwrap().keys().collect();
    assert!(keys.is_sorted(), "{keys:?}");
    let quiet: Value = serde_json::from_str(crictl(&engine, ["inspect", "-q", &pod.container]).ok()).unwrap();
    assert_eq!(quiet.as_object().unwrap().len(), 1, "{quiet}");
    let template =
        ["inspect", "-o", "go-template", "--template", "{{.status.metadata.name}} {{.status.exitCode}}"];
    let arguments = template.into_iter().chain([pod.container.as_str()]);
    assert_eq!(crictl(&engine, arguments).ok(), "app 0");
    let table = crictl(&engine, ["inspect", "-q", "-o", "table", &pod.container]);
    assert!(
        table
            .ok()
            .starts_with(&format!("ID: {}\nName: app\nState: CONTAINER_RUNNING\nCreated: ", pod.container))
    );
    let both = crictl(&engine, ["inspect", &pod.container, &pod.container]);
    assert!(both.ok().starts_with("[\n  {"), "{both:?}");
    let sandbox: Value = serde_json::from_str(crictl(&engine, ["inspectp", "--name", "web"]).ok()).unwrap();
    assert_eq!(sandbox["status"]["state"], "SANDBOX_READY");
    assert_eq!(sandbox["status"]["linux"]["namespaces"]["options"]["network"], "NODE");
    assert!(sandbox["info"]["config"].is_object(), "{sandbox}");
    let yaml = crictl(&engine, ["inspectp", "-q", "-o", "yaml", &pod.sandbox]);
    assert!(yaml.ok().contains("  metadata:\n    attempt: 0\n    name: web\n"), "{yaml:?}");
    let nothing = crictl(&engine, ["inspect", "--name", "nope"]);
    assert!(
        nothing.stderr.contains("level=error msg=\"No IDs provided or nothing found per filter\""),
        "{nothing:?}"
    );
    assert!(nothing.ok().contains("Usage:"), "{nothing:?}");
    cri::remove(&engine, &pod);
    engine.assert_clean();
}

#[test]
fn crictl_tells_of_the_runtime() {
    let engine = engine();
    let version = crictl(&engine, ["version"]);
    let lines: Vec<&str> = version.ok().lines().collect();
    assert_eq!(lines[..2], ["Version:  0.1.0", "RuntimeName:  containerd"], "{version:?}");
    assert!(lines[3].starts_with("RuntimeApiVersion:  v1"), "{version:?}");
    let info: Value = serde_json::from_str(crictl(&engine, ["info"]).ok()).unwrap();
    assert_eq!(info["status"]["conditions"][0]["type"], "RuntimeReady", "{info}");
    assert!(info["config"].is_object(), "{info}");
    let ready = ["info", "-o", "go-template", "--template", "{{(index .status.conditions 0).status}}"];
    assert_eq!(crictl(&engine, ready).ok(), "true");
    let disk: Value = serde_json::from_str(crictl(&engine, ["imagefsinfo"]).ok()).unwrap();
    assert!(disk["status"]["imageFilesystems"][0]["usedBytes"]["value"].is_string(), "{disk}");
    let table = crictl(&engine, ["imagefsinfo", "-o", "table"]);
    assert!(table.ok().contains("Image Filesystem \nTimeStamp[0]: "), "{table:?}");
    let config = crictl(&engine, ["runtime-config"]);
    if config.code == 0 {
        assert_eq!(config.ok(), "cgroup driver:   CGROUPFS");
    } else {
        assert!(
            config
                .fails(1)
                .contains("get runtime config: call RuntimeConfig RPC: rpc error: code = Unimplemented")
        );
    }
    let updated = crictl(&engine, ["update-runtime-config", "--pod-cidr", "10.9.0.0/24"]);
    assert!(updated.stderr.contains("level=info msg=\"Runtime config successfully updated\""), "{updated:?}");
    updated.ok();
    for (command, lead) in [
        ("metricdescs", "get metric descriptors: list metric descriptors: rpc error: code = "),
        ("metricsp", "get pod metrics: list pod sandbox metrics: rpc error: code = "),
    ] {
        let told = crictl(&engine, [command]);
        if told.code == 0 {
            assert!(serde_json::from_str::<Value>(told.ok()).is_ok(), "{told:?}");
        } else {
            assert!(told.fails(1).contains(lead), "{told:?}");
        }
    }
    engine.assert_clean();
}

#[test]
fn wharfie_cri_is_crictl() {
    let engine = engine();
    let pod = cri::pod(&engine);
    assert_eq!(engine.wharfie(["cri", "pods", "-q"]).ok(), pod.sandbox);
    assert_eq!(engine.wharfie(["cri", "-t", "60s", "ps", "-aq", "--name", "^app"]).ok(), pod.container);
    let help = engine.wharfie(["cri", "ps", "--help"]);
    assert!(help.ok().contains("wharfie cri ps"), "{help:?}");
    let fails = engine.wharfie(["cri", "inspectp", "nope"]);
    assert!(
        fails
            .fails(1)
            .contains("level=fatal msg=\"get the status of pod sandboxes: get pod sandbox status: rpc error")
    );
    cri::remove(&engine, &pod);
    engine.assert_clean();
}
