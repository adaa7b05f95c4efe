//! A container that shows that the runtime works: this program's own file in it, asked for its version. It is made in
//! a namespace of its own, with no image, no network and no output, and is gone afterwards. What a doctor that was
//! killed left of one, the next one removes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::settings::Runtime;
use crate::containerd::{Client, Code, Container, Extension, Result, Stdio, TaskStatus};
use crate::sys::process::Process;

/// containerd's namespace of such containers.
pub(super) const NAMESPACE: &str = "wharfie-doctor";
/// Who makes the container: a process, by its number and when it began.
const MAKER: &str = "wharfie/doctor";
/// A maker that cannot be seen from here is taken for dead after that.
const LONGEST: i64 = 120;
/// How long the snapshot of a killed one is kept.
const LEASE: SignedDuration = SignedDuration::from_mins(5);
/// How long a part of the removal may take.
const REMOVAL: Duration = Duration::from_secs(5);
/// What a program that is not static is linked with.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
const KILL: u32 = 9;

/// A container in the making, or what is left of one.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    client: Client,
    id: String,
    snapshotter: String,
}

impl Probe {
    /// One with an id of its own; nothing is made yet.
    pub(super) fn new(client: &Client, snapshotter: &str) -> Result<Self> {
        let pid = std::process::id();
        let moment = jiff::Timestamp::now().as_microsecond();
        Ok(Self {
            client: client.with_namespace(NAMESPACE)?,
            id: format!("wharfie-doctor-{pid}-{moment}"),
            snapshotter: snapshotter.to_owned(),
        })
    }

    /// Make it, run it, wait for its end: the exit status.
    pub(super) async fn run(&self, runtime: &Runtime) -> Result<u32> {
        let (client, id) = (&self.client, self.id.as_str());
        client.create_lease(id, LEASE).await?;
        let leased = client.with_lease(id)?;
        let rootfs = leased.prepare_snapshot(&self.snapshotter, id, "", HashMap::new()).await?;
        let spec = spec(id, &program(), runtime.systemd);
        let record = Container {
            id: id.to_owned(),
            labels: HashMap::from([(MAKER.to_owned(), maker())]),
            runtime: runtime.kind.clone(),
            runtime_options: options(runtime),
            spec: spec.to_string().into_bytes(),
            snapshotter: self.snapshotter.clone(),
            snapshot_key: id.to_owned(),
            ..Container::default()
        };
        client.create_container(&record).await?;
        client.create_task(id, &rootfs, &Stdio::default(), record.runtime_options.as_ref()).await?;
        let ended = client.wait(id, "");
        client.start(id, "").await?;
        Ok(ended.await?.status)
    }

    /// Remove all of it, whatever there is.
    pub(super) async fn remove(&self) {
        let (client, id) = (&self.client, self.id.as_str());
        let patience = tokio::time::timeout(REMOVAL, async {
            if let Ok(task) = client.task(id, Some(REMOVAL)).await {
                if task.status != TaskStatus::Stopped {
                    let _ = client.kill(id, "", KILL, true).await;
                    let _ = client.wait(id, "").await;
                }
                let _ = client.delete_task(id).await;
            }
            let _ = client.delete_container(id).await;
            let _ = client.remove_snapshot(&self.snapshotter, id).await;
            let _ = client.delete_lease(id, true).await;
            // Refused while another doctor is at work in it.
            let _ = client.delete_namespace(NAMESPACE).await;
        });
        let _ = patience.await;
    }
}

/// Remove what killed doctors have left.
pub(super) async fn sweep(client: &Client) -> Result<()> {
    let names = client.namespaces().await?;
    if !names.iter().any(|(name, _)| name == NAMESPACE) {
        return Ok(());
    }
    let client = client.with_namespace(NAMESPACE)?;
    let now = jiff::Timestamp::now();
    for container in client.containers(&[]).await? {
        let age = container.created_at.map_or(i64::MAX, |at| now.as_second() - at.as_second());
        if is_left(container.labels.get(MAKER).map(String::as_str), age) {
            let left = Probe { client: client.clone(), id: container.id, snapshotter: container.snapshotter };
            left.remove().await;
        }
    }
    for lease in client.leases().await? {
        let age = lease.created_at.map_or(i64::MAX, |at| now.as_second() - at.as_second());
        let gone = matches!(client.container(&lease.id).await, Err(error) if error.code == Code::NotFound);
        if age > LONGEST && gone {
            let _ = client.delete_lease(&lease.id, true).await;
        }
    }
    Ok(())
}

