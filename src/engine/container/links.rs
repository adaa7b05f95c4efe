//! docker's `--link`: another container's address under a name in the hosts file, and on the default network its
//! ports and variables in the environment.
//!
//! The lines lie in the container's directory (`links`), from where [`super::files`] adds them to its hosts
//! file. The other container's directory names those that link to it (`linked-by/<id>`), so that its next start
//! tells them its new address.

use std::path::Path;

use serde_json::Value;

use super::files;
use super::find::no_such;
use super::hold::hold;
use super::inspect::connection;
use super::model::{Container, Origin, RECORD_EXTENSION, Record, record_extension};
use super::network::DEFAULT_NETWORK;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::oci::request::{ContainerRequest, Link};
use crate::store::{make_directory, read_bounded, write_atomic};

/// The file with lines for the hosts file.
const LINES: &str = "links";
/// The directory with the ids of those who link to a container.
const LINKED_BY: &str = "linked-by";
const LARGEST: u64 = 1 << 20;

/// Replace the names of linked containers by ids, and keep their names.
pub(super) async fn resolve(engine: &Engine, request: &mut ContainerRequest) -> Result<()> {
    for link in &mut request.links {
        let other = super::find(engine, &link.container)
            .await
            .map_err(|error| error.context(format!("could not get container for {}", link.container)))?;
        link.container.clone_from(&other.id);
        link.name.clone_from(&other.name);
    }
    Ok(())
}

/// Look the linked containers up again: the lines for the hosts file, and the environment of `spec`.
pub(super) async fn refresh(
    engine: &Engine,
    container: &Container,
    record: &Record,
    spec: &mut Value,
) -> Result<()> {
    let request = &record.request;
    if request.links.is_empty() {
        return Ok(());
    }
    let on_default = is_on_default(request);
    let (mut lines, mut variables) = (String::new(), Vec::new());
    for link in &request.links {
        let other = super::find(engine, &link.container).await?;
        if !other.status.is_alive() {
            // Names of other networks may come later, as docker's do.
            if !on_default {
                continue;
            }
            return Err(Error::conflict(format!(
                "Cannot link to a non running container: /{} AS /{}/{}",
                other.name, request.name, link.alias
            ))
            .hint(format!("start it first: wharfie start {}", other.name)));
        }
        let address = address(&other, request).ok_or_else(|| {
            let network = if on_default { "the default network" } else { "any network of this container" };
            Error::conflict(format!("Cannot link to /{}, as it does not belong to {network}", other.name))
        })?;
        lines.push_str(&format!("{address}\t{}\n", names(link, &other)));
        if on_default {
            variables.extend(environment(&request.name, link, &other, &address));
        }
        remember(engine, &other, &container.id)?;
    }
    write_atomic(&engine.paths.container(&container.id).join(LINES), lines.as_bytes(), 0o600)?;
    if on_default {
        set_environment(spec, request, variables);
    }
    Ok(())
}

/// Tell those who link to this container, which has just been connected, where it is now.
pub(super) async fn tell(engine: &Engine, container: &Container) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(engine.paths.container(&container.id).join(LINKED_BY)) else {
        return Ok(());
    };
    for entry in entries.filter_map(std::io::Result::ok) {
        let linking = match entry.file_name().to_str() {
            Some(id) => super::find(engine, id).await.ok().filter(|found| found.id == id),
            None => None,
        };
        let Some(linking) = linking else {
            // It has been removed since.
            let _ = std::fs::remove_file(entry.path());
            continue;
        };
        let Some(record) = linking.record.as_ref().filter(|_| linking.status.is_alive()) else { continue };
        let path = engine.paths.container(&linking.id).join(LINES);
        let mut lines = String::new();
        for link in &record.request.links {
            let other = match link.container == container.id {
                true => container.clone(),
                false => super::find(engine, &link.container).await?,
            };
            if let Some(address) = address(&other, &record.request) {
                lines.push_str(&format!("{address}\t{}\n", names(link, &other)));
            }
        }
        write_atomic(&path, lines.as_bytes(), 0o600)?;
        files::write(engine, &linking.id, record, linking.state.connection.as_ref())?;
    }
    Ok(())
}

