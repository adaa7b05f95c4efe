//! Whether the kernel has ended a process of a container for want of memory: its control group counts them, and
//! is there until the task is deleted.

use std::path::{Path, PathBuf};

use super::model::Container;
use crate::store::read_bounded;

const LARGEST: u64 = 64 << 10;

/// Whether the group counts any; false where there is no group, or no counter.
pub(super) fn killed(container: &Container) -> bool {
    let Some(group) = group(container) else { return false };
    let files = [
        Path::new("/sys/fs/cgroup/memory").join(&group).join("memory.oom_control"),
        Path::new("/sys/fs/cgroup").join(&group).join("memory.events"),
    ];
    files.into_iter().any(|file| {
        let text = read_bounded(&file, LARGEST).unwrap_or_default();
        counted(&String::from_utf8_lossy(&text)) > 0
    })
}

/// The group's path below the hierarchy's root, where it is a path: systemd's form is none.
fn group(container: &Container) -> Option<PathBuf> {
    #[derive(serde::Deserialize)]
    struct SpecHead {
        linux: LinuxHead,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct LinuxHead {
        cgroups_path: Option<String>,
    }
    let spec: SpecHead = serde_json::from_slice(&container.raw.spec).ok()?;
    let path = spec.linux.cgroups_path.filter(|path| path.starts_with('/') && !path.contains(".."))?;
    Some(PathBuf::from(path.trim_start_matches('/')))
}

/// `oom_kill 2`: the same line in both versions of control groups.
fn counted(text: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line.and_then(|number| number.trim().parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_count_alike() {
        for (text, expected) in [
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1),
            ("low 0\nhigh 0\nmax 24\noom 1\noom_kill 2\noom_group_kill 0\n", 2),
            ("oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", 0),
            ("", 0),
        ] {
            assert_eq!(counted(text), expected, "{text}");
        }
    }
}
