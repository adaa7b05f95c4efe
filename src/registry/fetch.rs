//! One repository: which manifest a tag names, manifests, blobs from any byte on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use oci_spec::image::{Descriptor, Digest};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::image::digest::sha256;
use crate::image::media::{self, LARGEST_MANIFEST};

use super::client;
use super::connection::{self, Connection};
use super::endpoint::{Endpoint, Transport, endpoints, is_local};
use super::error::{Cause, Failure, read_up_to};
use super::reference::Reference;

const ATTEMPTS: u32 = 5;
/// A page of the list of tags.
const TAGS: usize = 1000;
const MOST_TAGS: usize = 100_000;

/// One repository of a registry, with the log-in of one pull.
#[derive(Debug)]
pub struct Registry {
    pub(super) reference: Reference,
    pub(super) endpoints: Vec<Endpoint>,
    /// The endpoint that answered last; those before it are not asked again.
    preferred: AtomicUsize,
    connection: Connection,
    /// Hosts that have sent something else than what was asked for.
    distrusted: Mutex<Vec<String>>,
    /// Hosts that have said nothing for too long: the others are asked before them.
    silent: Mutex<Vec<String>>,
}

/// What a reference names: the manifest's or index's descriptor, and its bytes if they came along.
#[derive(Debug)]
pub struct Resolved {
    /// Media type, digest and size.
    pub descriptor: Descriptor,
    /// The manifest itself, verified.
    pub bytes: Option<Vec<u8>>,
}

#[derive(Clone, Copy)]
struct Ask<'a> {
    method: &'a Method,
    path: &'a str,
    accept: &'a str,
    offset: u64,
}

impl Registry {
    /// The repository of `reference`. Nothing is sent yet.
    pub fn open(config: &Config, reference: &Reference) -> Result<Self> {
        Ok(Self {
            reference: reference.clone(),
            endpoints: endpoints(config, reference.domain())?,
            preferred: AtomicUsize::new(0),
            connection: Connection::new(config),
            distrusted: Mutex::default(),
            silent: Mutex::default(),
        })
    }

    /// What the reference names now. Asks with HEAD first, which registries do not count as a pull.
    pub async fn resolve(&self) -> Result<Resolved> {
        let accept = media::MANIFESTS.join(", ");
        let path = format!("/manifests/{}", self.reference.identifier());
        let ask = Ask { method: &Method::HEAD, path: &path, accept: &accept, offset: 0 };
        let head = match self.patiently(ask).await {
            Ok((response, _)) => described(&response),
            // HEAD has no body that says why, and some registries do not know it.
            Err(failure) if matches!(failure.cause, Cause::NotFound | Cause::Denied | Cause::Other) => None,
            Err(failure) => return Err(failure.into()),
        };
        if let Some(descriptor) = head
            && self.reference.digest().is_none_or(|wanted| wanted == descriptor.digest())
        {
            return Ok(Resolved { descriptor, bytes: None });
        }
        let ask = Ask { method: &Method::GET, ..ask };
        let (media_type, bytes) = self.verified(ask, self.reference.digest()).await?;
        let media_type =
            media_type.filter(|given| media::is_known_manifest(given)).or_else(|| media::sniff(&bytes));
        let media_type = media_type.ok_or_else(|| {
            Error::failed(format!(
                "{}: the registry sent something that is no image manifest",
                self.reference
            ))
            .hint("image format 1 (schema 1) is not supported any more")
        })?;
        let descriptor = Descriptor::new(media_type.as_str().into(), bytes.len() as u64, sha256(&bytes));
        Ok(Resolved { descriptor, bytes: Some(bytes) })
    }

