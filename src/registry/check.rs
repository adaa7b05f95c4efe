//! `registry check`: every address that stands for a registry, and what comes of asking it for one image.

use std::time::Duration;

use futures_util::future::join_all;
use oci_spec::image::Digest;
use reqwest::Method;

use crate::config::Config;
use crate::config::trace::{Exchange, Trace};
use crate::error::{Error, Kind, Result};
use crate::image::digest::sha256;
use crate::image::media::{LARGEST_MANIFEST, MANIFESTS};

use super::connection::Connection;
use super::endpoint::{Endpoint, endpoints, of_cri};
use super::error::{Cause, Failure, read_up_to};
use super::reference::Reference;

/// One address of a registry, and what came of it.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// `https://registry-1.docker.io/v2`.
    pub address: String,
    /// The line of a file that names it; `default` without one.
    pub source: String,
    /// The address that was spoken to; why there is none.
    pub resolved: String,
    /// `verified`, `not verified`, `invalid`, `plain HTTP`, `-` where it did not come to that.
    pub tls: String,
    /// Where the log-in came from that was sent at last; `none`.
    pub credentials: String,
    /// What the image is there; why it was not told.
    pub manifest: Result<Digest, String>,
    /// How long the last answer took; None without one.
    pub latency: Option<Duration>,
    /// Whether a pull by this program asks it.
    pub is_ours: bool,
    /// Which one it is in CRI's order, from 1; None when CRI does not ask it.
    pub cri: Option<usize>,
}

/// Ask every address that stands for the registry of `reference`, side by side, each within `limit`: those that this
/// program asks and those that containerd's CRI asks.
///
/// # Errors
/// The settings of the registry cannot be read.
pub async fn check(config: &Config, reference: &Reference, limit: Duration) -> Result<Vec<Candidate>> {
    let ours = endpoints(config, reference.domain())?;
    let theirs = of_cri(config, reference.domain())?;
    let only_theirs: Vec<&Endpoint> =
        theirs.iter().filter(|one| !ours.iter().any(|own| own.base == one.base)).collect();
    let all = ours.iter().map(|one| (one, true)).chain(only_theirs.into_iter().map(|one| (one, false)));
    let asked = all.map(async |(endpoint, is_ours)| {
        let mut candidate = ask(config, endpoint, reference, limit).await;
        candidate.is_ours = is_ours;
        candidate.cri = theirs.iter().position(|one| one.base == endpoint.base).map(|at| at + 1);
        candidate
    });
    Ok(join_all(asked).await)
}

async fn ask(config: &Config, endpoint: &Endpoint, reference: &Reference, limit: Duration) -> Candidate {
    let (trace, mut requests) = Trace::new();
    let mut config = config.clone();
    let outer = config.registry.trace.replace(trace);
    let connection = Connection::new(&config);
    let late = || Error::new(Kind::Unavailable, format!("no answer within {:?}", limit));
    let able = endpoint.capabilities.resolve || endpoint.capabilities.pull;
    let answer = match able {
        true => tokio::time::timeout(limit, manifest(&connection, endpoint, reference))
            .await
            .unwrap_or_else(|_| Err(late().into())),
        false => Err(Error::failed("only takes uploads").into()),
    };
    let mut told: Vec<Exchange> = Vec::new();
    while let Ok(exchange) = requests.try_recv() {
        if let Some(outer) = &outer {
            outer.tell(exchange.clone());
        }
        told.push(exchange);
    }
    // The token server's requests have other hosts.
    let last = told.iter().rev().find(|one| endpoint.base.starts_with(&format!("{}/", one.host)));
    let reached = last.is_some_and(|last| last.status.is_some());
    let tls = match () {
        () if !endpoint.is_secure() => "plain HTTP".to_owned(),
        () if reached && endpoint.transport.skip_verify => "not verified".to_owned(),
        () if reached => "verified".to_owned(),
        () if last
            .is_some_and(|last| last.failure.as_ref().is_some_and(|why| why.contains("certificate"))) =>
        {
            "invalid".to_owned()
        }
        () => "-".to_owned(),
    };
    Candidate {
        address: endpoint.base.clone(),
        source: endpoint.chosen_by(),
        resolved: resolved(endpoint, last),
        tls,
        credentials: last.map_or_else(|| "-".into(), |last| last.credentials.clone()),
        manifest: answer.map_err(|failure| {
            let why = failure.why();
            why.strip_prefix(&format!("{}: ", endpoint.host)).map(str::to_owned).unwrap_or(why)
        }),
        latency: last.filter(|_| reached).map(|last| last.time),
        is_ours: true,
        cri: None,
    }
}

/// The address that answered, or as much as is known without an answer.
fn resolved(endpoint: &Endpoint, last: Option<&Exchange>) -> String {
    if let Some(address) = last.and_then(|last| last.address) {
        return address.ip().to_string();
    }
    let url = endpoint.address("").ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let failure = last.and_then(|last| last.failure.as_deref()).unwrap_or_default();
    match () {
        () if host.parse::<std::net::IpAddr>().is_ok() => host.to_owned(),
        () if failure.ends_with("no such host") => "no such host".to_owned(),
        () => "-".to_owned(),
    }
}

/// What the reference names there. Asks with HEAD first, which registries do not count as a pull.
async fn manifest(
    connection: &Connection,
    endpoint: &Endpoint,
    reference: &Reference,
) -> Result<Digest, Failure> {
    let url = endpoint.address(&format!("{}/manifests/{}", reference.path(), reference.identifier()))?;
    let scope = format!("repository:{}:pull", reference.path());
    let accept = MANIFESTS.join(", ");
    let deliver = async |act: &str, method: Method| {
        let accept = &accept;
        let make = move |client: &reqwest::Client, url| {
            client.request(method.clone(), url).header("accept", accept.as_str())
        };
        connection.deliver(endpoint, (act, &url), &scope, make).await
    };
    match deliver("Head", Method::HEAD).await {
        Ok(response) => {
            let told = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
            if let Some(digest) = told.and_then(|text| text.parse().ok()) {
                return Ok(digest);
            }
        }
        // HEAD has no body that says why, and some registries do not know it.
        Err(failure) if matches!(failure.cause, Cause::NotFound | Cause::Denied | Cause::Other) => {}
        Err(failure) => return Err(failure),
    }
    let response = deliver("Get", Method::GET).await?;
    let limit = usize::try_from(LARGEST_MANIFEST).unwrap_or(usize::MAX);
    let bytes = read_up_to(response, limit).await;
    let bytes = bytes.ok_or_else(|| Error::failed("the manifest is too large, or the connection broke"))?;
    Ok(sha256(&bytes))
}
