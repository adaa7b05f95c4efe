//! What goes into the archive, and where it comes from.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};

use super::{Bag, redact};
use crate::containerd::{Client, Container};
use crate::engine::doctor::facts::{Facts, Namespace};
use crate::engine::doctor::{Node, Report};
use crate::error::{Error, Result};

/// How long containerd, and a program, may take for one answer.
const ANSWER: Duration = Duration::from_secs(2);
const PROGRAM: Duration = Duration::from_secs(10);
/// As much of a log's end is taken, and of as many logs.
const LOG_END: u64 = 64 << 10;
const LOGS: usize = 60;
const LONGEST_OUTPUT: u64 = 4 << 20;
const KERNEL_FILES: [&str; 15] = [
    "/proc/meminfo",
    "/proc/mounts",
    "/proc/loadavg",
    "/proc/version",
    "/proc/cpuinfo",
    "/proc/cgroups",
    "/proc/swaps",
    "/proc/modules",
    "/proc/pressure/memory",
    "/proc/pressure/cpu",
    "/proc/pressure/io",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "/sys/fs/cgroup/cgroup.controllers",
];
const PODS: &str = "/var/log/pods";

/// Everything, the most telling first: what is too much falls off at the end.
pub(super) async fn all(report: &Report, bag: &mut Bag) -> Result<()> {
    let facts = &report.facts;
    let findings = serde_json::to_value(&report.findings)
        .map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
    bag.add("findings.json", &redact::pretty(&redact::json(&findings)));
    bag.add("node.json", &redact::pretty(&redact::json(&node(facts))));
    configurations(facts, bag);
    for name in KERNEL_FILES {
        if let Some(text) = facts.node.text(name) {
            bag.add(name, &redact::text(&text));
        }
    }
    if let Some(reached) = &facts.containerd {
        for (name, value) in lists(&reached.client, facts).await {
            bag.add(&name, &redact::pretty(&redact::json(&value)));
        }
    }
    let programs: [(&str, &[&str]); 4] = [
        (
            "logs/containerd.txt",
            &["journalctl", "-u", "containerd", "-n", "2000", "--no-pager", "-o", "short-iso"],
        ),
        ("logs/kubelet.txt", &["journalctl", "-u", "kubelet", "-n", "2000", "--no-pager", "-o", "short-iso"]),
        ("logs/kernel.txt", &["dmesg"]),
        ("processes.txt", &["ps", "-eo", "pid,ppid,stat,rss,nlwp,etime,comm"]),
    ];
    let outputs = join_all(programs.iter().map(|(_, line)| output(line))).await;
    for ((name, _), text) in programs.iter().zip(outputs) {
        bag.add(name, &redact::text(&text.unwrap_or_default()));
    }
    let files = facts.node.clone();
    let logs = tokio::task::spawn_blocking(move || pod_logs(&files)).await.unwrap_or_default();
    for (name, text) in logs {
        bag.add(&name, &redact::text(&text));
    }
    Ok(())
}

fn node(facts: &Facts) -> Value {
    let uname = rustix::system::uname();
    let sockets: Vec<Value> = facts
        .sockets
        .iter()
        .map(|socket| json!({ "path": socket.path, "outcome": format!("{:?}", socket.outcome) }))
        .collect();
    let plugins: Vec<Value> = facts
        .plugins
        .iter()
        .flatten()
        .map(|plugin| json!({ "type": plugin.kind, "id": plugin.id, "error": plugin.error, "capabilities": plugin.capabilities }))
        .collect();
    json!({
        "wharfie": env!("CARGO_PKG_VERSION"),
        "time": jiff::Timestamp::now().to_string(),
        "name": uname.nodename().to_string_lossy(),
        "kernel": uname.release().to_string_lossy(),
        "machine": uname.machine().to_string_lossy(),
        "kubernetes": facts.is_kubernetes(),
        "containerd": facts.containerd.as_ref().map(|reached| reached.version.version.clone()),
        "sockets": sockets,
        "settings": format!("{:?}", facts.settings),
        "cri": match &facts.cri {
            crate::engine::doctor::facts::CriState::Answers { config, .. } => config.clone().unwrap_or_default(),
            other => format!("{other:?}").into(),
        },
        "plugins": plugins,
    })
}

fn configurations(facts: &Facts, bag: &mut Bag) {
    let node = &facts.node;
    let mut add = |path: &Path, prefix: &str, form: &str, clean: fn(&str) -> String| {
        if let Some(text) = node.text(path) {
            bag.add(&format!("{prefix}{}{form}", path.display()), &clean(&text));
        }
    };
    for path in &facts.settings.files {
        add(path, "containerd", ".json", redact::toml);
    }
    let mut conf_dirs = vec![facts.settings.cri.cni_conf_dir.clone(), facts.config.cni_conf_dir.clone()];
    conf_dirs.dedup();
    for path in conf_dirs.iter().flat_map(|directory| node.files(directory, &["conf", "conflist", "json"])) {
        add(&path, "cni", "", redact::json_text);
    }
    let certs = facts.settings.cri.certs_d.iter().flatten().chain(&facts.config.hosts_dirs);
    let mut seen: Vec<PathBuf> = Vec::new();
    for directory in certs {
        if seen.contains(directory) {
            continue;
        }
        seen.push(directory.clone());
        for host in node.names(directory) {
            // Certificates and keys beside it stay here.
            add(&directory.join(host).join("hosts.toml"), "registries", ".json", redact::toml);
        }
    }
    add(Path::new("/etc/crictl.yaml"), "", ".json", redact::yaml);
    add(&facts.kubelet.path, "kubelet", ".json", redact::yaml);
    add(Path::new(crate::config::file::PATH), "", ".json", redact::toml);
}

