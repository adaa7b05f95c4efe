//! The path of a container's control group, in the form that the runtime's driver wants.

use crate::{Error, Result};

/// What makes the groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Driver {
    /// Directories, made by the runtime.
    #[default]
    Cgroupfs,
    /// systemd's scopes.
    Systemd,
}

/// The group of container `id` below `--cgroup-parent`: `/wharfie/<id>` by default, or
/// `system.slice:wharfie:<id>` for systemd, whose parents must be slices.
pub fn path(driver: Driver, parent: Option<&str>, id: &str) -> Result<String> {
    let parent = parent.filter(|parent| !parent.is_empty());
    match driver {
        Driver::Cgroupfs => {
            // Cleaned, so that `..` does not lead out of the hierarchy.
            let clean = super::process::clean(parent.unwrap_or("/wharfie"));
            Ok(format!("{}/{id}", clean.trim_end_matches('/')))
        }
        Driver::Systemd => {
            let parent = parent.unwrap_or("system.slice");
            if parent.len() <= ".slice".len() || !parent.ends_with(".slice") {
                return Err(Error::usage(
                    "cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"",
                ));
            }
            Ok(format!("{parent}:wharfie:{id}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for (driver, parent, expected) in [
            (Driver::Cgroupfs, None, Some("/wharfie/c")),
            (Driver::Cgroupfs, Some(""), Some("/wharfie/c")),
            (Driver::Cgroupfs, Some("a/b/"), Some("/a/b/c")),
            (Driver::Cgroupfs, Some("/../../x"), Some("/x/c")),
            (Driver::Cgroupfs, Some("/"), Some("/c")),
            (Driver::Systemd, None, Some("system.slice:wharfie:c")),
            (Driver::Systemd, Some("my.slice"), Some("my.slice:wharfie:c")),
            (Driver::Systemd, Some(".slice"), None),
            (Driver::Systemd, Some("/x"), None),
        ] {
            assert_eq!(path(driver, parent, "c").ok().as_deref(), expected, "{driver:?} {parent:?}");
        }
    }
}
