//! One blob on its way into a repository: mounted from another one, sent in one piece, or, after a connection that
//! broke, gone on with where the registry has got to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use oci_spec::image::Descriptor;
use reqwest::{Method, Response, StatusCode, Url};

use crate::error::{Error, Result};

use super::error::{Cause, Failure};
use super::push::{ATTEMPTS, Receiver, act, patiently};

/// A blob's bytes, part by part.
pub type Body = BoxStream<'static, Result<Vec<u8>>>;

/// Once a connection broke, this many bytes go at a time: what the registry has confirmed is not sent again.
const CHUNK: u64 = 16 << 20;
/// How often one who watches is told how far it is.
const TOLD: Duration = Duration::from_millis(100);
/// How much longer than for its part of the way a registry may take when it has everything: it verifies, and may move it.
const FOR_AN_ANSWER: u32 = 5;
/// How often an upload may begin anew because the registry has lost it.
const BEGINNINGS: u32 = 4;

/// A blob to be delivered.
pub struct Parcel<'a> {
    /// Its digest and size.
    pub blob: &'a Descriptor,
    /// A repository of the same registry that is known to have it.
    pub known_in: Option<&'a str>,
    /// Opens that many of its bytes, from an offset on. Nothing may be read before the stream is asked.
    pub open: &'a (dyn Fn(u64, u64) -> Body + Sync),
    /// Takes how many bytes have gone.
    pub gone: &'a (dyn Fn(u64) + Sync),
    /// Takes how long it will be until the next try.
    pub waits: &'a (dyn Fn(Duration) + Sync),
}

/// How a blob came to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// It was there before.
    Existed,
    /// The registry took it from this other repository of its own.
    Mounted(String),
    /// It was sent.
    Sent,
}

/// An upload that the registry has begun.
struct Session {
    /// Where it goes on.
    location: Url,
    /// How many bytes the registry has confirmed.
    offset: u64,
    /// The smallest chunk that it takes.
    least: u64,
}

/// What is known between two tries.
struct Upload {
    session: Option<Session>,
    /// Send piece by piece: in one piece it broke before.
    in_chunks: bool,
    /// Whether the registry may be asked to take it from another repository.
    may_mount: bool,
    beginnings: u32,
    sent: bool,
}

