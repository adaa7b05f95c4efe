//! Where the logs of pods' containers are: as their records say, or, where those are gone, as a kubelet names the
//! directories. Reading them needs nobody's help.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::find::{Reading, ambiguous, choose_for_container, newest_running, readings};
use super::list::records;
use super::model::{Member, Pod};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};
use crate::monitor::reader::{attempts, is_attempt};

/// A kubelet's directory of logs: below it `NAMESPACE_POD_UID/CONTAINER/ATTEMPT.log`.
const DIRECTORY: &str = "/var/log/pods";

/// The log of one container of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodLog {
    /// `namespace/pod`.
    pub pod: String,
    /// The container's name in it.
    pub container: String,
    /// The file of the attempt that is meant.
    pub path: PathBuf,
    /// The sandbox, as long as there is a record of it: when it has ended, nothing more will be written.
    pub sandbox: Option<String>,
}

/// What of a pod's logs is wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// The attempt before the last one.
    pub previous: bool,
    /// Also of init containers that are done.
    pub all: bool,
}

/// The logs that a reference names: one container's, or those of all containers of a pod.
///
/// # Errors
/// Neither a record nor a directory of that name; several; no attempt before the last.
pub async fn logs(engine: &Engine, reference: &str, wanted: Wanted) -> Result<Vec<PodLog>> {
    let found = match choose_for_container(records(engine).await?, reference) {
        Ok((pods, name)) => of_records(newest_running(engine, pods).await, name.as_deref(), wanted),
        Err(error) => Err(error),
    };
    match found {
        Err(error) if error.kind == Kind::NotFound => {
            let files = files(reference, wanted);
            // What the records say is better founded, unless files say more.
            files.map_err(|other| if other.kind == Kind::NotFound { error } else { other })
        }
        found => found,
    }
}

/// The same without containerd.
pub fn files(reference: &str, wanted: Wanted) -> Result<Vec<PodLog>> {
    of_files(Path::new(DIRECTORY), reference, wanted)
}

/// The log of the attempt before the one at `path`.
///
/// # Errors
/// There is none.
pub fn previous(path: &Path, whose: &str) -> Result<PathBuf> {
    let none = || {
        Error::not_found(format!("container {whose} has no log of an attempt before its last one"))
            .hint("a kubelet keeps the log of one former attempt, as long as the pod is there")
    };
    let (directory, attempt) = (path.parent().ok_or_else(none)?, is_attempt(path).ok_or_else(none)?);
    let known = attempts(directory)?;
    let before = known.into_iter().rev().find(|known| *known < attempt).ok_or_else(none)?;
    Ok(directory.join(format!("{before}.log")))
}

fn of_records(pods: Vec<Pod>, name: Option<&str>, wanted: Wanted) -> Result<Vec<PodLog>> {
    let Some(pod) = pods.first() else { return Err(Error::not_found("No such pod")) };
    let members: Vec<&Member> = match name {
        Some(name) => pod.member(name).into_iter().collect(),
        None if wanted.all => pod.current(),
        None => Some(pod.main()).filter(|main| !main.is_empty()).unwrap_or_else(|| pod.current()),
    };
    let mut logs = Vec::new();
    for member in members {
        let Some(path) = &member.container.log else { continue };
        logs.push(PodLog {
            pod: pod.full_name(),
            container: member.name.clone(),
            path: path.clone(),
            sandbox: Some(pod.id.clone()),
        });
    }
    if logs.is_empty() {
        return Err(Error::not_found(format!("pod {} has no container whose log is kept", pod.full_name())));
    }
    attempt(logs, wanted)
}

/// The attempt that is wanted of each. One container that has none does not hide the others.
fn attempt(mut logs: Vec<PodLog>, wanted: Wanted) -> Result<Vec<PodLog>> {
    if !wanted.previous {
        return Ok(logs);
    }
    let mut missing = None;
    logs.retain_mut(|log| match previous(&log.path, &format!("{}/{}", log.pod, log.container)) {
        Ok(path) => {
            log.path = path;
            true
        }
        Err(error) => {
            missing = Some(error);
            false
        }
    });
    match missing {
        Some(error) if logs.is_empty() => Err(error),
        _ => Ok(logs),
    }
}

/// One pod's directory.
struct Directory {
    full_name: String,
    path: PathBuf,
    changed: SystemTime,
}

