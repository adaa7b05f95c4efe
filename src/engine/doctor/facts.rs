//! What the checks look at, gathered once and side by side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;
use serde_json::Value;

use super::Budget;
use super::daemon::Daemon;
use super::kubelet::Kubelet;
use super::node::Node;
use super::settings::Settings;
use super::shims::Shim;
use crate::config::Config;
use crate::containerd::{Client, Code, Container, Image, Plugin, Result, Version};
use crate::cri;

/// The namespace of everything that a kubelet asks for.
pub(super) const KUBERNETES: &str = "k8s.io";

/// A node as it is now.
#[derive(Debug)]
pub struct Facts {
    /// Its files.
    pub node: Node,
    /// This program's settings.
    pub config: Arc<Config>,
    /// The sockets in the order of trying, each with what came of it.
    pub sockets: Vec<Socket>,
    /// The containerd that everything else is asked of; the first one that answers.
    pub containerd: Option<Reached>,
    /// The process behind the socket and its files, as far as known.
    pub daemon: Daemon,
    /// containerd's configuration.
    pub settings: Settings,
    /// What CRI says of itself.
    pub cri: CriState,
    /// The plugins; None where containerd did not tell.
    pub plugins: Option<Vec<Plugin>>,
    /// What containerd keeps, namespace by namespace; None where it did not tell.
    pub namespaces: Option<Vec<Namespace>>,
    /// The shims that run, seen before containerd was asked for its containers.
    pub shims: Vec<Shim>,
    /// What a kubelet has left here.
    pub kubelet: Kubelet,
}

/// A socket that was tried.
#[derive(Debug)]
pub struct Socket {
    /// Where.
    pub path: PathBuf,
    /// Why it is not the one.
    pub outcome: Outcome,
}

/// What came of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A containerd answers.
    Answers,
    /// There is no such file.
    Missing,
    /// It takes connections, and no answer comes.
    Hangs,
    /// It cannot be connected to: why.
    Refuses(String),
}

/// A containerd that answers.
#[derive(Debug)]
pub struct Reached {
    /// The connection.
    pub client: Client,
    /// Its version.
    pub version: Version,
}

/// What CRI says of itself.
#[derive(Debug)]
pub enum CriState {
    /// containerd itself was not reached.
    Unknown,
    /// It is not there: off, or failed to start.
    Absent,
    /// No answer in time.
    Hangs,
    /// An error.
    Fails(String),
    /// It answers.
    Answers {
        /// Conditions: type, whether it is so, reason and message.
        conditions: Vec<Condition>,
        /// Its configuration, as far as it tells.
        config: Option<Value>,
    },
}

/// `RuntimeReady` or `NetworkReady`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its name.
    pub kind: String,
    /// Whether it is so.
    pub status: bool,
    /// Why not.
    pub message: String,
}

/// What containerd keeps in one namespace.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Its containers.
    pub containers: Vec<Container>,
    /// Its images.
    pub images: Vec<Image>,
}

impl Facts {
    pub(super) async fn gather(config: Arc<Config>, node: Node, budget: Budget) -> Self {
        let own = node.clone();
        let kubelet = tokio::task::spawn_blocking(move || Kubelet::find(&own));
        let (sockets, containerd) = reach(&config, budget).await;
        let meant = containerd.as_ref().map(|reached| reached.client.socket().to_path_buf());
        // Nobody answers: the one that hangs, or at least has a socket, is the one that should.
        let hung = || sockets.iter().find(|socket| socket.outcome == Outcome::Hangs);
        let there = || sockets.iter().find(|socket| socket.outcome != Outcome::Missing);
        let meant = meant
            .or_else(|| Some(hung().or_else(there).or(sockets.first())?.path.clone()))
            .unwrap_or_else(|| PathBuf::from("/run/containerd/containerd.sock"));
        let files = files(&node, &meant, budget);
        let (daemon, mut settings, shims) = files.await.unwrap_or_else(|| {
            let daemon = Daemon::of_socket(&node, &meant);
            (daemon.clone(), Settings::read(&Node::new("/nonexistent"), &daemon), Vec::new())
        });
        let (plugins, cri, namespaces, kubelet) = tokio::join!(
            answer(containerd.as_ref(), budget, async |client: &Client| client.plugins(&[]).await),
            cri_state(containerd.as_ref(), budget),
            answer(containerd.as_ref(), budget, namespaces),
            tokio::time::timeout_at(budget.until(70), kubelet),
        );
        if let CriState::Answers { config: Some(live), .. } = &cri {
            settings.apply_live(live);
        }
        Self {
            node,
            config,
            sockets,
            containerd,
            daemon,
            settings,
            cri,
            plugins,
            namespaces,
            shims,
            kubelet: kubelet.ok().and_then(std::result::Result::ok).unwrap_or_default(),
        }
    }

    /// Whether this machine is, or is meant to be, a node of a Kubernetes cluster.
    pub(super) fn is_kubernetes(&self) -> bool {
        self.kubelet.is_there() || self.kubernetes().is_some_and(|namespace| !namespace.containers.is_empty())
    }

    /// What containerd keeps for the kubelet.
    pub(super) fn kubernetes(&self) -> Option<&Namespace> {
        self.namespaces.iter().flatten().find(|namespace| namespace.name == KUBERNETES)
    }

    /// containerd's version as numbers: (1, 6).
    pub(super) fn version(&self) -> Option<(u32, u32)> {
        numbers(&self.containerd.as_ref()?.version.version)
    }
}

