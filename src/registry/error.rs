//! What can go wrong with a registry, sorted by what to do about it.

use std::time::Duration;

use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use crate::error::{Error, Kind};

const LARGEST_BODY: usize = 64 << 10;
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Nobody answered at that address, or the TLS handshake failed.
    Connect,
    /// The connection broke, the server is busy or faulty: try again, after that long if it said so.
    Transient(Option<Duration>),
    /// It said nothing for too long: try again, elsewhere first.
    Silent,
    /// The thing is not there.
    NotFound,
    /// Not without (other) credentials.
    Denied,
    /// The server cannot continue in the middle of a blob.
    Range,
    /// Anything else.
    Other,
}

/// A failed request: why, and the words for the user.
#[derive(Debug)]
pub struct Failure {
    /// Why.
    pub cause: Cause,
    /// What the user is told.
    pub error: Error,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { cause: Cause::Other, error }
    }
}

impl Failure {
    /// Whether the same request may succeed later, and how long to wait before `attempt` (0 is the first).
    pub fn back_off(&self, attempt: u32) -> Option<Duration> {
        let usual = Duration::from_millis(500) * 2u32.saturating_pow(attempt);
        match self.cause {
            Cause::Transient(Some(wait)) => Some(wait.min(LONGEST_WAIT)),
            Cause::Transient(None) | Cause::Silent | Cause::Connect => Some(usual.min(LONGEST_WAIT)),
            Cause::NotFound | Cause::Denied | Cause::Range | Cause::Other => None,
        }
    }

    /// The cause alone, without the request: `connection refused`, `401 Unauthorized: no`.
    pub(super) fn why(&self) -> String {
        let message = &self.error.message;
        let status = message.split_once("\": unexpected status ").map(|(_, why)| why);
        status.or_else(|| message.split_once("\": ").map(|(_, why)| why)).unwrap_or(message).to_owned()
    }

    /// The request to `url` got no (whole) answer.
    pub(super) fn transport(act: &str, url: &Url, error: &reqwest::Error) -> Self {
        let mut innermost: &dyn std::error::Error = error;
        let (mut unresolved, mut is_plain) = (false, false);
        while let Some(source) = innermost.source() {
            innermost = source;
            // What was to be sent could not be read: asking again changes nothing.
            if let Some(Error { kind, message, hints }) = source.downcast_ref::<Error>() {
                let error = Error { kind: *kind, message: message.clone(), hints: hints.clone() };
                return error.into();
            }
            // The connector's error for names has no public type.
            unresolved |= source.to_string() == "dns error";
            // rustls' word for an answer that is no TLS; its type is out of reach behind two other errors.
            is_plain |= source.to_string().ends_with("InvalidContentType");
        }
        let why = if unresolved {
            format!("lookup {}: no such host", url.host_str().unwrap_or_default())
        } else if is_plain {
            "http: server gave HTTP response to HTTPS client".to_owned()
        } else if error.is_timeout() {
            "timed out".to_owned()
        } else {
            match innermost.downcast_ref::<std::io::Error>() {
                Some(cause) => crate::error::reason(cause),
                None => innermost.to_string(),
            }
        };
        let kind = if error.is_builder() { Kind::Failed } else { Kind::Unavailable };
        let mut described = Error::new(kind, format!("{act} \"{}\": {why}", shown(url)));
        if unresolved {
            described = described.hint("check the name, /etc/resolv.conf and the network");
        }
        if is_plain {
            described = described
                .hint("allow it: --insecure-registry, or `server = \"http://HOST\"` in its hosts.toml");
        }
        let cause = match () {
            () if error.is_builder() || error.is_redirect() => Cause::Other,
            () if error.is_connect() => Cause::Connect,
            () if error.is_timeout() => Cause::Silent,
            () => Cause::Transient(None),
        };
        Self { cause, error: described }
    }

