//! Requests to a registry's hosts: a client for each way of connecting, the log-in that a host asks for, and the
//! telling of each request to whoever wants to know.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use crate::config::Config;
use crate::config::credentials::{Credentials, Secret};
use crate::config::docker::DockerFile;
use crate::config::trace::{Exchange, Trace};
use crate::error::{Error, Result};

use super::auth::Auth;
use super::client;
use super::endpoint::{Endpoint, Transport, parse};
use super::error::Failure;

/// The connections of one command.
#[derive(Debug)]
pub(super) struct Connection {
    clients: Mutex<HashMap<Transport, Client>>,
    auth: Auth,
    /// For every host.
    headers: Vec<(String, String)>,
    trace: Option<Trace>,
}

/// The way to one host.
pub(super) struct Sender<'a> {
    pub(super) client: &'a Client,
    pub(super) endpoint: &'a Endpoint,
    trace: Option<&'a Trace>,
}

/// A request that is being told of: it is over when the answer is dropped.
struct Span {
    trace: Trace,
    exchange: Exchange,
    begun: Instant,
    received: AtomicU64,
}

impl Drop for Span {
    fn drop(&mut self) {
        let mut exchange = std::mem::take(&mut self.exchange);
        exchange.time = self.begun.elapsed();
        exchange.received = self.received.load(Ordering::Relaxed);
        self.trace.tell(exchange);
    }
}

/// `length` more bytes of the body of `response` have been read.
pub(super) fn count(response: &Response, length: usize) {
    if let Some(span) = response.extensions().get::<Arc<Span>>() {
        span.received.fetch_add(length as u64, Ordering::Relaxed);
    }
}

impl Connection {
    /// With docker's log-ins, or those that a flag gives.
    pub(super) fn new(config: &Config) -> Self {
        Self::over(config, Auth::new(config))
    }

    /// With these credentials alone.
    pub(super) fn with(config: &Config, credentials: &Credentials) -> Self {
        Self::over(config, Auth::with(config, credentials))
    }

    fn over(config: &Config, auth: Auth) -> Self {
        // One that cannot be read is told of where it is asked for a log-in.
        let file = DockerFile::read(&config.docker_config).unwrap_or_default();
        Self {
            clients: Mutex::default(),
            auth,
            headers: file.registry_headers(),
            trace: config.registry.trace.clone(),
        }
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
        self.deliver_and_log_in(endpoint, (act, url), scope, make).await.map(|(response, _)| response)
    }

    /// The same, with the identity token that came of a log-in.
    pub(super) async fn deliver_and_log_in(
        &self,
        endpoint: &Endpoint,
        (act, url): (&str, &Url),
        scope: &str,
        make: impl Fn(&Client, Url) -> RequestBuilder,
    ) -> Result<(Response, Option<Secret>), Failure> {
        let client = self.client(&endpoint.transport)?;
        let sender = Sender { client: &client, endpoint, trace: self.trace.as_ref() };
        let own = parse(&endpoint.base)?.origin() == url.origin();
        let mut asked_again = false;
        let mut token = None;
        loop {
            let mut request = make(&client, url.clone());
            let mut origin = "none".to_owned();
            let granted = self.auth.granted(endpoint, scope).filter(|_| own);
            let is_log_in = |name: &str| name.eq_ignore_ascii_case("authorization");
            for (name, value) in endpoint.headers.iter().chain(&self.headers).filter(|_| own) {
                // What the host has asked for counts more than what a file says.
                if !is_log_in(name) || granted.is_none() {
                    request = request.header(name.as_str(), value.as_str());
                }
            }
            if let Some(granted) = granted {
                request = request.header("authorization", granted.header.reveal());
                origin = granted.origin;
            } else if own && endpoint.headers.iter().any(|(name, _)| is_log_in(name)) {
                origin = format!("header in {}", endpoint.chosen_by());
            }
            let response = sender.send(request, &origin).await;
            let response = response.map_err(|error| Failure::transport(act, url, &error))?;
            if response.status().is_success() {
                return Ok((response, token));
            }
            // A token also expires in the middle of a long pull: one new one for each request.
            if response.status() != StatusCode::UNAUTHORIZED || asked_again || !own {
                return Err(Failure::status(act, response).await);
            }
            token = self.auth.answer(&sender, response.headers(), scope).await?;
            asked_again = true;
        }
    }

    fn client(&self, transport: &Transport) -> Result<Client> {
        let mut clients =
            self.clients.lock().map_err(|_| Error::failed("an earlier request failed badly"))?;
        if let Some(client) = clients.get(transport) {
            return Ok(client.clone());
        }
        let client = client::build(transport)?;
        clients.insert(transport.clone(), client.clone());
        Ok(client)
    }
}

impl Sender<'_> {
    /// Send a request whose log-in comes from `credentials`, and tell of it when its answer has been dropped.
    pub(super) async fn send(&self, request: RequestBuilder, credentials: &str) -> reqwest::Result<Response> {
        let Some(trace) = self.trace else { return request.send().await };
        let request = request.build()?;
        let length =
            request.headers().get("content-length").and_then(|value| value.to_str().ok()?.parse().ok());
        let whole = request.body().and_then(|body| body.as_bytes()).map_or(0, |body| body.len() as u64);
        let mut exchange = Exchange {
            method: request.method().to_string(),
            host: origin_of(request.url()),
            path: request.url().path().to_owned(),
            sent: length.unwrap_or(whole),
            credentials: credentials.to_owned(),
            chosen_by: self.endpoint.chosen_by(),
            ..Exchange::default()
        };
        let (asked, begun) = (exchange.host.clone(), Instant::now());
        let answer = self.client.execute(request).await;
        match &answer {
            Ok(response) => {
                exchange.status = Some(response.status().as_u16());
                exchange.address = response.remote_addr();
                exchange.redirected = Some(origin_of(response.url())).filter(|host| *host != asked);
            }
            Err(error) => {
                let url = error.url().cloned();
                let failure = url.map(|url| Failure::transport("", &url, error).why());
                exchange.failure = Some(failure.unwrap_or_else(|| "no answer".into()));
            }
        }
        let span = Arc::new(Span { trace: trace.clone(), exchange, begun, received: AtomicU64::new(0) });
        answer.map(|mut response| {
            response.extensions_mut().insert(span);
            response
        })
    }
}

/// `https://host:port`, without the port that goes without saying.
fn origin_of(url: &Url) -> String {
    url.origin().ascii_serialization()
}
