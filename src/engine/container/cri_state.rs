//! What CRI writes down of its containers' runs: it deletes the task of each that ends, so its file is the only one
//! to tell how. It is there whether or not the CRI service is.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::guard::is_sandbox;
use super::model::{Container, Origin};
use crate::engine::Engine;

/// CRI's directory in containerd's root, in all its versions.
const DIRECTORY: &str = "io.containerd.grpc.v1.cri";
/// CRI's own exit code where it does not know the real one.
const UNKNOWN: u32 = 255;
/// CRI's reason of an end for want of memory.
pub const OOM_KILLED: &str = "OOMKilled";

/// Where the files are; None when nobody asks, or containerd does not tell.
#[derive(Debug)]
pub(super) struct Kept(Option<PathBuf>);

/// `containers/<id>/status`. Times are nanoseconds since 1970, 0 for what has not been.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Run {
    started_at: i64,
    finished_at: i64,
    exit_code: i64,
    reason: String,
    message: String,
}

impl Kept {
    /// Asks containerd for its root, when any of these is CRI's.
    pub(super) async fn open(engine: &Engine, containers: &[Container]) -> Self {
        let asked = containers.iter().any(|one| one.origin == Origin::Cri && !is_sandbox(one));
        Self(if asked { root(engine).await.map(|root| root.join(DIRECTORY)) } else { None })
    }

    /// Put into the container's state what is known of its last run. Its task, where there is one, knows better.
    pub(super) fn recall(&self, container: &mut Container) {
        if container.origin != Origin::Cri {
            return;
        }
        if is_sandbox(container) {
            // Without a task it has been stopped: its record is made just before the task is.
            container.state.started_at = container.created_at;
            return;
        }
        let Some(directory) = &self.0 else { return };
        let path = directory.join("containers").join(&container.id).join("status");
        if let Some(run) = read(&path) {
            run.tell(container);
        }
    }
}

/// containerd's root: its content store is the one plugin that lies in it on every machine and says where.
async fn root(engine: &Engine) -> Option<PathBuf> {
    let filter = "type==io.containerd.content.v1".to_owned();
    let plugins = engine.containerd.plugins(&[filter]).await.ok()?;
    let root = plugins.iter().find_map(|plugin| plugin.exports.get("root"))?;
    Path::new(root).parent().map(Path::to_path_buf)
}

fn read(path: &Path) -> Option<Run> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

impl Run {
    fn tell(&self, container: &mut Container) {
        let state = &mut container.state;
        let time = |nanoseconds: i64| {
            Timestamp::from_nanosecond(nanoseconds.into()).ok().filter(|_| nanoseconds > 0)
        };
        state.started_at = time(self.started_at).or(state.started_at);
        state.finished_at = time(self.finished_at);
        if self.finished_at > 0 {
            state.exit_code = Some(u32::try_from(self.exit_code).unwrap_or(UNKNOWN));
            // One that never ran has ended all the same.
            state.started_at = state.started_at.or(state.finished_at);
        } else if self.started_at > 0 {
            // Used only where there is no task: nobody saw the end.
            state.exit_code = Some(UNKNOWN);
        }
        state.oom_killed = self.reason == OOM_KILLED;
        state.error.clone_from(&self.message);
    }
}
