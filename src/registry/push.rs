//! Pushing into one repository: which host takes it, and the manifests. Blobs are [`super::upload`]'s.

use std::time::Duration;

use oci_spec::image::Descriptor;
use reqwest::{Method, RequestBuilder, Response, Url};

use crate::error::{Error, Result};

use super::client::SILENCE;
use super::endpoint::Endpoint;
use super::error::{Cause, Failure};
use super::fetch::Registry;

/// Tries of one request.
pub(super) const ATTEMPTS: u32 = 5;
/// A year.
const FOREVER: Duration = Duration::from_secs(365 * 86400);

/// A repository by the host that takes uploads into it.
pub struct Receiver<'a> {
    registry: &'a Registry,
    endpoint: &'a Endpoint,
    /// The same for what takes long to send, and is watched by who sends it.
    patient: Endpoint,
}

impl Registry {
    /// The first host that takes uploads and answers: `asked` is the manifest that it is asked for.
    ///
    /// # Errors
    /// What the last host said; that none takes uploads.
    pub async fn receiver(&self, asked: &Descriptor) -> Result<Receiver<'_>> {
        let mut last = None;
        for endpoint in self.endpoints.iter().filter(|endpoint| endpoint.capabilities.push) {
            let mut patient = endpoint.clone();
            patient.transport.silence = Some(FOREVER);
            let receiver = Receiver { registry: self, endpoint, patient };
            match receiver.has_manifest(asked, asked.digest().as_ref()).await {
                Ok(_) => return Ok(receiver),
                // Another way to the same host, and mirrors that are down.
                Err(failure) if endpoint.fallback || failure.cause == Cause::Connect => last = Some(failure),
                Err(failure) => return Err(receiver.refused(failure)),
            }
        }
        Err(match last {
            Some(failure) => failure.error.context(format!("push {}", self.reference.familiar_name())),
            None => Error::failed(format!("no configured host of {} takes uploads", self.reference.domain()))
                .hint("look at the capabilities in its hosts.toml: one host needs \"push\""),
        })
    }
}

impl Receiver<'_> {
    /// Whether `name`, a tag or a digest, is that manifest there.
    ///
    /// # Errors
    /// [`Failure`] of anything else than that it is not there.
    pub async fn has_manifest(&self, manifest: &Descriptor, name: &str) -> Result<bool, Failure> {
        let url = self.address(&format!("/manifests/{name}"))?;
        let accept = format!("{}, */*", manifest.media_type());
        let asked = patiently(async || {
            self.request((&Method::HEAD, &url), None, |request| request.header("accept", accept.as_str()))
                .await
        });
        match asked.await {
            Ok(response) => {
                let told = response.headers().get("docker-content-digest");
                Ok(told.is_some_and(|digest| digest.as_bytes() == manifest.digest().as_ref().as_bytes()))
            }
            Err(failure) if failure.cause == Cause::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Give the registry a manifest or index under `name`, a tag or a digest, unless it is that already. What it
    /// names must be there.
    ///
    /// # Errors
    /// [`Failure`] of the last try.
    pub async fn put_manifest(&self, manifest: &Descriptor, bytes: &[u8], name: &str) -> Result<(), Failure> {
        if self.has_manifest(manifest, name).await? {
            return Ok(());
        }
        let url = self.address(&format!("/manifests/{name}"))?;
        patiently(async || {
            self.request((&Method::PUT, &url), None, |request| {
                request.header("content-type", manifest.media_type().to_string()).body(bytes.to_vec())
            })
            .await
        })
        .await?;
        Ok(())
    }

    /// The failure of a push in docker's words: what the registry said comes last, or what docker says of a
    /// registry that said nothing.
    pub fn refused(&self, failure: Failure) -> Error {
        let denied = failure.cause == Cause::Denied;
        let mut error = failure.error;
        if denied {
            for (silent, words) in [
                ("401 Unauthorized", "unauthorized: authentication required"),
                ("403 Forbidden", "denied: requested access to the resource is denied"),
                ("no credentials", "no basic auth credentials"),
            ] {
                if error.message.ends_with(silent) {
                    error.message = format!("{}: {words}", error.message);
                }
            }
            error = error.hint("log in with `docker login` first, as a user who may push there");
        }
        error.context(format!("push {}", self.registry.reference.familiar_name()))
    }

    /// Send one request, logged in to push here and, for a mount, to pull from the repository `from`.
    pub(super) async fn request(
        &self,
        what: (&Method, &Url),
        from: Option<&str>,
        more: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        self.request_over(self.endpoint, what, from, more).await
    }

    /// Send one request that may take as long as it takes: whoever calls this sees to it that it does not stand still.
    pub(super) async fn send_long(
        &self,
        what: (&Method, &Url),
        more: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        self.request_over(&self.patient, what, None, more).await
    }

    /// How long the host may be silent.
    pub(super) fn patience(&self) -> Duration {
        self.endpoint.transport.silence.unwrap_or(SILENCE)
    }

    async fn request_over(
        &self,
        endpoint: &Endpoint,
        (method, url): (&Method, &Url),
        from: Option<&str>,
        more: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, Failure> {
        let mut scope = format!("repository:{}:pull,push", self.registry.reference.path());
        if let Some(from) = from {
            scope.push_str(&format!(" repository:{from}:pull"));
        }
        self.registry
            .deliver(endpoint, (act(method), url), &scope, |client, url| {
                more(client.request(method.clone(), url))
            })
            .await
    }

    pub(super) fn address(&self, path: &str) -> Result<Url> {
        self.endpoint.address(&format!("{}{path}", self.registry.reference.path()))
    }
}

/// A method as messages say it.
pub(super) fn act(method: &Method) -> &'static str {
    match *method {
        Method::HEAD => "Head",
        Method::GET => "Get",
        Method::POST => "Post",
        Method::PATCH => "Patch",
        _ => "Put",
    }
}

/// Ask again where that may help, after the time that the registry names or a growing one.
pub(super) async fn patiently<T>(ask: impl AsyncFn() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut attempt = 0;
    loop {
        match ask().await {
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
