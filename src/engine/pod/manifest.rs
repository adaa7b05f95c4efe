//! A pod's manifest, as Kubernetes writes it, in its simple form: what one machine can do without a cluster. What it
//! cannot is refused by name where the pod would not work, and told where it would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::request::{ContainerRequest, Mounted, PodPort, PodRequest, Source};
use crate::cri::api::Protocol;
use crate::error::{Error, Result};

/// The pod that a manifest describes, and what of it has no effect here.
///
/// # Errors
/// What is no manifest of a pod, or asks for what only a cluster has; the error names the field.
pub fn parse(manifest: &Value) -> Result<(PodRequest, Vec<String>)> {
    let root = Field { path: String::new(), value: manifest };
    let kind = root.text("kind")?.unwrap_or_default();
    if kind != "Pod" {
        return Err(Error::failed(format!("a manifest of a Pod is wanted, not of kind {kind:?}")).hint(
            "a Deployment's pod is below spec.template: give it `kind: Pod`, `metadata` and that `spec`",
        ));
    }
    let metadata = root.object("metadata")?;
    let spec = root.object("spec")?;
    for missing in ["initContainers", "ephemeralContainers"] {
        if !spec.list(missing)?.is_empty() {
            return Err(Error::failed(format!("spec.{missing} is not supported: run them before the pod")));
        }
    }
    let volumes = volumes(&spec)?;
    let mut request = PodRequest {
        namespace: metadata.text("namespace")?.unwrap_or_else(|| "default".into()),
        name: metadata.text("name")?.ok_or_else(|| Error::failed("metadata.name is missing"))?,
        hostname: spec.text("hostname")?,
        labels: metadata.texts("labels")?,
        annotations: metadata.texts("annotations")?,
        host_network: spec.switch("hostNetwork")?,
        host_pid: spec.switch("hostPID")?,
        host_ipc: spec.switch("hostIPC")?,
        runtime_handler: spec.text("runtimeClassName")?,
        ..PodRequest::default()
    };
    let mut unheeded = spec.others(&SPEC);
    for container in spec.list("containers")? {
        request.containers.push(self::container(&container, &volumes)?);
        request.ports.extend(ports(&container)?);
        unheeded.extend(container.others(&CONTAINER));
    }
    if request.containers.is_empty() {
        return Err(Error::failed("spec.containers is missing: a pod has at least one"));
    }
    Ok((request, unheeded))
}

/// What of a pod is heeded, or has no meaning without a cluster and needs no word.
const SPEC: [&str; 18] = [
    "hostname",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "runtimeClassName",
    "containers",
    "initContainers",
    "ephemeralContainers",
    "volumes",
    "nodeName",
    "nodeSelector",
    "tolerations",
    "schedulerName",
    "priority",
    "priorityClassName",
    "enableServiceLinks",
    "terminationGracePeriodSeconds",
    "dnsPolicy",
];

/// What of a container is heeded, or needs no word.
const CONTAINER: [&str; 14] = [
    "name",
    "image",
    "imagePullPolicy",
    "command",
    "args",
    "workingDir",
    "env",
    "ports",
    "volumeMounts",
    "resources",
    "securityContext",
    "tty",
    "stdin",
    "terminationMessagePath",
];

/// The volumes by name.
fn volumes(spec: &Field<'_>) -> Result<BTreeMap<String, Source>> {
    let mut volumes = BTreeMap::new();
    for volume in spec.list("volumes")? {
        let name = volume.text("name")?.unwrap_or_default();
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(Error::failed(format!("{}.name is no name of a volume: {name:?}", volume.path)));
        }
        let source = if volume.get("emptyDir").is_some() {
            Source::Own(name.clone(), PathBuf::new())
        } else if volume.get("hostPath").is_some() {
            let path = volume.object("hostPath")?.text("path")?.unwrap_or_default();
            if !path.starts_with('/') {
                return Err(Error::failed(format!(
                    "{}.hostPath.path is no absolute path: {path:?}",
                    volume.path
                )));
            }
            Source::Host(path.into())
        } else {
            let kind = volume.keys().into_iter().find(|key| key != "name").unwrap_or_default();
            return Err(Error::failed(format!(
                "{}.{kind} is not supported: it needs a cluster",
                volume.path
            ))
            .hint("hostPath and emptyDir are"));
        };
        volumes.insert(name, source);
    }
    Ok(volumes)
}

