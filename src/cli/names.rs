//! Completion of names: what containers, images and namespaces there are at this moment.
//!
//! A shell waits for the answer while the user looks at it, so there is a short deadline, and silence where
//! containerd is slow or away.

use std::ffi::OsStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};

use super::context::pod_engine;
use crate::config::Config;
use crate::engine::container::{Container, Origin};
use crate::engine::{Engine, container, image, manifest, pod};
use crate::error::Result;

/// How long a user waits for candidates.
const DEADLINE: Duration = Duration::from_millis(300);

/// The settings of the command line that is being completed. clap's completers get only the word at hand, and
/// `-n k8s.io` may stand before it.
static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();

/// Complete names under these settings from here on.
pub(super) fn settle(config: Config) {
    // One process answers one question of a shell: a second setting does not happen.
    let _ = CONFIG.set(Arc::new(config));
}

/// Containers in any state.
pub(super) fn containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| ask(word, async |engine| of_containers(engine, |_| true).await))
}

/// Pods.
pub(super) fn pods() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        ask(word, async |engine| {
            let found = pod::list(&pod_engine(engine)?).await?;
            Ok(found.iter().flat_map(names_of_pod).collect())
        })
    })
}

/// Its name, and the one that no other namespace has.
fn names_of_pod(pod: &pod::Pod) -> [CompletionCandidate; 2] {
    [pod.name.clone(), pod.full_name()].map(CompletionCandidate::new)
}

/// Containers that run.
pub(super) fn running_containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        ask(word, async |engine| of_containers(engine, |container| container.status.is_alive()).await)
    })
}

/// Containers that do not run.
pub(super) fn stopped_containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        ask(word, async |engine| of_containers(engine, |container| !container.status.is_alive()).await)
    })
}

/// Images by name.
pub(super) fn images() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| ask(word, of_images))
}

/// Manifest lists in the making.
pub(super) fn manifest_lists() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let (Some(config), Some(word)) = (CONFIG.get(), word.to_str()) else { return Vec::new() };
        let found = manifest::names(config).into_iter().filter(|name| name.starts_with(word));
        found.map(CompletionCandidate::new).collect()
    })
}

/// Networks by name.
pub(super) fn network_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        ask(word, async |engine| {
            let found = crate::engine::network::list(engine).await?;
            Ok(found
                .into_iter()
                .map(|one| CompletionCandidate::new(one.name).help(Some(one.driver.into())))
                .collect())
        })
    })
}

/// What `--network` takes: networks, the modes, and containers whose network is shared.
pub(super) fn networks() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let text = word.to_str().unwrap_or_default();
        // Containers are asked for only where one is meant.
        if text.starts_with("container:") {
            return ask(word, async |engine| shared(engine).await);
        }
        let mut found = ask(word, async |engine| {
            let networks = engine.networks.list()?;
            Ok(networks.into_iter().map(|network| CompletionCandidate::new(network.name)).collect())
        });
        let modes =
            ["bridge", "host", "none", "container:"].into_iter().filter(|mode| mode.starts_with(text));
        for mode in modes {
            if found.iter().all(|known| known.get_value() != mode) {
                found.push(CompletionCandidate::new(mode));
            }
        }
        found
    })
}

/// `container:NAME` of what runs: for namespaces that are shared.
pub(super) fn shared_containers() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| ask(word, async |engine| shared(engine).await))
}

async fn shared(engine: &Engine) -> Result<Vec<CompletionCandidate>> {
    let found = of_containers(engine, |container| container.status.is_alive()).await?;
    Ok(found.into_iter().map(|one| one.add_prefix("container:")).collect())
}

/// What `-v` takes: volumes, or a path of this machine.
pub(super) fn volumes() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        let text = word.to_str().unwrap_or_default();
        if text.starts_with(['/', '.', '~']) && !text.contains(':') {
            return PathCompleter::any().complete(word);
        }
        ask(word, async |engine| {
            let volumes = crate::engine::volume::list(engine)?;
            Ok(volumes.into_iter().map(|one| CompletionCandidate::new(format!("{}:", one.name))).collect())
        })
    })
}

