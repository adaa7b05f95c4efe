//! `commit`: a container, its files and its settings, as a new image.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::signal::unix::{SignalKind, signal};

use super::image_view::ImageView;
use super::inspect::inspect;
use super::model::{Container, Status};
use crate::containerd::Mount;
use crate::engine::image::{Commit, Description, Format, ResolvedImage, every, resolve};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::image::change;
use crate::registry::Reference;
use crate::store::Pending;

/// What of a container's Config an image keeps.
const KEPT: [&str; 11] = [
    "User",
    "ExposedPorts",
    "Env",
    "Cmd",
    "Healthcheck",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "Labels",
    "StopSignal",
    "Shell",
];

/// How to commit.
#[derive(Debug, Default)]
pub struct CommitRequest {
    /// What the image is called; none makes a nameless image.
    pub reference: Option<Reference>,
    /// `-a`.
    pub author: String,
    /// `-m`.
    pub message: String,
    /// Dockerfile instructions.
    pub changes: Vec<String>,
    /// Whether the container is frozen while its files are read.
    pub pause: bool,
    /// The manifest's words.
    pub format: Format,
}

/// A container that is frozen for a moment: who is killed meanwhile leaves it to the next command.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Thaw {
    /// Its id.
    pub(super) thaw: String,
}

/// Make an image of `container`. Returns its id.
pub async fn commit(engine: &Engine, container: &Container, request: CommitRequest) -> Result<String> {
    let raw = &container.raw;
    if raw.snapshot_key.is_empty() {
        return Err(Error::failed(format!(
            "container {} stands on no image: its root file system is a directory of this machine",
            container.name
        ))
        .hint(format!("`wharfie export {0} | wharfie import - NAME` makes an image of it", container.name)));
    }
    let config = inspect(engine, container, false).await?.config;
    let created_by = config.cmd.clone().unwrap_or_default().join(" ");
    let config = changed(&serde_json::to_value(config).unwrap_or_default(), &request.changes)?;
    super::settle(engine).await?;
    let parent = engine.containerd.snapshot(&raw.snapshotter, &raw.snapshot_key).await?.parent;
    let base = base(engine, container, &parent).await?;
    let upper = engine.containerd.snapshot_mounts(&raw.snapshotter, &raw.snapshot_key).await?;
    let lower = ImageView::of_snapshot(engine, &raw.snapshotter, &parent).await?;
    let commit = match Commit::begin(engine).await {
        Ok(commit) => commit,
        Err(error) => {
            lower.close().await;
            return Err(error);
        }
    };
    let pause = request.pause && container.status == Status::Running;
    let written = frozen(engine, &container.id, pause, commit.layer(&lower.mounts, &read_only(&upper))).await;
    lower.close().await;
    match written {
        Ok(layer) => {
            let description = Description {
                config,
                author: request.author,
                message: request.message,
                created_by,
                reference: request.reference,
                format: request.format,
            };
            let named = description.reference.as_ref().map(Reference::familiar).unwrap_or_default();
            let comment = description.message.clone();
            let id = commit.image(engine, base.as_ref(), layer, description).await?;
            let event = event::of_container(container, "commit");
            engine.note(&[event.with("comment", comment).with("imageID", &id).with("imageRef", named)]);
            Ok(id)
        }
        Err(error) => {
            commit.abandon().await;
            Err(error)
        }
    }
}

/// Do `work` while the container is frozen. However it ends, Ctrl-C included, the container goes on.
async fn frozen<T>(
    engine: &Engine,
    id: &str,
    pause: bool,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    if !pause {
        return work.await;
    }
    let failed = |cause: std::io::Error| Error::failed(format!("watch for signals: {cause}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let content = serde_json::to_vec(&Thaw { thaw: id.to_owned() })
        .map_err(|cause| Error::failed(format!("write the journal: {cause}")))?;
    let journal =
        Pending::begin(&engine.paths.pending(), &format!("-thaw-{id}"), &content)?.ok_or_else(|| {
            Error::conflict(format!("container {id} is being committed by another command"))
                .hint("wait for it, or use --no-pause")
        })?;
    engine.containerd.pause(id).await?;
    let done = tokio::select! {
        done = work => done,
        _ = interrupt.recv() => Err(Error::silent(130)),
        _ = terminate.recv() => Err(Error::silent(143)),
    };
    match engine.containerd.resume(id).await {
        // It was killed meanwhile.
        Err(error) if error.is_not_found() => {}
        other => other?,
    }
    journal.finish()?;
    done
}

/// The settings that the image gets: the container's, changed by Dockerfile instructions.
fn changed(config: &Value, changes: &[String]) -> Result<Map<String, Value>> {
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let mut settings: Map<String, Value> = KEPT
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), config.get(*key)?.clone())))
        .filter(|(_, value)| !is_empty(value))
        .collect();
    let mut command_given = false;
    for instruction in changes {
        change::apply(&mut settings, instruction)?;
        let keyword = instruction.split_whitespace().next().unwrap_or_default();
        if keyword.eq_ignore_ascii_case("CMD") {
            command_given = true;
        }
        // As in a Dockerfile, the arguments of another program are no arguments of this one.
        if keyword.eq_ignore_ascii_case("ENTRYPOINT") && !command_given {
            settings.remove("Cmd");
        }
    }
    Ok(settings)
}

