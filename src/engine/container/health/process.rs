//! The process that a monitor starts for each check: the monitor has no gRPC, and must not wait.

use std::path::Path;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use super::{HealthStatus, check, read};
use crate::engine::Engine;
use crate::engine::container::aftermath;
use crate::error::{Error, Kind, Result};
use crate::monitor::health::{FAILED, SETTLED, STARTING};

/// Run one check of the container whose duty is at `path`. The exit code tells the monitor whether the
/// container is still starting.
pub fn run(path: &Path) -> u8 {
    crate::monitor::aftermath::detach();
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return FAILED;
    };
    match runtime.block_on(one(path)) {
        Ok(HealthStatus::Starting) => STARTING,
        Ok(_) => SETTLED,
        Err(_) => FAILED,
    }
}

async fn one(path: &Path) -> Result<HealthStatus> {
    let mut termination =
        signal(SignalKind::terminate()).map_err(|cause| Error::io("wait for", "SIGTERM", cause))?;
    let duty = aftermath::read(path)?;
    let engine = Engine::connect(Arc::new(aftermath::config(&duty))).await?;
    let container = match super::super::find(&engine, &duty.id).await {
        Err(error) if error.kind == Kind::NotFound => return Ok(HealthStatus::Unhealthy),
        found => found?,
    };
    let cancelled = async {
        termination.recv().await;
    };
    let checked = check(&engine, &container, cancelled).await?;
    let health = checked.map(|(_, after)| after).or_else(|| read(&duty.directory));
    Ok(health.map(|health| health.status).unwrap_or_default())
}