fn of_files(root: &Path, reference: &str, wanted: Wanted) -> Result<Vec<PodLog>> {
    let mut found: Vec<(Directory, Option<&str>)> = Vec::new();
    for reading in readings(reference) {
        let named = directories(root, &reading)?;
        found.extend(named.into_iter().map(|directory| (directory, reading.container)));
    }
    let mut names: Vec<String> = found
        .iter()
        .map(|(directory, container)| match container {
            Some(container) => format!("{}/{container}", directory.full_name),
            None => directory.full_name.clone(),
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > 1 {
        return Err(ambiguous(reference, &names));
    }
    // A pod that was made anew has another uid: the one that was written to last.
    let newest = found.into_iter().max_by_key(|(directory, _)| directory.changed);
    let Some((directory, container)) = newest else {
        return Err(Error::not_found(format!("No such pod: {reference}"))
            .hint(format!("neither a record nor a log below {} has that name", root.display())));
    };
    let mut logs = Vec::new();
    for name in names_in(&directory.path)? {
        if container.is_some_and(|container| container != name) {
            continue;
        }
        let below = directory.path.join(&name);
        if let Some(last) = attempts(&below)?.last() {
            logs.push(PodLog {
                pod: directory.full_name.clone(),
                container: name,
                path: below.join(format!("{last}.log")),
                sandbox: None,
            });
        }
    }
    if logs.is_empty() {
        return Err(Error::not_found(format!("pod {} has no logs", directory.full_name)));
    }
    attempt(logs, wanted)
}

/// The directories of the pods that are meant, where they have the container's.
fn directories(root: &Path, reading: &Reading<'_>) -> Result<Vec<Directory>> {
    let mut found = Vec::new();
    for entry in names_in(root)? {
        // Neither names of namespaces nor of pods have an underscore.
        let mut parts = entry.splitn(3, '_');
        let (Some(namespace), Some(pod), Some(_)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        if pod != reading.pod || reading.namespace.is_some_and(|wanted| wanted != namespace) {
            continue;
        }
        let path = root.join(&entry);
        if let Some(container) = reading.container
            && !names_in(&path)?.iter().any(|name| name == container)
        {
            continue;
        }
        let changed = std::fs::metadata(&path).and_then(|data| data.modified());
        let full_name = format!("{namespace}/{pod}");
        found.push(Directory { full_name, path, changed: changed.unwrap_or(SystemTime::UNIX_EPOCH) });
    }
    Ok(found)
}

/// What lies in a directory, sorted; nothing where it is not there.
fn names_in(directory: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(directory) {
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|cause| Error::io("read", directory, cause))?,
    };
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_found_without_records() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for log in [
            "shop_web_uid-1/app/0.log",
            "shop_web_uid-1/app/1.log",
            "shop_web_uid-1/app/1.log.20260102-030405.gz",
            "shop_web_uid-1/side/0.log",
            "bank_web_uid-2/app/0.log",
            "shop_db_uid-3/db/0.log",
            "stray/file",
        ] {
            let path = root.join(log);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let ask = |reference: &str, previous| {
            of_files(root, reference, Wanted { previous, all: false }).map(|logs| {
                let shown = |log: PodLog| {
                    format!("{} {}", log.container, log.path.strip_prefix(root).unwrap().display())
                };
                logs.into_iter().map(shown).collect::<Vec<_>>()
            })
        };
        assert_eq!(
            ask("shop/web", false).unwrap(),
            ["app shop_web_uid-1/app/1.log", "side shop_web_uid-1/side/0.log"]
        );
        assert_eq!(ask("k8s://shop/web/app", true).unwrap(), ["app shop_web_uid-1/app/0.log"]);
        assert_eq!(ask("shop/web", true).unwrap(), ["app shop_web_uid-1/app/0.log"]);
        assert_eq!(ask("web/side", false).unwrap(), ["side shop_web_uid-1/side/0.log"]);
        assert_eq!(ask("db", false).unwrap(), ["db shop_db_uid-3/db/0.log"]);
        let several = ask("web", false).unwrap_err();
        assert!(several.hints[0].contains("bank/web, shop/web"), "{several:?}");
        assert!(ask("web/app", false).is_err_and(|error| error.kind != Kind::NotFound));
        for (reference, previous) in
            [("none", false), ("shop/web/none", false), ("shop/db", true), ("..", false)]
        {
            assert_eq!(ask(reference, previous).unwrap_err().kind, Kind::NotFound, "{reference}");
        }
    }
}