/// This process: its number, when it began, and where that number means something.
fn maker() -> String {
    let pid = std::process::id();
    let start = Process::read(pid).map_or(0, |process| process.start_ticks);
    format!("{pid}:{start}:{}", numbering())
}

/// Which processes are numbered together.
fn numbering() -> String {
    std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default()
}

fn is_left(maker: Option<&str>, age: i64) -> bool {
    let parts: Vec<&str> = maker.unwrap_or_default().splitn(3, ':').collect();
    let alive = match parts[..] {
        [pid, start, numbered] if numbered == numbering() => {
            let process = pid.parse().ok().and_then(Process::read);
            process.is_some_and(|process| process.start_ticks.to_string() == start)
        }
        // Another's number says nothing here.
        _ => age <= LONGEST,
    };
    !alive
}

/// This program's file; where it was removed or replaced meanwhile, another one that does nothing.
fn program() -> PathBuf {
    let own = std::env::current_exe().ok().filter(|path| path.is_file());
    own.unwrap_or_else(|| PathBuf::from("/bin/true"))
}

/// The smallest specification that a runtime takes.
fn spec(id: &str, program: &Path, systemd: bool) -> Value {
    let bind = |source: &Path, destination: &str| json!({ "destination": destination, "type": "bind", "source": source, "options": ["rbind", "ro", "nosuid", "nodev"] });
    let mut mounts = vec![
        json!({ "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] }),
        json!({ "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"] }),
        bind(program, "/doctor"),
    ];
    let libraries = LIBRARIES.iter().filter_map(|path| Some((std::fs::canonicalize(path).ok()?, path)));
    mounts.extend(libraries.map(|(real, path)| bind(&real, path)));
    let group = if systemd { format!("system.slice:wharfie:{id}") } else { format!("/{id}") };
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["/doctor", "--version"],
            "env": ["PATH=/"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs" },
        "hostname": "doctor",
        "mounts": mounts,
        "linux": {
            "cgroupsPath": group,
            "namespaces": namespaces,
        },
    })
}

/// runc's options, where another program is named or systemd is to make the control group: fields 6 and 9 of
/// containerd's api/types/runc/options/oci.proto.
fn options(runtime: &Runtime) -> Option<Extension> {
    if runtime.kind != "io.containerd.runc.v2" || (runtime.program.is_empty() && !runtime.systemd) {
        return None;
    }
    const BINARY_NAME: u8 = 6 << 3 | 2;
    const SYSTEMD_CGROUP: u8 = 9 << 3;
    let mut value = Vec::new();
    if !runtime.program.is_empty() {
        let length = runtime.program.len().min(0x7f);
        value.extend([BINARY_NAME, length as u8]);
        value.extend_from_slice(&runtime.program.as_bytes()[..length]);
    }
    if runtime.systemd {
        value.extend([SYSTEMD_CGROUP, 1]);
    }
    Some(Extension { type_url: "containerd.runc.v1.Options".into(), value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_doctor_made_is_left() {
        assert!(!is_left(Some(&maker()), 1_000_000));
        assert!(is_left(Some(&format!("4194300:1:{}", numbering())), 0));
        assert!(!is_left(Some("1:1:pid:[1]"), 5) && is_left(Some("1:1:pid:[1]"), 500));
        assert!(!is_left(None, 5) && is_left(None, 500));
    }

    #[test]
    fn options_are_encoded_as_protobuf_does() {
        let runtime = |program: &str, systemd| Runtime {
            kind: "io.containerd.runc.v2".into(),
            program: program.into(),
            systemd,
        };
        assert_eq!(options(&runtime("", false)), None);
        assert_eq!(
            options(&runtime("crun", true)).unwrap().value,
            [0x32, 4, b'c', b'r', b'u', b'n', 0x48, 1]
        );
        assert_eq!(
            options(&Runtime { kind: "io.containerd.kata.v2".into(), systemd: true, ..Runtime::default() }),
            None
        );
    }
}
