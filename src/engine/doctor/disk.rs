//! Room for images, containers and logs: bytes and inodes of the file systems that they lie on.

use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::facts::Facts;
use super::finding::{Finding, Severity};
use crate::output::units::human_size;

const CHECK: &str = "disk";
/// Nothing can be pulled or written with less.
const LEAST_BYTES: u64 = 100_000_000;

/// Room on one file system.
#[derive(Debug, Clone, Copy)]
struct Room {
    bytes: u64,
    bytes_left: u64,
    inodes: u64,
    inodes_left: u64,
    read_only: bool,
}

impl From<StatVfs> for Room {
    fn from(stat: StatVfs) -> Self {
        Self {
            bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            bytes_left: stat.f_bavail.saturating_mul(stat.f_frsize),
            inodes: stat.f_files,
            inodes_left: stat.f_favail,
            read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
        }
    }
}

/// The file systems of containerd, of wharfie and of the kubelet.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut seen = Vec::new();
    let mut findings = Vec::new();
    let paths: [(PathBuf, &str); 4] = [
        (facts.settings.root.clone(), "images and containers"),
        (facts.config.data_root.clone(), "logs and volumes"),
        ("/var/lib/kubelet".into(), "the kubelet's volumes"),
        ("/var/log/pods".into(), "the pods' logs"),
    ];
    for (path, what) in paths {
        // One that is not there yet will be where its parent is.
        let there = path.ancestors().find_map(|place| statvfs(facts.node.at(place)).ok());
        let Some(stat) = there else { continue };
        // Two directories of one file system are one place.
        if seen.contains(&stat.f_fsid) && stat.f_fsid != 0 {
            continue;
        }
        seen.push(stat.f_fsid);
        findings.extend(judge(&path, what, stat.into(), facts.is_kubernetes()));
    }
    if findings.is_empty() {
        findings
            .push(Finding::note(CHECK, "containerd has no directory yet").of(facts.settings.root.display()));
    }
    findings
}

#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn judge(path: &Path, what: &str, room: Room, kubernetes: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, message: String, next: String| {
        findings.push(Finding::new(CHECK, severity, message).of(path.display()).next(next));
    };
    if room.read_only {
        let next = format!("dmesg | grep -i remount; findmnt -T {}", path.display());
        add(Severity::Error, format!("mounted read-only: {what} cannot be written"), next);
    }
    let percent = |left: u64, of: u64| (u128::from(left) * 100).checked_div(u128::from(of)).unwrap_or(100);
    // A kubelet evicts pods below 15 % on the images' file system.
    let few = if kubernetes { 15 } else { 10 };
    let left = percent(room.bytes_left, room.bytes);
    let told =
        format!("{} of {} left ({left}%)", human_size(room.bytes_left as f64), human_size(room.bytes as f64));
    let free = "wharfie system df; wharfie image prune -a --dry-run".to_owned();
    match () {
        () if room.bytes_left < LEAST_BYTES || left < 3 => {
            add(Severity::Error, format!("no room for {what}: {told}"), free);
        }
        () if left < few => add(Severity::Warning, format!("little room for {what}: {told}"), free),
        () => {}
    }
    // Some file systems count no inodes.
    let inodes = if room.inodes == 0 { 100 } else { percent(room.inodes_left, room.inodes) };
    if inodes < 5 {
        let severity = if inodes < 1 { Severity::Error } else { Severity::Warning };
        let next = format!("du --inodes -xd2 {} | sort -n | tail", path.display());
        add(severity, format!("{} of {} inodes left for {what}", room.inodes_left, room.inodes), next);
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, told).of(path.display()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_judged() {
        const GB: u64 = 1_000_000_000;
        let plenty =
            Room { bytes: 100 * GB, bytes_left: 50 * GB, inodes: 1000, inodes_left: 900, read_only: false };
        let cases = [
            (plenty, false, vec![Severity::Ok]),
            (Room { bytes_left: 12 * GB, ..plenty }, false, vec![Severity::Ok]),
            (Room { bytes_left: 12 * GB, ..plenty }, true, vec![Severity::Warning]),
            (Room { bytes_left: GB, ..plenty }, false, vec![Severity::Error]),
            (Room { bytes: GB / 5, bytes_left: GB / 20, ..plenty }, false, vec![Severity::Error]),
            (Room { inodes_left: 40, ..plenty }, false, vec![Severity::Warning]),
            (Room { inodes_left: 0, ..plenty }, false, vec![Severity::Error]),
            (Room { inodes: 0, inodes_left: 0, ..plenty }, false, vec![Severity::Ok]),
            (
                Room { read_only: true, bytes_left: 0, ..plenty },
                false,
                vec![Severity::Error, Severity::Error],
            ),
        ];
        for (room, kubernetes, expected) in cases {
            let found = judge(Path::new("/x"), "images", room, kubernetes);
            let severities: Vec<Severity> = found.iter().map(|finding| finding.severity).collect();
            assert_eq!(severities, expected, "{room:?}");
        }
    }
}
