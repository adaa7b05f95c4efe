//! What a process's network namespace has received and sent.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// A machine may have many links; nothing longer is read.
const LONGEST: u64 = 1 << 20;

/// Bytes received and sent by every link but the loopback, in the network namespace of process `pid`. None for
/// the namespace of this process, which is the machine's and not a container's, and for a process that is gone.
pub fn traffic(pid: u32) -> Option<(u64, u64)> {
    let namespace = |process: &str| std::fs::read_link(Path::new("/proc").join(process).join("ns/net")).ok();
    let theirs = namespace(&pid.to_string())?;
    if Some(theirs) == namespace("self") {
        return None;
    }
    let mut table = String::new();
    File::open(format!("/proc/{pid}/net/dev")).ok()?.take(LONGEST).read_to_string(&mut table).ok()?;
    Some(sums(&table))
}

/// `eth0: received packets errs drop fifo frame compressed multicast sent …`, below two lines of titles.
fn sums(table: &str) -> (u64, u64) {
    let mut all = (0_u64, 0_u64);
    for line in table.lines() {
        let Some((name, counters)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let counters: Vec<u64> =
            counters.split_ascii_whitespace().map(|count| count.parse().unwrap_or_default()).collect();
        all.0 = all.0.saturating_add(counters.first().copied().unwrap_or_default());
        all.1 = all.1.saturating_add(counters.get(8).copied().unwrap_or_default());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_but_the_loopback_counts() {
        let table = "Inter-|   Receive                                                |  Transmit\n \
                     face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    \
                     lo:     999      10    0    0    0     0          0         0      999      10    0    0    0     0       0          0\n  \
                     eth0: 1000 8 0 0 0 0 0 0 200 4 0 0 0 0 0 0\n  eth1:30 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0\nbroken\n odd:\n";
        assert_eq!(sums(table), (1030, 204));
        assert_eq!(sums(""), (0, 0));
    }

    #[test]
    fn the_machines_own_links_are_nobodys() {
        assert_eq!(traffic(std::process::id()), None);
        assert_eq!(traffic(u32::MAX), None);
    }
}