/// `v2.1.4-k3s1` is (2, 1).
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('v').split(['.', '-', '+', '~']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Try every socket at once; the first in order that answers is taken.
async fn reach(config: &Config, budget: Budget) -> (Vec<Socket>, Option<Reached>) {
    let attempts = config.addresses.iter().map(|path| try_socket(path, &config.namespace, budget));
    let mut reached = None;
    let mut sockets = Vec::new();
    for (path, (outcome, found)) in config.addresses.iter().zip(join_all(attempts).await) {
        sockets.push(Socket { path: path.clone(), outcome });
        if reached.is_none() {
            reached = found;
        }
    }
    (sockets, reached)
}

async fn try_socket(path: &Path, namespace: &str, budget: Budget) -> (Outcome, Option<Reached>) {
    if !path.exists() {
        return (Outcome::Missing, None);
    }
    let asked = async {
        let client = Client::connect(&[path.to_path_buf()], namespace).await.map_err(|error| {
            let message = error.message;
            message.rsplit_once(": ").map_or(message.clone(), |(_, why)| why.to_owned())
        })?;
        let version = client.version().await.map_err(|error| error.message)?;
        Ok::<_, String>(Reached { client, version })
    };
    match tokio::time::timeout(budget.part(33), asked).await {
        Ok(Ok(reached)) => (Outcome::Answers, Some(reached)),
        Ok(Err(why)) => (Outcome::Refuses(why), None),
        Err(_) => (Outcome::Hangs, None),
    }
}

/// What is read from files and processes before containerd is asked.
async fn files(node: &Node, socket: &Path, budget: Budget) -> Option<(Daemon, Settings, Vec<Shim>)> {
    let (node, socket) = (node.clone(), socket.to_path_buf());
    let read = tokio::task::spawn_blocking(move || {
        let daemon = Daemon::find(&node, &socket);
        let settings = Settings::read(&node, &daemon);
        let shims = super::shims::running(&daemon.socket);
        (daemon, settings, shims)
    });
    tokio::time::timeout(budget.part(20), read).await.ok()?.ok()
}

/// Ask containerd, if it is there, for as long as one answer may take.
async fn answer<T>(
    reached: Option<&Reached>,
    budget: Budget,
    ask: impl AsyncFnOnce(&Client) -> Result<T>,
) -> Option<T> {
    let client = &reached?.client;
    tokio::time::timeout(budget.part(25), ask(client)).await.ok()?.ok()
}

async fn namespaces(client: &Client) -> Result<Vec<Namespace>> {
    let names = client.namespaces().await?;
    let gathered =
        names.into_iter().filter(|(name, _)| name != super::probe::NAMESPACE).map(async |(name, _)| {
            let client = client.with_namespace(&name)?;
            let (containers, images) = tokio::join!(client.containers(&[]), client.images(&[]));
            Ok(Namespace { name, containers: containers?, images: images? })
        });
    join_all(gathered).await.into_iter().collect()
}

async fn cri_state(reached: Option<&Reached>, budget: Budget) -> CriState {
    let Some(reached) = reached else { return CriState::Unknown };
    let client = cri::Client::new(&reached.client, Some(budget.part(25)));
    let status = client.status(cri::api::StatusRequest { verbose: true });
    match tokio::time::timeout(budget.part(26), status).await {
        Ok(Ok(reply)) => {
            let conditions = reply.status.unwrap_or_default().conditions.into_iter();
            let conditions = conditions.map(|condition| Condition {
                kind: condition.r#type,
                status: condition.status,
                message: format!("{} {}", condition.reason, condition.message).trim().to_owned(),
            });
            let config = reply.info.get("config").and_then(|text| serde_json::from_str(text).ok());
            CriState::Answers { conditions: conditions.collect(), config }
        }
        Ok(Err(error)) => match error.code {
            Code::Unimplemented => CriState::Absent,
            Code::DeadlineExceeded => CriState::Hangs,
            _ => CriState::Fails(error.message),
        },
        Err(_) => CriState::Hangs,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;

    /// A node with these files and no containerd.
    pub(crate) async fn facts(files: &[(&str, &str)]) -> (tempfile::TempDir, Facts) {
        let (root, node) = super::super::node::tests::node(files);
        let config = config(root.path().join("run/containerd.sock"));
        let mut facts =
            Facts::gather(Arc::new(config), node.clone(), Budget::new(Duration::from_secs(30))).await;
        // This machine's kubelet, if any, is not the recorded one.
        facts.kubelet = Kubelet::read(&node, None);
        (root, facts)
    }

    fn config(socket: PathBuf) -> Config {
        Config {
            namespace: "default".into(),
            addresses: vec![socket],
            address_given: true,
            snapshotter: "overlayfs".into(),
            data_root: "/var/lib/wharfie".into(),
            run_root: "/run/wharfie".into(),
            cni_path: "/opt/cni/bin".into(),
            cni_conf_dir: "/etc/cni/net.d".into(),
            cni_data_dir: "/var/lib/cni/networks".into(),
            hosts_dirs: vec!["/etc/containerd/certs.d".into()],
            docker_config: "/nonexistent".into(),
            containerd_config: None,
            auth_config: None,
            cdi_spec_dirs: Vec::new(),
            host_gateway: None,
            debug: false,
            insecure_registry: false,
            registry_timeout: None,
            runtime: "io.containerd.runc.v2".into(),
            namespace_given: false,
            node: None,
            runtime_dir: "/run".into(),
            context: String::new(),
            registry: crate::config::RegistryFlags::default(),
        }
    }

    #[test]
    fn versions_are_numbers() {
        for (text, expected) in
            [("1.6.20~ds1", Some((1, 6))), ("v2.1.4-k3s1", Some((2, 1))), ("2.2", Some((2, 2))), ("x", None)]
        {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }
}
