//! Holding a container still: starts, ends and removals of one container follow one another, whichever
//! commands they come from. The lock is its directory's own, so it goes with the container.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Kind, Result};
use crate::store::Lock;

/// How long another command may be busy with a container. Longer than a start takes on a busy machine, and
/// than the wait for an end after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(30);

/// Wait until no other command works on the container of this directory. None when it has no directory.
///
/// # Errors
/// [`Kind::Conflict`] when another command does not come to its end.
pub(super) async fn hold(directory: &Path) -> Result<Option<Lock>> {
    loop {
        let lock = match Lock::try_directory(directory) {
            Ok(Some(lock)) => lock,
            Ok(None) => match wait(directory.to_path_buf()).await {
                Err(error) if error.kind == Kind::NotFound => return Ok(None),
                other => other?,
            },
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if lock.is_of(directory) {
            return Ok(Some(lock));
        }
    }
}

async fn wait(directory: PathBuf) -> Result<Lock> {
    let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Past the deadline the thread stays behind; what it gets it lets go of.
    let waiting = tokio::task::spawn_blocking(move || Lock::directory(&directory));
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(Ok(lock)) => lock,
        Ok(Err(cause)) => Err(Error::failed(format!("lock container {name}: {cause}"))),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Err(Error::conflict(format!(
                "another command has been busy with container {name} for {seconds} s"
            ))
            .hint("`ps -ef | grep wharfie` shows which; `wharfie rm -f` removes the container all the same"))
        }
    }
}