/// The image that the container stands on: known by its layers, because names move.
async fn base(engine: &Engine, container: &Container, parent: &str) -> Result<Option<ResolvedImage>> {
    if parent.is_empty() {
        return Ok(None);
    }
    let record = container.record.as_ref();
    let named = [record.map(|record| record.image_id.as_str()), Some(container.raw.image.as_str())];
    for name in named.into_iter().flatten().filter(|name| !name.is_empty()) {
        if let Ok(image) = resolve(engine, name, None).await
            && image.chain_id == parent
        {
            return Ok(Some(image));
        }
    }
    let found = every(engine).await?.into_iter().find(|image| image.chain_id == parent);
    found.map(Some).ok_or_else(|| {
        Error::failed(format!(
            "the image of container {} ({}) is not here any more",
            container.name, container.image
        ))
        .hint(format!("pull it again, or use `wharfie export {} | wharfie import - NAME`", container.name))
    })
}

/// The same files as a mount that changes nothing: the container may run on the other one. An overlay's upper
/// directory becomes its topmost layer.
fn read_only(mounts: &[Mount]) -> Vec<Mount> {
    mounts
        .iter()
        .map(|mount| {
            let value = |key: &str| mount.options.iter().find_map(|option| option.strip_prefix(key));
            let mut options: Vec<String> = match (value("upperdir="), value("lowerdir=")) {
                (Some(upper), Some(lower)) => {
                    let changed = ["upperdir=", "lowerdir=", "workdir=", "volatile", "index="];
                    let kept = mount
                        .options
                        .iter()
                        .filter(|option| !changed.iter().any(|key| option.starts_with(key)));
                    kept.cloned().chain([format!("lowerdir={upper}:{lower}")]).collect()
                }
                _ => mount.options.iter().filter(|option| *option != "rw").cloned().collect(),
            };
            if !options.iter().any(|option| option == "ro") {
                options.push("ro".into());
            }
            Mount { options, ..mount.clone() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(changes: &[&str]) -> Value {
        let config = json!({
            "Hostname": "h", "User": "", "Env": ["A=1"], "Cmd": ["sh"], "Entrypoint": null, "Labels": {},
            "WorkingDir": "/w", "Tty": true,
        });
        let changes: Vec<String> = changes.iter().map(|change| change.to_string()).collect();
        Value::Object(changed(&config, &changes).unwrap())
    }

    #[test]
    fn settings_are_the_containers_and_the_changes() {
        assert_eq!(of(&[]), json!({"Env": ["A=1"], "Cmd": ["sh"], "WorkingDir": "/w"}));
        assert_eq!(
            of(&["ENTRYPOINT [\"/x\"]", "ENV B=2"]),
            json!({"Env": ["A=1", "B=2"], "WorkingDir": "/w", "Entrypoint": ["/x"]})
        );
        assert_eq!(of(&["CMD [\"y\"]", "entrypoint [\"/x\"]"])["Cmd"], json!(["y"]));
        assert!(changed(&json!({}), &["RUN x".into()]).is_err());
    }

    #[test]
    fn mounts_are_only_looked_at() {
        let mount = |options: &[&str]| Mount {
            options: options.iter().map(|option| option.to_string()).collect(),
            ..Mount::default()
        };
        let options = |given: &[&str]| read_only(&[mount(given)])[0].options.join(" ");
        assert_eq!(
            options(&["index=off", "workdir=/w", "upperdir=/u", "lowerdir=/a:/b"]),
            "lowerdir=/u:/a:/b ro"
        );
        assert_eq!(options(&["rbind", "rw"]), "rbind ro");
    }
}
