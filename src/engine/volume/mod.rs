//! Volumes: a directory `_data` each, and what is known of it in `volume.json` beside it. nerdctl's are used where
//! they lie, in the same form.

mod attach;
mod content;
mod make;
mod options;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(super) use attach::missing;
pub use attach::{attach, place, release};
pub(super) use content::{Unmounted, unmounted};
pub use content::{export, import};
pub use make::{Fill, ensure, hold, remove, remove_made_for, remove_unused, sweep};
pub use options::check_options;
pub use usage::{VolumeUsage, prunable, prune, usage, users, volumes};

use super::Engine;
use crate::error::{Error, Result};
use crate::oci::request::MountKind;
use crate::store::read_bounded;
use crate::sys::local_mount::is_directory;

/// docker's label of a volume that nobody has named.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

const DATA: &str = "_data";
const RECORD: &str = "volume.json";
const LARGEST_RECORD: u64 = 1 << 20;

/// What is known of a volume.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Made without a name of the user's.
    pub anonymous: bool,
    /// The id of the container that it was made for, where it is anonymous.
    pub made_for: String,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// Where everything of it lies; empty for one that is not made yet.
    #[serde(skip)]
    pub directory: PathBuf,
    /// nerdctl made it and keeps it.
    #[serde(skip)]
    pub nerdctls: bool,
}

impl Volume {
    /// The directory of its content.
    pub fn data(&self) -> PathBuf {
        self.directory.join(DATA)
    }

    /// Whether its content lies somewhere else and is mounted here while it is used.
    pub fn is_mounted_from_elsewhere(&self) -> bool {
        options::local_mount(&self.options).is_some()
    }

    /// Read what is known of the volume in a directory. A record that nobody can read any more hides no data.
    fn read(directory: &Path, nerdctls: bool) -> Self {
        let kept = read_bounded(&directory.join(RECORD), LARGEST_RECORD).unwrap_or_default();
        let known: Self = serde_json::from_slice(&kept).unwrap_or_default();
        let anonymous = known.anonymous || known.labels.contains_key(ANONYMOUS);
        let made = || std::fs::metadata(directory).ok()?.modified().ok()?.try_into().ok();
        Self {
            name: directory.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            anonymous,
            created_at: known.created_at.or_else(made),
            directory: directory.to_path_buf(),
            nerdctls,
            ..known
        }
    }
}

/// Every volume of this namespace, ours and nerdctl's, in the order of their names. Half-made ones are none.
///
/// # Errors
/// A directory that cannot be read.
pub fn list(engine: &Engine) -> Result<Vec<Volume>> {
    let mut found: Vec<Volume> = Vec::new();
    for (store, nerdctls) in stores(engine) {
        let entries = match std::fs::read_dir(&store) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(Error::io("read", &store, cause)),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        // Ours come first: it is ours that the name means.
        let new =
            names.filter(|name| is_whole(&store, name) && !found.iter().any(|known| known.name == *name));
        let new: Vec<Volume> = new.map(|name| Volume::read(&store.join(name), nerdctls)).collect();
        found.extend(new);
    }
    found.sort_by(|one, other| crate::config::contexts::natural(&one.name, &other.name));
    Ok(found)
}

/// What is known of the volume `name`.
///
/// # Errors
/// [`crate::error::Kind::NotFound`], in docker's words.
pub fn get(engine: &Engine, name: &str) -> Result<Volume> {
    let found = stores(engine).into_iter().find(|(store, _)| is_whole(store, name));
    found.map(|(store, nerdctls)| Volume::read(&store.join(name), nerdctls)).ok_or_else(|| {
        Error::not_found(format!("get {name}: no such volume"))
            .hint("`wharfie volume ls` lists what there is")
    })
}

/// Where volumes lie: ours, then nerdctl's.
fn stores(engine: &Engine) -> [(PathBuf, bool); 2] {
    [(engine.paths.volumes(), false), (engine.paths.nerdctl_volumes(), true)]
}

fn is_whole(store: &Path, name: &str) -> bool {
    check_name(name).is_ok() && is_directory(&store.join(name).join(DATA))
}

/// docker's rule for names of volumes and containers.
pub fn check_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name.len() > 1 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if first && rest {
        return Ok(());
    }
    if name.len() == 1 {
        return Err(Error::usage(
            "volume name is too short, names should be at least two alphanumeric characters",
        ));
    }
    Err(Error::usage(format!(
        "{name:?} includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. \
         If you intended to pass a host directory, use absolute path"
    )))
}

/// Whether `mount` of some container is this volume, or something in it.
fn is_used_by(volume: &Volume, mount: &super::container::ResolvedMount) -> bool {
    // Ours are known by name too: the way to them may be written in another manner.
    mount.source.starts_with(&volume.directory)
        || (mount.kind == MountKind::Volume
            && mount.name == volume.name
            && !volume.nerdctls
            && is_ours(mount))
}

/// nerdctl's volumes lie below its own directory.
fn is_ours(mount: &super::container::ResolvedMount) -> bool {
    !mount.source.starts_with("/var/lib/nerdctl")
}