/// What containerd keeps, a file a namespace and kind.
async fn lists(client: &Client, facts: &Facts) -> Vec<(String, Value)> {
    let asked = facts.namespaces.iter().flatten().map(|namespace| of_namespace(client, facts, namespace));
    join_all(asked).await.into_iter().flatten().collect()
}

async fn of_namespace(client: &Client, facts: &Facts, namespace: &Namespace) -> Vec<(String, Value)> {
    let Ok(client) = client.with_namespace(&namespace.name) else { return Vec::new() };
    let name = |kind: &str| format!("lists/{}/{kind}.json", namespace.name);
    let containers: Vec<Value> = namespace.containers.iter().map(container).collect();
    let images: Vec<Value> = namespace
        .images
        .iter()
        .map(|image| json!({ "name": image.name, "digest": image.target.digest().to_string(), "labels": image.labels }))
        .collect();
    let tasks = join_all(namespace.containers.iter().map(async |container| {
        match tokio::time::timeout(ANSWER, client.task(&container.id, Some(ANSWER))).await {
            Ok(Ok(task)) => json!({
                "id": task.id, "pid": task.pid, "status": format!("{:?}", task.status),
                "exit_status": task.exit_status, "exited_at": task.exited_at.map(|at| at.to_string()),
            }),
            Ok(Err(error)) => json!({ "id": container.id, "error": error.message }),
            Err(_) => json!({ "id": container.id, "error": "no answer" }),
        }
    }));
    let snapshots = async {
        let listed = tokio::time::timeout(ANSWER, client.snapshots(&facts.settings.cri.snapshotter)).await;
        let listed = listed.ok().and_then(std::result::Result::ok).unwrap_or_default();
        listed
            .iter()
            .map(|one| json!({ "key": one.name, "parent": one.parent, "kind": format!("{:?}", one.kind), "labels": one.labels }))
            .collect::<Vec<Value>>()
    };
    let (tasks, snapshots) = tokio::join!(tasks, snapshots);
    vec![
        (name("containers"), containers.into()),
        (name("images"), images.into()),
        (name("tasks"), tasks.into()),
        (name("snapshots"), snapshots.into()),
    ]
}

/// A record without its extensions, in which clients keep whole requests.
fn container(container: &Container) -> Value {
    json!({
        "id": container.id,
        "image": container.image,
        "runtime": container.runtime,
        "snapshotter": container.snapshotter,
        "snapshot_key": container.snapshot_key,
        "labels": container.labels,
        "created_at": container.created_at.map(|at| at.to_string()),
        "spec": serde_json::from_slice::<Value>(&container.spec).unwrap_or_default(),
    })
}

/// What a program prints; None where it is not here, fails to start or takes too long.
async fn output(line: &[&str]) -> Option<String> {
    let (program, arguments) = line.split_first()?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let out = child.stdout.take()?;
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let _ = out.take(LONGEST_OUTPUT).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let text = tokio::time::timeout(PROGRAM, read).await.ok().and_then(std::result::Result::ok);
    let _ = child.kill();
    let _ = child.wait();
    text
}

/// The ends of the logs that were written last: name and text.
fn pod_logs(node: &Node) -> Vec<(String, String)> {
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for pod in node.names(PODS) {
        for container in node.names(Path::new(PODS).join(&pod)) {
            let directory = Path::new(PODS).join(&pod).join(container);
            for path in node.files(&directory, &["log"]) {
                let written = std::fs::symlink_metadata(node.at(&path)).and_then(|data| data.modified());
                found.extend(written.ok().map(|written| (written, path)));
            }
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    let root = std::fs::canonicalize(node.at(PODS)).unwrap_or_default();
    let ends = found.into_iter().take(LOGS).filter_map(|(_, path)| {
        // A pod that may write to the logs' directory must not make us read another file.
        let real = std::fs::canonicalize(node.at(&path)).ok()?;
        if !real.starts_with(&root) {
            return None;
        }
        Some((format!("logs/pods/{}", path.strip_prefix(PODS).ok()?.display()), end(&real).ok()?))
    });
    ends.collect()
}

/// The last bytes of a regular file, from the beginning of a line on.
fn end(path: &Path) -> std::io::Result<String> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let data = file.metadata()?;
    if !data.is_file() {
        return Ok(String::new());
    }
    let start = data.len().saturating_sub(LOG_END);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(LOG_END).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // A line that is cut in the middle may be a secret without the key that tells.
    Ok(match text.split_once('\n') {
        Some((_, rest)) if start > 0 => rest.to_owned(),
        _ => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::doctor::node::tests::node;

    #[test]
    fn the_ends_of_logs_are_taken_and_no_link_is_followed() {
        let long = format!("first\n{}\nlast\n", "x".repeat(LOG_END as usize));
        let (_root, node) =
            node(&[("/var/log/pods/shop_web_1/app/0.log", &long), ("/etc/shadow", "root:hash")]);
        let directory = node.at("/var/log/pods/shop_web_1/app");
        std::os::unix::fs::symlink(node.at("/etc/shadow"), directory.join("1.log")).unwrap();
        let logs = pod_logs(&node);
        assert_eq!(logs, [("logs/pods/shop_web_1/app/0.log".to_owned(), "last\n".to_owned())]);
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_prints_nothing() {
        assert_eq!(output(&["/nowhere/journalctl"]).await, None);
        assert_eq!(output(&["echo", "x"]).await.as_deref(), Some("x\n"));
    }
}
