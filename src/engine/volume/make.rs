//! Making, filling and removing volumes, so that who is killed at any moment leaves a whole one or none. What is
//! made, filled or removed is locked by its directory; a container that is being made shares that lock until its
//! record tells what it uses.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::content::settle_elsewhere;
use super::{ANONYMOUS, DATA, RECORD, Volume, check_name, check_options, get, options, users};
use crate::engine::{Engine, event};
use crate::error::{Error, Kind, Result};
use crate::store::{Lock, make_directory, write_atomic};
use crate::sys::local_mount::is_directory;
use crate::sys::tree::{Present, merge};

/// What is being filled.
const BEGUN: &str = "_data.new";
/// What is filled and on its way into a directory that was there before.
const READY: &str = "_data.ready";
/// What leads the name of a volume that is being removed: no volume's own name begins like this.
const REMOVED: &str = ".removed-";

/// Fills an empty directory; false when there is nothing to fill it with. None fills nothing.
pub type Fill<'a> = Option<&'a dyn Fn(&Path) -> Result<bool>>;

/// The volume of that name, made as `wanted` says if it is missing, and whether it was made. A new one, and one
/// that is empty, is filled by `fill`. A new volume is there when it is filled: who is killed meanwhile leaves none
/// that looks whole.
pub fn ensure(engine: &Engine, wanted: &Volume, fill: Fill<'_>) -> Result<(Volume, bool)> {
    check_name(&wanted.name)?;
    loop {
        match get(engine, &wanted.name) {
            Ok(found) => {
                if refill(&found, fill)? {
                    return Ok((found, false));
                }
            }
            Err(error) if error.kind == Kind::NotFound => {
                if let Some(made) = make(engine, wanted, fill)? {
                    return Ok((made, true));
                }
            }
            Err(error) => return Err(error),
        }
    }
}

/// Keep volumes from being removed until what is returned is dropped. None when one is gone.
pub fn hold(volumes: &[Volume]) -> Result<Option<Vec<Lock>>> {
    let mut held = Vec::with_capacity(volumes.len());
    for volume in volumes {
        match Lock::shared_directory(&volume.directory) {
            Ok(lock) if lock.is_of(&volume.directory) && is_directory(&volume.data()) => held.push(lock),
            Err(error) if error.kind != Kind::NotFound => return Err(error),
            _ => return Ok(None),
        }
    }
    Ok(Some(held))
}

/// None when another command was faster, with making or with removing.
fn make(engine: &Engine, wanted: &Volume, fill: Fill<'_>) -> Result<Option<Volume>> {
    check_options(&wanted.options)?;
    let store = engine.paths.volumes();
    let directory = store.join(&wanted.name);
    make_directory(&store, 0o711)?;
    make_directory(&directory, 0o711)?;
    let lock = match Lock::directory(&directory) {
        Err(error) if error.kind == Kind::NotFound => return Ok(None),
        lock => lock?,
    };
    if !lock.is_of(&directory) || is_directory(&directory.join(DATA)) {
        return Ok(None);
    }
    let mut volume = Volume { created_at: Some(Timestamp::now()), ..wanted.clone() };
    if volume.anonymous {
        volume.labels.insert(ANONYMOUS.into(), String::new());
    }
    volume.directory.clone_from(&directory);
    let made = build(&volume, fill);
    if made.is_err() {
        // The first failure is what the user must know.
        let _ = discard(&directory);
    }
    made?;
    engine.note(&[event::of_volume("create", &volume.name)]);
    Ok(Some(volume))
}

fn build(volume: &Volume, fill: Fill<'_>) -> Result<()> {
    let (begun, data) = (volume.directory.join(BEGUN), volume.data());
    let json =
        serde_json::to_vec(volume).map_err(|cause| Error::failed(format!("describe volume: {cause}")))?;
    write_atomic(&volume.directory.join(RECORD), &json, 0o600)?;
    // What a killed command has left of its filling.
    remove_tree(&begun)?;
    make_directory(&begun, 0o755)?;
    match (options::local_mount(&volume.options), fill) {
        (Some(_), fill) => fill_elsewhere(volume, fill)?,
        (None, Some(fill)) => drop(fill(&begun)?),
        (None, None) => {}
    }
    std::fs::rename(&begun, &data).map_err(|cause| Error::io("create", &data, cause))
}