impl Receiver<'_> {
    /// Give the registry a blob, unless it has it. Tries again where that may help, waiting as the registry says.
    ///
    /// # Errors
    /// [`Failure`] of the last try; errors of what [`Parcel::open`] reads.
    pub async fn put_blob(&self, parcel: &Parcel<'_>) -> Result<Delivery, Failure> {
        let mut upload = Upload {
            session: None,
            in_chunks: false,
            may_mount: parcel.known_in.is_some(),
            beginnings: 0,
            sent: false,
        };
        let mut attempt = 0;
        loop {
            let before = upload.session.as_ref().map_or(0, |session| session.offset);
            let failure = match self.try_blob(parcel, &mut upload).await {
                Ok(delivery) => return Ok(delivery),
                Err(failure) => failure,
            };
            if upload.session.as_ref().is_some_and(|session| session.offset > before) {
                attempt = 0;
            }
            // A registry that has lost the upload, or got out of step with it, is not asked to wait for.
            let lost = matches!(failure.cause, Cause::Range) && upload.beginnings < BEGINNINGS;
            let wait = if lost { Some(Duration::ZERO) } else { failure.back_off(attempt) };
            match wait.filter(|_| attempt + 1 < ATTEMPTS) {
                Some(wait) => {
                    if !wait.is_zero() {
                        (parcel.waits)(wait);
                        tokio::time::sleep(wait).await;
                    }
                }
                None => return Err(failure),
            }
            attempt += 1;
        }
    }

    async fn try_blob(&self, parcel: &Parcel<'_>, upload: &mut Upload) -> Result<Delivery, Failure> {
        if let Some(session) = &mut upload.session
            && !self.catch_up(session).await?
        {
            upload.session = None;
        }
        if upload.session.is_none()
            && let Some(delivery) = self.begin(parcel, upload).await?
        {
            return Ok(delivery);
        }
        let Some(session) = &mut upload.session else { return Ok(Delivery::Existed) };
        let total = parcel.blob.size();
        if session.offset > total {
            upload.session = None;
            return Err(Failure { cause: Cause::Range, error: out_of_step(parcel.blob) });
        }
        upload.sent = true;
        let whole = session.offset == 0 && !upload.in_chunks;
        // Whatever becomes of this try, the next one goes in smaller steps.
        upload.in_chunks = true;
        let sent = match whole {
            true => self.send(parcel, session, None).await,
            false => self.chunks(parcel, session).await,
        };
        match sent {
            Ok(()) => Ok(Delivery::Sent),
            Err(failure) => {
                let refuses_chunks = failure.cause == Cause::Other && !whole;
                if refuses_chunks || matches!(failure.cause, Cause::NotFound | Cause::Range) {
                    upload.session = None;
                    upload.in_chunks = !refuses_chunks;
                    return Err(Failure { cause: Cause::Range, ..failure });
                }
                Err(failure)
            }
        }
    }

    /// Send what is left in chunks, and the end.
    async fn chunks(&self, parcel: &Parcel<'_>, session: &mut Session) -> Result<(), Failure> {
        let total = parcel.blob.size();
        while session.offset < total {
            let size = CHUNK.max(session.least).min(total - session.offset);
            self.send(parcel, session, Some(size)).await?;
        }
        self.send(parcel, session, Some(0)).await
    }

    /// Begin an upload, unless the blob is there or can be taken from another repository.
    async fn begin(&self, parcel: &Parcel<'_>, upload: &mut Upload) -> Result<Option<Delivery>, Failure> {
        let digest = parcel.blob.digest();
        if self.has(&format!("/blobs/{digest}")).await? {
            // An answer may have been lost on its way.
            return Ok(Some(if upload.sent { Delivery::Sent } else { Delivery::Existed }));
        }
        upload.beginnings += 1;
        let mut response = None;
        if let Some(from) = parcel.known_in.filter(|_| upload.may_mount) {
            upload.may_mount = false;
            let mut url = self.address("/blobs/uploads/")?;
            url.query_pairs_mut().append_pair("mount", digest.as_ref()).append_pair("from", from);
            match self.post(&url, Some(from)).await {
                Ok(mounted) if mounted.status() == StatusCode::CREATED => {
                    return Ok(Some(Delivery::Mounted(from.to_owned())));
                }
                Ok(begun) => response = Some(begun),
                Err(failure) if failure.back_off(0).is_some() => return Err(failure),
                // That repository is not ours to read, or has it no more.
                Err(_) => {}
            }
        }
        let response = match response {
            Some(response) => response,
            None => self.post(&self.address("/blobs/uploads/")?, None).await?,
        };
        let least = header(&response, "oci-chunk-min-length").and_then(|text| text.parse().ok());
        upload.session =
            Some(Session { location: location(&response)?, offset: 0, least: least.unwrap_or_default() });
        Ok(None)
    }

    async fn post(&self, url: &Url, from: Option<&str>) -> Result<Response, Failure> {
        self.request((&Method::POST, url), from, |request| request.header("content-length", "0")).await
    }

    /// Ask how far the upload has got; false when the registry does not know it any more.
    async fn catch_up(&self, session: &mut Session) -> Result<bool, Failure> {
        let url = session.location.clone();
        let response = match self.request((&Method::GET, &url), None, |request| request).await {
            Ok(response) => response,
            Err(failure) if failure.back_off(0).is_some() || failure.cause == Cause::Denied => {
                return Err(failure);
            }
            Err(_) => return Ok(false),
        };
        // "0-0" says nothing at all or one byte: neither is worth going on with.
        let Some(offset) = confirmed(&response).filter(|offset| *offset > 1) else { return Ok(false) };
        session.offset = offset;
        if let Ok(next) = location(&response) {
            session.location = next;
        }
        Ok(true)
    }

    /// Send `size` bytes from where the upload is, none of them to end it; all of it and the end in one without a
    /// size.
    async fn send(
        &self,
        parcel: &Parcel<'_>,
        session: &mut Session,
        size: Option<u64>,
    ) -> Result<(), Failure> {
        let (begin, total) = (session.offset, parcel.blob.size());
        let length = size.unwrap_or(total);
        let is_last = size.is_none() || size == Some(0);
        let mut url = session.location.clone();
        if is_last {
            url.query_pairs_mut().append_pair("digest", parcel.blob.digest().as_ref());
        }
        let method = if is_last { Method::PUT } else { Method::PATCH };
        let gone = Arc::new(AtomicU64::new(begin));
        let sending = self.send_long((&method, &url), |request| {
            gone.store(begin, Ordering::Relaxed);
            let request =
                request.header("content-type", "application/octet-stream").header("content-length", length);
            let request = match is_last {
                true => request,
                false => request.header("content-range", format!("{begin}-{}", begin + length - 1)),
            };
            if length == 0 {
                return request;
            }
            let counter = Arc::clone(&gone);
            let parts = (parcel.open)(begin, length).inspect(move |part| {
                let part = part.as_ref().map_or(0, |part| part.len() as u64);
                counter.fetch_add(part, Ordering::Relaxed);
            });
            request.body(reqwest::Body::wrap_stream(parts))
        });
        tokio::pin!(sending);
        let mut ticks = tokio::time::interval(TOLD);
        let mut last = (begin, Instant::now());
        let response = loop {
            tokio::select! {
                answer = &mut sending => break answer?,
                _ = ticks.tick() => {
                    let now = gone.load(Ordering::Relaxed);
                    (parcel.gone)(now.min(total));
                    if now != last.0 {
                        last = (now, Instant::now());
                    }
                    let patience = match now - begin < length {
                        true => self.patience(),
                        false => self.patience() * FOR_AN_ANSWER,
                    };
                    if last.1.elapsed() > patience {
                        return Err(Failure::silent(act(&method), &url));
                    }
                }
            }
        };
        if is_last {
            return Ok(());
        }
        session.offset = confirmed(&response).filter(|offset| *offset > begin).unwrap_or(begin + length);
        session.location = location(&response)?;
        (parcel.gone)(session.offset);
        Ok(())
    }

    /// Whether the repository has `path`.
    async fn has(&self, path: &str) -> Result<bool, Failure> {
        let url = self.address(path)?;
        let asked = patiently(async || self.request((&Method::HEAD, &url), None, |request| request).await);
        match asked.await {
            Ok(_) => Ok(true),
            Err(failure) if failure.cause == Cause::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}

/// How many bytes the registry says it has: one more than the end of `Range: 0-1023`.
fn confirmed(response: &Response) -> Option<u64> {
    let range = header(response, "range")?;
    let end = range.trim_start_matches("bytes=").split_once('-')?.1;
    end.parse::<u64>().ok()?.checked_add(1)
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// Where an upload goes on: an address of the registry's, whole or relative.
fn location(response: &Response) -> Result<Url> {
    let told = header(response, "location").unwrap_or_default();
    response
        .url()
        .join(told)
        .ok()
        .filter(|url| !told.is_empty() && matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| Error::failed(format!("the registry names no place for the upload: {told:?}")))
}

fn out_of_step(blob: &Descriptor) -> Error {
    Error::failed(format!("the registry has more bytes of {} than it has", blob.digest()))
}
