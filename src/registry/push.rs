//! Uploading: a blob that the registry lacks in one piece, then the manifests that name it.

use std::sync::Mutex;

use futures_util::stream::BoxStream;
use oci_spec::image::Descriptor;
use reqwest::{Method, Response, Url};

use crate::error::{Error, Result};

use super::endpoint::Endpoint;
use super::error::{Cause, Failure};
use super::fetch::{Registry, parse};

/// A blob's bytes, part by part.
pub type Body = BoxStream<'static, Result<Vec<u8>>>;

impl Registry {
    /// Give the registry a blob, unless it has it: then `open` is not called. True when it was sent.
    ///
    /// # Errors
    /// [`Failure`] of the first host that takes uploads; errors of `open`'s stream.
    pub async fn push_blob(
        &self,
        blob: &Descriptor,
        open: impl AsyncFnOnce() -> Result<Body>,
    ) -> Result<bool> {
        let (endpoint, known) = self.receiver(&format!("/blobs/{}", blob.digest())).await?;
        if known {
            return Ok(false);
        }
        let start = self.address(endpoint, "/blobs/uploads/")?;
        let begun =
            self.put(endpoint, (&Method::POST, &start), |request| request.header("content-length", "0"));
        let begun = begun.await.map_err(|failure| self.refused(failure))?;
        let mut location = location(&begun)?;
        location.query_pairs_mut().append_pair("digest", blob.digest().as_ref());
        // Sent once: a registry that wants another log-in in the middle has to be asked again from the start.
        let body = Mutex::new(Some(open().await?));
        let sent = self.put(endpoint, (&Method::PUT, &location), |request| {
            let body = body.lock().ok().and_then(|mut body| body.take());
            let request = request.header("content-type", "application/octet-stream");
            match body {
                Some(body) => {
                    request.header("content-length", blob.size()).body(reqwest::Body::wrap_stream(body))
                }
                None => request,
            }
        });
        sent.await.map_err(|failure| self.refused(failure))?;
        Ok(true)
    }

    /// Give the registry a manifest or index under `name`, a tag or a digest. What it names must be there.
    pub async fn push_manifest(&self, manifest: &Descriptor, bytes: Vec<u8>, name: &str) -> Result<()> {
        let (endpoint, _) = self.receiver(&format!("/manifests/{}", manifest.digest())).await?;
        let address = self.address(endpoint, &format!("/manifests/{name}"))?;
        let sent = self.put(endpoint, (&Method::PUT, &address), |request| {
            request.header("content-type", manifest.media_type().to_string()).body(bytes.clone())
        });
        sent.await.map_err(|failure| self.refused(failure))?;
        Ok(())
    }

    /// The first host that takes uploads and answers, and whether it has `path` already.
    async fn receiver(&self, path: &str) -> Result<(&Endpoint, bool)> {
        let mut last = None;
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.capabilities.push) {
            let address = self.address(endpoint, path)?;
            let accept = "*/*";
            let asked =
                self.put(endpoint, (&Method::HEAD, &address), |request| request.header("accept", accept));
            match asked.await {
                Ok(_) => return Ok((endpoint, true)),
                Err(failure) if failure.cause == Cause::NotFound => return Ok((endpoint, false)),
                // Another way to the same host, and mirrors that are down.
                Err(failure) if endpoint.fallback || failure.cause == Cause::Connect => last = Some(failure),
                Err(failure) => return Err(self.refused(failure)),
            }
        }
        Err(match last {
            Some(failure) => self.refused(failure),
            None => Error::failed(format!("no configured host of {} takes uploads", self.reference.domain()))
                .hint("look at the capabilities in its hosts.toml: one host needs \"push\""),
        })
    }

    async fn put(
        &self,
        endpoint: &Endpoint,
        (method, url): (&Method, &Url),
        more: impl Fn(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    ) -> Result<Response, Failure> {
        let act = match *method {
            Method::HEAD => "Head",
            Method::POST => "Post",
            _ => "Put",
        };
        let scope = format!("repository:{}:pull,push", self.reference.path());
        self.deliver(endpoint, (act, url), &scope, |client, url| more(client.request(method.clone(), url)))
            .await
    }

    fn address(&self, endpoint: &Endpoint, path: &str) -> Result<Url> {
        parse(&format!("{}/{}{path}", endpoint.base, self.reference.path()))
    }

    fn refused(&self, failure: Failure) -> Error {
        let denied = failure.cause == Cause::Denied;
        let error = Error::from(failure).context(format!("push {}", self.reference.familiar_name()));
        if denied {
            error.hint("log in with `docker login` first, as a user who may push there")
        } else {
            error
        }
    }
}

/// Where an upload goes on: an address of the registry's, whole or relative.
fn location(response: &Response) -> Result<Url> {
    let told = response.headers().get("location").and_then(|value| value.to_str().ok()).unwrap_or_default();
    response
        .url()
        .join(told)
        .ok()
        .filter(|url| !told.is_empty() && matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| Error::failed(format!("the registry names no place for the upload: {told:?}")))
}
