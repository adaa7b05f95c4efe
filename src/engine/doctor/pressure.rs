//! Memory and processes: how near the machine is to having none left.

use super::facts::Facts;
use super::finding::{Finding, Severity};
use super::node::Node;
use crate::output::units::bytes_size;

const CHECK: &str = "pressure";
/// Where a kubelet begins to evict.
const LEAST_MEMORY_KIB: u64 = 100 << 10;
/// How much of ten seconds (sixty) may go by waiting, in percent.
const WAITING: f64 = 20.0;

/// Memory, processes, and how long they wait for memory.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let node = &facts.node;
    let mut findings: Vec<Finding> =
        [memory(node), waiting(node), processes(node)].into_iter().flatten().collect();
    if findings.is_empty() {
        let available = kib(node, "MemAvailable:").unwrap_or_default();
        let processes = running(node).unwrap_or_default();
        findings.push(Finding::ok(CHECK, format!("{} of memory left, {processes} threads", size(available))));
    }
    findings
}

fn memory(node: &Node) -> Option<Finding> {
    let (available, total) = (kib(node, "MemAvailable:")?, kib(node, "MemTotal:")?);
    let severity = match () {
        () if available < LEAST_MEMORY_KIB => Severity::Error,
        () if available < total / 20 => Severity::Warning,
        () => return None,
    };
    let message = format!("{} of {} of memory left", size(available), size(total));
    Some(Finding::new(CHECK, severity, message).of("memory").next("ps -eo pid,rss,args --sort=-rss | head"))
}

fn waiting(node: &Node) -> Option<Finding> {
    let text = node.text("/proc/pressure/memory")?;
    let average = |kind: &str, key: &str| -> Option<f64> {
        let line = text.lines().find_map(|line| line.strip_prefix(kind))?;
        line.split_whitespace().find_map(|word| word.strip_prefix(key)?.parse().ok())
    };
    let (some, full) = (average("some", "avg60=")?, average("full", "avg60=").unwrap_or_default());
    if some < WAITING && full < WAITING / 2.0 {
        return None;
    }
    let message = format!("processes waited for memory {some} % of the last minute, all at once {full} %");
    Some(Finding::warning(CHECK, message).of("memory").next("ps -eo pid,rss,args --sort=-rss | head"))
}

/// Threads now.
fn running(node: &Node) -> Option<u64> {
    // 0.00 0.01 0.05 1/123 4567
    node.text("/proc/loadavg")?.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

fn processes(node: &Node) -> Option<Finding> {
    let threads = running(node)?;
    let most = [node.number("/proc/sys/kernel/pid_max"), node.number("/proc/sys/kernel/threads-max")];
    let most = most.into_iter().flatten().min()?;
    let severity = match threads.saturating_mul(100) / most.max(1) {
        97.. => Severity::Error,
        85.. => Severity::Warning,
        _ => return None,
    };
    let message = format!("{threads} of {most} threads are in use: soon nothing can be started");
    Some(Finding::new(CHECK, severity, message).of("pids").next("ps -eo nlwp,pid,args --sort=-nlwp | head"))
}

fn kib(node: &Node, key: &str) -> Option<u64> {
    let text = node.text("/proc/meminfo")?;
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
fn size(kib: u64) -> String {
    bytes_size(kib as f64 * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::*;

    async fn found(files: &[(&str, &str)]) -> Vec<(Severity, String)> {
        let (_root, facts) = facts(files).await;
        check(&facts).into_iter().map(|finding| (finding.severity, finding.subject)).collect()
    }

    fn meminfo(available: u64) -> String {
        format!("MemTotal:       24105000 kB\nMemFree:  1 kB\nMemAvailable:   {available} kB\n")
    }

    #[tokio::test]
    async fn memory_and_processes_run_out() {
        let (well, low, out) = (meminfo(9_000_000), meminfo(900_000), meminfo(90_000));
        let well = ("/proc/meminfo", well.as_str());
        assert_eq!(found(&[well]).await, [(Severity::Ok, String::new())]);
        assert_eq!(found(&[("/proc/meminfo", &low)]).await, [(Severity::Warning, "memory".into())]);
        assert_eq!(found(&[("/proc/meminfo", &out)]).await, [(Severity::Error, "memory".into())]);
        let limit = ("/proc/sys/kernel/pid_max", "1000\n");
        for (threads, expected) in [
            ("0.1 0.1 0.1 2/500 9\n", (Severity::Ok, "")),
            ("0.1 0.1 0.1 2/900 9\n", (Severity::Warning, "pids")),
            ("0.1 0.1 0.1 2/990 9\n", (Severity::Error, "pids")),
        ] {
            assert_eq!(
                found(&[well, limit, ("/proc/loadavg", threads)]).await,
                [(expected.0, expected.1.to_owned())]
            );
        }
    }

    #[tokio::test]
    async fn stalls_are_told() {
        let well = meminfo(9_000_000);
        let psi = |some: &str, full: &str| {
            format!(
                "some avg10=99.00 avg60={some} avg300=0.10 total=321175\nfull avg10=0.00 avg60={full} avg300=0.00 total=7\n"
            )
        };
        for (text, expected) in [
            (psi("1.50", "0.00"), Severity::Ok),
            (psi("35.00", "2.00"), Severity::Warning),
            (psi("15.00", "12.00"), Severity::Warning),
        ] {
            let found = found(&[("/proc/meminfo", &well), ("/proc/pressure/memory", &text)]).await;
            assert_eq!(found[0].0, expected, "{text}");
        }
    }
}
