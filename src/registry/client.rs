//! HTTP clients: one for each way of connecting, made when first needed.

use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;

use crate::error::{Error, Result};

use super::endpoint::Transport;
use super::tls;

const CONNECT: Duration = Duration::from_secs(30);
/// No byte for that long is a broken connection, unless the user says otherwise.
pub(super) const SILENCE: Duration = Duration::from_secs(60);
const REDIRECTS: usize = 10;

/// A client for `transport`.
pub(super) fn build(transport: &Transport) -> Result<Client> {
    let mut builder = Client::builder()
        .user_agent(concat!("wharfie/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(transport.dial_timeout.unwrap_or(CONNECT))
        .read_timeout(transport.silence.unwrap_or(SILENCE))
        .redirect(Policy::limited(REDIRECTS))
        .tls_backend_preconfigured(tls::settings(transport)?);
    if transport.local {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|cause| Error::failed(format!("cannot set up HTTP: {cause}")))
}
