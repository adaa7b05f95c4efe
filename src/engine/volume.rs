//! Local volumes: a directory `_data` each, and what is known of it in `volume.json` beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::store::{Lock, make_directory, read_bounded, write_atomic};

/// What is known of a volume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Made for one container, without a name of the user's.
    pub anonymous: bool,
    /// The id of that container.
    pub made_for: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
}

/// The names of the volumes of this namespace, in their order. Half-made ones are none.
///
/// # Errors
/// A directory that cannot be read.
pub fn names(engine: &Engine) -> Result<Vec<String>> {
    let directory = engine.paths.volumes();
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(Error::io("read", &directory, cause)),
    };
    let named = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut names: Vec<String> = named.filter(|name| data(engine, name).is_dir()).collect();
    names.sort_unstable();
    Ok(names)
}

/// The directory of a volume's content.
pub fn data(engine: &Engine, name: &str) -> PathBuf {
    engine.paths.volumes().join(name).join("_data")
}

/// The volume of that name, made if it is missing. A new one, and one that is empty, is filled by `fill`.
/// Returns its directory. A new volume is there when it is filled: who is killed meanwhile leaves none that
/// looks whole.
pub fn ensure(engine: &Engine, volume: &Volume, fill: &dyn Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    check_name(&volume.name)?;
    let directory = engine.paths.volumes().join(&volume.name);
    let data = data(engine, &volume.name);
    if data.is_dir() {
        if is_empty(&data) {
            fill(&data)?;
        }
        return Ok(data);
    }
    make_directory(&engine.paths.volumes(), 0o711)?;
    let record = Volume { created_at: Some(Timestamp::now()), ..volume.clone() };
    let json =
        serde_json::to_vec(&record).map_err(|cause| Error::failed(format!("describe volume: {cause}")))?;
    loop {
        make_directory(&directory, 0o711)?;
        let lock = Lock::directory(&directory)?;
        if data.is_dir() {
            return Ok(data);
        }
        // A command that failed has removed what it had begun.
        if !lock.is_of(&directory) {
            continue;
        }
        let made = make(&directory, &json, fill);
        if made.is_err() {
            // The first failure is what the user must know.
            let _ = remove(engine, &volume.name);
        }
        engine.note(&[event::of_volume("create", &volume.name)]);
        return made;
    }
}

fn make(directory: &Path, json: &[u8], fill: &dyn Fn(&Path) -> Result<()>) -> Result<PathBuf> {
    let (begun, data) = (directory.join("_data.new"), directory.join("_data"));
    write_atomic(&directory.join("volume.json"), json, 0o600)?;
    // What a killed command has left of its filling.
    remove_all(&begun)?;
    make_directory(&begun, 0o755)?;
    fill(&begun)?;
    std::fs::rename(&begun, &data).map_err(|cause| Error::io("create", &data, cause))?;
    Ok(data)
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// Remove the anonymous volumes that were made for the container `id`, when no record tells their names, and
/// those that nobody came to describe.
pub fn remove_made_for(engine: &Engine, id: &str) -> Result<()> {
    for entry in std::fs::read_dir(engine.paths.volumes()).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        match get(engine, &name) {
            Ok(volume) if volume.anonymous && volume.made_for == id => remove(engine, &name)?,
            Err(error) if error.kind == Kind::NotFound && !data(engine, &name).exists() => {
                // Its maker holds the lock until it is described; whoever comes next sees that it is gone.
                if check_name(&name).is_ok()
                    && let Ok(Some(_held)) = Lock::try_directory(&entry.path())
                {
                    remove(engine, &name)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What is known of the volume `name`.
pub fn get(engine: &Engine, name: &str) -> Result<Volume> {
    check_name(name)?;
    let path = engine.paths.volumes().join(name).join("volume.json");
    let json =
        read_bounded(&path, 1 << 20).map_err(|_| Error::not_found(format!("get {name}: no such volume")))?;
    serde_json::from_slice(&json).map_err(|cause| Error::failed(format!("read {}: {cause}", path.display())))
}

/// Remove a volume and its content; one that is not there is fine.
pub fn remove(engine: &Engine, name: &str) -> Result<()> {
    check_name(name)?;
    let directory = engine.paths.volumes().join(name);
    let was_there = directory.join("_data").exists();
    remove_all(&directory)?;
    if was_there {
        engine.note(&[event::of_volume("destroy", name)]);
    }
    Ok(())
}

fn remove_all(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", directory, cause))
        }
        _ => Ok(()),
    }
}

/// docker's rule for names of volumes and containers.
pub fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name.len() > 1 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
         If you intended to pass a host directory, use absolute path"
    )))
}
