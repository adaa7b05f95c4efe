//! Remove: names, and with the last name the image.

use std::time::Duration;

use crate::containerd::{Image, TaskStatus};
use crate::engine::{Engine, event};
use crate::error::{Error, Result};
use crate::registry::{Reference, is_id_prefix};

use super::disk::why_kept;
use super::name::{dangling, is_dangling, same_target};
use super::resolve::find;

/// Shims that do not answer in that time count as running.
const TASKS: Duration = Duration::from_secs(2);

/// How to remove.
#[derive(Debug, Clone, Copy, Default)]
pub struct RemoveOptions {
    /// Even when stopped containers or several names refer to it.
    pub force: bool,
    /// All names of the image go, in whatever repository.
    pub all_aliases: bool,
    /// Do not wait until the content is gone too.
    pub asynchronous: bool,
}

/// One thing that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name.
    Untagged(String),
    /// An image, by its id.
    Deleted(String),
}

struct User {
    container: String,
    running: bool,
}

/// Remove what `text` means: a name, and the image when it was the last one; or, by id, the image with all
/// its names. Conflicts are in docker's words.
pub async fn remove(engine: &Engine, text: &str, options: RemoveOptions) -> Result<Vec<Removed>> {
    let image = find(engine, text).await?;
    let all = same_target(&engine.containerd, &image.target).await?;
    let id = short(image.target.digest().digest());
    let by_id = is_id(text, &image);
    let tags = all.iter().filter(|image| tag_of(image).is_some()).count();
    if by_id && tags > 1 && !options.force && !options.all_aliases {
        return Err(conflict(&id, "must be forced", "image is referenced in multiple repositories"));
    }
    let meant = if by_id { Vec::new() } else { same_name(text, &image, &all) };
    let staying = |other: &Image| tag_of(other).is_some() && !meant.contains(&&other.name);
    let whole = by_id || options.all_aliases || !all.iter().any(staying);
    if !options.force {
        let going = all.iter().filter(|image| whole || meant.contains(&&image.name));
        permit(engine, text, &going.collect::<Vec<_>>()).await?;
    }
    if !whole {
        return untag(engine, &all, (&meant, !options.asynchronous)).await;
    }
    if let Some(user) = user(engine, &all).await? {
        let state = if user.running { "running" } else { "stopped" };
        let why = format!("image is being used by {state} container {}", short(&user.container));
        let name = if by_id { id } else { familiar(&image.name) };
        if by_id && user.running {
            return Err(conflict(&name, "cannot be forced", &why));
        }
        if !options.force {
            return Err(conflict(&name, "must be forced", &why));
        }
        if user.running {
            // Its content stays for as long as the container may need it.
            let nameless = Image { name: dangling(&image.target), ..image.clone() };
            engine.containerd.put_image(&nameless).await?;
            let names: Vec<&String> =
                all.iter().map(|image| &image.name).filter(|name| !is_dangling(name)).collect();
            return untag(engine, &all, (&names, false)).await;
        }
    }
    let names: Vec<&String> = all.iter().map(|image| &image.name).collect();
    let mut removed = untag(engine, &all, (&names, !options.asynchronous)).await?;
    let id = image.target.digest().to_string();
    engine.note(&[event::of_image("delete", &id, &id)]);
    removed.push(Removed::Deleted(id));
    Ok(removed)
}

/// Whether no pod needs these names, now or later: a kubelet does not expect them to go.
pub(super) async fn permit(engine: &Engine, text: &str, going: &[&Image]) -> Result<()> {
    let kept = going.iter().find_map(|image| why_kept(image)).map(str::to_owned);
    let why = match kept {
        Some(why) => why,
        None => {
            let sandboxes = ["labels.\"io.cri-containerd.kind\"==sandbox".to_owned()];
            let sandboxes = engine.containerd.containers(&sandboxes).await?;
            let stands = |name: &str| going.iter().any(|image| image.name == name);
            let Some(sandbox) = sandboxes.iter().find(|sandbox| stands(&sandbox.image)) else {
                return Ok(());
            };
            format!("image is being used by {}, the sandbox of a pod", short(&sandbox.id))
        }
    };
    let message = format!("conflict: unable to delete {text} (must be forced) - {why}");
    Err(Error::conflict(message)
        .hint("a node that has lost it and cannot pull it starts no pod: --force removes it all the same"))
}

/// Forget names; with `sync`, what they alone kept is gone afterwards.
async fn untag(engine: &Engine, all: &[Image], (names, sync): (&[&String], bool)) -> Result<Vec<Removed>> {
    let id = all.first().map(|image| image.target.digest().to_string()).unwrap_or_default();
    let mut removed = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let last = sync && index + 1 == names.len() && names.len() == all.len();
        match engine.containerd.delete_image(name, last).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
        if !is_dangling(name) && !name.starts_with("sha256:") {
            let name = familiar(name);
            engine.note(&[event::of_image("untag", &id, &name)]);
            removed.push(Removed::Untagged(name));
        }
    }
    Ok(removed)
}