/// The lines of the hosts file for networks that have changed while the container runs.
pub(super) async fn look_again(engine: &Engine, container: &Container) -> Result<()> {
    let request = &container.record()?.request;
    if request.links.is_empty() {
        return Ok(());
    }
    let mut lines = String::new();
    for link in &request.links {
        // One that has gone is told of by the next start.
        let Ok(other) = super::find(engine, &link.container).await else { continue };
        if let Some(address) = address(&other, request) {
            lines.push_str(&format!("{address}\t{}\n", names(link, &other)));
        }
        remember(engine, &other, &container.id)?;
    }
    write_atomic(&engine.paths.container(&container.id).join(LINES), lines.as_bytes(), 0o600)
}

/// Take the link `CONTAINER/ALIAS` away: from the container's settings, and where it runs from its hosts file.
///
/// # Errors
/// docker's words where there is no such container or link.
pub async fn unlink(engine: &Engine, reference: &str) -> Result<()> {
    let wanted = reference.trim_start_matches('/');
    let (name, alias) = wanted.rsplit_once('/').ok_or_else(|| no_such(reference))?;
    let mut container = super::find(engine, name).await?;
    let directory = engine.paths.container(&container.id);
    let _held = hold(&directory).await?;
    // What was seen before we held it may have changed.
    container = super::find(engine, &container.id).await?;
    let mut record = container.record()?.clone();
    let (gone, kept): (Vec<Link>, Vec<Link>) =
        record.request.links.iter().cloned().partition(|link| link.alias == alias);
    if gone.is_empty() {
        return Err(no_such(reference)
            .hint(format!("`wharfie inspect -f '{{{{.HostConfig.Links}}}}' {name}` lists its links")));
    }
    // The variables of an earlier start go with it.
    let mut spec: Value = serde_json::from_slice(&container.raw.spec).map_err(|cause| {
        Error::failed(format!("the specification of container {name} is damaged: {cause}"))
    })?;
    set_environment(&mut spec, &ContainerRequest { links: gone, ..record.request.clone() }, Vec::new());
    record.request.links = kept;
    container.raw.spec = serde_json::to_vec(&spec)
        .map_err(|cause| Error::failed(format!("write the specification: {cause}")))?;
    container.raw.extensions.insert(RECORD_EXTENSION.into(), record_extension(&record)?);
    let fields = ["spec", &format!("extensions.{RECORD_EXTENSION}")];
    engine.containerd.update_container(&container.raw, &fields).await?;
    let is_its =
        |line: &&str| line.split('\t').nth(1).is_some_and(|names| names.split(' ').next() == Some(alias));
    let kept: Vec<String> =
        lines(&directory).lines().filter(|line| !is_its(line)).map(|line| format!("{line}\n")).collect();
    write_atomic(&directory.join(LINES), kept.concat().as_bytes(), 0o600)?;
    if container.status.is_alive() {
        files::write(engine, &container.id, &record, container.state.connection.as_ref())?;
    }
    Ok(())
}

