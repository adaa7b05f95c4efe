//! The connection: which socket answers, and the namespace and lease that every request carries.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

use super::{Error, Result};

/// How long a socket may take to accept and to finish the HTTP/2 handshake.
const CONNECT: Duration = Duration::from_secs(3);

/// Lists of a large node pass tonic's default of 4 MiB.
pub(super) const LARGEST_MESSAGE: usize = 64 << 20;

/// A connection to one containerd, for one of its namespaces. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Client {
    pub(super) channel: Channel,
    socket: Arc<PathBuf>,
    namespace: AsciiMetadataValue,
    lease: Option<AsciiMetadataValue>,
}

impl Client {
    /// Connect to the first of `sockets` that answers. The error names every socket tried and why it failed.
    pub async fn connect(sockets: &[PathBuf], namespace: &str) -> Result<Self, crate::Error> {
        let namespace = header(namespace)
            .map_err(|_| crate::Error::usage(format!("invalid namespace name: {namespace:?}")))?;
        let mut failures = Vec::new();
        for socket in sockets {
            match tokio::time::timeout(CONNECT, containerd_client::connect(socket)).await {
                Ok(Ok(channel)) => {
                    return Ok(Self { channel, socket: Arc::new(socket.clone()), namespace, lease: None });
                }
                Ok(Err(cause)) => failures.push((socket, innermost(&cause))),
                Err(_) => failures.push((socket, format!("no answer within {} s", CONNECT.as_secs()))),
            }
        }
        Err(unreachable_error(&failures))
    }

    /// The socket that answered.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The process that serves the socket, where it is one of this machine.
    pub fn server_process(&self) -> Option<u32> {
        let stream = std::os::unix::net::UnixStream::connect(self.socket()).ok()?;
        let credentials = rustix::net::sockopt::socket_peercred(&stream).ok()?;
        u32::try_from(credentials.pid.as_raw_nonzero().get()).ok()
    }

    /// The namespace of this client's requests.
    pub fn namespace(&self) -> &str {
        self.namespace.to_str().unwrap_or_default()
    }

    /// The same connection for another namespace.
    pub fn with_namespace(&self, namespace: &str) -> Result<Self> {
        Ok(Self { namespace: header(namespace)?, lease: None, ..self.clone() })
    }

    /// The same connection, whose new blobs and snapshots are kept by the lease `id`.
    pub fn with_lease(&self, id: &str) -> Result<Self> {
        Ok(Self { lease: Some(header(id)?), ..self.clone() })
    }

    /// The connection itself, for what else speaks gRPC over it: the `cri` room.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(super) fn request<T>(&self, message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("containerd-namespace", self.namespace.clone());
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.clone());
        }
        request
    }
}

fn header(value: &str) -> Result<AsciiMetadataValue> {
    value.parse().map_err(|_| Error::other(format!("{value:?} has characters that containerd does not take")))
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    match cause.downcast_ref::<std::io::Error>() {
        Some(error) => crate::error::reason(error),
        None => cause.to_string(),
    }
}

fn unreachable_error(failures: &[(&PathBuf, String)]) -> crate::Error {
    let denied = failures.iter().any(|(_, why)| why.contains("permission denied"));
    let message = match failures {
        [(socket, why)] => format!("cannot connect to containerd at {}: {why}", socket.display()),
        _ => {
            let tried: Vec<String> =
                failures.iter().map(|(socket, why)| format!("  {}: {why}", socket.display())).collect();
            format!("cannot connect to containerd; sockets tried:\n{}", tried.join("\n"))
        }
    };
    let error = crate::Error::new(crate::Kind::Unavailable, message);
    if denied {
        error.hint("you may not open that socket: run wharfie as root, with sudo")
    } else {
        error
            .hint("start it with `systemctl start containerd` (or run `containerd &` where there is no systemd)")
            .hint("or name its socket with --address or CONTAINERD_ADDRESS")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_is_named() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let sockets = [PathBuf::from("/nowhere/a.sock"), PathBuf::from("/etc/passwd")];
        let error = runtime.block_on(Client::connect(&sockets, "default")).unwrap_err();
        assert_eq!(
            error.message,
            "cannot connect to containerd; sockets tried:\n  /nowhere/a.sock: no such file or directory\n  \
             /etc/passwd: connection refused"
        );
        assert_eq!(error.hints.len(), 2);
    }
}