fn is_id(text: &str, image: &Image) -> bool {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let named = Reference::parse(text).is_ok_and(|reference| reference.canonical() == image.name);
    is_dangling(text) || (is_id_prefix(text) && !named && !hex.is_empty())
}

/// The names that go with the one that was meant: itself, by digest all tags of its repository, and the
/// repository's digest when no other tag of it stays.
fn same_name<'a>(text: &str, image: &Image, all: &'a [Image]) -> Vec<&'a String> {
    let meant = Reference::parse(text).ok();
    let repository = Reference::parse(&image.name).map(|reference| reference.name()).unwrap_or_default();
    let by_digest = meant.as_ref().is_some_and(|meant| meant.digest().is_some());
    let of_repository =
        |other: &&Image| Reference::parse(&other.name).is_ok_and(|named| named.name() == repository);
    let other_tag =
        all.iter().filter(of_repository).any(|other| tag_of(other).is_some() && other.name != image.name);
    all.iter()
        .filter(|other| {
            other.name == image.name
                || (of_repository(other) && (by_digest || (!other_tag && tag_of(other).is_none())))
        })
        .map(|other| &other.name)
        .collect()
}

fn tag_of(image: &Image) -> Option<String> {
    if is_dangling(&image.name) || image.name.starts_with("sha256:") {
        return None;
    }
    match Reference::parse(&image.name) {
        Ok(reference) => reference.tag().map(str::to_owned),
        // A name that only containerd understands is a name.
        Err(_) => Some(image.name.clone()),
    }
}

/// A container made from one of these names, running ones first.
async fn user(engine: &Engine, all: &[Image]) -> Result<Option<User>> {
    let uses = |name: &str| {
        all.iter().any(|image| {
            image.name == name
                || Reference::parse(name).is_ok_and(|reference| reference.canonical() == image.name)
        })
    };
    let containers = engine.containerd.containers(&[]).await?;
    let users: Vec<_> = containers.iter().filter(|container| uses(&container.image)).collect();
    if users.is_empty() {
        return Ok(None);
    }
    let mut stopped = None;
    for container in users {
        let running = match engine.containerd.task(&container.id, Some(TASKS)).await {
            Ok(task) => task.status != TaskStatus::Stopped,
            Err(error) => !error.is_not_found(),
        };
        let user = User { container: container.id.clone(), running };
        if running {
            return Ok(Some(user));
        }
        stopped.get_or_insert(user);
    }
    Ok(stopped)
}

pub(super) fn conflict(name: &str, force: &str, why: &str) -> Error {
    let error = Error::conflict(format!("conflict: unable to delete {name} ({force}) - {why}"));
    match force {
        "must be forced" => error.hint("remove the containers first, or use --force"),
        _ => error.hint("stop and remove the container first"),
    }
}

/// containerd's name as users write it: `busybox:latest`.
pub fn familiar(name: &str) -> String {
    Reference::parse(name).map(|reference| reference.familiar()).unwrap_or_else(|_| name.to_owned())
}

pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::digest::sha256;
    use oci_spec::image::Descriptor;

    fn image(name: &str) -> Image {
        let target = Descriptor::new("application/vnd.oci.image.index.v1+json".into(), 1, sha256(b"x"));
        Image { name: name.into(), target, labels: Default::default(), created_at: None, updated_at: None }
    }

    #[test]
    fn which_names_go_together() {
        let digest = sha256(b"x");
        let tag = "docker.io/library/a:1";
        let by_digest = format!("docker.io/library/a@{digest}");
        let other = "docker.io/library/a:2";
        let elsewhere = "quay.io/a:1";
        let meant = format!("a@{digest}");
        let cases: &[(&str, &str, &[&str], &[&str])] = &[
            ("a:1", tag, &[tag], &[tag]),
            ("a:1", tag, &[tag, &by_digest], &[tag, &by_digest]),
            ("a:1", tag, &[tag, &by_digest, other], &[tag]),
            ("a:1", tag, &[tag, elsewhere], &[tag]),
            (&meant, &by_digest, &[tag, &by_digest, other, elsewhere], &[tag, &by_digest, other]),
        ];
        for (text, found, all, expected) in cases {
            let all: Vec<Image> = all.iter().map(|name| image(name)).collect();
            assert_eq!(same_name(text, &image(found), &all), *expected, "{text} {all:?}");
        }
    }
}
