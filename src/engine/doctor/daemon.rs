//! The process behind a socket, where its files are, and how it is started again.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::node::Node;
use crate::sys::process::{Process, command_line};

/// A containerd: which process, and where its files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// Its socket.
    pub socket: PathBuf,
    /// Its process, while there is one.
    pub pid: Option<u32>,
    /// Its configuration's file.
    pub config: PathBuf,
    /// Where images and snapshots are, before the file has its say.
    pub root: PathBuf,
    pub(super) root_given: bool,
    /// Where bundles are, before the file has its say.
    pub state: PathBuf,
    pub(super) state_given: bool,
    /// The command that starts it again.
    pub restart: String,
}

/// Where a distribution keeps its containerd's things: a part of the socket's path, the configuration, the root, the
/// state, the unit.
const KNOWN: [(&str, &str, &str, &str, &str); 6] = [
    (
        "/run/k3s/",
        "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
        "/var/lib/rancher/rke2/agent/containerd",
        "/run/k3s/containerd",
        "rke2-agent",
    ),
    (
        "/run/k3s/",
        "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
        "/var/lib/rancher/k3s/agent/containerd",
        "/run/k3s/containerd",
        "k3s",
    ),
    (
        "/microk8s/",
        "/var/snap/microk8s/current/args/containerd.toml",
        "/var/snap/microk8s/common/var/lib/containerd",
        "/var/snap/microk8s/common/run/containerd",
        "snap.microk8s.daemon-containerd",
    ),
    ("/run/k0s/", "/etc/k0s/containerd.toml", "/var/lib/k0s/containerd", "/run/k0s/containerd", "k0sworker"),
    (
        "/run/docker/",
        "/var/run/docker/containerd/containerd.toml",
        "/var/lib/docker/containerd/daemon",
        "/var/run/docker/containerd/daemon",
        "docker",
    ),
    ("", "/etc/containerd/config.toml", "/var/lib/containerd", "/run/containerd", "containerd"),
];

impl Daemon {
    /// What is known of the containerd at `socket` from the socket's place alone.
    pub(super) fn of_socket(node: &Node, socket: &Path) -> Self {
        let text = socket.to_string_lossy();
        let mut fitting = KNOWN.iter().filter(|(part, ..)| text.contains(part));
        // k3s and rke2 share the socket: the one that has a configuration is meant.
        let found = fitting.clone().find(|(_, config, ..)| node.has(config)).or_else(|| fitting.next());
        let (_, config, root, state, unit) = found.copied().unwrap_or(KNOWN[KNOWN.len() - 1]);
        let restart = match node.has_systemd() {
            true => format!("systemctl restart {unit}"),
            false => "kill the process containerd, then start it again: `containerd &`".to_owned(),
        };
        Self {
            socket: socket.to_path_buf(),
            pid: None,
            config: config.into(),
            root: root.into(),
            root_given: false,
            state: state.into(),
            state_given: false,
            restart,
        }
    }

    /// The same with what the process behind the socket was started with.
    pub(super) fn find(node: &Node, socket: &Path) -> Self {
        let mut daemon = Self::of_socket(node, socket);
        daemon.pid = listener(socket).filter(|pid| *pid > 1);
        if let Some(pid) = daemon.pid {
            let directory = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_else(|_| "/".into());
            daemon.apply(&command_line(pid), &directory);
        }
        daemon
    }

    fn apply(&mut self, line: &[String], directory: &Path) {
        let is_containerd =
            line.first().and_then(|first| first.rsplit('/').next()).is_some_and(|name| name == "containerd");
        if !is_containerd {
            return;
        }
        if let Some(path) = flag(line, &["--config", "-config", "-c"]) {
            self.config = directory.join(path);
        }
        if let Some(path) = flag(line, &["--root", "-root"]) {
            (self.root, self.root_given) = (directory.join(path), true);
        }
        if let Some(path) = flag(line, &["--state", "-state"]) {
            (self.state, self.state_given) = (directory.join(path), true);
        }
    }

    /// `systemctl restart containerd`, and how its words are seen.
    pub(super) fn log(&self, node: &Node) -> String {
        match self.restart.strip_prefix("systemctl restart ") {
            Some(unit) if node.has_systemd() => format!("journalctl -u {unit} -n 50 --no-pager"),
            _ => "look at containerd's own output".to_owned(),
        }
    }

    /// The state of its process in ps's letters; None without one.
    pub(super) fn process_state(&self) -> Option<char> {
        Some(Process::read(self.pid?)?.state)
    }
}

/// The value of a flag: `--flag value` or `--flag=value`.
pub(super) fn flag<'a>(line: &'a [String], names: &[&str]) -> Option<&'a str> {
    line.iter().enumerate().find_map(|(at, word)| {
        if names.contains(&word.as_str()) {
            return line.get(at + 1).map(String::as_str);
        }
        let (name, value) = word.split_once('=')?;
        names.contains(&name).then_some(value)
    })
}

/// The process that listens on a socket. The kernel tells it even of one that does not answer.
fn listener(socket: &Path) -> Option<u32> {
    let stream = UnixStream::connect(socket).ok()?;
    let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
    u32::try_from(peer.pid.as_raw_nonzero().get()).ok()
}

#[cfg(test)]
mod tests {
    use super::super::node::tests::node;
    use super::*;

    #[test]
    fn distributions_are_known_by_their_sockets() {
        let rke2 = "/var/lib/rancher/rke2/agent/etc/containerd/config.toml";
        let (_root, plain) = node(&[("/run/systemd/system/x", "")]);
        let (_other, with_rke2) = node(&[(rke2, "")]);
        let config = |node: &Node, socket: &str| Daemon::of_socket(node, Path::new(socket)).config;
        assert_eq!(config(&with_rke2, "/run/k3s/containerd/containerd.sock"), PathBuf::from(rke2));
        assert!(config(&plain, "/run/k0s/containerd.sock").starts_with("/etc/k0s"));
        let daemon = Daemon::of_socket(&plain, Path::new("/somewhere/else.sock"));
        assert_eq!(daemon.config, PathBuf::from("/etc/containerd/config.toml"));
        assert_eq!(daemon.restart, "systemctl restart containerd");
        assert_eq!(daemon.log(&plain), "journalctl -u containerd -n 50 --no-pager");
        let (_third, k3s) = node(&[("/var/lib/rancher/k3s/agent/etc/containerd/config.toml", "")]);
        let daemon = Daemon::of_socket(&k3s, Path::new("/run/k3s/containerd/containerd.sock"));
        assert!(daemon.root.starts_with("/var/lib/rancher/k3s"), "{daemon:?}");
    }

    #[test]
    fn its_own_flags_count_more() {
        let (_root, node) = node(&[]);
        let mut daemon = Daemon::of_socket(&node, Path::new("/run/containerd/containerd.sock"));
        let line: Vec<String> = ["/usr/bin/containerd", "-c", "x.toml", "--root=/r", "--state", "/s"]
            .into_iter()
            .map(str::to_owned)
            .collect();
        daemon.apply(&line, Path::new("/work"));
        assert_eq!((daemon.config.to_str(), daemon.root.to_str()), (Some("/work/x.toml"), Some("/r")));
        assert_eq!((daemon.state.to_str(), daemon.state_given), (Some("/s"), true));
        daemon.apply(&["dockerd".to_owned(), "-c".to_owned(), "y".to_owned()], Path::new("/"));
        assert_eq!(daemon.config.to_str(), Some("/work/x.toml"));
    }
}