fn container(field: &Field<'_>, volumes: &BTreeMap<String, Source>) -> Result<ContainerRequest> {
    let need = |name: &str| {
        let text = field.text(name)?;
        text.ok_or_else(|| Error::failed(format!("{}.{name} is missing", field.path)))
    };
    let mut env = Vec::new();
    for variable in field.list("env")? {
        if variable.get("valueFrom").is_some() {
            return Err(Error::failed(format!(
                "{}.valueFrom is not supported: it needs a cluster",
                variable.path
            ))
            .hint("write the value itself"));
        }
        env.push((variable.text("name")?.unwrap_or_default(), variable.text("value")?.unwrap_or_default()));
    }
    let mut mounts = Vec::new();
    for mount in field.list("volumeMounts")? {
        let name = mount.text("name")?.unwrap_or_default();
        let Some(source) = volumes.get(&name) else {
            return Err(Error::failed(format!("{}: there is no volume {name:?}", mount.path)));
        };
        let below = PathBuf::from(mount.text("subPath")?.unwrap_or_default());
        if below.components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(Error::failed(format!("{}.subPath leads out of the volume", mount.path)));
        }
        let source = match source {
            Source::Host(path) if below.as_os_str().is_empty() => Source::Host(path.clone()),
            Source::Host(path) => Source::Host(path.join(below)),
            Source::Own(name, _) => Source::Own(name.clone(), below),
        };
        mounts.push(Mounted {
            source,
            target: mount
                .text("mountPath")?
                .filter(|path| Path::new(path).is_absolute())
                .ok_or_else(|| Error::failed(format!("{}.mountPath is no absolute path", mount.path)))?,
            read_only: mount.switch("readOnly")?,
        });
    }
    let limits = field.object("resources")?.object("limits")?;
    let security = field.object("securityContext")?;
    Ok(ContainerRequest {
        name: need("name")?,
        image: need("image")?,
        command: field.words("command")?,
        args: field.words("args")?,
        working_dir: field.text("workingDir")?,
        env,
        mounts,
        tty: field.switch("tty")?,
        stdin: field.switch("stdin")?,
        privileged: security.switch("privileged")?,
        user: security.number("runAsUser")?,
        read_only: security.switch("readOnlyRootFilesystem")?,
        memory: limits.quantity("memory")? / 1000,
        millicpus: limits.quantity("cpu")?,
    })
}

