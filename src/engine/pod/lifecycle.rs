//! Making, stopping and removing pods: through CRI, which owns them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::kubelet;
use super::model::{Member, Pod};
use super::request::{OWN_LABEL, PodRequest, log_directory};
use crate::cri::json::from_value;
use crate::cri::{Client, api};
use crate::engine::Engine;
use crate::engine::container::{Status, random_id};
use crate::error::{Error, Kind, Result};
use crate::store::{Lock, make_directory};

/// How long CRI may take for what needs no process to begin or end.
const QUICK: Duration = Duration::from_secs(30);
/// How long it may take to make or end a sandbox, whose network may need a slow plugin.
const SLOW: Duration = Duration::from_secs(240);

/// Which images are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fetch {
    /// Those that are not here.
    #[default]
    Missing,
    /// All.
    Always,
    /// None.
    Never,
}

/// A pod that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// The sandbox's id.
    pub id: String,
    /// Its containers' ids, in their order.
    pub containers: Vec<String>,
}

/// CRI of this engine's containerd.
fn cri(engine: &Engine, deadline: Duration) -> Client {
    Client::new(&engine.containerd, Some(deadline))
}

/// CRI's error, with what to do where it does not answer.
fn told(error: crate::containerd::Error) -> Error {
    let error = Error::from(error);
    match error.kind {
        Kind::Unavailable => Error {
            hints: vec![
                "making and ending pods needs CRI: `wharfie doctor` tells what is wrong with it".into(),
                "`wharfie pod ls` and `wharfie pod logs` read without it".into(),
            ],
            ..error
        },
        _ => error,
    }
}

/// Make a pod with its containers; they are started where `start` says so. What cannot be made completely is taken down
/// again.
///
/// # Errors
/// A pod of this name that runs already; an image that is not there; what CRI answered.
pub async fn make(engine: &Engine, request: &PodRequest, fetch: Fetch, start: bool) -> Result<Made> {
    sweep(engine).await;
    let taken = super::list(engine)
        .await?
        .into_iter()
        .find(|pod| pod.namespace == request.namespace && pod.name == request.name);
    if let Some(pod) = taken {
        return Err(Error::conflict(format!("there is a pod {} already", pod.full_name()))
            .hint("choose another --name, or remove it with `wharfie pod rm`"));
    }
    let quick = cri(engine, QUICK);
    for container in &request.containers {
        fetched(&quick, &container.image, fetch).await?;
    }
    let uid = uuid()?;
    let sandbox = request.sandbox(&uid, &cgroup_parent(&quick).await);
    let own = own_directory(engine, &uid);
    let making = Making::begin(&own)?;
    for container in &request.containers {
        make_log_directory(&request.log_directory(&uid).join(&container.name))?;
    }
    let handler = request.runtime_handler.clone().unwrap_or_default();
    let run = api::RunPodSandboxRequest { config: Some(sandbox.clone()), runtime_handler: handler };
    let ran = cri(engine, SLOW).run_pod_sandbox(run).await.map_err(told);
    let id = match ran {
        Ok(answer) => answer.pod_sandbox_id,
        Err(error) => {
            remove_directories(engine, &request.namespace, &request.name, &uid);
            return Err(error.context(format!("make pod {}/{}", request.namespace, request.name)));
        }
    };
    let filled = async {
        let mut containers = Vec::new();
        for container in &request.containers {
            for mount in &container.mounts {
                if let super::request::Source::Own(name, below) = &mount.source {
                    let directory = own.join(name);
                    make_directory(&directory, 0o700)?;
                    make_directory(&directory.join(below), 0o755)?;
                    // Kubernetes' empty directories are open to every user of the pod; nobody else gets this far.
                    std::fs::set_permissions(&directory, Permissions::from_mode(0o777))
                        .map_err(|cause| Error::io("open", &directory, cause))?;
                }
            }
            let config = container.config(&sandbox, &own);
            containers.push(create(&quick, &id, &sandbox, config).await?);
        }
        if start {
            for container in &containers {
                start_container(engine, container).await?;
            }
        }
        Ok(containers)
    };
    match filled.await {
        Ok(containers) => {
            making.finish();
            Ok(Made { id, containers })
        }
        Err(error) => {
            // A pod that lacks a container is none; the error that led here is the one to tell.
            let _ = cri(engine, SLOW)
                .stop_pod_sandbox(api::StopPodSandboxRequest { pod_sandbox_id: id.clone() })
                .await;
            let _ = cri(engine, SLOW)
                .remove_pod_sandbox(api::RemovePodSandboxRequest { pod_sandbox_id: id })
                .await;
            remove_directories(engine, &request.namespace, &request.name, &uid);
            Err(Error::context(error, format!("make pod {}/{}", request.namespace, request.name)))
        }
    }
}

