//! The flags of crictl's streams. Nothing is streamed over the network here, so most have nothing to do.

use crate::error::{Error, Result};
use crate::output::notation::quote;

/// How crictl reaches a streaming server.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Tls {
    /// Path to the streaming TLS CA certificate; nothing is streamed over the network here
    #[arg(long, value_name = "FILE", hide = true)]
    tls_ca: Option<String>,
    /// Path to the streaming TLS certificate; nothing is streamed over the network here
    #[arg(long, value_name = "FILE", hide = true)]
    tls_cert: Option<String>,
    /// Path to the streaming TLS key; nothing is streamed over the network here
    #[arg(long, value_name = "FILE", hide = true)]
    tls_key: Option<String>,
    /// The server's name in its certificate; nothing is streamed over the network here
    #[arg(long, alias = "tls-server-name", value_name = "NAME", hide = true)]
    tls_sni: Option<String>,
    /// Transport protocol to use, one of: spdy|websocket
    #[arg(short = 'r', long, value_name = "PROTOCOL", hide = true)]
    transport: Option<String>,
}

impl Tls {
    /// What crictl refuses.
    pub(super) fn check(&self) -> Result<()> {
        let given = |flag: &Option<String>| flag.as_deref().is_some_and(|value| !value.is_empty());
        if (given(&self.tls_ca) || given(&self.tls_cert) || given(&self.tls_key))
            && !(given(&self.tls_cert) && given(&self.tls_key))
        {
            return Err(Error::failed(
                "get TLS config from flags: all two flags --tls-ca and --tls-cert are required for TLS streaming, \
                 only --tls-key is optional",
            ));
        }
        match self.transport.as_deref() {
            None | Some("spdy" | "websocket") => Ok(()),
            Some(other) => Err(Error::failed(format!("get executor: unknown transport: {}", quote(other)))),
        }
    }
}
