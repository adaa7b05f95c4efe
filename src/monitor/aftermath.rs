//! The second process: what a monitor starts when its container has ended and containerd is needed. What it
//! does is the engine's; here is how it is started and what it is told.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

use super::{AFTERMATH_ARGUMENT, Duty};

/// What a monitor knows about the end of its container: the third argument of the second process, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ending {
    /// The user asked to stop: no restart by policy.
    pub stopped: bool,
    /// The init process was there. False when the container could not even be made.
    pub started: bool,
    /// How long it ran, from its creation on.
    pub uptime: Duration,
}

impl Ending {
    /// From the third argument; the default when it is missing or of an unknown form.
    pub fn from_argument(argument: Option<&str>) -> Self {
        argument.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// Whether anything is left to do that needs containerd.
    pub fn needs_aftermath(&self, duty: &Duty) -> bool {
        // Also where nothing is to be done but to record the end: an exit status that only the shim knows
        // is lost with the shim.
        duty.auto_remove || self.started
    }
}

/// Starts the second process. It gets nothing of ours but the arguments, and lives on when we leave.
pub(super) fn start(duty_path: &Path, ending: &Ending) -> Result<()> {
    let failed = |cause: io::Error| Error::io("start", "/proc/self/exe", cause);
    let ending = serde_json::to_string(ending).map_err(|cause| failed(cause.into()))?;
    Command::new("/proc/self/exe")
        .arg(AFTERMATH_ARGUMENT)
        .arg(duty_path)
        .arg(ending)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    Ok(())
}

/// Leaves the session of whoever started this process. The second process calls it first.
pub fn detach() {
    // It fails only for the leader of a process group, who is in a session of its own choice.
    let _ = rustix::process::setsid();
}
