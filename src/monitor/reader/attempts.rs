//! The logs of one container of a pod: a kubelet makes it anew when it ends, and each attempt has a log of its own
//! beside the others: `0.log`, `1.log`, …

use std::path::{Path, PathBuf};

use super::{Options, Sink, follow};
use crate::{Error, Result};

/// The attempts whose logs lie in `directory`, the first one first; empty where it is not there.
pub fn attempts(directory: &Path) -> Result<Vec<u32>> {
    let entries = match std::fs::read_dir(directory) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|cause| Error::io("read", directory, cause))?,
    };
    let mut found: Vec<u32> = entries.filter_map(|entry| number(entry.ok()?.file_name().to_str()?)).collect();
    found.sort_unstable();
    Ok(found)
}

/// The attempt whose log has this path; None where logs are named otherwise.
pub fn is_attempt(path: &Path) -> Option<u32> {
    number(path.file_name()?.to_str()?)
}

fn number(name: &str) -> Option<u32> {
    name.strip_suffix(".log")?.parse().ok()
}

/// Reads as [`follow`] does, and goes on with the logs of later attempts, until `ended` says that there will be no
/// more of them.
pub fn follow_attempts(
    path: &Path,
    options: &Options,
    ended: &mut dyn FnMut(bool) -> bool,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let mut path = path.to_path_buf();
    let mut options = options.clone();
    loop {
        let (mut next, mut over) = (None, false);
        let mut asked = |quiet: bool| {
            over = ended(quiet);
            // Whoever makes a new attempt has seen the end of the one before.
            if quiet && !over {
                next = later(&path);
            }
            over || next.is_some()
        };
        follow(&path, &options, &mut asked, sink)?;
        match next {
            Some(later) if !over => path = later,
            _ => return Ok(()),
        }
        // The last lines were counted where the reading began.
        options.tail = None;
    }
}

/// The log of the next attempt, once it is there.
fn later(path: &Path) -> Option<PathBuf> {
    let (directory, attempt) = (path.parent()?, is_attempt(path)?);
    let known = attempts(directory).ok()?;
    let next = known.into_iter().find(|known| *known > attempt)?;
    Some(directory.join(format!("{next}.log")))
}
