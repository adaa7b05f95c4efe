//! Making a container: its name is reserved, its snapshot prepared, its volumes filled, its specification
//! written. A journal names it until it is whole, so that a killed process leaves nothing.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::find::quote;
use super::model::{
    Container, NAME_LABEL, RECORD_EXTENSION, Record, STATE_EXTENSION, State, record_extension,
    state_extension,
};
use super::mounts::Mounted;
use super::names::{random_id, random_name};
use super::network::{self, Connecting};
use super::origin::adapt;
use super::recover::{roll_back, settle};
use super::{files, mounts, spec};
use crate::containerd::{self, Code, Mount};
use crate::engine::image::ResolvedImage;
use crate::engine::volume::check_name;
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::image::platform::Platform;
use crate::oci::process;
use crate::oci::request::{ContainerRequest, DEFAULT_NETWORK, HealthCheck, NetworkMode};
use crate::store::Pending;
use crate::sys::rootfs::Rootfs;

/// What a rollback must know, written before anything is made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    pub(super) id: String,
    pub(super) snapshotter: String,
    /// Not half made but half removed.
    #[serde(default)]
    pub(super) removing: bool,
    /// Its anonymous volumes go too.
    #[serde(default = "yes")]
    pub(super) volumes: bool,
}

fn yes() -> bool {
    true
}

/// A container that is made and not started. Until [`Created::settle`] a killed process takes it along.
#[derive(Debug)]
pub struct Created {
    /// The container.
    pub container: Container,
    /// Its snapshot's mounts.
    pub mounts: Vec<Mount>,
    /// The network, where it is being made already.
    pub connecting: Option<Connecting>,
    /// What the user should know and docker prints as WARNING.
    pub warnings: Vec<String>,
    pending: Pending,
}

impl Created {
    /// Keep the container, whatever happens to this process from here on.
    pub fn settle(self) -> Result<Container> {
        self.pending.finish()?;
        Ok(self.container)
    }

    /// Split off the journal, for a caller that starts the container first.
    pub fn into_parts(self) -> (Container, Vec<Mount>, Option<Connecting>, Unsettled) {
        (self.container, self.mounts, self.connecting, Unsettled { pending: self.pending })
    }
}

/// A container that is rolled back unless it is kept.
#[derive(Debug)]
pub struct Unsettled {
    pending: Pending,
}

impl Unsettled {
    /// Keep the container.
    pub fn settle(self) -> Result<()> {
        self.pending.finish()
    }

    /// Take the container down again.
    pub async fn roll_back(self, engine: &Engine, container: &Container) -> Result<()> {
        roll_back(engine, &container.id, &container.raw.snapshotter).await?;
        self.pending.finish()
    }
}

/// Make a container from `image`. With `connect` its network is begun at once, beside everything else.
pub async fn create(
    engine: &Engine,
    mut request: ContainerRequest,
    image: &ResolvedImage,
    connect: bool,
) -> Result<Created> {
    super::spec::check_runtime(request.runtime.as_deref())?;
    settle(engine).await?;
    let id = random_id()?;
    let pending = reserve(engine, &mut request, &id).await?;
    let connecting = if connect { network::begin(engine, &id, &request, &exposed(image)) } else { None };
    let made = make(engine, request, image, &id).await;
    match made {
        Ok((container, mounts, warnings)) => Ok(Created { container, mounts, connecting, warnings, pending }),
        Err(error) => {
            if let Some(connecting) = connecting {
                let _ = connecting.finish().await;
            }
            // What cannot be taken down now is left to the next command; the user hears of the first failure.
            if roll_back(engine, &id, &engine.config.snapshotter).await.is_ok() {
                let _ = pending.finish();
            }
            Err(error)
        }
    }
}