async fn create(
    cri: &Client,
    pod: &str,
    sandbox: &api::PodSandboxConfig,
    config: api::ContainerConfig,
) -> Result<String> {
    let name = config.metadata.as_ref().map(|metadata| metadata.name.clone()).unwrap_or_default();
    let request = api::CreateContainerRequest {
        pod_sandbox_id: pod.to_owned(),
        config: Some(config),
        sandbox_config: Some(sandbox.clone()),
    };
    let created = cri.create_container(request).await.map_err(told);
    Ok(created.map_err(|error| error.context(format!("container {name}")))?.container_id)
}

async fn start_container(engine: &Engine, id: &str) -> Result<()> {
    let request = api::StartContainerRequest { container_id: id.to_owned() };
    cri(engine, SLOW).start_container(request).await.map_err(told).map(drop)
}

async fn fetched(cri: &Client, image: &str, fetch: Fetch) -> Result<()> {
    let spec = api::ImageSpec { image: image.to_owned(), ..Default::default() };
    let status =
        cri.image_status(api::ImageStatusRequest { image: Some(spec.clone()), verbose: false }).await;
    let is_here = status.map_err(told)?.image.is_some();
    match fetch {
        Fetch::Missing if is_here => Ok(()),
        Fetch::Never if is_here => Ok(()),
        Fetch::Never => Err(Error::not_found(format!("No such image: {image}"))
            .hint(format!("fetch it with `wharfie -n k8s.io pull {image}`"))),
        Fetch::Missing | Fetch::Always => {
            let request = api::PullImageRequest { image: Some(spec), ..Default::default() };
            // A large image takes its time.
            let pulled = cri.within(None).pull_image(request).await.map_err(told);
            pulled.map(drop).map_err(|error| error.context(format!("pull {image}")))
        }
    }
}

/// The parent of a pod's control group; empty lets CRI choose, which it can with every driver but systemd's.
async fn cgroup_parent(cri: &Client) -> String {
    let is_systemd = match cri.runtime_config(api::RuntimeConfigRequest {}).await {
        Ok(answer) => {
            answer.linux.is_some_and(|linux| linux.cgroup_driver == i32::from(api::CgroupDriver::Systemd))
        }
        // An older containerd tells its whole configuration instead.
        Err(_) => match cri.status(api::StatusRequest { verbose: true }).await {
            Ok(status) => status.info.get("config").is_some_and(|config| has_systemd_cgroups(config)),
            Err(_) => false,
        },
    };
    if is_systemd { "system.slice".into() } else { String::new() }
}

fn has_systemd_cgroups(config: &str) -> bool {
    let config: Value = serde_json::from_str(config).unwrap_or_default();
    let containerd = &config["containerd"];
    let default = containerd["defaultRuntimeName"].as_str().unwrap_or("runc");
    containerd["runtimes"][default]["options"]["SystemdCgroup"] == Value::Bool(true)
}

/// Start a pod's containers: those that were made and not started, and new ones in place of those that have ended. A pod
/// whose sandbox has ended gets a new one.
///
/// # Errors
/// What CRI answered; a record that cannot be read.
pub async fn start(engine: &Engine, pod: &Pod) -> Result<()> {
    let quick = cri(engine, QUICK);
    let mut sandbox: api::PodSandboxConfig =
        config(&pod.sandbox.raw, "io.cri-containerd.sandbox.metadata").map_err(|error| named(error, pod))?;
    let mut id = pod.id.clone();
    if !pod.is_ready() {
        if let Some(metadata) = &mut sandbox.metadata {
            metadata.attempt += 1;
        }
        let run = api::RunPodSandboxRequest {
            config: Some(sandbox.clone()),
            runtime_handler: pod.runtime_handler.clone(),
        };
        let ran = cri(engine, SLOW).run_pod_sandbox(run).await.map_err(told);
        id = ran.map_err(|error| named(error, pod))?.pod_sandbox_id;
    }
    for member in pod.current() {
        let started = start_member(engine, &quick, pod, member, (&id, &sandbox)).await;
        started.map_err(|error| named(error.context(format!("container {}", member.name)), pod))?;
    }
    if id != pod.id {
        // The old sandbox has served its time.
        let request = api::RemovePodSandboxRequest { pod_sandbox_id: pod.id.clone() };
        cri(engine, SLOW).remove_pod_sandbox(request).await.map_err(told)?;
    }
    Ok(())
}

