//! `login`: whether a registry takes a log-in.

use reqwest::{Method, Url};

use crate::config::Config;
use crate::config::credentials::{Credentials, Secret};
use crate::error::{Error, Result};

use super::connection::Connection;
use super::endpoint::{endpoints, parse};
use super::error::{Cause, Failure};

/// Ask the registry itself (`docker.io`, `host:5000`; no mirror) whether it takes `credentials`. Gives the identity
/// token that stands for them from now on, where its token server gives one.
///
/// # Errors
/// docker's words for a registry that does not answer, or does not take them.
pub async fn log_in(config: &Config, registry: &str, credentials: &Credentials) -> Result<Option<Secret>> {
    let connection = Connection::with(config, credentials);
    let all = endpoints(config, registry)?;
    let mut last = None;
    for endpoint in all.iter().filter(|endpoint| endpoint.own) {
        let url = parse(&format!("{}/", endpoint.base))?;
        let asked = connection
            .deliver_and_log_in(endpoint, ("Get", &url), "", |client, url| client.request(Method::GET, url));
        match asked.await {
            Ok((_, token)) => return Ok(token),
            // Another way to the same host.
            Err(failure) if endpoint.fallback && failure.cause == Cause::Connect => {
                last = Some(failure.error)
            }
            Err(failure) => return Err(refused(failure, &url)),
        }
    }
    Err(last.unwrap_or_else(|| Error::failed(format!("{registry} names no host to log in to"))))
}

fn refused(failure: Failure, url: &Url) -> Error {
    if failure.cause != Cause::Denied {
        return failure.error;
    }
    // A token server says why; of a registry that takes passwords itself, docker tells the status.
    let own = failure.error.message.contains(&format!("\"{url}\""));
    let said = failure.why();
    let message = match said.split_once(": ").filter(|_| !own) {
        Some((_, words)) => format!("Get \"{url}\": {words}"),
        None => format!("login attempt to {url} failed with status: 401 Unauthorized"),
    };
    Error::failed(message).hint("check the user name and the password; many registries want an access token")
}
