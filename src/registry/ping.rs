//! Whether a registry's hosts can be reached at all.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Url;

use super::client;
use super::endpoint::{Endpoint, endpoints};
use super::error::Failure;
use crate::config::Config;
use crate::error::{Error, Result};

/// One address of a registry, and what came of asking it.
#[derive(Debug)]
pub struct Answer {
    /// `https://registry-1.docker.io/v2`.
    pub address: String,
    /// Why it did not answer like a registry.
    pub failure: Option<String>,
}

/// Ask every address that stands for `registry` (`docker.io`, `host:5000`), side by side, each within `limit`.
/// No log-in is tried: that one is wanted is an answer.
///
/// # Errors
/// The settings of the registry cannot be read.
pub async fn ping(config: &Config, registry: &str, limit: Duration) -> Result<Vec<Answer>> {
    let all = endpoints(config, registry)?;
    let asked = all.iter().map(async |endpoint| {
        let answer = tokio::time::timeout(limit, ask(endpoint)).await;
        answer.unwrap_or_else(|_| Err(Error::failed(format!("no answer within {} ms", limit.as_millis()))))
    });
    let answers = join_all(asked).await;
    let mut told: Vec<Answer> = Vec::new();
    for (at, (endpoint, answer)) in all.iter().zip(answers).enumerate() {
        // Two ways to the same host are one: the second's answer counts when the first had none.
        let is_second = at > 0 && all[at - 1].fallback;
        let answer =
            Answer { address: endpoint.base.clone(), failure: answer.err().map(|error| error.message) };
        match told.last_mut().filter(|_| is_second) {
            Some(first) if first.failure.is_some() => *first = answer,
            Some(_) => {}
            None => told.push(answer),
        }
    }
    Ok(told)
}

async fn ask(endpoint: &Endpoint) -> Result<()> {
    let client = client::build(&endpoint.transport)?;
    let address = format!("{}/", endpoint.base);
    let url = Url::parse(&address).map_err(|_| Error::failed(format!("invalid address {address:?}")))?;
    let mut request = client.get(url.clone());
    for (name, value) in &endpoint.headers {
        request = request.header(name.as_str(), value.as_str());
    }
    let response = request.send().await.map_err(|error| Failure::transport("Get", &url, &error).error)?;
    match response.status().is_server_error() {
        true => Err(Failure::status("Get", response).await.error),
        false => Ok(()),
    }
}