/// Volumes by name.
pub(super) fn volume_names() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        ask(word, async |engine| {
            let volumes = crate::engine::volume::list(engine)?;
            Ok(volumes.into_iter().map(|one| CompletionCandidate::new(one.name)).collect())
        })
    })
}

/// Containers and images.
pub(super) fn objects() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        ask(word, async |engine| {
            let mut found = of_containers(engine, |_| true).await?;
            found.extend(of_images(engine).await?);
            Ok(found)
        })
    })
}

/// containerd's namespaces.
pub(super) fn namespaces() -> ArgValueCompleter {
    ArgValueCompleter::new(|word: &OsStr| {
        ask(word, async |engine| {
            let namespaces = engine.containerd.namespaces().await?;
            Ok(namespaces.into_iter().map(|(name, _)| CompletionCandidate::new(name)).collect())
        })
    })
}

/// The candidates that begin with `word`; none on any failure and after the deadline.
fn ask(
    word: &OsStr,
    question: impl AsyncFnOnce(&Engine) -> Result<Vec<CompletionCandidate>>,
) -> Vec<CompletionCandidate> {
    let (Some(config), Some(word)) = (CONFIG.get(), word.to_str()) else { return Vec::new() };
    if config.node.is_some() {
        // A shell does not wait for an ssh connection.
        return Vec::new();
    }
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return Vec::new();
    };
    let answer = runtime.block_on(async {
        let asked = async { question(&Engine::connect(Arc::clone(config)).await?).await };
        tokio::time::timeout(DEADLINE, asked).await
    });
    runtime.shutdown_background();
    let mut candidates = match answer {
        Ok(Ok(candidates)) => candidates,
        Ok(Err(_)) | Err(_) => return Vec::new(),
    };
    candidates
        .retain(|candidate| candidate.get_value().to_str().is_some_and(|value| value.starts_with(word)));
    candidates
}

async fn of_containers(engine: &Engine, wanted: fn(&Container) -> bool) -> Result<Vec<CompletionCandidate>> {
    let mut found = container::list(engine).await?;
    let pods = pod_engine(engine)?;
    if pods.containerd.namespace() != engine.containerd.namespace() {
        // Pods' containers are found without their namespace being named.
        let others = container::list(&pods).await.unwrap_or_default();
        found.extend(others.into_iter().filter(|container| container.origin == Origin::Cri));
    }
    found.retain(|container| !container::is_sandbox(container));
    Ok(found.iter().filter(|container| wanted(container)).map(of_container).collect())
}

/// A pod's container is `namespace/pod/container`, which no shell cuts at a colon.
fn of_container(container: &Container) -> CompletionCandidate {
    match container.origin {
        Origin::Wharfie | Origin::Nerdctl => {
            CompletionCandidate::new(&container.name).help(Some(container.image.clone().into()))
        }
        Origin::Cri => {
            let name = container.name.strip_prefix("k8s://").unwrap_or(&container.name);
            CompletionCandidate::new(name).help(Some(container.image.clone().into()))
        }
        Origin::Other => CompletionCandidate::new(&container.id).help(Some(container.image.clone().into())),
    }
}

async fn of_images(engine: &Engine) -> Result<Vec<CompletionCandidate>> {
    let found = engine.containerd.images(&[]).await?;
    let mut names: Vec<String> = found
        .iter()
        .filter(|image| !image::is_dangling(&image.name))
        .map(|image| familiar(&image.name))
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names.into_iter().map(CompletionCandidate::new).collect())
}

/// The name as a user would type it.
fn familiar(name: &str) -> String {
    match crate::registry::Reference::parse(name) {
        Ok(reference) => reference.familiar(),
        Err(_) => name.to_owned(),
    }
}
