//! What commands do: make sure that the resolver is there and serves a container.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{ARGUMENT, LOCK, SOCKET};
use crate::monitor::socket;
use crate::net::resolver::owners;
use crate::store::Lock;
use crate::{Error, Result};

/// How long a resolver may take to begin, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
/// What it says is a line or two.
const LONGEST: u64 = 1 << 20;

/// Back when the resolver of `directory`, started from `program` where there is none, serves `owner`.
///
/// # Errors
/// Why it does not.
pub fn attend(directory: &Path, owner: &str, program: &Path) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(mut failures) = ask(directory) {
            return match failures.remove(owner) {
                None => Ok(()),
                Some(cause) => Err(Error::failed(format!("answer the container's name queries: {cause}"))),
            };
        }
        // One that is just leaving has seen no member: then the next one is ours.
        if Instant::now() > deadline {
            return Err(Error::failed("the resolver of containers' names does not answer")
                .hint("`ps -ef | grep __names` shows it; killed, it is started again by the next command"));
        }
        start(directory, program)?;
    }
}

/// Starts the resolver again where members are and it is gone: killed, or never begun after a reboot. What it
/// costs otherwise is the look into a directory.
pub fn revive(directory: &Path, program: impl FnOnce() -> Result<std::path::PathBuf>) {
    if owners(directory).is_empty() {
        return;
    }
    if let Ok(Some(_free)) = Lock::try_file(&directory.join(LOCK)) {
        drop(_free);
        // Whoever starts a container next is told why it cannot be.
        let _ = program().and_then(|program| start(directory, &program));
    }
}

/// Why members cannot be served, by owner; None without a resolver.
fn ask(directory: &Path) -> Option<BTreeMap<String, String>> {
    let stream = socket::connect_as(directory, SOCKET).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut text = Vec::new();
    stream.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Back when it serves, when another one does, or when it could not.
fn start(directory: &Path, program: &Path) -> Result<()> {
    let failed = |cause: std::io::Error| Error::io("start", program, cause);
    let mut child = Command::new(program)
        .arg(ARGUMENT)
        .arg(directory)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    // It leaves a child of its own and ends.
    child.wait().map_err(failed)?;
    if let Some(mut output) = child.stdout.take() {
        output.read_to_end(&mut Vec::new()).map_err(failed)?;
    }
    Ok(())
}
