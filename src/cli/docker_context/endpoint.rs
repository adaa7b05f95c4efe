//! `--docker host=…,from=…`, and what the default context points at.

use crate::cli::Context;
use crate::config::contexts::{Contexts, DEFAULT, Stored};
use crate::config::node::Address;
use crate::error::{Error, Result};

/// docker's words for the context that is always there.
pub const DEFAULT_DESCRIPTION: &str = "Current DOCKER_HOST based configuration";

/// The endpoint that `--docker` describes; None where it names none.
///
/// # Errors
/// Keys that docker does not know, TLS, and addresses that cannot be spoken to.
pub fn parse(words: &[String], contexts: &Contexts, cx: &Context<'_>) -> Result<Option<String>> {
    let refused = |why: String| Error::failed(format!("unable to create docker endpoint config: {why}"));
    let mut host = None;
    for pair in words.iter().flat_map(|words| words.split(',')).filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(crate::cli::args::errors::invalid(
                pair,
                "--docker",
                format!("{pair} must be formatted as key=value"),
            ));
        };
        match key.trim() {
            "host" => {
                Address::of_docker(value)
                    .map_err(|error| Error { hints: error.hints, ..refused(error.message) })?;
                host = Some(value.to_owned());
            }
            "from" => host = Some(find(value, contexts, cx)?.host().to_owned()),
            "skip-tls-verify" if value == "false" => {}
            "ca" | "cert" | "key" | "skip-tls-verify" => {
                return Err(refused(format!("{key} is not supported: nothing is spoken over TLS"))
                    .hint("ssh has keys of its own: --docker host=ssh://user@node"));
            }
            _ => return Err(refused(format!("unrecognized config key: {key}"))),
        }
    }
    Ok(host)
}

/// The context `name`, the default one included.
///
/// # Errors
/// docker's words when there is none.
pub fn find(name: &str, contexts: &Contexts, cx: &Context<'_>) -> Result<Stored> {
    if name == DEFAULT { Ok(default(cx)) } else { contexts.get(name) }
}

/// The default context: what the environment says, or the first known socket.
pub fn default(cx: &Context<'_>) -> Stored {
    let host = cx.environment.set("DOCKER_HOST").or_else(|| cx.environment.set("CONTAINERD_ADDRESS"));
    let host = host.map_or_else(
        || crate::cli::globals::SOCKETS.first().map(|socket| format!("unix://{socket}")).unwrap_or_default(),
        |host| if host.starts_with('/') { format!("unix://{host}") } else { host.to_owned() },
    );
    Stored::new(DEFAULT, "", &host)
}
