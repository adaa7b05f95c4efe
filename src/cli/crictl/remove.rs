//! `crictl rm` and `crictl rmp`: remove containers and pods.

use std::path::{Path, PathBuf};

use super::log::Level;
use super::session::{Answer, Done, Session, joined};
use super::stop::{stop, stop_pod};
use crate::cri::{Client, api};
use crate::error::{Error, Result, reason};
use crate::output::notation::quote;

/// Flags of `crictl rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri rm 87d3992f84f74\n  wharfie cri rm -af")]
pub(super) struct Args {
    /// Remove all containers
    #[arg(short, long)]
    all: bool,
    /// Force removal of the container, disregarding if running
    #[arg(short, long)]
    force: bool,
    /// Preserve the container log file and its rotations
    #[arg(short, long)]
    keep_logs: bool,
    /// Containers by id
    #[arg(value_name = "CONTAINER-ID")]
    ids: Vec<String>,
}

/// Flags of `crictl rmp`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri rmp 1f73f2d81bf98\n  wharfie cri rmp -af")]
pub(super) struct PodArgs {
    /// Remove all pods
    #[arg(short, long)]
    all: bool,
    /// Force removal of the pod sandbox, disregarding if running
    #[arg(short, long)]
    force: bool,
    /// Pods by id
    #[arg(value_name = "POD-ID")]
    ids: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let runtime = session.runtime().await?;
    let mut ids = args.ids.clone();
    if args.all {
        let found = runtime.list_containers(api::ListContainersRequest::default()).await.during("")?;
        ids = found.containers.into_iter().map(|container| container.id).collect();
    }
    if ids.is_empty() {
        if args.all {
            session.say(Level::Info, "No containers to remove")?;
            return Ok(Done::Well);
        }
        return Ok(Done::Help);
    }
    let mut failures = Vec::new();
    for id in &ids {
        if let Err(error) = remove(&runtime, id, &args, session).await {
            failures.push(error);
        }
    }
    joined(failures)?;
    Ok(Done::Well)
}

async fn remove(runtime: &Client, id: &str, args: &Args, session: &mut Session<'_, '_>) -> Result<()> {
    let request = api::ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
    let answer = runtime.container_status(request).await;
    let status =
        answer.during(&format!("getting container status {}", quote(id)))?.status.unwrap_or_default();
    if status.state == i32::from(api::ContainerState::ContainerRunning) {
        if !args.force {
            return Err(Error::conflict(format!("container {} is running, please stop it first", quote(id))));
        }
        stop(runtime, id, 0, session.cx.ui).await?;
    }
    let request = api::RemoveContainerRequest { container_id: id.to_owned() };
    runtime.remove_container(request).await.during(&format!("removing container {}", quote(id)))?;
    session.cx.ui.line(id)?;
    if !args.keep_logs && !status.log_path.is_empty() {
        for file in rotations(Path::new(&status.log_path)) {
            if let Err(cause) = std::fs::remove_file(&file) {
                let message = format!(
                    "removing log file {} for container {} failed: remove {}: {}",
                    file.display(),
                    quote(id),
                    file.display(),
                    reason(&cause)
                );
                session.say(Level::Error, &message)?;
            }
        }
    }
    Ok(())
}

/// A log and what was rotated away from it.
fn rotations(log: &Path) -> Vec<PathBuf> {
    let (Some(directory), Some(name)) = (log.parent(), log.file_name().and_then(|name| name.to_str())) else {
        return vec![log.to_owned()];
    };
    let lead = format!("{name}.");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(|found| found.starts_with(&lead)))
        .map(|entry| entry.path())
        .collect();
    files.sort_unstable();
    files.push(log.to_owned());
    files
}

pub(super) async fn run_pod(args: PodArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    let runtime = session.runtime().await?;
    let mut ids = args.ids.clone();
    if args.all {
        let found = runtime.list_pod_sandbox(api::ListPodSandboxRequest::default()).await.during("")?;
        ids = found.items.into_iter().map(|pod| pod.id).collect();
    }
    if ids.is_empty() {
        if args.all {
            session.say(Level::Info, "No pods to remove")?;
            return Ok(Done::Well);
        }
        return Ok(Done::Help);
    }
    let mut failures = Vec::new();
    for id in &ids {
        if let Err(error) = remove_pod(&runtime, id, args.force, session).await {
            failures.push(error);
        }
    }
    joined(failures)?;
    Ok(Done::Well)
}

async fn remove_pod(runtime: &Client, id: &str, force: bool, session: &mut Session<'_, '_>) -> Result<()> {
    let request = api::PodSandboxStatusRequest { pod_sandbox_id: id.to_owned(), verbose: false };
    let answer = runtime.pod_sandbox_status(request).await;
    let status =
        answer.during(&format!("getting sandbox status of pod {}", quote(id)))?.status.unwrap_or_default();
    if status.state == i32::from(api::PodSandboxState::SandboxReady) {
        if !force {
            return Err(Error::conflict(format!(
                "pod sandbox {} is running, please stop it first",
                quote(id)
            )));
        }
        stop_pod(runtime, id, session.cx.ui)
            .await
            .map_err(|error| error.context(format!("stopping the pod sandbox {} failed", quote(id))))?;
    }
    let request = api::RemovePodSandboxRequest { pod_sandbox_id: id.to_owned() };
    runtime.remove_pod_sandbox(request).await.during(&format!("removing the pod sandbox {}", quote(id)))?;
    session.cx.ui.line(format_args!("Removed sandbox {id}"))
}