fn ports(container: &Field<'_>) -> Result<Vec<PodPort>> {
    let mut ports = Vec::new();
    for port in container.list("ports")? {
        let number = |name: &str| {
            let number = port.number(name)?.unwrap_or_default();
            u16::try_from(number)
                .map_err(|_| Error::failed(format!("{}.{name} is no port: {number}", port.path)))
        };
        let protocol = match port.text("protocol")?.as_deref() {
            None | Some("TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            Some(other) => return Err(Error::failed(format!("{}.protocol is none: {other:?}", port.path))),
        };
        ports.push(PodPort {
            host: number("hostPort")?,
            host_ip: port.text("hostIP")?.unwrap_or_default(),
            container: number("containerPort")?,
            protocol,
        });
    }
    // A port that leads nowhere is a note to the reader.
    ports.retain(|port| port.host != 0);
    Ok(ports)
}

/// A value and its name in the manifest.
struct Field<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Field<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.value.get(name).filter(|value| !value.is_null())
    }

    fn named(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn wrong(&self, name: &str, wanted: &str) -> Error {
        Error::failed(format!("{} is no {wanted}", self.named(name)))
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        match self.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(self.wrong(name, "text")),
        }
    }

    fn switch(&self, name: &str) -> Result<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Value::Bool(yes)) => Ok(*yes),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<i64>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => value.as_i64().map(Some).ok_or_else(|| self.wrong(name, "whole number")),
        }
    }

    fn object(&self, name: &str) -> Result<Field<'a>> {
        static NOTHING: Value = Value::Null;
        match self.get(name) {
            None => Ok(Field { path: self.named(name), value: &NOTHING }),
            Some(value @ Value::Object(_)) => Ok(Field { path: self.named(name), value }),
            Some(_) => Err(self.wrong(name, "object")),
        }
    }

    fn list(&self, name: &str) -> Result<Vec<Field<'a>>> {
        match self.get(name) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, value)| Field { path: format!("{}[{index}]", self.named(name)), value })
                .collect()),
            Some(_) => Err(self.wrong(name, "list")),
        }
    }

    fn words(&self, name: &str) -> Result<Vec<String>> {
        let words = self.list(name)?.into_iter().map(|field| match field.value {
            Value::String(text) => Ok(text.clone()),
            _ => Err(Error::failed(format!("{} is no text", field.path))),
        });
        words.collect()
    }

    fn texts(&self, name: &str) -> Result<BTreeMap<String, String>> {
        let object = self.object(name)?;
        object
            .keys()
            .into_iter()
            .map(|key| Ok((key.clone(), object.text(&key)?.unwrap_or_default())))
            .collect()
    }

    fn keys(&self) -> Vec<String> {
        self.value.as_object().map(Map::keys).into_iter().flatten().cloned().collect()
    }

    /// The fields beside `known`, by their whole names.
    fn others(&self, known: &[&str]) -> Vec<String> {
        self.keys().iter().filter(|key| !known.contains(&key.as_str())).map(|key| self.named(key)).collect()
    }

    /// A quantity in Kubernetes' notation, in thousandths.
    fn quantity(&self, name: &str) -> Result<i64> {
        match self.get(name) {
            None => Ok(0),
            Some(Value::Number(number)) => {
                quantity(&number.to_string()).ok_or_else(|| self.wrong(name, "quantity"))
            }
            Some(Value::String(text)) => quantity(text).ok_or_else(|| self.wrong(name, "quantity")),
            Some(_) => Err(self.wrong(name, "quantity")),
        }
    }
}

