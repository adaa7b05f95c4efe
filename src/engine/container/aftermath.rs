//! What a monitor does when its container has ended and no user is there: the network goes in the monitor
//! itself; what needs containerd is done by a second, short-lived process, so that the first stays small.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::end::{finish_held, write_state};
use super::hold::hold;
use super::recover::settle;
use super::remove::{RemoveOptions, remove};
use super::start::{StartOptions, start_held};
use super::{Container, Status, network};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::monitor::{self, Duty, restart};
use crate::store::read_bounded;

/// How long to wait for a containerd that does not answer, at first and, growing, at most: some ten minutes
/// in all.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// What else may pass, or stays: some five seconds in all.
const LONGEST_WAIT_OF_OTHERS: Duration = Duration::from_secs(1);

/// Free the container's addresses, ports and namespace. Called in the monitor, without containerd.
pub fn disconnect(duty: &Duty) {
    // The monitor has its duty from before the container was connected: how it was is written since.
    let latest = read(&duty.directory.join("monitor.json"));
    let duty = latest.as_ref().unwrap_or(duty);
    let Some(networks) = &duty.networks else { return };
    // Whatever fails here is repeated by the second process, which can tell somebody.
    if let Some(connection) = &duty.connection {
        let _ = networks.disconnect(connection);
        let _ = networks.remove_namespace(&network::owner(&duty.namespace, &duty.id));
    }
}

/// Record the end, then remove or restart as was asked. Returns the exit code.
pub fn run(path: &Path) -> u8 {
    monitor::aftermath::detach();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return 1 };
    let done = runtime.block_on(async {
        let duty = read(path)?;
        let mut wait = FIRST_WAIT;
        loop {
            match follow_up(&duty).await {
                // containerd is being restarted, or busy with what a dead shim has left: what a policy asks for
                // must not depend on the moment.
                Err(error) if wait < longest(error.kind) && path.exists() => {
                    tokio::time::sleep(wait).await;
                    wait = wait.mul_f64(1.25);
                }
                other => return other,
            }
        }
    });
    u8::from(done.is_err())
}

fn longest(kind: Kind) -> Duration {
    if kind == Kind::Unavailable { LONGEST_WAIT } else { LONGEST_WAIT_OF_OTHERS }
}

/// A duty as a monitor was given it.
pub(super) fn read(path: &Path) -> Result<Duty> {
    let json = read_bounded(path, 1 << 20)?;
    serde_json::from_slice(&json).map_err(|cause| Error::failed(format!("read {}: {cause}", path.display())))
}

async fn follow_up(duty: &Duty) -> Result<()> {
    let engine = Engine::connect(Arc::new(config(duty))).await?;
    let Some(mut container) = look(&engine, duty).await? else { return Ok(()) };
    let directory = engine.paths.container(&container.id);
    let delay = {
        let held = hold(&directory).await?;
        container = match look(&engine, duty).await? {
            Some(container) => container,
            // Whoever held it has removed it.
            None => return Ok(()),
        };
        let seems_alive = container.status.is_alive() || container.status == Status::Unknown;
        if seems_alive && !Path::new(&format!("/proc/{}", container.pid)).exists() {
            return Err(Error::conflict("containerd has not noticed the end yet"));
        }
        if container.status.is_alive() || finish_held(&engine, &mut container).await?.is_none() {
            return Ok(());
        }
        if duty.auto_remove {
            drop(held);
            remove(&engine, &container, RemoveOptions { force: true, volumes: true }).await?;
            // Who made it was killed, and has left its journal.
            return if duty.session { settle(&engine).await } else { Ok(()) };
        }
        let Some(delay) = delay(&container) else { return Ok(()) };
        let mut state = container.state.clone();
        state.restarting = true;
        state.restart_delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        write_state(&engine, &mut container, state).await?;
        delay
    };
    tokio::time::sleep(delay).await;
    // Held from the last look on, so that a stop comes before it or finds the container running.
    let _held = hold(&directory).await?;
    let Some(mut container) = look(&engine, duty).await? else { return Ok(()) };
    // A stop, a start or a removal in the meantime is the user's last word.
    if !container.state.restarting || container.state.stopped_by_user {
        return Ok(());
    }
    // An update may have taken the policy away meanwhile.
    if self::delay(&container).is_none() {
        let state = super::State { restarting: false, ..container.state.clone() };
        return write_state(&engine, &mut container, state).await;
    }
    let options = StartOptions { by_policy: true, ..StartOptions::default() };
    start_held(&engine, &mut container, options).await.map(drop)
}

/// The container as it is now; None when it was removed.
async fn look(engine: &Engine, duty: &Duty) -> Result<Option<Container>> {
    match super::find(engine, &duty.id).await {
        Ok(container) => Ok(Some(container)),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// When the policy starts it again; None when it does not.
fn delay(container: &Container) -> Option<Duration> {
    let record = container.record.as_ref()?;
    let state = &container.state;
    let uptime = match (state.started_at, state.finished_at) {
        (Some(started), Some(finished)) => finished.duration_since(started).try_into().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let ended = restart::Ended {
        exit_code: state.exit_code.unwrap_or_default(),
        stopped_by_user: state.stopped_by_user,
        restart_count: state.restart_count,
        last_delay: Duration::from_millis(state.restart_delay),
        uptime,
    };
    restart::decide(record.request.restart, &ended)
}

/// The settings of whoever made the container, as far as its duty tells.
pub(super) fn config(duty: &Duty) -> Config {
    let networks = duty.networks.as_ref();
    let path = |of: fn(&crate::net::Networks) -> &PathBuf| networks.map(of).cloned().unwrap_or_default();
    Config {
        namespace: duty.namespace.clone(),
        namespace_given: true,
        addresses: vec![duty.address.clone()],
        node: None,
        context: "default".into(),
        runtime_dir: "/run".into(),
        address_given: true,
        snapshotter: "overlayfs".into(),
        data_root: duty.data_root.clone(),
        run_root: duty.run_root.clone(),
        cni_path: path(|networks| &networks.plugin_path),
        cni_conf_dir: path(|networks| &networks.conf_dir),
        cni_data_dir: path(|networks| &networks.data_dir),
        hosts_dirs: Vec::new(),
        docker_config: PathBuf::new(),
        containerd_config: None,
        auth_config: None,
        cdi_spec_dirs: Vec::new(),
        host_gateway: None,
        debug: false,
        insecure_registry: false,
        registry_timeout: None,
        runtime: "io.containerd.runc.v2".into(),
        registry: crate::config::RegistryFlags::default(),
    }
}
