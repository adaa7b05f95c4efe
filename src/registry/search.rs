//! `search`: docker's index, and the list of repositories where a registry has none.

use reqwest::{Method, Url};
use serde::Deserialize;

use crate::config::Config;
use crate::error::{Error, Result};

use super::connection::Connection;
use super::endpoint::{Endpoint, endpoints, parse};
use super::error::{Cause, Failure, read_up_to};
use super::reference::DOCKER_HUB;

/// Where Docker Hub is searched.
const INDEX: &str = "https://index.docker.io/v1/search";
const LARGEST_ANSWER: usize = 16 << 20;
/// A page of the list of repositories.
const PAGE: usize = 1000;
const MOST: usize = 100_000;

/// A repository that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Repository {
    /// As it is pulled, but for the registry's name where docker's index tells it.
    pub name: String,
    /// In its owner's words.
    #[serde(deserialize_with = "text")]
    pub description: String,
    /// How many people like it.
    pub star_count: i64,
    /// Docker's own selection.
    pub is_official: bool,
    /// Built from a repository of sources: nobody says so any more.
    pub is_automated: bool,
}

/// A text, or null.
fn text<'de, D: serde::Deserializer<'de>>(value: D) -> Result<String, D::Error> {
    Option::deserialize(value).map(Option::unwrap_or_default)
}

/// At most `limit` repositories of `registry` that `term` finds. Docker Hub and registries with docker's index are
/// searched there; of others, those whose name contains the term, by name.
///
/// # Errors
/// The registry does not answer, or has neither.
pub async fn search(config: &Config, registry: &str, term: &str, limit: usize) -> Result<Vec<Repository>> {
    let connection = Connection::new(config);
    let all = endpoints(config, registry)?;
    let mut own = all.iter().filter(|endpoint| endpoint.own).peekable();
    let index = |address: &str| {
        let mut url = parse(address)?;
        url.query_pairs_mut().append_pair("q", term).append_pair("n", &limit.to_string());
        Ok::<Url, Error>(url)
    };
    if registry == DOCKER_HUB {
        let endpoint = own.next().cloned().unwrap_or_else(|| all[0].clone());
        // The index is another host than the registry; what is said about the registry's connections is not about it.
        let endpoint =
            Endpoint { base: INDEX.into(), transport: Default::default(), headers: vec![], ..endpoint };
        return Ok(indexed(&connection, &endpoint, &index(INDEX)?).await?);
    }
    let mut last = None;
    while let Some(endpoint) = own.next() {
        let root = endpoint.base.strip_suffix("/v2").unwrap_or(&endpoint.base);
        match indexed(&connection, endpoint, &index(&format!("{root}/v1/search"))?).await {
            Ok(found) => return Ok(found),
            Err(failure) if endpoint.fallback && failure.cause == Cause::Connect && own.peek().is_some() => {
                last = Some(failure);
            }
            Err(failure) if matches!(failure.cause, Cause::NotFound | Cause::Other | Cause::Denied) => {
                return catalog(&connection, endpoint, (registry, term), limit).await;
            }
            Err(failure) => return Err(failure.into()),
        }
    }
    Err(last.map_or_else(|| Error::failed(format!("{registry} names no host to search")), Into::into))
}

async fn indexed(
    connection: &Connection,
    endpoint: &Endpoint,
    url: &Url,
) -> Result<Vec<Repository>, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        results: Vec<Repository>,
    }
    let asked = connection.deliver(endpoint, ("Get", url), "registry:catalog:*", |client, url| {
        client.request(Method::GET, url).header("accept", "application/json")
    });
    let bytes = read_up_to(asked.await?, LARGEST_ANSWER).await.unwrap_or_default();
    let answer: Answer = serde_json::from_slice(&bytes)
        .map_err(|_| Error::failed(format!("Get \"{}\": the answer is no list", super::error::shown(url))))?;
    Ok(answer.results)
}

async fn catalog(
    connection: &Connection,
    endpoint: &Endpoint,
    (registry, term): (&str, &str),
    limit: usize,
) -> Result<Vec<Repository>> {
    #[derive(Deserialize)]
    struct Page {
        repositories: Option<Vec<String>>,
    }
    let mut found = Vec::new();
    let mut last = String::new();
    let mut seen = 0;
    loop {
        let mut url = parse(&format!("{}/_catalog", endpoint.base))?;
        url.query_pairs_mut().append_pair("n", &PAGE.to_string());
        if !last.is_empty() {
            url.query_pairs_mut().append_pair("last", &last);
        }
        let asked = connection.deliver(endpoint, ("Get", &url), "registry:catalog:*", |client, url| {
            client.request(Method::GET, url).header("accept", "application/json")
        });
        let response = asked.await.map_err(|failure| match failure.cause {
            Cause::NotFound => {
                Error::failed(format!("{registry} has neither an index nor a list of repositories"))
            }
            Cause::Denied => failure.error.hint(format!("log in with `wharfie login {registry}` first")),
            _ => failure.error,
        })?;
        let more = response.headers().contains_key("link");
        let bytes = read_up_to(response, LARGEST_ANSWER).await.unwrap_or_default();
        let page: Page = serde_json::from_slice(&bytes)
            .map_err(|_| Error::failed(format!("Get \"{url}\": the answer is no list of repositories")))?;
        let names = page.repositories.unwrap_or_default();
        seen += names.len();
        let next = names.last().cloned().unwrap_or_default();
        let matching = names.into_iter().filter(|name| name.contains(term));
        found.extend(
            matching.map(|name| Repository { name: format!("{registry}/{name}"), ..Repository::default() }),
        );
        // A list that goes nowhere must end.
        if !more || next.is_empty() || next == last || found.len() >= limit || seen > MOST {
            found.truncate(limit);
            return Ok(found);
        }
        last = next;
    }
}
