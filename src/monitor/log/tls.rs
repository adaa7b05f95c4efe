//! TLS to a log server. Nothing of it is set up, and nothing allocated, unless a driver asks for it: the certificates
//! are read when the first connection is made.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde::{Deserialize, Serialize};

use crate::config::tls::Anybody;
use crate::{Error, Result};

/// What a driver's options ask for. Files are named, not held: a duty lies on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The server's name or address, as its certificate must have it.
    pub name: String,
    /// Whom to trust, in PEM; None the machine's authorities.
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Take any certificate.
    pub skip_verify: bool,
}

/// Settings made ready: their files read.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// Read the files.
    ///
    /// # Errors
    /// A file that is not there or holds no certificate or key, in docker's words; a name that no certificate can have.
    pub fn new(settings: &Settings) -> Result<Self> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|cause| Error::failed(format!("tls: {cause}")))?;
        let builder = if settings.skip_verify {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        } else {
            builder.with_root_certificates(authorities(settings.authorities.as_deref())?)
        };
        let config = match &settings.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let wrong = |cause: String| Error::failed(format!("could not load X509 key pair: {cause}"));
                let chain = certificates(certificate).map_err(wrong)?;
                let key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|cause| wrong(format!("{}: {}", key.display(), told(&cause))))?;
                builder.with_client_auth_cert(chain, key).map_err(|cause| wrong(cause.to_string()))?
            }
        };
        let name = ServerName::try_from(settings.name.clone()).map_err(|_| {
            Error::failed(format!("tls: {}: no certificate can have that name", settings.name))
        })?;
        Ok(Self { config: Arc::new(config), name })
    }

    /// The client's side of a new connection, before its first byte.
    pub(super) fn connection(&self) -> io::Result<ClientConnection> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(io::Error::other)
    }

    /// Whether the server and we agree: a connection that is made and closed at once. A server that is away is no
    /// disagreement. Blocks: `most` bounds each step, to connect, to read, to write.
    ///
    /// # Errors
    /// What is wrong with the server's certificate, or what it has against ours.
    pub fn agrees(&self, address: SocketAddr, most: Duration) -> Result<()> {
        let Ok(mut stream) = std::net::TcpStream::connect_timeout(&address, most) else { return Ok(()) };
        let limits = stream.set_read_timeout(Some(most)).and_then(|()| stream.set_write_timeout(Some(most)));
        let agreed = limits.and_then(|()| self.connection()).and_then(|mut connection| {
            while connection.is_handshaking() {
                connection.complete_io(&mut stream)?;
            }
            connection.send_close_notify();
            // All was said already.
            let _ = connection.write_tls(&mut stream);
            Ok(())
        });
        agreed.map_err(|cause| {
            Error::failed(format!("dial tcp {address}: tls: {}", crate::error::reason(&cause)))
        })
    }
}

fn authorities(file: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match file {
        Some(file) => {
            let found = certificates(file)
                .map_err(|cause| Error::failed(format!("could not read CA certificate {cause}")))?;
            store.add_parsable_certificates(found);
            if store.is_empty() {
                let message =
                    format!("failed to append certificates from PEM file: {:?}", file.display().to_string());
                return Err(Error::failed(message));
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(store)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let told = |cause| format!("{}: {}", file.display(), told(&cause));
    CertificateDer::pem_file_iter(file).map_err(told)?.collect::<Result<_, _>>().map_err(told)
}

fn told(cause: &rustls::pki_types::pem::Error) -> String {
    match cause {
        rustls::pki_types::pem::Error::Io(cause) => crate::error::reason(cause),
        rustls::pki_types::pem::Error::NoItemsFound => "there is none in it".into(),
        cause => cause.to_string(),
    }
}