/// docker fills what is mounted from elsewhere too. Memory that nobody uses yet has nothing to keep it.
fn fill_elsewhere(volume: &Volume, fill: Fill<'_>) -> Result<()> {
    let mount = options::local_mount(&volume.options).filter(|mount| !mount.is_memory());
    let (Some(mount), Some(fill)) = (mount, fill) else { return Ok(()) };
    // A mount of nobody's: whoever is killed here leaves nothing mounted.
    let data = volume.data();
    let root = mount
        .detached(&data)
        .map_err(|error| error.context(format!("error while mounting volume '{}'", data.display())))?;
    let root = crate::sys::tree::path_of(&root);
    if is_empty(&root) {
        fill(&root)?;
    }
    Ok(())
}

/// Fill a volume that is there and empty. False when it is gone by now.
fn refill(volume: &Volume, fill: Fill<'_>) -> Result<bool> {
    if volume.is_mounted_from_elsewhere() {
        return fill_elsewhere(volume, fill).map(|()| true);
    }
    let data = volume.data();
    if (fill.is_none() || !is_empty(&data)) && !is_unfinished(volume) {
        return Ok(true);
    }
    let lock = match Lock::directory(&volume.directory) {
        Err(error) if error.kind == Kind::NotFound => return Ok(false),
        lock => lock?,
    };
    if !lock.is_of(&volume.directory) {
        return Ok(false);
    }
    finish(volume)?;
    let Some(fill) = fill.filter(|_| is_empty(&data)) else { return Ok(true) };
    let stage = Stage::begin(volume)?;
    if fill(stage.path())? {
        stage.finish(Present::Kept)?;
    }
    Ok(true)
}

/// Where the new content of a volume is put together. Dropped before it is finished, it is gone.
pub(super) struct Stage<'a> {
    volume: &'a Volume,
    path: PathBuf,
    _lock: Option<Lock>,
}

impl<'a> Stage<'a> {
    /// For a volume whose lock the caller has.
    fn begin(volume: &'a Volume) -> Result<Self> {
        let path = volume.directory.join(BEGUN);
        remove_tree(&path)?;
        make_directory(&path, 0o755)?;
        Ok(Self { volume, path, _lock: None })
    }

    /// For a volume that others use meanwhile: what comes may take long.
    pub(super) fn beside(volume: &'a Volume) -> Result<Self> {
        let path = volume.directory.join(format!("{STAGED}{}", unique()));
        loop {
            std::fs::create_dir(&path).map_err(|cause| Error::io("create", &path, cause))?;
            match Lock::directory(&path) {
                Ok(lock) if lock.is_of(&path) => return Ok(Self { volume, path, _lock: Some(lock) }),
                Err(error) if error.kind != Kind::NotFound => return Err(error),
                // Another command took it for a dead one's in the moment before it was locked.
                _ => {}
            }
        }
    }

    /// The empty directory to write into.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Everything is there: it goes into the volume. Who is killed from here on has it finished by the next command.
    pub(super) fn finish(self, present: Present) -> Result<()> {
        let name = if present == Present::Kept { READY } else { IMPORTED };
        let ready = self.volume.directory.join(name);
        std::fs::rename(&self.path, &ready).map_err(|cause| Error::io("create", &ready, cause))?;
        finish(self.volume)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // The failure that led here is the one to be told.
        let _ = remove_tree(&self.path);
    }
}

/// The same as [`READY`], for what takes the place of what was there.
const IMPORTED: &str = "_data.import";
/// What leads the name of what is being imported. It has a lock of its own.
const STAGED: &str = ".import-";

fn unique() -> String {
    let thread = rustix::thread::gettid().as_raw_nonzero();
    format!("{}.{thread}.{}", std::process::id(), Timestamp::now().as_nanosecond())
}

/// Go on where a command was killed that had new content ready. The caller has the volume's lock.
pub(super) fn finish(volume: &Volume) -> Result<()> {
    for (name, present) in [(READY, Present::Kept), (IMPORTED, Present::Replaced)] {
        let ready = volume.directory.join(name);
        if ready.is_dir() {
            merge(&ready, &volume.data(), present)?;
            remove_tree(&ready)?;
        }
    }
    Ok(())
}

/// Whether new content waits to be finished.
fn is_unfinished(volume: &Volume) -> bool {
    [READY, IMPORTED].iter().any(|name| volume.directory.join(name).is_dir())
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

/// Remove the anonymous volumes that were made for the container `id`, when no record tells their names, and what
/// killed commands have left.
pub async fn remove_made_for(engine: &Engine, id: &str) -> Result<()> {
    for entry in std::fs::read_dir(engine.paths.volumes()).into_iter().flatten().flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        let volume = Volume::read(&entry.path(), false);
        if volume.anonymous && volume.made_for == id {
            remove_unused(engine, &name).await?;
        }
    }
    sweep(engine)
}

