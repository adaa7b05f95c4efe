//! Addresses: a socket of this machine, or another machine that `ssh` reaches.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// How a node's containerd is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// Its socket is forwarded to this machine.
    Socket,
    /// A copy of this program runs there.
    Program,
}

/// Another machine, as `ssh://[user@]host[:port][/path/of/the/socket][?ns=NAMESPACE&via=socket|program]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// `host` or `user@host`, as ssh takes it; never begins with a dash.
    pub destination: String,
    /// The port, where the user named one.
    pub port: Option<u16>,
    /// containerd's socket there; None: the first known one.
    pub socket: Option<PathBuf>,
    /// containerd's namespace there (`?ns=`).
    pub namespace: Option<String>,
    /// The way, where the user chose one (`?via=`).
    pub via: Option<Via>,
}

/// Where a containerd is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// The first known socket of this machine that answers.
    Known,
    /// This socket of this machine.
    Socket(PathBuf),
    /// Another machine's.
    Node(Node),
}

impl Address {
    /// What `--address` and `-H` take: a path, `unix://PATH` or `ssh://…`.
    ///
    /// # Errors
    /// Another scheme, or an ssh address that is none.
    pub fn parse(text: &str) -> Result<Self> {
        if text.starts_with(SCHEME) {
            return Ok(Self::Node(Node::parse(text)?));
        }
        let path = text.strip_prefix("unix://").unwrap_or(text);
        if path.contains("://") {
            return Err(Error::usage(format!(
                "cannot connect to {text}: only unix sockets and ssh:// are spoken"
            ))
            .hint("name containerd's socket, for example --address /run/containerd/containerd.sock, or -H ssh://user@node"));
        }
        Ok(Self::Socket(PathBuf::from(path)))
    }

    /// What `DOCKER_HOST` and docker's contexts say. A socket of docker's own API is this machine's containerd.
    ///
    /// # Errors
    /// As [`Address::parse`].
    pub fn of_docker(text: &str) -> Result<Self> {
        match Self::parse(text)? {
            Self::Socket(path) if path.as_os_str().is_empty() || is_docker_api(&path) => Ok(Self::Known),
            address => Ok(address),
        }
    }
}

/// Whether a socket speaks docker's API and not containerd's.
fn is_docker_api(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "docker.sock" || name == "podman.sock")
}

const SCHEME: &str = "ssh://";

impl Node {
    /// Read an address with or without `ssh://` before it.
    ///
    /// # Errors
    /// What ssh could not take as a destination, a password, and options that there are none of.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::usage(format!("invalid SSH URL {}: {why}", without_password(text)))
                .hint("write it as ssh://[user@]host[:port][/path/of/containerd.sock][?ns=NAMESPACE]")
        };
        let rest = text.strip_prefix(SCHEME).unwrap_or(text);
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err(wrong("plain-text password is not supported"));
        }
        let (host, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((inner, after)) => (inner, after.strip_prefix(':')),
            None => host.rsplit_once(':').map_or((host, None), |(host, port)| (host, Some(port))),
        };
        let port = port.map(str::parse::<u16>).transpose().map_err(|_| wrong("the port is no number"))?;
        if host.is_empty() {
            return Err(wrong("no host specified"));
        }
        // ssh would take a dash for a flag, and hand the rest to a shell where the configuration says so.
        let plain = |word: &str| {
            let strange = |letter: char| {
                letter.is_whitespace() || letter.is_control() || "'\"`$\\;&<>|(){}*".contains(letter)
            };
            !word.is_empty() && !word.starts_with('-') && !word.contains(strange)
        };
        if !plain(host) || user.is_some_and(|user| !plain(user)) {
            return Err(wrong("that is no name of a user or a host"));
        }
        let mut node = Self {
            destination: user.map_or_else(|| host.to_owned(), |user| format!("{user}@{host}")),
            port,
            socket: (path.len() > 1).then(|| PathBuf::from(path)),
            namespace: None,
            via: None,
        };
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("ns", name)) if !name.is_empty() => node.namespace = Some(name.to_owned()),
                Some(("via", "socket")) => node.via = Some(Via::Socket),
                Some(("via", "program")) => node.via = Some(Via::Program),
                _ => {
                    return Err(wrong(&format!(
                        "unknown option {option}; there are ns=NAMESPACE, via=socket and via=program"
                    )));
                }
            }
        }
        Ok(node)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}")?;
        match self.destination.rsplit_once('@') {
            Some((user, host)) if host.contains(':') => write!(f, "{user}@[{host}]")?,
            None if self.destination.contains(':') => write!(f, "[{}]", self.destination)?,
            _ => write!(f, "{}", self.destination)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// The address as it may be shown: a password that somebody wrote is a star.
fn without_password(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, host)) => match user.strip_prefix(SCHEME).unwrap_or(user).split_once(':') {
            Some((user, _)) => format!("{SCHEME}{user}:*@{host}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let node = |text: &str| Node::parse(text).unwrap();
        let plain = node("ssh://root@n1");
        assert_eq!(
            (plain.destination.as_str(), plain.port, plain.to_string()),
            ("root@n1", None, "ssh://root@n1".into())
        );
        let full = node("ssh://a@[fe80::1]:2222/run/k3s/containerd/containerd.sock?ns=k8s.io&via=socket");
        assert_eq!((full.destination.as_str(), full.port), ("a@fe80::1", Some(2222)));
        assert_eq!(full.socket.as_deref(), Some(Path::new("/run/k3s/containerd/containerd.sock")));
        assert_eq!((full.namespace.as_deref(), full.via), (Some("k8s.io"), Some(Via::Socket)));
        assert_eq!(full.to_string(), "ssh://a@[fe80::1]:2222");
        assert_eq!(node("n2:22").port, Some(22));
        assert_eq!(node("ssh://n3/").socket, None);
    }

    #[test]
    fn what_ssh_must_not_see_is_refused() {
        for text in [
            "ssh://",
            "ssh://-oProxyCommand=x",
            "ssh://-l@n",
            "ssh://a b",
            "ssh://n:x",
            "ssh://n:99999",
            "ssh://$(x)",
            "ssh://n?x=1",
            "ssh://n?via=pigeon",
            "ssh://@n",
            "-v",
        ] {
            assert!(Node::parse(text).is_err(), "{text}");
        }
        let error = Node::parse("ssh://root:secret@n1").unwrap_err();
        assert!(error.message.contains("plain-text password is not supported"));
        assert!(!error.message.contains("secret"), "{}", error.message);
    }

    #[test]
    fn docker_s_own_socket_means_this_machine() {
        assert_eq!(Address::of_docker("unix:///var/run/docker.sock").unwrap(), Address::Known);
        assert_eq!(
            Address::of_docker("unix:///run/k3s/containerd/containerd.sock").unwrap(),
            Address::Socket("/run/k3s/containerd/containerd.sock".into())
        );
        let error = Address::of_docker("tcp://1.2.3.4:2375").unwrap_err();
        assert!(error.message.contains("tcp://1.2.3.4:2375"), "{}", error.message);
    }
}
