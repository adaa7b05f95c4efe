//! Lists in the making, as docker keeps them: a directory a list, a file a manifest.

use std::path::{Path, PathBuf};

use super::entry::Entry;
use crate::error::{Error, Kind, Result};
use crate::registry::Reference;
use crate::store::{make_directory, read_bounded, write_atomic};

const LARGEST_FILE: u64 = 16 << 20;

/// docker's directory of them.
pub(super) struct Lists {
    root: PathBuf,
}

impl Lists {
    /// Those beside docker's config.json.
    pub(super) fn of(docker_config: &Path) -> Self {
        Self { root: docker_config.join("manifests") }
    }

    /// The manifests of a list, in the order of their names.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such list; a file that cannot be read.
    pub(super) fn get(&self, list: &Reference) -> Result<Vec<Entry>> {
        let directory = self.directory(list);
        let files = match std::fs::read_dir(&directory) {
            Ok(files) => files,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(no_such(list)),
            Err(cause) => return Err(Error::io("read", &directory, cause)),
        };
        let files = files.map(|file| file.map(|file| file.path()));
        let mut files: Vec<PathBuf> =
            files.collect::<Result<_, _>>().map_err(|cause| Error::io("read", &directory, cause))?;
        // What a killed process left begins with a dot.
        files.retain(|path| path.file_name().is_some_and(|name| !name.as_encoded_bytes().starts_with(b".")));
        files.sort();
        files.iter().map(|path| read(path)).collect()
    }

    /// The lists whose names can be told: a file's name writes `:` and `-` alike, so that only the repository of one of
    /// its manifests says where the tag begins.
    pub(super) fn names(&self) -> Vec<Reference> {
        let lists = std::fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut names: Vec<Reference> = lists.filter_map(|list| name_of(&list.path())).collect();
        names.sort_by_key(ToString::to_string);
        names
    }

    /// One manifest of a list.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when it is not there.
    pub(super) fn entry(&self, list: &Reference, manifest: &Reference) -> Result<Entry> {
        read(&self.file(list, manifest)).map_err(|error| match error.kind {
            Kind::NotFound => no_such(manifest),
            _ => error,
        })
    }

    /// Put a manifest into a list, which may be new.
    pub(super) fn put(&self, list: &Reference, manifest: &Reference, entry: &Entry) -> Result<()> {
        make_directory(&self.directory(list), 0o700)?;
        write_atomic(&self.file(list, manifest), entry.to_file()?.as_bytes(), 0o600)
    }

    /// Forget a list.
    ///
    /// # Errors
    /// [`Kind::NotFound`] when there is no such list.
    pub(super) fn remove(&self, list: &Reference) -> Result<()> {
        let directory = self.directory(list);
        std::fs::remove_dir_all(&directory).map_err(|cause| match cause.kind() {
            std::io::ErrorKind::NotFound => no_such(list),
            _ => Error::io("remove", &directory, cause),
        })
    }

    fn directory(&self, list: &Reference) -> PathBuf {
        self.root.join(file_name(list))
    }

    fn file(&self, list: &Reference, manifest: &Reference) -> PathBuf {
        self.directory(list).join(file_name(manifest))
    }
}

fn read(path: &Path) -> Result<Entry> {
    Entry::parse(&read_bounded(path, LARGEST_FILE)?, &path.display().to_string())
}

fn name_of(directory: &Path) -> Option<Reference> {
    let written = directory.file_name()?.to_str()?;
    let manifests = std::fs::read_dir(directory).ok()?.flatten();
    let references = manifests.filter_map(|file| Reference::parse(&read(&file.path()).ok()?.reference).ok());
    references.into_iter().find_map(|manifest| {
        let repository = manifest.name();
        let tag = written.strip_prefix(&in_file_names(&repository))?.strip_prefix('-')?;
        let name = Reference::parse(&format!("{repository}:{tag}")).ok()?;
        (file_name(&name) == written).then_some(name)
    })
}

/// A reference has neither `..` nor control characters; its slashes and colons are written otherwise.
fn file_name(reference: &Reference) -> String {
    in_file_names(&reference.to_string())
}

fn in_file_names(text: &str) -> String {
    text.replace(':', "-").replace('/', "_")
}

fn no_such(reference: &Reference) -> Error {
    Error::not_found(format!("No such manifest: {reference}"))
}