/// The lines that a container's hosts file gets.
pub(super) fn lines(directory: &Path) -> String {
    let bytes = read_bounded(&directory.join(LINES), LARGEST).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Only ours can keep it; those of other clients are looked up at each start of the linking one.
fn remember(engine: &Engine, other: &Container, id: &str) -> Result<()> {
    if other.origin != Origin::Wharfie {
        return Ok(());
    }
    let directory = engine.paths.container(&other.id).join(LINKED_BY);
    make_directory(&directory, 0o700)?;
    write_atomic(&directory.join(id), b"", 0o600)
}

fn is_on_default(request: &ContainerRequest) -> bool {
    request.network.joined().iter().all(|endpoint| endpoint.network == DEFAULT_NETWORK)
}

/// An address of `other` on a network that both are on.
fn address(other: &Container, request: &ContainerRequest) -> Option<String> {
    let joined = request.network.joined();
    let on = |network: &str| joined.iter().any(|endpoint| endpoint.network == network);
    let connection = connection(other)?;
    let shared = connection.endpoints.iter().filter(|endpoint| on(&endpoint.network));
    let address = shared.flat_map(|endpoint| &endpoint.addresses).next()?;
    Some(address.addr().to_string())
}

/// docker's names of a linked container: the alias, what it calls itself, and its name.
fn names(link: &Link, other: &Container) -> String {
    let mut names = vec![link.alias.clone(), files::hostname_of(other)];
    if other.name != link.alias {
        names.push(other.name.clone());
    }
    // A name that is none in a hosts file would be read as something else there.
    names.retain(|name| !name.contains(|letter: char| letter.is_whitespace() || letter.is_control()));
    names.join(" ")
}

/// docker's variables of a link.
fn environment(own: &str, link: &Link, other: &Container, address: &str) -> Vec<String> {
    let alias = link.alias.to_uppercase().replace('-', "_");
    let mut ports = exposed(other);
    ports.sort_by_key(|(port, protocol)| (*port, protocol != "tcp"));
    let mut variables = Vec::new();
    // The lowest one of TCP, else the lowest.
    let default = ports.iter().find(|(_, protocol)| protocol == "tcp").or(ports.first());
    if let Some((port, protocol)) = default {
        variables.push(format!("{alias}_PORT={protocol}://{address}:{port}"));
    }
    for (port, protocol) in &ports {
        let key = format!("{alias}_PORT_{port}_{}", protocol.to_uppercase());
        variables.push(format!("{key}={protocol}://{address}:{port}"));
        variables.push(format!("{key}_ADDR={address}"));
        variables.push(format!("{key}_PORT={port}"));
        variables.push(format!("{key}_PROTO={protocol}"));
    }
    variables.push(format!("{alias}_NAME=/{own}/{}", link.alias));
    for entry in own_environment(other) {
        if let Some((key, value)) = entry.split_once('=').filter(|(key, _)| !matches!(*key, "HOME" | "PATH"))
        {
            variables.push(format!("{alias}_ENV_{key}={value}"));
        }
    }
    variables
}

/// The ports that the other container shows.
fn exposed(other: &Container) -> Vec<(u16, String)> {
    let Some(record) = &other.record else { return Vec::new() };
    let image = record.image_config.pointer("/config/ExposedPorts").and_then(Value::as_object);
    let mut ports: Vec<(u16, String)> = image
        .into_iter()
        .flatten()
        .map(|(port, _)| port.as_str())
        .chain(record.request.network.expose.iter().map(String::as_str))
        .filter_map(|text| {
            let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            Some((port.parse().ok()?, protocol.to_owned()))
        })
        .collect();
    let published = record.request.network.ports.iter();
    ports.extend(published.map(|port| (port.container_port, port.protocol.name().to_owned())));
    ports.sort();
    ports.dedup();
    ports
}

fn own_environment(other: &Container) -> Vec<String> {
    let Some(record) = &other.record else { return Vec::new() };
    let image = record.image_config.pointer("/config/Env").and_then(Value::as_array);
    let image = image.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let set: Vec<String> = record.request.env.iter().map(|entry| key(entry)).collect();
    record.request.env.iter().cloned().chain(image.filter(|entry| !set.contains(&key(entry)))).collect()
}

/// Replace what an earlier start has put there; the request's own variables win, as with docker.
fn set_environment(spec: &mut Value, request: &ContainerRequest, variables: Vec<String>) {
    let Some(environment) = spec["process"]["env"].as_array_mut() else { return };
    let key = |entry: &str| entry.split('=').next().unwrap_or_default().to_owned();
    let own: Vec<String> = request.env.iter().map(|entry| key(entry)).collect();
    let prefixes: Vec<String> = request
        .links
        .iter()
        .map(|link| link.alias.to_uppercase().replace('-', "_"))
        .flat_map(|alias| ["PORT", "NAME", "ENV_"].map(|what| format!("{alias}_{what}")))
        .collect();
    environment.retain(|entry| {
        let entry = key(entry.as_str().unwrap_or_default());
        own.contains(&entry) || !prefixes.iter().any(|prefix| entry.starts_with(prefix))
    });
    let new = variables.into_iter().filter(|entry| !own.contains(&key(entry)));
    environment.extend(new.map(Value::from));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_of_a_link_are_replaced_and_do_not_win() {
        let request = ContainerRequest {
            env: vec!["DB_NAME=mine".into()],
            links: vec![Link { alias: "db".into(), ..Link::default() }],
            ..ContainerRequest::default()
        };
        let mut spec = json!({"process": {"env": ["PATH=/bin", "DB_NAME=mine", "DB_PORT=tcp://10.0.0.1:1"]}});
        set_environment(&mut spec, &request, vec!["DB_NAME=/a/db".into(), "DB_PORT=tcp://10.0.0.2:1".into()]);
        assert_eq!(spec["process"]["env"], json!(["PATH=/bin", "DB_NAME=mine", "DB_PORT=tcp://10.0.0.2:1"]));
    }
}
