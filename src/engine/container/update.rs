//! Other limits and another restart policy for a container, whether or not it runs, whoever made it.

use serde_json::Value;

use super::find::find;
use super::hold::hold;
use super::model::{
    Container, Origin, RECORD_EXTENSION, Record, STATE_EXTENSION, Status, record_extension, state_extension,
};
use super::origin::adapt;
use super::publish::{self, Ports};
use super::{hung, inspect};
use crate::containerd::Code;
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::oci::request::{Resources, RestartPolicy};
use crate::oci::{resources, update as limits};
use crate::sys::host::Host;

/// What to change; None leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Update {
    /// Limits on CPU, memory, processes and block devices; other fields are not looked at.
    pub resources: Resources,
    /// When to start again.
    pub restart: Option<RestartPolicy>,
    /// Ports to publish and to take back.
    pub ports: Ports,
}

/// What an update did not do: in docker's words, for WARNING.
#[derive(Debug, Default)]
pub struct Updated {
    /// Limits that this machine does not have.
    pub warnings: Vec<String>,
}

/// Change the container: first the running processes, then what is kept for `inspect` and the next start.
/// Where the first fails nothing is changed.
pub async fn update(engine: &Engine, container: &mut Container, update: &Update) -> Result<Updated> {
    let _held = hold(&engine.paths.container(&container.id)).await?;
    *container = find(engine, &container.id).await?;
    let lead = format!("Cannot update container {}", container.id);
    let mut record = container.record.clone();
    if let Some(policy) = update.restart {
        set_policy(container, record.as_mut(), policy).map_err(|error| error.context(&lead))?;
    }
    let mut fields = Vec::new();
    let mut updated = Updated::default();
    if update.resources != Resources::default() {
        let host = Host::gather();
        let current = inspect::resources(container);
        let merged = limits::merge(&current, &update.resources, host.controllers.swap)
            .map_err(|error| error.context(&lead))?;
        let settled;
        (settled, updated.warnings) = resources::settle(&merged, &host)?;
        let mut spec: Value = serde_json::from_slice(&container.raw.spec)
            .map_err(|cause| Error::failed(format!("{lead}: its specification cannot be read: {cause}")))?;
        limits::write(&mut spec, &settled, &update.resources);
        apply(engine, container, &spec).await.map_err(|error| error.context(&lead))?;
        container.raw.spec = serde_json::to_vec(&spec)
            .map_err(|cause| Error::failed(format!("write the specification: {cause}")))?;
        fields.push("spec".to_owned());
        if let Some(record) = &mut record {
            record.request.resources = settled;
        }
    }
    let mut change = None;
    if !update.ports.is_empty() {
        let Some(record) = &mut record else { return Err(kept_by(container, "ports are").context(&lead)) };
        let changed = publish::change(engine, container, record, &update.ports);
        change = changed.await.map_err(|error| error.context(&lead))?;
        if change.is_some() {
            container.raw.extensions.insert(STATE_EXTENSION.into(), state_extension(&container.state)?);
            fields.push(format!("extensions.{STATE_EXTENSION}"));
        }
    }
    if let Some(record) = &record {
        container.raw.extensions.insert(RECORD_EXTENSION.into(), record_extension(record)?);
        fields.push(format!("extensions.{RECORD_EXTENSION}"));
    }
    if !fields.is_empty() {
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        let kept = engine.containerd.update_container(&container.raw, &fields).await;
        kept.map_err(|error| Error::from(error).context(&lead))?;
    }
    if let Some(change) = change {
        change.finish()?;
    }
    container.record = record;
    engine.note(&[event::of_container(container, "update")]);
    Ok(updated)
}

fn set_policy(container: &Container, record: Option<&mut Record>, policy: RestartPolicy) -> Result<()> {
    let Some(record) = record else { return Err(kept_by(container, "restart policy is")) };
    if record.request.auto_remove && policy != RestartPolicy::No {
        return Err(Error::conflict(
            "Restart policy cannot be updated because AutoRemove is enabled for the container",
        ));
    }
    record.request.restart = policy;
    Ok(())
}

/// What only its maker may change.
fn kept_by(container: &Container, what: &str) -> Error {
    let keeper = match container.origin {
        Origin::Cri => "the kubelet",
        Origin::Nerdctl => "nerdctl",
        Origin::Wharfie | Origin::Other => "whoever made it",
    };
    Error::conflict(format!("its {what} kept by {keeper}"))
}

/// Tell the processes that run.
async fn apply(engine: &Engine, container: &Container, spec: &Value) -> Result<()> {
    match container.status {
        Status::Running | Status::Paused => {}
        Status::Unknown => return Err(hung::error(container)),
        _ => return Ok(()),
    }
    let live = serde_json::to_vec(&limits::live(spec))
        .map_err(|cause| Error::failed(format!("write the limits: {cause}")))?;
    match engine.containerd.update_task(&container.id, live).await {
        // It has ended meanwhile: the next start takes what is kept.
        Err(error) if error.is_not_found() => Ok(()),
        Err(error) if error.code == Code::DeadlineExceeded => Err(hung::error(container)),
        other => Ok(other?),
    }
}

/// The restart policy as it is kept at this moment: an update may have changed it since `container` was read.
pub async fn restart_policy(engine: &Engine, container: &Container) -> Result<RestartPolicy> {
    let latest = match engine.containerd.container(&container.id).await.map_err(Error::from) {
        Ok(raw) => adapt(raw, &engine.paths, engine.containerd.namespace()).record,
        Err(error) if error.kind == Kind::NotFound => None,
        Err(error) => return Err(error),
    };
    let record = latest.or_else(|| container.record.clone());
    Ok(record.map(|record| record.request.restart).unwrap_or_default())
}
