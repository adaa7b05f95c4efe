//! One adaptor a client: what nerdctl, CRI and ctr wrote, read as one [`Container`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::health;
use super::model::{Container, NAME_LABEL, Origin, RECORD_EXTENSION, Record, STATE_EXTENSION};
use crate::config::paths::Paths;
use crate::containerd;
use crate::oci::request::Tools;

/// The few fields of a runtime specification that a list shows: parsing the whole of a hundred is felt.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpecHead {
    process: ProcessHead,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProcessHead {
    args: Vec<String>,
    terminal: bool,
}

/// A record of containerd as a container, its task not looked at yet.
pub(super) fn adapt(raw: containerd::Container, paths: &Paths, namespace: &str) -> Container {
    let origin = origin(&raw);
    let mut container = Container {
        name: name(&raw, origin),
        labels: user_labels(&raw),
        origin,
        ..Container::bare(raw, namespace)
    };
    match origin {
        Origin::Wharfie => ours(&mut container, paths),
        Origin::Nerdctl => nerdctl(&mut container),
        Origin::Cri => cri(&mut container),
        Origin::Other => {}
    }
    if container.record.is_none() {
        let head: SpecHead = serde_json::from_slice(&container.raw.spec).unwrap_or_default();
        container.command = head.process.args;
        container.tty = head.process.terminal;
    }
    container
}

fn origin(raw: &containerd::Container) -> Origin {
    if raw.labels.contains_key(NAME_LABEL) {
        Origin::Wharfie
    } else if raw.labels.contains_key("nerdctl/name") {
        Origin::Nerdctl
    } else if raw.labels.contains_key("io.cri-containerd.kind") {
        Origin::Cri
    } else {
        Origin::Other
    }
}

fn name(raw: &containerd::Container, origin: Origin) -> String {
    let label = |key: &str| raw.labels.get(key).filter(|value| !value.is_empty()).cloned();
    let found = match origin {
        Origin::Wharfie => label(NAME_LABEL),
        Origin::Nerdctl => label("nerdctl/name"),
        Origin::Cri => label("io.kubernetes.pod.name").map(|pod| {
            let namespace = label("io.kubernetes.pod.namespace").unwrap_or_default();
            match label("io.kubernetes.container.name") {
                Some(container) => format!("k8s://{namespace}/{pod}/{container}"),
                None => format!("k8s://{namespace}/{pod}"),
            }
        }),
        Origin::Other => None,
    };
    found.unwrap_or_else(|| raw.id.clone())
}

/// Labels without those by which a client keeps its own records.
fn user_labels(raw: &containerd::Container) -> BTreeMap<String, String> {
    const OWN: [&str; 4] = ["wharfie/", "nerdctl/", "containerd.io/restart", "io.containerd.image.config"];
    raw.labels
        .iter()
        .filter(|(key, _)| !OWN.iter().any(|own| key.starts_with(own)))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn ours(container: &mut Container, paths: &Paths) {
    let read = |name: &str| container.raw.extensions.get(name).map(|extension| extension.value.as_slice());
    container.state =
        read(STATE_EXTENSION).and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
    let Some(record) = read(RECORD_EXTENSION).and_then(|json| serde_json::from_slice::<Record>(json).ok())
    else {
        return;
    };
    container.image = match record.request.beside.as_ref().map(|beside| &beside.tools) {
        // The root is made for the occasion: what counts is whose programs are in it.
        Some(Tools::Tree(path) | Tools::Static(path)) => path.display().to_string(),
        Some(Tools::Image) | None => record.request.image.clone(),
    };
    // containerd keeps no large ones.
    container.labels.extend(record.request.labels.clone());
    container.tty = record.request.tty;
    container.command.clone_from(&record.command);
    if crate::monitor::log::is_kept(&record.request.log) {
        container.log = Some(
            paths
                .with_namespace(&container.namespace)
                .container(&container.id)
                .join(format!("{}-json.log", container.id)),
        );
    }
    container.record = Some(record);
    // The others are spared the look at a file: a list has many.
    if health::of(container).is_some() {
        container.health = health::read(&paths.with_namespace(&container.namespace).container(&container.id));
    }
}

/// What the CRI service keeps of a container, as far as it is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CriRecord {
    metadata: CriMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct CriMetadata {
    log_path: PathBuf,
    config: CriConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CriConfig {
    stdin: bool,
}

/// A kubelet says where the log of each container goes.
fn cri(container: &mut Container) {
    container.log = cri_record(container).and_then(|record| cri_log(&record.value));
}

fn cri_record(container: &Container) -> Option<&containerd::Extension> {
    container.raw.extensions.get("io.cri-containerd.container.metadata")
}

fn cri_log(json: &[u8]) -> Option<PathBuf> {
    let kept: CriRecord = serde_json::from_slice(json).ok()?;
    Some(kept.metadata.log_path).filter(|path| path.is_absolute())
}

fn cri_stdin(json: &[u8]) -> bool {
    serde_json::from_slice(json).is_ok_and(|kept: CriRecord| kept.metadata.config.stdin)
}

/// Whether the container was made with an input. ctr and nerdctl keep no record of it: only a FIFO tells, once it
/// runs.
pub fn takes_input(container: &Container) -> bool {
    match container.origin {
        Origin::Wharfie => container.record.as_ref().is_none_or(|record| record.request.open_stdin),
        Origin::Cri => cri_record(container).is_some_and(|record| cri_stdin(&record.value)),
        Origin::Nerdctl | Origin::Other => true,
    }
}

/// nerdctl keeps its json-file log below its own data root, which a label names.
fn nerdctl(container: &mut Container) {
    let Some(directory) = container.raw.labels.get("nerdctl/state-dir") else { return };
    let path = PathBuf::from(directory).join(format!("{}-json.log", container.id));
    container.log = Some(path);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kubelets_log_is_where_its_record_says() {
        // As containerd 1.7 writes it, but for what is not read.
        let json = br#"{"Version":"v1","Metadata":{"ID":"6f","Name":"web_pod_default_uid_0","SandboxID":"9a",
            "Config":{"metadata":{"name":"web"},"log_path":"web/0.log","stdin":true,"tty":true},"ImageRef":"sha256:11",
            "LogPath":"/var/log/pods/default_pod_uid/web/0.log","StopSignal":"SIGTERM","ProcessLabel":""}}"#;
        assert_eq!(cri_log(json), Some("/var/log/pods/default_pod_uid/web/0.log".into()));
        assert!(cri_stdin(json));
        for other in [&b"{}"[..], br#"{"Metadata":{"LogPath":"","Config":{}}}"#, b"\x0a"] {
            assert_eq!(cri_log(other), None);
            assert!(!cri_stdin(other));
        }
    }
}