    /// The request to `url` went nowhere for too long.
    pub(super) fn silent(act: &str, url: &Url) -> Self {
        let error = Error::new(Kind::Unavailable, format!("{act} \"{}\": timed out", shown(url)));
        Self { cause: Cause::Silent, error }
    }

    /// The server answered with a status that is an error.
    pub(super) async fn status(act: &str, response: Response) -> Self {
        let status = response.status();
        let url = response.url().clone();
        let wait = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let said = said(response).await;
        let cause = match status {
            StatusCode::NOT_FOUND => Cause::NotFound,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Cause::Denied,
            StatusCode::RANGE_NOT_SATISFIABLE => Cause::Range,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Cause::Transient(wait),
            _ if status.is_server_error() => Cause::Transient(wait),
            _ => Cause::Other,
        };
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let message = format!("{act} \"{}\": unexpected status {status}{said}", shown(&url));
        let mut error = Error::new(kind_of(cause), message);
        if status == StatusCode::TOO_MANY_REQUESTS {
            error = error
                .hint("the registry limits how often it may be asked: wait, or log in with `docker login`");
        }
        Self { cause, error }
    }

    /// The same failure in docker's words for a reference that could not be pulled.
    #[must_use]
    pub(super) fn of_manifest(mut self, familiar: &str, familiar_name: &str) -> Self {
        let said = self.error.message.split_once(": unexpected status ").map(|(_, said)| said.to_owned());
        let detail = |usual: &str| match said.as_deref().and_then(|said| said.split_once(": ")) {
            Some((_, detail)) if !detail.is_empty() => detail.to_owned(),
            _ => usual.to_owned(),
        };
        let message = match self.cause {
            Cause::NotFound => {
                format!("manifest for {familiar} not found: {}", detail("manifest unknown: manifest unknown"))
            }
            Cause::Denied => format!(
                "pull access denied for {familiar_name}, repository does not exist or may require 'docker login': {}",
                detail("denied: requested access to the resource is denied")
            ),
            Cause::Connect | Cause::Transient(_) | Cause::Silent | Cause::Range | Cause::Other => {
                return self;
            }
        };
        self.error.message = message;
        let hint = match self.cause {
            Cause::NotFound => "check the name and the tag",
            _ => "check the name; for a private repository, log in with `docker login` first",
        };
        self.error.hint_once(hint);
        self
    }
}

impl Error {
    fn hint_once(&mut self, hint: &str) {
        if !self.hints.iter().any(|given| given == hint) {
            self.hints.push(hint.to_owned());
        }
    }
}

fn kind_of(cause: Cause) -> Kind {
    match cause {
        Cause::Connect | Cause::Transient(_) | Cause::Silent => Kind::Unavailable,
        Cause::NotFound => Kind::NotFound,
        Cause::Denied | Cause::Range | Cause::Other => Kind::Failed,
    }
}

/// An address without its query, which may carry a signature.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_password(None);
    url.to_string()
}

/// The registry's own words: `manifest unknown: manifest unknown`.
async fn said(response: Response) -> String {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Entry>,
    }
    #[derive(Deserialize)]
    struct Entry {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Some(bytes) = read_up_to(response, LARGEST_BODY).await else { return String::new() };
    let Ok(body) = serde_json::from_slice::<Body>(&bytes) else { return String::new() };
    let words: Vec<String> = body
        .errors
        .iter()
        .map(|entry| {
            let code = entry.code.to_lowercase().replace('_', " ");
            let message: String = entry.message.chars().filter(|c| !c.is_control()).take(500).collect();
            if message.is_empty() { code } else { format!("{code}: {message}") }
        })
        .collect();
    words.join("; ")
}

/// A whole body of at most `limit` bytes; None when it is larger or breaks off.
pub(super) async fn read_up_to(mut response: Response, limit: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.ok()? {
        super::connection::count(&response, part.len());
        if bytes.len() + part.len() > limit {
            return None;
        }
        bytes.extend_from_slice(&part);
    }
    Some(bytes)
}
