//! A snapshot mounted at a directory of this machine, for whoever wants to look at an image's files.

use std::path::Path;

use crate::containerd::Mount;
use crate::error::Result;
use crate::sys::mount;

/// Mount what a snapshotter describes at `target`.
pub fn mount_at(mounts: &[Mount], target: &Path, read_only: bool) -> Result<()> {
    let plain = mounts.iter().map(|one| mount::Mount {
        kind: one.kind.clone(),
        source: one.source.clone(),
        options: one.options.clone(),
    });
    mount::attach(&plain.collect::<Vec<_>>(), target, read_only)
}

/// Take away the mount at `target`; none is fine.
pub fn unmount_at(target: &Path) -> Result<()> {
    mount::detach(target)
}
