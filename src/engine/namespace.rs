//! containerd's namespaces: what is in them, and making and removing them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use jiff::SignedDuration;
use serde::Serialize;

use super::Engine;
use crate::containerd::{Client, Code};
use crate::error::{Error, Result};
use crate::journal::Journal;

/// A namespace and how much is in it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// Container records.
    pub containers: usize,
    /// Image names, as containerd counts them.
    pub images: usize,
    /// Volumes of this program.
    pub volumes: usize,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Every namespace, by name.
pub async fn list(engine: &Engine) -> Result<Vec<Namespace>> {
    let known = engine.containerd.namespaces().await?;
    let described = known.into_iter().map(|(name, labels)| describe(engine, name, labels));
    let mut namespaces = futures_util::future::try_join_all(described).await?;
    namespaces.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(namespaces)
}

/// The namespace `name`.
pub async fn get(engine: &Engine, name: &str) -> Result<Namespace> {
    // Asked for the labels of one that is not there, containerd says that it has none.
    let known = engine.containerd.namespaces().await?;
    let (name, labels) = known.into_iter().find(|(known, _)| known == name).ok_or_else(|| no_such(name))?;
    describe(engine, name, labels).await
}

/// Make the namespace `name`.
pub async fn create(engine: &Engine, name: &str, labels: HashMap<String, String>) -> Result<()> {
    check(name)?;
    engine.containerd.create_namespace(name, labels).await.map_err(|error| told(error, name))
}

/// Set labels of `name`; an empty value removes one.
pub async fn update(engine: &Engine, name: &str, labels: HashMap<String, String>) -> Result<()> {
    get(engine, name).await?;
    if labels.is_empty() {
        return Ok(());
    }
    engine.containerd.label_namespace(name, labels).await.map_err(|error| told(error, name))
}

/// Remove `name`, which must have neither containers nor images nor volumes; with `cgroup` also the control
/// group that bears its name.
pub async fn remove(engine: &Engine, name: &str, cgroup: bool) -> Result<()> {
    let namespace = get(engine, name).await?;
    if let Some(content) = content(&namespace) {
        return Err(Error::conflict(format!("namespace {name:?} is not empty: it has {content}"))
            .hint(format!("look at it with `wharfie -n {name} ps -a` and `wharfie -n {name} images`, and remove what is in it first")));
    }
    let mut removed = engine.containerd.delete_namespace(name).await;
    if removed.as_ref().is_err_and(|error| error.code == Code::FailedPrecondition) {
        // Blobs and snapshots that nothing refers to are left until the next collection: have one now.
        collect(&engine.containerd.with_namespace(name)?).await?;
        removed = engine.containerd.delete_namespace(name).await;
    }
    removed.map_err(|error| told(error, name))?;
    if cgroup {
        remove_cgroups(name)?;
    }
    let paths = engine.paths.with_namespace(name);
    Journal::new(&paths.events()).remove();
    forget(&paths.namespace(), &["containers", "volumes", "pending", "locks"])
}

async fn describe(engine: &Engine, name: String, labels: HashMap<String, String>) -> Result<Namespace> {
    let client = engine.containerd.with_namespace(&name)?;
    let (containers, images) = tokio::try_join!(client.containers(&[]), client.images(&[]))?;
    let volumes = engine.paths.with_namespace(&name).volumes();
    Ok(Namespace {
        containers: containers.len(),
        images: images.len(),
        volumes: volumes_in(&volumes),
        labels: labels.into_iter().collect(),
        name,
    })
}

fn volumes_in(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().join("_data").is_dir()).count()
}

/// What is in a namespace, in words; None when nothing is.
fn content(namespace: &Namespace) -> Option<String> {
    let count = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{count} {word}s")),
    };
    let parts = [
        count(namespace.containers, "container"),
        count(namespace.images, "image"),
        count(namespace.volumes, "volume"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Have containerd collect what nothing refers to: the end of a lease, waited for, is its way to ask.
async fn collect(client: &Client) -> Result<()> {
    const LEASE: &str = "wharfie-collect";
    match client.create_lease(LEASE, SignedDuration::from_mins(1)).await {
        Err(error) if error.code != Code::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    Ok(client.delete_lease(LEASE, true).await?)
}

/// Remove the control group `/NAME` of every hierarchy. The kernel removes only empty ones.
fn remove_cgroups(name: &str) -> Result<()> {
    check(name)?;
    let root = Path::new("/sys/fs/cgroup");
    let controllers = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let unified = root.join("cgroup.controllers").exists();
    let roots: Vec<_> = if unified { vec![root.to_path_buf()] } else { controllers.collect() };
    let groups: HashSet<_> = roots.into_iter().map(|root| root.join(name)).collect();
    for group in groups {
        match std::fs::remove_dir(&group) {
            Err(cause)
                if !matches!(
                    cause.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                return Err(Error::io("remove control group", &group, cause));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Remove our directories of a namespace that is gone, as far as they are empty.
fn forget(directory: &Path, parts: &[&str]) -> Result<()> {
    let lock = directory.join("volumes").join(".lock");
    if lock.exists() {
        std::fs::remove_file(&lock).map_err(|cause| Error::io("remove", &lock, cause))?;
    }
    for path in parts.iter().map(|part| directory.join(part)).chain([directory.to_path_buf()]) {
        // What is not empty is somebody's: it stays.
        let _ = std::fs::remove_dir(path);
    }
    Ok(())
}

/// containerd's rule for names, which also keeps them single components of a path.
fn check(name: &str) -> Result<()> {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let ends = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    let (first, last) = (name.bytes().next(), name.bytes().last());
    if name.len() <= 76 && name.bytes().all(inner) && ends(first) && ends(last) {
        return Ok(());
    }
    Err(Error::failed(format!("invalid namespace name {name:?}"))
        .hint("a name has letters, digits, and single - _ . between them, at most 76 characters"))
}

fn no_such(name: &str) -> Error {
    Error::not_found(format!("namespace {name:?}: not found"))
        .hint("`wharfie namespace ls` lists what there is")
}

fn told(error: crate::containerd::Error, name: &str) -> Error {
    match error.code {
        Code::NotFound => no_such(name),
        Code::AlreadyExists => Error::conflict(format!("namespace {name:?}: already exists")),
        _ => error.into(),
    }
}

/// Remove the empty control groups of a namespace: its name's in every hierarchy.
pub fn remove_control_group(name: &str) {
    let root = std::path::Path::new("/sys/fs/cgroup");
    // A name that is a path leads elsewhere.
    if name.contains('/') || name.starts_with('.') {
        return;
    }
    let hierarchies = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    for directory in hierarchies.chain([root.to_path_buf()]) {
        // One that is not there, or is not empty, stays as it is.
        let _ = std::fs::remove_dir(directory.join(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_single_components() {
        for (name, fine) in [
            ("default", true),
            ("k8s.io", true),
            ("a", true),
            ("", false),
            ("..", false),
            ("a/b", false),
            ("-a", false),
            ("a b", false),
        ] {
            assert_eq!(check(name).is_ok(), fine, "{name}");
        }
        assert!(check(&"a".repeat(77)).is_err());
    }

    #[test]
    fn what_is_in_a_namespace_is_said() {
        let namespace = |containers, images, volumes| Namespace {
            name: "x".into(),
            containers,
            images,
            volumes,
            labels: BTreeMap::new(),
        };
        assert_eq!(content(&namespace(0, 0, 0)), None);
        assert_eq!(content(&namespace(1, 2, 0)).as_deref(), Some("1 container, 2 images"));
    }
}