async fn start_member(
    engine: &Engine,
    quick: &Client,
    pod: &Pod,
    member: &Member,
    (id, sandbox): (&str, &api::PodSandboxConfig),
) -> Result<()> {
    if *id == pod.id {
        // containerd knows no process of a container that was never started, nor of one that has ended.
        let request =
            api::ContainerStatusRequest { container_id: member.container.id.clone(), verbose: false };
        let status = quick.container_status(request).await.map_err(told)?.status.unwrap_or_default();
        match api::ContainerState::try_from(status.state) {
            Ok(api::ContainerState::ContainerRunning) => return Ok(()),
            Ok(api::ContainerState::ContainerCreated) => {
                return start_container(engine, &member.container.id).await;
            }
            _ => {}
        }
    }
    let mut config: api::ContainerConfig =
        config(&member.container.raw, "io.cri-containerd.container.metadata")?;
    let attempt = member.attempt + 1;
    if let Some(metadata) = &mut config.metadata {
        metadata.attempt = attempt;
    }
    if let Some((directory, _)) = config.log_path.rsplit_once('/') {
        config.log_path = format!("{directory}/{attempt}.log");
    }
    let container = create(quick, id, sandbox, config).await?;
    start_container(engine, &container).await
}

fn named(error: Error, pod: &Pod) -> Error {
    error.context(format!("start pod {}", pod.full_name()))
}

/// What CRI was told when it made this.
fn config<T: DeserializeOwned>(raw: &crate::containerd::Container, extension: &str) -> Result<T> {
    let unreadable = |why: String| Error::failed(format!("CRI's record of {} cannot be read: {why}", raw.id));
    let kept = raw.extensions.get(extension).ok_or_else(|| unreadable("there is none".into()))?;
    let kept: Value = serde_json::from_slice(&kept.value).map_err(|cause| unreadable(cause.to_string()))?;
    from_value(&kept["Metadata"]["Config"]).map_err(|cause| unreadable(cause.to_string()))
}

/// End a pod: its containers, each of which has `grace` seconds to end by itself, and then its sandbox.
///
/// # Errors
/// A pod that a kubelet manages, unless `force`; what CRI answered.
pub async fn stop(engine: &Engine, pod: &Pod, grace: u32, force: bool) -> Result<()> {
    kubelet::permit(pod, "stop", force)?;
    let patient = cri(engine, SLOW + Duration::from_secs(u64::from(grace)));
    let running = pod
        .containers
        .iter()
        .filter(|member| !matches!(member.container.status, Status::Exited | Status::Dead | Status::Created));
    let stops = running.map(|member| {
        let request = api::StopContainerRequest {
            container_id: member.container.id.clone(),
            timeout: i64::from(grace),
        };
        patient.stop_container(request)
    });
    for stopped in futures_util::future::join_all(stops).await {
        match stopped {
            // It has gone meanwhile.
            Err(error) if error.is_not_found() => {}
            stopped => drop(stopped.map_err(told)?),
        }
    }
    let request = api::StopPodSandboxRequest { pod_sandbox_id: pod.id.clone() };
    patient.stop_pod_sandbox(request).await.map_err(told).map(drop)
}