    /// The manifest or index of `descriptor`, verified.
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let path = format!("/manifests/{}", descriptor.digest());
        let accept = format!("{}, */*", descriptor.media_type());
        let ask = Ask { method: &Method::GET, path: &path, accept: &accept, offset: 0 };
        Ok(self.verified(ask, Some(descriptor.digest())).await?.1)
    }

    /// A manifest's media type and bytes, of the digest `wanted`: a host that sends others is not asked again.
    async fn verified(&self, ask: Ask<'_>, wanted: Option<&Digest>) -> Result<(Option<String>, Vec<u8>)> {
        let mut liars: Vec<String> = Vec::new();
        loop {
            let (response, host) = self.patiently(ask).await.map_err(|failure| {
                failure.of_manifest(&self.reference.familiar(), &self.reference.familiar_name())
            })?;
            let media_type = content_type(&response);
            let bytes = self.manifest_body(response).await?;
            let digest = sha256(&bytes);
            match wanted.filter(|wanted| **wanted != digest) {
                None => return Ok((media_type, bytes)),
                Some(wanted) => {
                    let is_last = !self.distrust(std::slice::from_ref(&host));
                    liars.push(host);
                    if is_last {
                        return Err(mismatch(wanted, &digest, &liars));
                    }
                }
            }
        }
    }

    /// Ask none of `hosts` for content again, which have sent something else: of several that have sent parts of one
    /// blob the last one in order is still trusted. False when nobody else is left to ask.
    pub fn distrust(&self, hosts: &[String]) -> bool {
        let mut distrusted = self.distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        let serving = || self.endpoints.iter().filter(|endpoint| endpoint.capabilities.pull);
        let last = serving().rev().find(|endpoint| hosts.contains(&endpoint.host));
        for host in hosts {
            let is_spared = hosts.len() > 1 && last.is_some_and(|last| last.host == *host);
            if !is_spared && !distrusted.contains(host) {
                distrusted.push(host.clone());
            }
        }
        serving().any(|endpoint| !distrusted.contains(&endpoint.host))
    }

    /// Every tag of the repository.
    pub async fn tags(&self) -> Result<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        let mut tags: Vec<String> = Vec::new();
        loop {
            let path = match tags.last() {
                Some(last) => format!("/tags/list?n={TAGS}&last={last}"),
                None => format!("/tags/list?n={TAGS}"),
            };
            let ask = Ask { method: &Method::GET, path: &path, accept: "application/json", offset: 0 };
            let (response, _) = self.patiently(ask).await.map_err(|failure| {
                failure.of_manifest(&self.reference.familiar(), &self.reference.familiar_name())
            })?;
            let more = response.headers().contains_key("link");
            let bytes = self.manifest_body(response).await?;
            let page: Page = serde_json::from_slice(&bytes).map_err(|cause| {
                Error::failed(format!("{}: invalid list of tags: {cause}", self.reference))
            })?;
            let before = tags.len();
            // A tag is part of the next address, and a list that goes nowhere must end.
            let valid = page.tags.into_iter().flatten().filter(|tag| super::reference::is_tag(tag));
            for tag in valid {
                if tags.last() != Some(&tag) {
                    tags.push(tag);
                }
            }
            if !more || tags.len() == before || tags.len() > MOST_TAGS {
                return Ok(tags);
            }
        }
    }

    /// The bytes of a blob from `offset` on. What it gives is not verified: whoever stores it does that.
    pub async fn blob(&self, descriptor: &Descriptor, offset: u64) -> Result<BlobStream, Failure> {
        let path = format!("/blobs/{}", descriptor.digest());
        let ask = Ask { method: &Method::GET, path: &path, accept: "*/*", offset };
        let (response, host) = self.ask(ask).await?;
        let skip = if response.status() == StatusCode::PARTIAL_CONTENT { 0 } else { offset };
        Ok(BlobStream { response, host, skip })
    }

    /// Ask `host`, which has fallen silent, after the others from here on.
    pub fn ask_last(&self, host: &str) {
        let mut silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
        if !silent.iter().any(|known| known == host) {
            silent.push(host.to_owned());
        }
    }

    fn is_distrusted(&self, host: &String) -> bool {
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).contains(host)
    }

    async fn manifest_body(&self, response: Response) -> Result<Vec<u8>> {
        let url = response.url().clone();
        read_up_to(response, LARGEST_MANIFEST as usize).await.ok_or_else(|| {
            Error::failed(format!(
                "Get \"{}\": the manifest is larger than {LARGEST_MANIFEST} bytes, or the connection broke",
                super::error::shown(&url)
            ))
        })
    }

    async fn patiently(&self, ask: Ask<'_>) -> Result<(Response, String), Failure> {
        let mut attempt = 0;
        loop {
            match self.ask(ask).await {
                // Nobody there is told at once; only who answered before is waited for.
                Err(failure) if failure.cause != Cause::Connect && attempt + 1 < ATTEMPTS => {
                    match failure.back_off(attempt) {
                        Some(wait) => tokio::time::sleep(wait).await,
                        None => return Err(failure),
                    }
                }
                result => return result,
            }
            attempt += 1;
        }
    }

    /// Ask one endpoint after the other until one has it: its answer, and which host it is.
    async fn ask(&self, ask: Ask<'_>) -> Result<(Response, String), Failure> {
        let by_tag = ask.path.starts_with("/manifests/") && self.reference.digest().is_none();
        let first = self.preferred.load(Ordering::Relaxed);
        let mut failures: Vec<(&Endpoint, Failure)> = Vec::new();
        let mut order: Vec<(usize, &Endpoint)> = self.endpoints.iter().enumerate().skip(first).collect();
        {
            let silent = self.silent.lock().unwrap_or_else(PoisonError::into_inner);
            order.sort_by_key(|(_, endpoint)| silent.contains(&endpoint.host));
        }
        for (index, endpoint) in order {
            let able = if by_tag { endpoint.capabilities.resolve } else { endpoint.capabilities.pull };
            if !able || self.is_distrusted(&endpoint.host) {
                continue;
            }
            match self.ask_one(endpoint, ask).await {
                Ok(response) => {
                    // Only the way to the same host is settled by an answer; a mirror may lack the next blob.
                    if index > 0 && self.endpoints.get(index - 1).is_some_and(|before| before.fallback) {
                        self.preferred.store(index, Ordering::Relaxed);
                    }
                    return Ok((response, endpoint.host.clone()));
                }
                Err(failure) => {
                    if failure.cause == Cause::Silent {
                        self.ask_last(&endpoint.host);
                    }
                    failures.push((endpoint, failure));
                }
            }
        }
        let Some((_, mut last)) = failures.pop() else {
            return Err(Error::failed(format!(
                "no configured host of {} may be asked",
                self.reference.domain()
            ))
            .hint("look at the capabilities in its hosts.toml")
            .into());
        };
        for (endpoint, failure) in failures.iter().filter(|(endpoint, _)| !endpoint.fallback) {
            last.error.hints.push(format!("{} was tried before: {}", endpoint.host, failure.error.message));
        }
        Err(last)
    }

    async fn ask_one(&self, endpoint: &Endpoint, ask: Ask<'_>) -> Result<Response, Failure> {
        let address = endpoint.address(&format!("{}{}", self.reference.path(), ask.path))?;
        let act = if ask.method == Method::HEAD { "Head" } else { "Get" };
        let scope = format!("repository:{}:pull", self.reference.path());
        self.deliver(endpoint, (act, &address), &scope, |client, url| {
            let request = client.request(ask.method.clone(), url).header("accept", ask.accept);
            match ask.offset {
                0 => request,
                offset => request.header("range", format!("bytes={offset}-")),
            }
        })
        .await
    }

    /// Send what `make` builds, with the endpoint's headers and its log-in, which is answered when it is asked for:
    /// then `make` builds it once more. The log-in goes nowhere but to the endpoint itself.
    pub(super) async fn deliver(
        &self,
        endpoint: &Endpoint,
        (act, url): (&str, &Url),
        scope: &str,
        make: impl Fn(&Client, Url) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        self.connection.deliver(endpoint, (act, url), scope, make).await
    }
}

