//! Copies of this program that monitors run from, so that they outlive an upgrade, a move or a removal of the
//! file that the user started. Each monitor holds a shared lock on its copy; one that nobody holds may go.

use std::fs::{DirBuilder, File, FileTimes, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::FlockOperation;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

const RUNNING: &str = "/proc/self/exe";
const PREFIX: &str = "wharfie-";

/// Between [`ensure`] and the moment when the shim has started the copy nobody holds its lock: a copy that was
/// asked for this recently is left alone.
const GRACE: Duration = Duration::from_secs(600);

/// The copy of the running program in `programs`, made if it is not there. One `stat` when it is.
pub fn ensure(programs: &Path) -> Result<PathBuf> {
    let running = std::fs::read_link(RUNNING).map_err(|cause| Error::io("read", RUNNING, cause))?;
    if running.parent() == Some(programs) && running.exists() {
        keep_young(&running);
        return Ok(running);
    }
    let data = std::fs::metadata(RUNNING).map_err(|cause| Error::io("read", RUNNING, cause))?;
    let copy = programs.join(name(&data));
    if keep_young(&copy) {
        return Ok(copy);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(programs)
        .map_err(|cause| Error::io("create", programs, cause))?;
    make(&copy).map_err(|cause| Error::io("copy this program to", &copy, cause))?;
    remove_unused(programs, &copy);
    Ok(copy)
}

/// Holds the running program's file for as long as the result lives. None where it cannot be locked, which
/// only means that a later version might delete a copy that is still running.
pub fn hold() -> Option<File> {
    let file = File::open(RUNNING).ok()?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).ok()?;
    Some(file)
}

/// Deletes the copies in `programs` that no monitor holds and nobody asked for lately, but for `current`.
pub fn remove_unused(programs: &Path, current: &Path) {
    let Ok(entries) = std::fs::read_dir(programs) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
        if ours && path != current {
            // What cannot be removed now will be at the next version.
            let _ = remove_if_unused(&path);
        }
    }
}

fn remove_if_unused(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
    if age > GRACE {
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// `wharfie-<version>-<hash of size and time>`: two builds of one version are two programs.
fn name(data: &Metadata) -> String {
    let digest = Sha256::digest(format!("{} {} {}", data.size(), data.mtime(), data.mtime_nsec()));
    let hash: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{}-{hash}", env!("CARGO_PKG_VERSION"))
}

/// Whether the copy is there; its time is brought up to date well before [`GRACE`] ends.
fn keep_young(copy: &Path) -> bool {
    let Ok(data) = std::fs::metadata(copy) else { return false };
    let age = data.modified().ok().and_then(|time| time.elapsed().ok()).unwrap_or_default();
    if age > GRACE / 2 {
        let now = FileTimes::new().set_modified(SystemTime::now());
        // Without it the copy is only removed earlier, and then made again.
        let _ = File::open(copy).and_then(|file| file.set_times(now));
    }
    data.is_file()
}

fn make(copy: &Path) -> io::Result<()> {
    let fresh = copy.with_file_name(format!(".new-{}", std::process::id()));
    let result = std::fs::copy(RUNNING, &fresh)
        .and_then(|_| std::fs::set_permissions(&fresh, Permissions::from_mode(0o755)))
        .and_then(|()| std::fs::rename(&fresh, copy));
    if result.is_err() {
        let _ = std::fs::remove_file(&fresh);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn age(path: &Path) {
        let old = FileTimes::new().set_modified(SystemTime::now() - GRACE * 2);
        File::open(path).unwrap().set_times(old).unwrap();
    }

    #[test]
    fn one_copy_that_runs_and_unused_ones_go() {
        let temp = tempfile::tempdir().unwrap();
        let programs = temp.path().join("bin");
        let copy = ensure(&programs).unwrap();
        let first = std::fs::metadata(&copy).unwrap();
        assert_eq!(first.mode() & 0o777, 0o755);
        assert_eq!(first.size(), std::fs::metadata(RUNNING).unwrap().size());
        assert_eq!(ensure(&programs).unwrap(), copy);
        assert_eq!(std::fs::metadata(&copy).unwrap().ino(), first.ino(), "not copied again");

        let (unused, held, young) =
            (programs.join("wharfie-0-a"), programs.join("wharfie-0-b"), programs.join("wharfie-0-c"));
        for path in [&unused, &held, &young, &programs.join("other")] {
            std::fs::write(path, "").unwrap();
        }
        for path in [&unused, &held, &copy] {
            age(path);
        }
        let lock = File::open(&held).unwrap();
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).unwrap();
        remove_unused(&programs, &copy);
        assert!(!unused.exists());
        assert!(held.exists() && young.exists() && copy.exists() && programs.join("other").exists());
        drop(lock);
        remove_unused(&programs, &copy);
        assert!(!held.exists());
        ensure(&programs).unwrap();
        assert!(std::fs::metadata(&copy).unwrap().modified().unwrap().elapsed().unwrap() < GRACE);
    }
}