/// Remove a pod with its containers, and what this program keeps for it.
///
/// # Errors
/// A pod that runs, or that a kubelet manages, unless `force`; what CRI answered.
pub async fn remove(engine: &Engine, pod: &Pod, force: bool) -> Result<()> {
    kubelet::permit(pod, "remove", force)?;
    if pod.is_ready() {
        if !force {
            return Err(Error::conflict(format!("cannot remove pod {}: it runs", pod.full_name()))
                .hint("stop it before with `wharfie pod stop`, or add -f"));
        }
        stop(engine, pod, 0, true).await?;
    }
    let request = api::RemovePodSandboxRequest { pod_sandbox_id: pod.id.clone() };
    cri(engine, SLOW).remove_pod_sandbox(request).await.map_err(told)?;
    if pod.labels.contains_key(OWN_LABEL) {
        remove_directories(engine, &pod.namespace, &pod.name, &pod.uid);
    }
    Ok(())
}

/// Where the pod's empty directories are.
fn own_directory(engine: &Engine, uid: &str) -> PathBuf {
    engine.paths.namespace().join("pods").join(uid)
}

/// Removes a pod's own directories and logs. What is left of one is removed with the next pod.
fn remove_directories(engine: &Engine, namespace: &str, name: &str, uid: &str) {
    let is_plain = |part: &str| !part.is_empty() && !part.contains('/') && part != "." && part != "..";
    if !is_plain(uid) || !is_plain(&format!("{namespace}_{name}")) {
        return;
    }
    let own = own_directory(engine, uid);
    let _ = std::fs::remove_dir_all(&own);
    // The last pod's takes the place with it.
    let _ = own.parent().map(std::fs::remove_dir);
    let logs = log_directory(namespace, name, uid);
    // The link's target is somebody else's.
    if logs.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        let _ = std::fs::remove_dir_all(logs);
    }
}

/// A pod being made: a marked and locked directory, which a killed process leaves marked and unlocked.
struct Making {
    own: PathBuf,
    _lock: Lock,
}

/// The mark of a pod that is not whole yet.
const MARK: &str = ".making";

impl Making {
    fn begin(own: &Path) -> Result<Self> {
        make_directory(own, 0o700)?;
        let lock = Lock::directory(own)?;
        let mark = own.join(MARK);
        std::fs::write(&mark, "").map_err(|cause| Error::io("write", &mark, cause))?;
        Ok(Self { own: own.to_owned(), _lock: lock })
    }

    /// The pod is whole. A pod without directories of its own needs no place for them.
    fn finish(self) {
        let _ = std::fs::remove_file(self.own.join(MARK));
        if std::fs::remove_dir(&self.own).is_ok() {
            let _ = self.own.parent().map(std::fs::remove_dir);
        }
    }
}

/// Takes down pods whose makers were killed, and removes the directories of pods that another client has removed.
async fn sweep(engine: &Engine) {
    let Ok(entries) = std::fs::read_dir(engine.paths.namespace().join("pods")) else { return };
    let Ok(pods) = super::list(engine).await else { return };
    for entry in entries.flatten() {
        let (path, uid) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        // Somebody is making it.
        let Ok(Some(_lock)) = Lock::try_directory(&path) else { continue };
        let is_half = path.join(MARK).exists();
        match pods.iter().find(|pod| pod.uid == uid && pod.labels.contains_key(OWN_LABEL)) {
            // What fails now is tried again with the next pod.
            Some(pod) if is_half => drop(remove(engine, pod, true).await),
            Some(_) => {}
            None => drop(std::fs::remove_dir_all(&path)),
        }
    }
}

fn make_log_directory(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|cause| Error::io("create", path, cause))
}

/// A new random id in the form of a uuid, as Kubernetes' ids of pods are.
pub fn uuid() -> Result<String> {
    let id = random_id()?;
    let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default().to_owned();
    Ok(format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemds_control_groups_are_seen_in_an_older_containerds_configuration() {
        let config = |yes: bool| {
            format!(
                "{{\"containerd\":{{\"defaultRuntimeName\":\"runc\",\"runtimes\":{{\"runc\":{{\"options\":\
                 {{\"SystemdCgroup\":{yes}}}}}}}}}}}"
            )
        };
        assert!(has_systemd_cgroups(&config(true)));
        assert!(!has_systemd_cgroups(&config(false)));
        assert!(!has_systemd_cgroups("{}"));
        assert!(!has_systemd_cgroups("no JSON"));
    }

    #[test]
    fn an_id_is_a_uuid() {
        let id = uuid().unwrap();
        let lengths: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
    }
}
