//! `crictl stop` and `crictl stopp`: end containers and pods.

use std::time::Duration;

use super::select::{self, Select};
use super::session::{Answer, Done, Session};
use crate::cri::{Client, api};
use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;

/// Flags of `crictl stop`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri stop 87d3992f84f74\n  wharfie cri stop --timeout 10 --all")]
pub(super) struct Args {
    /// Stop all running containers
    #[arg(short, long)]
    all: bool,
    /// Seconds to wait to kill the container after a graceful stop is requested
    #[arg(short, long, value_name = "SECONDS", default_value_t = 0)]
    timeout: i64,
    /// Containers by id
    #[arg(value_name = "CONTAINER-ID")]
    ids: Vec<String>,
}

/// Flags of `crictl stopp`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri stopp 1f73f2d81bf98\n  wharfie cri stopp 1f73f2d81bf98 7f5c8b4a0e9d1"
)]
pub(super) struct PodArgs {
    /// Pods by id
    #[arg(value_name = "POD-ID")]
    ids: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let runtime = session.runtime().await?;
    // These two are said without a level, as crictl does.
    let plain = |session: &mut Session<'_, '_>, words: &str| -> Result<Done> {
        session.cx.ui.say(words)?;
        Err(Error::silent(1))
    };
    let mut ids = args.ids;
    match (args.all, ids.is_empty()) {
        (true, false) => return plain(session, "cannot specify CONTAINER-ID(s) when using --all"),
        (false, true) => return plain(session, "you must specify at least one CONTAINER-ID or use --all"),
        (true, true) => {
            let select = Select { state: Some("running".into()), ..Select::default() };
            let found = select::containers(session, &runtime, &select)
                .await
                .map_err(|error| error.context("listing containers"))?;
            if found.is_empty() {
                session.cx.ui.line("No running containers found.")?;
                return Ok(Done::Well);
            }
            ids = found.into_iter().map(|container| container.id).collect();
        }
        (false, false) => {}
    }
    for id in &ids {
        stop(&runtime, id, args.timeout, session.cx.ui).await?;
    }
    Ok(Done::Well)
}

/// Ends a container, gently for `timeout` seconds, and prints its id.
pub(super) async fn stop(runtime: &Client, id: &str, timeout: i64, ui: &mut Ui) -> Result<()> {
    // The call takes as long as the container may.
    let patience = runtime
        .deadline()
        .map(|deadline| deadline + Duration::from_secs(u64::try_from(timeout).unwrap_or_default()));
    let request = api::StopContainerRequest { container_id: id.to_owned(), timeout };
    runtime
        .within(patience)
        .stop_container(request)
        .await
        .during(&format!("stopping the container {}", quote(id)))?;
    ui.line(id)
}

pub(super) async fn run_pod(args: PodArgs, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.ids.is_empty() {
        return Ok(Done::Help);
    }
    let runtime = session.runtime().await?;
    for id in &args.ids {
        stop_pod(&runtime, id, session.cx.ui)
            .await
            .map_err(|error| error.context(format!("stopping the pod sandbox {}", quote(id))))?;
    }
    Ok(Done::Well)
}

/// Ends a pod and says so.
pub(super) async fn stop_pod(runtime: &Client, id: &str, ui: &mut Ui) -> Result<()> {
    if id.is_empty() {
        return Err(Error::failed("ID cannot be empty"));
    }
    let request = api::StopPodSandboxRequest { pod_sandbox_id: id.to_owned() };
    runtime.stop_pod_sandbox(request).await.during("")?;
    ui.line(format_args!("Stopped sandbox {id}"))
}
