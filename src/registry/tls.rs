//! TLS to a registry's hosts: whom we trust, and as whom we show ourselves.

use std::path::Path;
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use crate::config::certificate::issuer;
use crate::config::tls::Anybody;
use crate::error::{Error, Result};
use crate::store::read_bounded;

use super::endpoint::Transport;

const LARGEST_PEM: u64 = 4 << 20;

/// The settings for connections of `transport`. Its files are read.
///
/// # Errors
/// A file that cannot be read, or holds no certificate or key.
pub(super) fn settings(transport: &Transport) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::failed(format!("cannot set up TLS: {cause}")))?;
    let identities = transport.client.iter().map(|(certificate, key)| identity(certificate, key, &provider));
    let identities = Identities(identities.collect::<Result<_>>()?);
    // Also where nobody is verified: a file that is not there is a mistake.
    let trusted = trusted(transport)?;
    let builder = match transport.skip_verify {
        true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        false => builder.with_root_certificates(trusted),
    };
    let mut settings = match identities.0.as_slice() {
        [] => builder.with_no_client_auth(),
        _ => builder.with_client_cert_resolver(Arc::new(identities)),
    };
    settings.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(settings)
}

/// The machine's authorities, none on one that has none, and those of the transport.
fn trusted(transport: &Transport) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for path in &transport.ca {
        let failed =
            |cause: &dyn std::fmt::Display| Error::failed(format!("read {}: {cause}", path.display()));
        let pem = read_bounded(path, LARGEST_PEM)?;
        let found = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let found = found.map_err(|cause| failed(&cause))?;
        if found.is_empty() {
            return Err(failed(&"there is no certificate in it"));
        }
        for certificate in found {
            store.add(certificate).map_err(|cause| failed(&cause))?;
        }
    }
    if !transport.skip_verify {
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    Ok(store)
}

fn identity(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>> {
    let failed = |cause: &dyn std::fmt::Display| {
        Error::failed(format!(
            "client certificate {} with key {}: {cause}",
            certificate.display(),
            key.display()
        ))
    };
    let chain = CertificateDer::pem_slice_iter(&read_bounded(certificate, LARGEST_PEM)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| failed(&cause))?;
    if chain.is_empty() {
        return Err(failed(&"there is no certificate in it"));
    }
    let key =
        PrivateKeyDer::from_pem_slice(&read_bounded(key, LARGEST_PEM)?).map_err(|cause| failed(&cause))?;
    let made = CertifiedKey::from_der(chain, key, provider).map_err(|cause| failed(&cause))?;
    Ok(Arc::new(made))
}

/// Certificates of ours, all of which may be shown: the first one that the server would take. As Go does it, and so
/// containerd: a server that names whom it trusts is shown no certificate of anybody else.
#[derive(Debug)]
struct Identities(Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for Identities {
    fn resolve(&self, authorities: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let is_taken = |one: &CertifiedKey| {
            let mut issuers = one.cert.iter().filter_map(|certificate| issuer(certificate));
            let is_known = authorities.is_empty() || issuers.any(|issuer| authorities.contains(&issuer));
            is_known && one.key.choose_scheme(schemes).is_some()
        };
        self.0.iter().find(|one| is_taken(one)).cloned()
    }

    fn has_certs(&self) -> bool {
        !self.0.is_empty()
    }
}
