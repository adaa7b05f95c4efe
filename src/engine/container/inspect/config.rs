//! The section `Config`: what a container was made with that concerns itself, the image's part included.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Facts;
use crate::engine::container::files;
use crate::oci::request::{ContainerRequest, MountKind};

/// A set of names, which Go writes as an object of empty objects.
pub type Names = BTreeMap<String, Empty>;

/// `{}`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Empty {}

/// docker's Config.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Config {
    /// The name it calls itself by.
    pub hostname: String,
    /// Its domain.
    pub domainname: String,
    /// `user[:group]`.
    pub user: String,
    /// It was made to be joined with an input.
    pub attach_stdin: bool,
    /// It was made to be joined.
    pub attach_stdout: bool,
    /// It was made to be joined.
    pub attach_stderr: bool,
    /// Ports that it shows to other containers.
    #[serde(skip_serializing_if = "Names::is_empty")]
    pub exposed_ports: Names,
    /// It has a terminal.
    pub tty: bool,
    /// It has an input.
    pub open_stdin: bool,
    /// Its input ends with the first who was joined to it.
    pub stdin_once: bool,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// Arguments of the entrypoint, or the command.
    pub cmd: Option<Vec<String>>,
    /// How its health is checked: the flags, completed by the image.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub healthcheck: Value,
    /// The image as it was named.
    pub image: String,
    /// Places of volumes without a name.
    pub volumes: Option<Names>,
    /// Where the process starts.
    pub working_dir: String,
    /// What is executed before the command.
    pub entrypoint: Option<Vec<String>>,
    /// The user's and the image's labels.
    pub labels: BTreeMap<String, String>,
    /// How to stop it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// How long to wait before it is killed, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The image's shell.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub shell: Value,
}

pub(super) fn config(facts: &Facts<'_>) -> Config {
    let request = &facts.record.request;
    let image = Image(facts.record.image_config.get("config"));
    let attached = !request.detach;
    Config {
        hostname: hostname(facts),
        domainname: request.domainname.clone().unwrap_or_default(),
        user: given(request.user.as_deref()).unwrap_or_else(|| image.text("User")),
        attach_stdin: attached && request.open_stdin,
        attach_stdout: attached,
        attach_stderr: attached,
        exposed_ports: exposed_ports(request, &image),
        tty: request.tty,
        open_stdin: request.open_stdin,
        stdin_once: attached && request.open_stdin,
        env: environment(request, &image),
        cmd: command(request, &image),
        healthcheck: healthcheck(request, &image),
        image: request.image.clone(),
        volumes: volumes(request, &image),
        working_dir: given(request.working_dir.as_deref()).unwrap_or_else(|| image.text("WorkingDir")),
        entrypoint: request.entrypoint.clone().or_else(|| image.list("Entrypoint")),
        labels: facts.container.labels.clone(),
        stop_signal: given(request.stop_signal.as_deref()).or_else(|| given(Some(&image.text("StopSignal")))),
        stop_timeout: request.stop_timeout,
        shell: image.value("Shell"),
    }
}

/// The settled one; containers of older versions have only the image's.
fn healthcheck(request: &ContainerRequest, image: &Image<'_>) -> Value {
    match &request.health {
        Some(check) => serde_json::to_value(check).unwrap_or_default(),
        None => image.value("Healthcheck"),
    }
}

fn given(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn hostname(facts: &Facts<'_>) -> String {
    match (facts.spec.hostname(), &facts.container.record) {
        (Some(name), _) if !name.is_empty() => name.clone(),
        (_, Some(record)) => files::hostname(&facts.container.id, record),
        _ => String::new(),
    }
}

fn exposed_ports(request: &ContainerRequest, image: &Image<'_>) -> Names {
    let published =
        request.network.ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol.name()));
    image
        .names("ExposedPorts")
        .chain(request.network.expose.iter().cloned())
        .chain(published)
        .map(|port| (port, Empty {}))
        .collect()
}

/// The request's variables, then those of the image that it does not set.
fn environment(request: &ContainerRequest, image: &Image<'_>) -> Vec<String> {
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let set: Vec<String> = request.env.iter().map(|entry| key(entry)).collect();
    let inherited =
        image.list("Env").unwrap_or_default().into_iter().filter(|entry| !set.contains(&key(entry)));
    request.env.iter().cloned().chain(inherited).collect()
}

/// An entrypoint of the request drops the image's command.
fn command(request: &ContainerRequest, image: &Image<'_>) -> Option<Vec<String>> {
    let typed = request.command.clone().filter(|words| !words.is_empty());
    match request.entrypoint {
        Some(_) => typed,
        None => typed.or_else(|| image.list("Cmd")),
    }
}

fn volumes(request: &ContainerRequest, image: &Image<'_>) -> Option<Names> {
    let anonymous =
        request.mounts.iter().filter(|mount| mount.kind == MountKind::Volume && mount.source.is_empty());
    let names: Names = image
        .names("Volumes")
        .chain(anonymous.map(|mount| mount.target.clone()))
        .map(|target| (target, Empty {}))
        .collect();
    (!names.is_empty()).then_some(names)
}

/// The image's own Config, as far as it is one: images are made by strangers.
struct Image<'a>(Option<&'a Value>);

impl<'a> Image<'a> {
    fn value(&self, name: &str) -> Value {
        self.0.and_then(|config| config.get(name)).cloned().unwrap_or_default()
    }

    fn text(&self, name: &str) -> String {
        self.0.and_then(|config| config.get(name)).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        let list = self.0.and_then(|config| config.get(name)).and_then(Value::as_array)?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    fn names(&self, name: &str) -> impl Iterator<Item = String> + use<'a> {
        let entries: Option<&Map<String, Value>> =
            self.0.and_then(|config| config.get(name)).and_then(Value::as_object);
        entries.into_iter().flatten().map(|(name, _)| name.clone())
    }
}
