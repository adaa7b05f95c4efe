//! HTTP clients: one for each way of connecting, made when first needed.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity};

use crate::error::{Error, Result};
use crate::store::read_bounded;

use super::endpoint::Transport;

const CONNECT: Duration = Duration::from_secs(30);
/// No byte for that long is a broken connection.
const SILENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 10;
const LARGEST_PEM: u64 = 4 << 20;

/// A client for `transport`.
pub(super) fn build(transport: &Transport) -> Result<Client> {
    // Fails only when one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut authorities = Vec::new();
    for path in &transport.ca {
        let pem = read_bounded(path, LARGEST_PEM)?;
        let found = Certificate::from_pem_bundle(&pem)
            .map_err(|cause| Error::failed(format!("read {}: {cause}", path.display())))?;
        authorities.extend(found);
    }
    let settings = || {
        let mut builder = Client::builder()
            .user_agent(concat!("wharfie/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(transport.dial_timeout.unwrap_or(CONNECT))
            .read_timeout(SILENCE)
            .redirect(Policy::limited(REDIRECTS))
            .tls_danger_accept_invalid_certs(transport.skip_verify);
        if transport.local {
            builder = builder.no_proxy();
        }
        builder
    };
    let mut builder = settings().tls_certs_merge(authorities.clone());
    if let Some((certificate, key)) = transport.client.first() {
        builder = builder.identity(identity(certificate, key)?);
    }
    match builder.build() {
        Ok(client) => Ok(client),
        // A machine without any authority: plain HTTP still works, and TLS fails when it is tried.
        Err(_) if transport.client.is_empty() => settings()
            .tls_certs_only(authorities)
            .build()
            .map_err(|cause| Error::failed(format!("cannot set up HTTP: {cause}"))),
        Err(cause) => Err(Error::failed(format!("cannot set up TLS: {cause}"))),
    }
}

fn identity(certificate: &std::path::Path, key: &std::path::Path) -> Result<Identity> {
    let mut pem = read_bounded(certificate, LARGEST_PEM)?;
    if key != certificate {
        pem.push(b'\n');
        pem.extend(read_bounded(key, LARGEST_PEM)?);
    }
    Identity::from_pem(&pem).map_err(|cause| {
        Error::failed(format!(
            "client certificate {} with key {}: {cause}",
            certificate.display(),
            key.display()
        ))
    })
}