/// `500m`, `1.5`, `64Mi`, `1G`, in thousandths.
fn quantity(text: &str) -> Option<i64> {
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: i128 = match unit {
        "m" => 1,
        "" => 1000,
        "k" => 1000 * 1000,
        "M" => 1000 * 1000_i128.pow(2),
        "G" => 1000 * 1000_i128.pow(3),
        "T" => 1000 * 1000_i128.pow(4),
        "Ki" => 1000 << 10,
        "Mi" => 1000 << 20,
        "Gi" => 1000 << 30,
        "Ti" => 1000 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let ten = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    i64::try_from(digits.checked_mul(scale)? / ten).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_manifest_is_read() {
        let (pod, unheeded) = parse(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
            "spec": {
                "hostNetwork": true, "restartPolicy": "Never", "nodeName": "n1",
                "volumes": [{"name": "data", "hostPath": {"path": "/srv/data"}}, {"name": "tmp", "emptyDir": {}}],
                "containers": [{
                    "name": "app", "image": "busybox:1", "command": ["sleep"], "args": ["100"],
                    "env": [{"name": "A", "value": "b"}],
                    "ports": [{"containerPort": 80, "hostPort": 8080, "protocol": "UDP"}, {"containerPort": 9}],
                    "volumeMounts": [
                        {"name": "data", "mountPath": "/data", "readOnly": true, "subPath": "a/b"},
                        {"name": "tmp", "mountPath": "/tmp"}
                    ],
                    "resources": {"limits": {"memory": "64Mi", "cpu": "500m"}},
                    "securityContext": {"privileged": true, "runAsUser": 7},
                    "livenessProbe": {"exec": {"command": ["true"]}}
                }]
            }
        }))
        .unwrap();
        assert_eq!(unheeded, ["spec.restartPolicy", "spec.containers[0].livenessProbe"]);
        assert_eq!((pod.namespace.as_str(), pod.name.as_str(), pod.host_network), ("shop", "web", true));
        assert_eq!(
            pod.ports,
            [PodPort { host: 8080, host_ip: String::new(), container: 80, protocol: Protocol::Udp }]
        );
        let app = &pod.containers[0];
        assert_eq!((app.memory, app.millicpus, app.privileged, app.user), (64 << 20, 500, true, Some(7)));
        assert_eq!(app.mounts[0].source, Source::Host("/srv/data/a/b".into()));
        assert_eq!(app.mounts[1].source, Source::Own("tmp".into(), PathBuf::new()));
        assert!(app.mounts[0].read_only && !app.mounts[1].read_only);
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let of = |spec: Value| json!({"kind": "Pod", "metadata": {"name": "x"}, "spec": spec});
        let one = |extra: Value| {
            let mut container = json!({"name": "a", "image": "b"});
            container.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            of(json!({"containers": [container]}))
        };
        for (manifest, why) in [
            (json!({"kind": "Deployment"}), "a manifest of a Pod is wanted, not of kind \"Deployment\""),
            (of(json!({})), "spec.containers is missing: a pod has at least one"),
            (of(json!({"containers": [{"name": "a"}]})), "spec.containers[0].image is missing"),
            (
                of(json!({"initContainers": [{}]})),
                "spec.initContainers is not supported: run them before the pod",
            ),
            (
                of(json!({"volumes": [{"name": "c", "configMap": {}}]})),
                "spec.volumes[0].configMap is not supported: it needs a cluster",
            ),
            (
                of(json!({"volumes": [{"name": "../x", "emptyDir": {}}]})),
                "spec.volumes[0].name is no name of a volume: \"../x\"",
            ),
            (
                one(json!({"env": [{"name": "A", "valueFrom": {}}]})),
                "spec.containers[0].env[0].valueFrom is not supported: it needs a cluster",
            ),
            (
                one(json!({"volumeMounts": [{"name": "v", "mountPath": "/x"}]})),
                "spec.containers[0].volumeMounts[0]: there is no volume \"v\"",
            ),
            (one(json!({"command": "sleep"})), "spec.containers[0].command is no list"),
            (
                one(json!({"ports": [{"containerPort": 70000}]})),
                "spec.containers[0].ports[0].containerPort is no port: 70000",
            ),
            (
                one(json!({"resources": {"limits": {"memory": "lots"}}})),
                "spec.containers[0].resources.limits.memory is no quantity",
            ),
        ] {
            assert_eq!(parse(&manifest).unwrap_err().message, why);
        }
        let escape = json!({"kind": "Pod", "metadata": {"name": "x"}, "spec": {
            "volumes": [{"name": "v", "emptyDir": {}}],
            "containers": [{"name": "a", "image": "b", "volumeMounts": [
                {"name": "v", "mountPath": "/x", "subPath": "../../etc"}]}]}});
        assert!(parse(&escape).unwrap_err().message.contains("leads out of the volume"));
    }

    #[test]
    fn quantities_are_kubernetes() {
        for (text, thousandths) in [
            ("500m", 500),
            ("2", 2000),
            ("1.5", 1500),
            ("64Mi", 1000 * (64 << 20)),
            ("1k", 1_000_000),
            ("0.1", 100),
        ] {
            assert_eq!(quantity(text), Some(thousandths), "{text}");
        }
        for text in ["", "x", "1Q", "1.2.3", "-1"] {
            assert_eq!(quantity(text), None, "{text}");
        }
    }
}
