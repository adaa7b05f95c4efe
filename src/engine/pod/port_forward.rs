//! Ports of this machine that lead into a pod. Each connection is opened from inside the pod's network namespace, to its
//! own loopback: that needs neither CRI nor a streaming server, and reaches what listens there alone.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::Pod;
use crate::error::{Error, Result, reason};
use crate::net::inside;

/// How long a port in the pod may take to accept.
const CONNECT: Duration = Duration::from_secs(10);

/// Two ends of a forwarded port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// On this machine; 0 is a free one.
    pub local: u16,
    /// In the pod.
    pub remote: u16,
}

/// What happens while ports are forwarded.
#[derive(Debug)]
pub enum Told {
    /// A connection to this local port has come.
    Came(u16),
    /// It could not be led to this port of the pod.
    Failed(u16, Error),
}

/// The ports, bound; [`Forward::serve`] does the rest.
#[derive(Debug)]
pub struct Forward {
    listeners: Vec<(TcpListener, SocketAddr, u16)>,
    door: Arc<Door>,
}

/// The way into a pod's network.
#[derive(Debug)]
struct Door {
    pod: String,
    /// None: it is on the host's network.
    namespace: Option<File>,
}

/// `[LOCAL:]REMOTE`, `:REMOTE` for any free local port.
///
/// # Errors
/// What is no such pair of ports, in kubectl's form.
pub fn parse(text: &str) -> Result<Ports> {
    let wrong = || {
        Error::usage(format!("invalid port {text:?}"))
            .hint("write [LOCAL:]REMOTE, such as 8080:80, 80, or :80 for any free local port")
    };
    let port = |text: &str| text.parse::<u16>().map_err(|_| wrong());
    let ports = match text.split(':').collect::<Vec<_>>().as_slice() {
        [both] => Ports { local: port(both)?, remote: port(both)? },
        ["", remote] => Ports { local: 0, remote: port(remote)? },
        [local, remote] => Ports { local: port(local)?, remote: port(remote)? },
        _ => return Err(wrong()),
    };
    if ports.remote == 0 { Err(wrong()) } else { Ok(ports) }
}

impl Forward {
    /// Binds each of `ports` on each of `addresses`. Where there are several addresses, one that this machine does not
    /// have is passed over, as long as another serves.
    ///
    /// # Errors
    /// A pod that does not run; a port that is taken.
    pub async fn bind(pod: &Pod, addresses: &[IpAddr], ports: &[Ports]) -> Result<Self> {
        let door = Arc::new(Door::of(pod)?);
        let mut listeners = Vec::new();
        for pair in ports {
            let mut failure = None;
            let mut local = pair.local;
            let before = listeners.len();
            for address in addresses {
                match TcpListener::bind((*address, local)).await {
                    Ok(listener) => {
                        let bound =
                            listener.local_addr().map_err(|cause| Error::io("bind", "a port", cause))?;
                        // The second address of a free port has the first one's number.
                        local = bound.port();
                        listeners.push((listener, bound, pair.remote));
                    }
                    Err(cause) => {
                        let place = SocketAddr::new(*address, local);
                        failure = Some(Error::failed(format!("listen on {place}: {}", reason(&cause))));
                    }
                }
            }
            if listeners.len() == before {
                let failure = failure.unwrap_or_else(|| Error::usage("there is no address to listen on"));
                return Err(failure.hint("choose another local port: LOCAL:REMOTE, or :REMOTE for any"));
            }
        }
        Ok(Self { listeners, door })
    }

    /// Where this machine listens, and the port in the pod.
    pub fn bound(&self) -> Vec<(SocketAddr, u16)> {
        self.listeners.iter().map(|(_, address, remote)| (*address, *remote)).collect()
    }

    /// Leads connections into the pod until this is dropped. What happens is told.
    pub async fn serve(self, told: mpsc::UnboundedSender<Told>) {
        let mut tasks = tokio::task::JoinSet::new();
        for (listener, address, remote) in self.listeners {
            let (door, told) = (Arc::clone(&self.door), told.clone());
            tasks.spawn(async move {
                // Connections end with their listener.
                let mut connections = tokio::task::JoinSet::new();
                loop {
                    while connections.try_join_next().is_some() {}
                    let Ok((client, _)) = listener.accept().await else {
                        // Too many open files: some will be closed.
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    // Nobody may listen any more.
                    let _ = told.send(Told::Came(address.port()));
                    let (door, told) = (Arc::clone(&door), told.clone());
                    connections.spawn(async move {
                        if let Err(error) = door.lead(client, remote).await {
                            let _ = told.send(Told::Failed(remote, error));
                        }
                    });
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }
}

impl Door {
    fn of(pod: &Pod) -> Result<Self> {
        let name = pod.full_name();
        if !pod.is_ready() {
            return Err(Error::conflict(format!("cannot forward ports of pod {name}: it does not run"))
                .hint("`wharfie pod ls` lists the pods that run"));
        }
        if pod.host_network {
            return Ok(Self { pod: name, namespace: None });
        }
        // Under a runtime in a virtual machine only the path leads there; without one the process does.
        let paths = [pod.network_namespace.clone(), PathBuf::from(format!("/proc/{}/ns/net", pod.pid))];
        let found =
            paths.iter().filter(|path| !path.as_os_str().is_empty()).find_map(|path| File::open(path).ok());
        let namespace = found.ok_or_else(|| {
            Error::failed(format!("cannot enter the network of pod {name}: it has no network namespace"))
        })?;
        Ok(Self { pod: name, namespace: Some(namespace) })
    }

    /// Joins `client` to a port of the pod until both have ended.
    async fn lead(self: Arc<Self>, mut client: TcpStream, port: u16) -> Result<()> {
        let opened = tokio::task::spawn_blocking(move || self.open(port)).await;
        let stream = opened.map_err(|_| Error::failed("opening a connection failed"))??;
        let adopt = |cause| Error::io("use", "a connection", cause);
        stream.set_nonblocking(true).map_err(adopt)?;
        let mut inside = TcpStream::from_std(stream).map_err(adopt)?;
        // Either side may go away at any time.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut inside).await;
        Ok(())
    }

    /// A connection to the pod's own loopback.
    fn open(&self, port: u16) -> Result<std::net::TcpStream> {
        let connect = || {
            let places = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            let mut first = None;
            for place in places {
                match std::net::TcpStream::connect_timeout(&SocketAddr::new(place, port), CONNECT) {
                    Ok(stream) => return Ok(stream),
                    Err(cause) => first = first.or(Some(cause)),
                }
            }
            let why = first.map(|cause| reason(&cause)).unwrap_or_default();
            Err(Error::failed(format!("connect to port {port} in pod {}: {why}", self.pod)))
        };
        match &self.namespace {
            Some(namespace) => inside(namespace, connect),
            None => connect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_kubectls() {
        for (text, local, remote) in [("80", 80, 80), ("8080:80", 8080, 80), (":80", 0, 80), ("0:80", 0, 80)]
        {
            assert_eq!(parse(text).unwrap(), Ports { local, remote }, "{text}");
        }
        for text in ["", ":", "80:", "x", "1:2:3", "70000", "80:0", "-1"] {
            assert!(parse(text).unwrap_err().message.contains("invalid port"), "{text}");
        }
    }
}