/// Take away what killed commands have left, volumes half made or half removed, and finish what they had ready.
pub fn sweep(engine: &Engine) -> Result<()> {
    for entry in std::fs::read_dir(engine.paths.nerdctl_volumes()).into_iter().flatten().flatten() {
        remove_staged(&Volume::read(&entry.path(), true))?;
    }
    for entry in std::fs::read_dir(engine.paths.volumes()).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let removed = name.starts_with(REMOVED);
        // A link to a disk that is away is no half-made volume.
        let half_made = || check_name(&name).is_ok() && path.join(DATA).symlink_metadata().is_err();
        let volume = Volume::read(&path, false);
        if check_name(&name).is_ok() {
            remove_staged(&volume)?;
        }
        if !removed && !half_made() && !is_unfinished(&volume) && !path.join(BEGUN).exists() {
            continue;
        }
        // Its maker or remover holds the lock; whoever is about to make it sees that it is gone.
        let Ok(Some(_held)) = Lock::try_directory(&path) else { continue };
        if removed {
            remove_tree(&path)?;
        } else if half_made() {
            discard(&path)?;
        } else {
            finish(&volume)?;
            remove_tree(&path.join(BEGUN))?;
        }
    }
    Ok(())
}

/// What killed imports have left in a volume's directory, and where it says.
fn remove_staged(volume: &Volume) -> Result<()> {
    for entry in std::fs::read_dir(&volume.directory).into_iter().flatten().flatten() {
        let staged = entry.file_name().to_string_lossy().starts_with(STAGED);
        if staged
            && let Ok(Some(_held)) = Lock::try_directory(&entry.path())
            // A server that is away keeps what it has until it is back.
            && settle_elsewhere(volume, &entry.path()).is_ok()
        {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// Remove a volume that no container has.
///
/// # Errors
/// [`Kind::Conflict`] when one has it, [`Kind::NotFound`], in docker's words.
pub async fn remove(engine: &Engine, name: &str) -> Result<()> {
    let volume = get(engine, name)?;
    let Some(_lock) = locked(&volume)? else {
        return Err(Error::not_found(format!("get {name}: no such volume")));
    };
    let users = users(engine, &volume).await?;
    if !users.is_empty() {
        let container = users.first().map(|id| &id[..id.len().min(12)]).unwrap_or_default();
        return Err(Error::conflict(format!("remove {name}: volume is in use - [{}]", users.join(", ")))
            .hint(format!("remove the container first: `wharfie rm {container}`")));
    }
    take_away(engine, &volume).await
}

/// Remove a volume unless a container has it. Says whether it was removed: one that is gone is not.
pub async fn remove_unused(engine: &Engine, name: &str) -> Result<bool> {
    match remove(engine, name).await {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.kind, Kind::Conflict | Kind::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The volume's lock; None when it is gone. nerdctl locks all of its volumes together, so that one comes first.
pub(super) fn locked(volume: &Volume) -> Result<Option<Vec<Lock>>> {
    let above = volume.directory.parent().filter(|_| volume.nerdctls);
    let mut locks = Vec::new();
    for place in above.into_iter().chain([volume.directory.as_path()]) {
        match Lock::directory(place) {
            Err(error) if error.kind == Kind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(lock) if !lock.is_of(place) => return Ok(None),
            Ok(lock) => locks.push(lock),
        }
    }
    Ok(is_directory(&volume.data()).then_some(locks))
}

/// The end of a volume whose lock the caller has and that nobody uses.
async fn take_away(engine: &Engine, volume: &Volume) -> Result<()> {
    super::attach::detach(engine, volume).await?;
    if let Some(mounted) = crate::sys::local_mount::mount_in(&volume.directory)? {
        return Err(Error::conflict(format!(
            "remove {}: something is mounted at {}",
            volume.name,
            mounted.display()
        ))
        .hint(format!("its files are not the volume's: `umount {}` first", mounted.display())));
    }
    discard(&volume.directory)?;
    engine.note(&[event::of_volume("destroy", &volume.name)]);
    Ok(())
}

/// Gone at once for everybody, then piece by piece.
fn discard(directory: &Path) -> Result<()> {
    let (Some(store), Some(name)) = (directory.parent(), directory.file_name()) else { return Ok(()) };
    let removed = store.join(format!("{REMOVED}{}-{}", name.to_string_lossy(), unique()));
    // nerdctl takes everything in its own directory for a volume.
    let path = if store.starts_with("/var/lib/nerdctl") { directory } else { &removed };
    if path == removed {
        match std::fs::rename(directory, path) {
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(|cause| Error::io("remove", directory, cause))?,
        }
    }
    remove_tree(path)
}

fn remove_tree(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path, cause)),
        _ => Ok(()),
    }
}
