//! What a command of crictl has at hand: its settings, the connection, and a voice.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::log::{Level, Log};
use super::settings::{Settings, cause_of, socket};
use crate::cli::Context;
use crate::config::Config;
use crate::containerd::{self, Code};
use crate::cri::{Client, api};
use crate::engine::pod;
use crate::error::{Error, Kind, Result};
use crate::output::notation::quote;

/// Where a container runtime may speak CRI beside containerd.
const OTHERS: [&str; 2] = ["/run/crio/crio.sock", "/var/run/cri-dockerd.sock"];

/// One call of crictl.
pub(super) struct Session<'a, 'u> {
    pub(super) cx: &'a mut Context<'u>,
    pub(super) settings: Settings,
    pub(super) log: Log,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It did what it should.
    Well,
    /// It could not be understood: its help is printed, and that is no failure.
    Help,
}

impl Session<'_, '_> {
    /// The runtime service, whose calls may take as long as the settings say.
    pub(super) async fn runtime(&mut self) -> Result<Client> {
        self.runtime_within(None).await
    }

    /// The runtime service with another deadline a call; None or nothing is the settings'.
    pub(super) async fn runtime_within(&mut self, deadline: Option<Duration>) -> Result<Client> {
        let endpoint = self.settings.runtime_endpoint.clone();
        let deadline = deadline.filter(|deadline| !deadline.is_zero()).unwrap_or(self.settings.timeout);
        let (client, name) = self.connect(endpoint.as_deref(), "runtime").await?;
        // crictl asks this first, so that what is no runtime is told apart from a call that fails.
        let client = client.within(Some(deadline));
        client
            .version(api::VersionRequest::default())
            .await
            .map_err(|error| unfit("runtime", &name, &error))?;
        Ok(client)
    }

    /// The image service.
    pub(super) async fn images(&mut self) -> Result<Client> {
        let endpoint = self.settings.image_endpoint.clone().filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.or_else(|| self.settings.runtime_endpoint.clone());
        let (client, name) = self.connect(endpoint.as_deref(), "image").await?;
        let client = client.within(Some(self.settings.timeout));
        client
            .image_fs_info(api::ImageFsInfoRequest::default())
            .await
            .map_err(|error| unfit("image", &name, &error))?;
        Ok(client)
    }

    /// Sets the engine's socket and namespace to where CRI keeps its records.
    pub(super) fn adopt(&mut self) -> Result<()> {
        let mut config =
            Config { namespace: pod::NAMESPACE.into(), namespace_given: true, ..(*self.cx.config).clone() };
        if let Some(endpoint) = &self.settings.runtime_endpoint {
            config.addresses = vec![socket(endpoint)?];
            config.address_given = true;
        }
        self.cx.config = Arc::new(config);
        Ok(())
    }

    async fn connect(&mut self, endpoint: Option<&str>, service: &str) -> Result<(Client, String)> {
        let sockets: Vec<PathBuf> = match endpoint {
            Some("") => return Err(Error::failed(format!("--{service}-endpoint is not set"))),
            Some(endpoint) => vec![socket(endpoint)?],
            None if self.cx.config.address_given => self.cx.config.addresses.clone(),
            None => self.cx.config.addresses.iter().cloned().chain(OTHERS.map(PathBuf::from)).collect(),
        };
        let containerd = containerd::Client::connect(&sockets, pod::NAMESPACE).await.map_err(|error| {
            let [one] = sockets.as_slice() else { return error };
            unreachable(service, one, error)
        })?;
        let name = containerd.socket().display().to_string();
        self.debug(&format!("Connected successfully using endpoint: unix://{name}"))?;
        Ok((Client::new(&containerd, Some(self.settings.timeout)), name))
    }

    /// A line for `--debug`.
    pub(super) fn debug(&mut self, message: &str) -> Result<()> {
        self.log.line(self.cx.ui, Level::Debug, message)
    }

    /// A line of talk.
    pub(super) fn say(&mut self, level: Level, message: &str) -> Result<()> {
        self.log.line(self.cx.ui, level, message)
    }
}

fn unreachable(service: &str, socket: &Path, error: Error) -> Error {
    let cause = format!("dial unix {}: connect: {}", socket.display(), cause_of(&error, socket));
    let cause = quote(&format!("transport: Error while dialing: {cause}"));
    let message = format!(
        "validate service connection: validate CRI v1 {service} API for endpoint {}: rpc error: code = Unavailable \
         desc = connection error: desc = {cause}",
        quote(&format!("unix://{}", socket.display()))
    );
    Error { kind: error.kind, message, hints: error.hints }
        .hint("the endpoint comes from --runtime-endpoint, CONTAINER_RUNTIME_ENDPOINT or /etc/crictl.yaml")
}

/// A server that is no CRI, or does not answer.
fn unfit(service: &str, socket: &str, error: &containerd::Error) -> Error {
    rpc(error.clone()).context(format!(
        "validate service connection: validate CRI v1 {service} API for endpoint {}",
        quote(&format!("unix://{socket}"))
    ))
}

/// gRPC's error as Go prints it, with what else can be done where CRI does not answer.
pub(super) fn rpc(error: containerd::Error) -> Error {
    let (code, kind) = match error.code {
        Code::NotFound => ("NotFound", Kind::NotFound),
        Code::AlreadyExists => ("AlreadyExists", Kind::Conflict),
        Code::FailedPrecondition => ("FailedPrecondition", Kind::Conflict),
        Code::Unavailable => ("Unavailable", Kind::Unavailable),
        Code::DeadlineExceeded => ("DeadlineExceeded", Kind::Unavailable),
        Code::Unimplemented => ("Unimplemented", Kind::Failed),
        Code::InvalidArgument => ("InvalidArgument", Kind::Failed),
        Code::Other => ("Unknown", Kind::Failed),
    };
    let words = if code == "DeadlineExceeded" { "context deadline exceeded".into() } else { error.message };
    let is_silent = matches!(error.code, Code::Unavailable | Code::DeadlineExceeded)
        || (code == "Unimplemented" && words.contains("unknown service"));
    let error = Error::new(kind, format!("rpc error: code = {code} desc = {words}"));
    if is_silent {
        error.hint("CRI does not answer; `wharfie pod ls`, `wharfie pod logs` and `wharfie -n k8s.io ps` read without it")
    } else {
        error
    }
}

/// Shorthand for answers of CRI.
pub(super) trait Answer<T> {
    /// The error led by `what`, as crictl wraps it.
    fn during(self, what: &str) -> Result<T>;
}

impl<T> Answer<T> for containerd::Result<T> {
    fn during(self, what: &str) -> Result<T> {
        self.map_err(|error| if what.is_empty() { rpc(error) } else { rpc(error).context(what) })
    }
}

/// The failures of several calls as one, as crictl joins them.
pub(super) fn joined(mut errors: Vec<Error>) -> Result<()> {
    match errors.len() {
        0 => Ok(()),
        1 => errors.pop().map_or(Ok(()), Err),
        _ => {
            let hints = errors.first().map(|error| error.hints.clone()).unwrap_or_default();
            let messages: Vec<String> = errors.into_iter().map(|error| error.message).collect();
            Err(Error { hints, ..Error::failed(format!("[{}]", messages.join(", "))) })
        }
    }
}