/// The bytes of a blob as they arrive.
#[derive(Debug)]
pub struct BlobStream {
    response: Response,
    /// Whom it was asked of, wherever that has sent us.
    host: String,
    /// Bytes that were not asked for and come all the same.
    skip: u64,
}

impl BlobStream {
    /// Any file over HTTP(S), for `import URL`.
    pub async fn open_url(address: &str) -> Result<Self> {
        let url =
            Url::parse(address).map_err(|cause| Error::usage(format!("invalid URL {address:?}: {cause}")))?;
        let local = is_local(url.host_str().unwrap_or_default());
        let client = client::build(&Transport { local, ..Transport::default() })?;
        let response = client
            .get(url.clone())
            .send()
            .await
            .map_err(|error| Failure::transport("Get", &url, &error).error)?;
        if !response.status().is_success() {
            return Err(Failure::status("Get", response).await.into());
        }
        let host = url.authority().to_owned();
        Ok(Self { response, host, skip: 0 })
    }

    /// The host that was asked, with its port.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Append at least `wanted` more bytes to `buffer`, fewer only at the end. Gives false at the end.
    pub async fn read(&mut self, buffer: &mut Vec<u8>, wanted: usize) -> Result<bool, Failure> {
        let full = buffer.len() + wanted;
        while buffer.len() < full {
            let part = self.response.chunk().await;
            let part = part.map_err(|error| Failure::transport("Get", self.response.url(), &error))?;
            let Some(part) = part else { return Ok(false) };
            connection::count(&self.response, part.len());
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(part.len());
            self.skip -= skipped as u64;
            buffer.extend_from_slice(&part[skipped..]);
        }
        Ok(true)
    }
}

fn content_type(response: &Response) -> Option<String> {
    let value = response.headers().get("content-type")?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or(value).trim().to_owned())
}

/// The descriptor that HEAD's headers give, when they are complete.
fn described(response: &Response) -> Option<Descriptor> {
    let media_type = content_type(response).filter(|given| media::is_known_manifest(given))?;
    let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
    let digest: Digest = header("docker-content-digest")?.parse().ok()?;
    let size: u64 = header("content-length")?.parse().ok()?;
    (size > 0 && size <= LARGEST_MANIFEST && media::is_sha256(&digest))
        .then(|| Descriptor::new(media_type.as_str().into(), size, digest))
}

fn mismatch(wanted: &Digest, got: &Digest, hosts: &[String]) -> Error {
    let hosts = hosts.join(" and ");
    Error::failed(format!("manifest verification failed for digest {wanted}: {hosts} sent {got}"))
        .hint("the registry or something on the way to it is faulty: try again, or another mirror")
}
