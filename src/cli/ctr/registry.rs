//! The flags about a registry that pull, push and fetch share, and the line that says what was read beside them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::Context;
use crate::config::credentials::{Credentials, Secret};
use crate::error::{Error, Result};
use crate::registry::{Reference, configured_by};

/// ctr's registry flags.
#[derive(Debug, Default, clap::Args)]
pub struct RegistryFlags {
    /// Skip SSL certificate validation
    #[arg(short = 'k', long)]
    skip_verify: bool,
    /// Allow connections using plain HTTP
    #[arg(long)]
    plain_http: bool,
    /// User[:password] Registry user and password; without a password it is read from standard input
    #[arg(short, long, value_name = "value")]
    user: Option<String>,
    /// Refresh token for authorization server
    #[arg(long, value_name = "value")]
    refresh: Option<String>,
    /// Custom hosts configuration directory [default: /etc/containerd/certs.d, /etc/docker/certs.d]
    #[arg(long, value_name = "value")]
    hosts_dir: Option<PathBuf>,
    /// Path to TLS root CA
    #[arg(long, value_name = "value")]
    tlscacert: Option<PathBuf>,
    /// Path to TLS client certificate
    #[arg(long, value_name = "value")]
    tlscert: Option<PathBuf>,
    /// Path to TLS client key
    #[arg(long, value_name = "value")]
    tlskey: Option<PathBuf>,
    /// Dump all HTTP request/responses when interacting with container registry: not here
    #[arg(long)]
    http_dump: bool,
    /// Enable HTTP tracing for registry interactions: not here
    #[arg(long)]
    http_trace: bool,
}

impl RegistryFlags {
    /// Settle them with the configuration, and say which files take part for `reference`.
    pub(super) fn apply(&self, reference: &Reference, cx: &mut Context<'_>) -> Result<()> {
        if self.http_dump || self.http_trace {
            return Err(Error::failed("--http-dump and --http-trace are not here")
                .hint("they would show passwords and tokens; `curl -v` asks a registry in the open"));
        }
        let directory = cx.environment.directory.clone();
        let client = match (&self.tlscert, &self.tlskey) {
            (Some(certificate), Some(key)) => Some((directory.join(certificate), directory.join(key))),
            (None, None) => None,
            _ => return Err(Error::failed("--tlscert and --tlskey go together")),
        };
        let credentials = match (&self.user, &self.refresh) {
            (_, Some(token)) => Some(Credentials::IdentityToken(Secret::new(token))),
            (Some(user), None) => Some(password(user)?),
            (None, None) => None,
        };
        let given = credentials.is_some();
        let config = Arc::make_mut(&mut cx.config);
        if let Some(hosts) = &self.hosts_dir {
            config.hosts_dirs = vec![directory.join(hosts)];
            config.containerd_config = None;
        }
        config.registry.credentials = credentials;
        config.registry.plain_http = self.plain_http;
        config.registry.skip_verify = self.skip_verify;
        config.registry.ca = self.tlscacert.as_ref().map(|path| directory.join(path));
        config.registry.client = client;
        let mut read = Vec::new();
        if let Some(place) = configured_by(&cx.config, reference)? {
            read.push(format!("hosts from {place}"));
        }
        let file = cx.config.docker_config.join("config.json");
        if !given && file.exists() {
            read.push(format!("credentials from {}", file.display()));
        }
        if !read.is_empty() {
            cx.ui.say(format_args!("ctr: {}: {}", reference.domain(), read.join(", ")))?;
        }
        Ok(())
    }
}

/// `user:password`, or `user` with the password as a line of standard input.
fn password(text: &str) -> Result<Credentials> {
    let (username, password) = match text.split_once(':') {
        Some((username, password)) => (username, password.to_owned()),
        None => {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            read.map_err(|cause| Error::io("read", "the password from standard input", cause))?;
            (text, line.trim_end_matches(['\r', '\n']).to_owned())
        }
    };
    Ok(Credentials::Password { username: username.to_owned(), password: Secret::new(password) })
}
