//! No container is frozen while runc starts another process in it: that runc would freeze too, and its shim, which
//! waits for it, would answer nobody any more, not even to thaw it.

use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::store::Lock;

/// How long the other side may take: longer than runc needs on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(5);

/// Held while a process is started in the container with this directory: several at once may be.
pub(super) async fn starting(directory: &Path) -> Option<Lock> {
    wait(directory, Lock::try_shared_file).await
}

/// To be held while the container with this directory is frozen (until the freezing is done): no process is in
/// the middle of its start then.
pub(super) async fn freezing(directory: &Path) -> Option<Lock> {
    wait(directory, Lock::try_file).await
}

/// None for other clients' containers, which have no directory of ours, and past the deadline: whoever does not
/// come to an end must not stop everybody else.
async fn wait(directory: &Path, attempt: fn(&Path) -> Result<Option<Lock>>) -> Option<Lock> {
    let path = directory.join("start.lock");
    let mut tries = PATIENCE.as_millis() / EVERY.as_millis();
    loop {
        match attempt(&path) {
            Ok(Some(lock)) => return Some(lock),
            Ok(None) if tries > 0 => tokio::time::sleep(EVERY).await,
            _ => return None,
        }
        tries -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn starts_go_together_and_a_freeze_alone() {
        let temp = tempfile::tempdir().unwrap();
        let first = starting(temp.path()).await.unwrap();
        let second = starting(temp.path()).await.unwrap();
        let mut freeze = Box::pin(freezing(temp.path()));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut freeze).await.is_err());
        drop(first);
        drop(second);
        let frozen = freeze.await.unwrap();
        assert!(Lock::try_shared_file(&temp.path().join("start.lock")).unwrap().is_none());
        drop(frozen);
        assert!(starting(&temp.path().join("missing")).await.is_none());
    }
}
