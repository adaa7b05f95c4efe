//! The flags about a registry that pulls and questions share, and the lines of `--trace`.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::cli::Context;
use crate::config::trace::{Exchange, Trace};
use crate::error::Result;
use crate::output::ui::Ui;
use crate::output::units::human_size;

/// Digits of a digest that are shown.
const DIGITS: usize = 12;

/// What one verb says about its registry.
#[derive(Debug, Default, clap::Args)]
pub struct RegistryArgs {
    /// Speak plain HTTP with the registry itself
    #[arg(long)]
    plain_http: bool,
    /// Allow registries over plain HTTP or with a certificate that cannot be verified
    #[arg(long)]
    insecure_registry: bool,
    /// Read registry hosts from here [default: /etc/containerd/certs.d, /etc/docker/certs.d]
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    hosts_dir: Vec<PathBuf>,
    /// Say each request on standard error: host, status, bytes, time, and where its log-in and its host come from
    #[arg(long)]
    trace: bool,
}

/// The requests of a verb that traces; none where it does not.
pub struct Requests(Option<UnboundedReceiver<Exchange>>);

impl RegistryArgs {
    /// Settle them over the global ones: before the engine is asked for.
    pub fn apply(&self, cx: &mut Context<'_>) -> Requests {
        let directory = cx.environment.directory.clone();
        let config = Arc::make_mut(&mut cx.config);
        config.registry.plain_http |= self.plain_http;
        config.insecure_registry |= self.insecure_registry;
        if !self.hosts_dir.is_empty() {
            config.hosts_dirs = self.hosts_dir.iter().map(|path| directory.join(path)).collect();
            config.containerd_config = None;
        }
        Requests(self.trace.then(|| {
            let (trace, requests) = Trace::new();
            config.registry.trace = Some(trace);
            requests
        }))
    }
}

impl Requests {
    /// Wait for `work`, and give each request that ends meanwhile, as a line, to `tell`.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>, tell: impl Fn(&str)) -> T {
        let Some(requests) = &mut self.0 else { return work.await };
        tokio::pin!(work);
        let result = loop {
            tokio::select! {
                biased;
                Some(exchange) = requests.recv() => tell(&line(&exchange)),
                result = &mut work => break result,
            }
        };
        while let Ok(exchange) = requests.try_recv() {
            tell(&line(&exchange));
        }
        result
    }

    /// Say what has ended by now.
    pub fn say(&mut self, ui: &mut Ui) -> Result<()> {
        let Some(requests) = &mut self.0 else { return Ok(()) };
        while let Ok(exchange) = requests.try_recv() {
            ui.say(line(&exchange))?;
        }
        Ok(())
    }
}

/// `GET https://host/v2/app/blobs/sha256:0123456789ab 200 12.3kB 4.5ms, credentials: none, host: default`.
fn line(exchange: &Exchange) -> String {
    let Exchange { method, host, path, sent, received, time, credentials, chosen_by, .. } = exchange;
    let outcome = match (exchange.status, &exchange.failure) {
        (Some(status), _) => status.to_string(),
        (None, why) => why.clone().unwrap_or_else(|| "no answer".into()),
    };
    let upload = if *sent > 0 { format!("{} sent, ", human_size(*sent as f64)) } else { String::new() };
    let redirected = exchange.redirected.as_ref().map(|to| format!(" from {to}")).unwrap_or_default();
    format!(
        "{method} {host}{} {outcome}{redirected} {upload}{} {:.1?}, credentials: {credentials}, host: {chosen_by}",
        shortened(path),
        human_size(*received as f64),
        time
    )
}

/// A path with digests cut, as lists show them.
fn shortened(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .map(|part| match part.strip_prefix("sha256:") {
            Some(hex) if hex.len() > DIGITS && hex.is_char_boundary(DIGITS) => {
                &part[.."sha256:".len() + DIGITS]
            }
            _ => part,
        })
        .collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_a_line() {
        let mut exchange = Exchange {
            method: "GET".into(),
            host: "https://h:1".into(),
            path: format!("/v2/a/blobs/sha256:{}", "0123456789abcdef".repeat(4)),
            status: Some(206),
            received: 1500,
            time: std::time::Duration::from_micros(1500),
            credentials: "config.json".into(),
            chosen_by: "/c/hosts.toml:3".into(),
            ..Exchange::default()
        };
        assert_eq!(
            line(&exchange),
            "GET https://h:1/v2/a/blobs/sha256:0123456789ab 206 1.5kB 1.5ms, credentials: config.json, host: /c/hosts.toml:3"
        );
        exchange = Exchange { status: None, failure: Some("connection refused".into()), ..exchange };
        exchange.sent = 7;
        exchange.redirected = Some("https://cdn".into());
        assert!(
            line(&exchange).contains(" connection refused from https://cdn 7B sent, 1.5kB "),
            "{}",
            line(&exchange)
        );
        assert_eq!(shortened("/v2/a/manifests/sha256:é/latest"), "/v2/a/manifests/sha256:é/latest");
    }
}