/// Reserve the name, or make one up. The journal's file is the reservation while the container is made, its
/// label from then on.
async fn reserve(engine: &Engine, request: &mut ContainerRequest, id: &str) -> Result<Pending> {
    let snapshotter = engine.config.snapshotter.clone();
    let journal = Journal { id: id.into(), snapshotter, removing: false, volumes: true };
    let content =
        serde_json::to_vec(&journal).map_err(|cause| Error::failed(format!("write the journal: {cause}")))?;
    let given = !request.name.is_empty();
    if given {
        request.name = request.name.trim_start_matches('/').to_owned();
        check_container_name(&request.name)?;
    }
    for attempt in 0..8 {
        if !given {
            request.name = random_name(attempt)?;
        }
        let Some(pending) = Pending::begin(&engine.paths.pending(), &request.name, &content)? else {
            if given {
                return Err(name_in_use(&request.name, "another command is making it at this moment"));
            }
            continue;
        };
        let holder = named(engine, &request.name).await;
        match holder {
            Ok(None) => return Ok(pending),
            Ok(Some(_)) if !given => pending.finish()?,
            Ok(Some(holder)) => {
                pending.finish()?;
                return Err(name_in_use(&request.name, &format!("by container {holder:?}")));
            }
            Err(error) => {
                pending.finish()?;
                return Err(error);
            }
        }
    }
    Err(Error::failed("no free name was found in eight attempts").hint("name the container with --name"))
}

pub(super) async fn named(engine: &Engine, name: &str) -> Result<Option<String>> {
    let name = quote(name);
    let filters = [format!("labels.\"{NAME_LABEL}\"=={name}"), format!("labels.\"nerdctl/name\"=={name}")];
    Ok(engine.containerd.containers(&filters).await?.into_iter().next().map(|container| container.id))
}

pub(super) fn check_container_name(name: &str) -> Result<()> {
    check_name(name).map_err(|_| {
        Error::failed(format!("Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"))
    })
}

pub(super) fn name_in_use(name: &str, by: &str) -> Error {
    Error::conflict(format!(
        "Conflict. The container name {:?} is already in use {by}. You have to remove (or rename) that container to be able to reuse that name.",
        format!("/{name}")
    ))
    .hint(format!("`wharfie rm -f {name}` removes the other one; --name gives this one another name"))
}

async fn make(
    engine: &Engine,
    mut request: ContainerRequest,
    image: &ResolvedImage,
    id: &str,
) -> Result<(Container, Vec<Mount>, Vec<String>)> {
    let laid_out = super::debug::lay_out(engine, id, &mut request)?;
    if request.rootfs {
        return make_on(engine, request, image, (id, laid_out)).await;
    }
    let snapshotter = engine.config.snapshotter.clone();
    // A label of its own keeps the snapshot until the record refers to it: a lease would cost two more
    // writes to containerd's database, and the journal removes the snapshot of a killed process as well.
    let labels = HashMap::from([("containerd.io/gc.root".to_owned(), jiff::Timestamp::now().to_string())]);
    let prepared =
        engine.containerd.prepare_snapshot(&engine.config.snapshotter, id, &image.chain_id, labels);
    let snapshot = prepared.await.map_err(|error| {
        let not_unpacked = error.code == Code::NotFound;
        let error = Error::from(error).context(format!("prepare the snapshot of image {}", request.image));
        if not_unpacked {
            error.hint(format!(
                "its layers are not unpacked for {snapshotter}: `wharfie pull {}` unpacks them",
                request.image
            ))
        } else {
            error
        }
    })?;
    if let Some(beside) = &request.beside {
        super::debug::give(beside, &snapshot)?;
    }
    make_on(engine, request, image, (id, snapshot)).await
}

