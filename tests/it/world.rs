//! A machine of its own for one test: network, process and mount namespaces in which /etc, /run and /var/lib
//! are the test's, so that containerd and wharfie run with their default paths and cannot meet another test.
//!
//! The namespaces live as long as their first process, which ends when the test's end of a pipe closes. So
//! everything in them (containerd, shims, monitors, containers, mounts, links, rules) goes with the test,
//! even when the test is killed.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Once, OnceLock};

use tempfile::TempDir;

/// What the first process does once scripts/world has made the world: it ends with its input.
const FIRST_PROCESS: &str = "cd /; echo ready; read -r _ || :";

/// The namespaces and the directory behind them.
pub(crate) struct World {
    directory: TempDir,
    unshare: Child,
    keep: Option<ChildStdin>,
    first: u32,
}

impl World {
    /// Makes a world; fails the test with the reason when this machine cannot.
    pub(crate) fn new() -> Self {
        assert!(
            rustix::process::geteuid().is_root(),
            "the integration tests make namespaces and containers: run them as root, or by ./test, which asks for it"
        );
        sweep();
        let directory = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{}-", std::process::id()))
            .rand_bytes(4)
            .tempdir_in(base())
            .expect("make the test's directory");
        let mut unshare = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/world"))
            .arg(directory.path())
            .args(["bash", "-c", FIRST_PROCESS])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start scripts/world");
        let keep = unshare.stdin.take();
        let mut ready = String::new();
        BufReader::new(unshare.stdout.take().expect("stdout is piped"))
            .read_line(&mut ready)
            .expect("read from the world's first process");
        if ready.trim() != "ready" {
            let mut said = String::new();
            let _ = unshare.stderr.take().expect("stderr is piped").read_to_string(&mut said);
            panic!("the test's namespaces cannot be made: {said}");
        }
        let first = only_child(unshare.id()).expect("unshare has one child");
        Self { directory, unshare, keep, first }
    }

    /// The test's directory, at the same path inside and outside.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Where the world's /run is seen from outside.
    pub(crate) fn run(&self) -> PathBuf {
        self.directory().join("run")
    }

    /// Where the world's /var/lib is seen from outside.
    pub(crate) fn lib(&self) -> PathBuf {
        self.directory().join("lib")
    }

    /// The world's first process, by the number it has outside.
    pub(crate) fn first_process(&self) -> u32 {
        self.first
    }

    /// A command that runs inside, in the test's home directory, with an environment of its own. Its only
    /// child is the program.
    pub(crate) fn command<'a>(
        &self,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
        before: &[&str],
    ) -> Command {
        let mut command = Command::new(nsenter());
        command
            .env_clear()
            .envs(environment)
            .args(["--target", &self.first.to_string(), "--net", "--mount", "--pid", "--ipc", "--uts", "--"])
            .args(before)
            .args(["env", "--chdir"])
            .arg(self.directory().join("home"));
        command
    }

    /// The processes inside, by the numbers they have outside; the first one left out.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let link = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let Some(own) = link(self.first) else { return Vec::new() };
        let Ok(all) = fs::read_dir("/proc") else { return Vec::new() };
        let all: Vec<u32> = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
        let parents: Vec<(u32, u32)> = all.iter().filter_map(|pid| Some((*pid, parent(*pid)?))).collect();
        let mut inside: Vec<u32> = all.into_iter().filter(|pid| link(*pid).as_ref() == Some(&own)).collect();
        // Containers have namespaces of their own; their first process is a child of a shim.
        let mut next = 0;
        while let Some(pid) = inside.get(next).copied() {
            next += 1;
            let children = parents.iter().filter(|(child, parent)| *parent == pid && !inside.contains(child));
            let children: Vec<u32> = children.map(|(child, _)| *child).collect();
            inside.extend(children);
        }
        inside.retain(|pid| *pid != self.first);
        inside
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let groups = control_groups(&self.processes(), self.first);
        for group in &groups {
            // A frozen process does not die. Version 1 and version 2 name the switch differently.
            let _ = fs::write(group.join("freezer.state"), "THAWED");
            let _ = fs::write(group.join("cgroup.freeze"), "0");
        }
        drop(self.keep.take());
        let _ = self.unshare.wait();
        for group in &groups {
            // Its parent, named after containerd's namespace, may be another test's as well: it stays.
            let _ = fs::remove_dir(group);
        }
    }
}

const PREFIX: &str = "wh-";

/// Where the tests' directories are: a short path, for sockets. In memory where there is the room: containerd waits for
/// the disk after each word, and an ext4 without a journal steps over each inode that the last test has freed.
fn base() -> &'static Path {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |found| found.f_bavail * found.f_frsize);

    if room >= ROOM { memory } else { Path::new("/tmp") }
}

/// Bytes that the tests of one run take at most, at once.
const ROOM: u64 = 4 << 30;

/// Removes the directories of test runs that were killed. Their processes went with them.
fn sweep() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(entries) = fs::read_dir(base()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let owner =
                name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split_once('-')).map(|(pid, _)| pid);
            let Some(Ok(owner)) = owner.map(str::parse::<u32>) else { continue };
            if !Path::new(&format!("/proc/{owner}")).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
}

/// With its directory: only so does std start it without copying the tests' own page tables, a tenth of all their time.
fn nsenter() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let all = std::env::split_paths(&path).map(|directory| directory.join("nsenter"));
        all.into_iter().find(|found| found.is_file()).expect("find nsenter of util-linux in PATH")
    })
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name may hold spaces and brackets.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The child of a process that never has a second one.
pub(crate) fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// The control groups of containers: directories, deepest paths first.
fn control_groups(processes: &[u32], first: u32) -> Vec<PathBuf> {
    let lines = |pid: u32| fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let ours = lines(first);
    let mut groups = Vec::new();
    for line in processes.iter().flat_map(|pid| lines(*pid).lines().map(String::from).collect::<Vec<_>>()) {
        if ours.lines().any(|own| own == line) {
            continue;
        }
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        // No name: version 2, alone or beside version 1. Controllers of one hierarchy may have a link each.
        let roots: Vec<&str> =
            if controllers.is_empty() { vec!["unified", ""] } else { controllers.split(',').collect() };
        for root in roots {
            let root = root.strip_prefix("name=").unwrap_or(root);
            let group = Path::new("/sys/fs/cgroup").join(root).join(path.trim_start_matches('/'));
            if path != "/" && group.is_dir() && !groups.contains(&group) {
                groups.push(group);
            }
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.as_os_str().len()));
    groups
}