/// The rest, on a snapshot, or on the directory that `--rootfs` names.
async fn make_on(
    engine: &Engine,
    mut request: ContainerRequest,
    image: &ResolvedImage,
    (id, snapshot): (&str, Vec<Mount>),
) -> Result<(Container, Vec<Mount>, Vec<String>)> {
    let rootfs = match request.rootfs {
        true => Rootfs::at(Path::new(&request.image)).map_err(|error| error.context("--rootfs"))?,
        false => spec::rootfs(&snapshot)?,
    };
    let image_config = image.config_json.clone();
    resolve_network(engine, &mut request).await?;
    request.health = HealthCheck::settle(request.health, HealthCheck::of_image(&image_config));
    super::sharing::resolve(engine, &mut request).await?;
    let mounted = mounts::resolve(engine, id, &request, &image_config, &rootfs).await?;
    let mut record = Record {
        image_name: image.name.clone(),
        image_id: if request.rootfs { String::new() } else { image.target.digest().to_string() },
        image_config,
        command: process::command(&request, image.config.config().as_ref())?,
        mounts: mounted.all.iter().map(Mounted::resolved).collect(),
        request,
    };
    let (built, mut warnings) = spec::build(engine, id, &mut record, image, (&rootfs, &mounted.all)).await?;
    warnings.extend(foreign(&record, image));
    drop(rootfs);
    files::write(engine, id, &record, None)?;
    let raw = containerd_record(engine, id, &record, &built)?;
    engine.containerd.create_container(&raw).await?;
    // From here on the record keeps its volumes.
    drop(mounted);
    let container = adapt(raw, &engine.paths, engine.containerd.namespace());
    engine.note(&[event::of_container(&container, "create")]);
    Ok((container, snapshot, warnings))
}

/// docker runs an image of another platform where nobody asked for one, and says so: an emulator may be there.
fn foreign(record: &Record, image: &ResolvedImage) -> Option<String> {
    let host = Platform::host();
    let own =
        Platform::normalised(&image.config.os().to_string(), &image.config.architecture().to_string(), "");
    let differs = (&own.os, &own.architecture) != (&host.os, &host.architecture);
    (differs && record.request.platform.is_none()).then(|| {
        format!(
            "The requested image's platform ({}/{}) does not match the detected host platform ({}/{}) and no specific platform was requested",
            own.os, own.architecture, host.os, host.architecture
        )
    })
}

/// The ports that the image declares: `80/tcp`.
fn exposed(image: &ResolvedImage) -> Vec<String> {
    image.config.config().as_ref().and_then(|config| config.exposed_ports().clone()).unwrap_or_default()
}

/// A container whose network is shared is known by its id from here on: names can move.
async fn resolve_network(engine: &Engine, request: &mut ContainerRequest) -> Result<()> {
    if let NetworkMode::Container(reference) = &mut request.network.mode {
        let other = super::find(engine, reference).await?;
        // Whoever shares a network shares the name by which it is known there.
        request.hostname = Some(files::hostname_of(&other));
        *reference = other.id;
    }
    // An id stands for its network's name, by which it is found from here on. An unknown one fails at the start.
    for endpoint in request.network.endpoints.iter_mut().filter(|known| known.network != DEFAULT_NETWORK) {
        if let Ok(network) = engine.networks.get(&endpoint.network) {
            endpoint.network = network.name;
        }
    }
    Ok(())
}

fn containerd_record(
    engine: &Engine,
    id: &str,
    record: &Record,
    spec: &oci_spec::runtime::Spec,
) -> Result<containerd::Container> {
    let mut labels: HashMap<String, String> = HashMap::new();
    let image_labels = record.image_config.pointer("/config/Labels").and_then(|labels| labels.as_object());
    for (key, value) in image_labels.into_iter().flatten() {
        labels.insert(key.clone(), value.as_str().unwrap_or_default().to_owned());
    }
    labels.extend(record.request.labels.clone());
    // containerd refuses larger labels; they are kept whole in the record.
    labels.retain(|key, value| key.len() + value.len() <= 4096);
    labels.insert(NAME_LABEL.into(), record.request.name.clone());
    let (runtime, runtime_options) = spec::runtime(engine, record.request.runtime.as_deref());
    Ok(containerd::Container {
        id: id.into(),
        labels,
        image: record.image_name.clone(),
        runtime,
        runtime_options,
        spec: serde_json::to_vec(spec)
            .map_err(|cause| Error::failed(format!("write the specification: {cause}")))?,
        snapshotter: engine.config.snapshotter.clone(),
        snapshot_key: if record.request.rootfs { String::new() } else { id.into() },
        created_at: Some(jiff::Timestamp::now()),
        extensions: [
            (RECORD_EXTENSION.to_owned(), record_extension(record)?),
            (STATE_EXTENSION.to_owned(), state_extension(&State::default())?),
        ]
        .into(),
        ..containerd::Container::default()
    })
}
