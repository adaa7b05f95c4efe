//! Reading a tree, entry by entry, in the order of names.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Body, Entry, MAX_DEPTH, MAX_ENTRIES, Node, Sink};
use crate::{Error, Result};

/// Files with several names are remembered up to this many; the others are copied once a name.
const MOST_LINKS: usize = 1_000_000;

/// Where a walk begins.
#[derive(Debug, Clone)]
pub struct Start {
    /// The name of the first entry; empty for the entries below it alone. What lies in it is named below.
    pub name: PathBuf,
    /// How the place is called in messages.
    pub shown: PathBuf,
}

/// Hands everything from `place` (an `O_PATH` descriptor of a thing of any kind) to `sink`. Gives how many
/// entries there were. Sockets are left out.
pub fn walk(place: OwnedFd, start: &Start, sink: &mut dyn Sink) -> Result<u64> {
    walk_levels(place, start, usize::MAX, sink)
}

/// The same, down to so many levels below the start: with 1, what lies in the directory itself.
pub fn walk_levels(place: OwnedFd, start: &Start, levels: usize, sink: &mut dyn Sink) -> Result<u64> {
    let mut walk = Walk { sink, links: HashMap::new(), entries: 0, shown: start.shown.clone(), levels };
    walk.thing(place, &start.name, (Path::new(""), 0))?;
    Ok(walk.entries)
}

struct Walk<'a> {
    sink: &'a mut dyn Sink,
    /// Device and inode of files with several names, and the first of them.
    links: HashMap<(u64, u64), PathBuf>,
    entries: u64,
    shown: PathBuf,
    levels: usize,
}

impl Walk<'_> {
    fn failed(&self, act: &str, below: &Path, cause: impl Into<std::io::Error>) -> Error {
        let shown = if below.as_os_str().is_empty() { self.shown.clone() } else { self.shown.join(below) };
        Error::io(act, shown, cause)
    }

    /// One thing, and what lies in it. `below` is where it is under the start.
    fn thing(&mut self, place: OwnedFd, name: &Path, (below, depth): (&Path, usize)) -> Result<()> {
        let stat = rustix::fs::fstat(&place).map_err(|cause| self.failed("stat", below, cause))?;
        let target = || {
            rustix::fs::readlinkat(&place, "", Vec::new())
                .map(|target| PathBuf::from(OsString::from_vec(target.into_bytes())))
                .map_err(|cause| self.failed("read link", below, cause))
        };
        let Some(mut entry) = Entry::of(name.to_path_buf(), &stat, target)? else { return Ok(()) };
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Error::failed(format!("{} has more than {MAX_ENTRIES} files", self.shown.display())));
        }
        match entry.node {
            Node::Directory => {
                if !name.as_os_str().is_empty() {
                    self.sink.put(&entry, Body::None)?;
                }
                if depth >= self.levels {
                    return Ok(());
                }
                self.directory(place, name, (below, depth))
            }
            Node::File(_) => self.file(place, entry, (below, &stat)),
            _ => {
                if let Some(first) = self.linked(&stat, name) {
                    entry.node = Node::Hardlink(first);
                }
                self.sink.put(&entry, Body::None)
            }
        }
    }

    fn directory(&mut self, place: OwnedFd, name: &Path, (below, depth): (&Path, usize)) -> Result<()> {
        if depth >= MAX_DEPTH {
            return Err(self.failed(
                "read",
                below,
                std::io::Error::other("directories are nested too deeply"),
            ));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = rustix::fs::openat(&place, ".", flags, Mode::empty())
            .map_err(|cause| self.failed("open", below, cause))?;
        drop(place);
        for child in names(&open, MAX_ENTRIES).map_err(|cause| self.failed("read", below, cause))? {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inner = match rustix::fs::openat(&open, &child, flags, Mode::empty()) {
                Ok(inner) => inner,
                // Removed since it was listed.
                Err(Errno::NOENT) => continue,
                Err(cause) => return Err(self.failed("open", &below.join(os(&child)), cause)),
            };
            self.thing(inner, &name.join(os(&child)), (&below.join(os(&child)), depth + 1))?;
        }
        Ok(())
    }

    fn file(&mut self, place: OwnedFd, mut entry: Entry, (below, stat): (&Path, &Stat)) -> Result<()> {
        if let Some(first) = self.linked(stat, &entry.name) {
            entry.node = Node::Hardlink(first);
            return self.sink.put(&entry, Body::None);
        }
        let file = reopen(&place).map_err(|cause| self.failed("open", below, cause))?;
        entry.capability = capability(&file);
        self.sink.put(&entry, Body::File(&file))
    }

    /// The first name of a file that has several and was seen before.
    fn linked(&mut self, stat: &Stat, name: &Path) -> Option<PathBuf> {
        if stat.st_nlink < 2 || name.as_os_str().is_empty() {
            return None;
        }
        let known = self.links.get(&(stat.st_dev, stat.st_ino)).cloned();
        if known.is_none() && self.links.len() < MOST_LINKS {
            self.links.insert((stat.st_dev, stat.st_ino), name.to_path_buf());
        }
        known
    }
}

/// A regular file's content, by a descriptor that was looked at before: opening has no effect.
fn reopen(place: &OwnedFd) -> rustix::io::Result<File> {
    let again = format!("/proc/self/fd/{}", place.as_raw_fd());
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(again, flags, Mode::empty()).map(File::from)
}

fn capability(file: &File) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    let length = rustix::fs::fgetxattr(file, c"security.capability", &mut value).ok()?;
    value.get(..length).map(<[u8]>::to_vec)
}

/// The names in a directory, sorted, at most `limit`.
pub(super) fn names(directory: impl AsFd, limit: u64) -> std::io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
        if names.len() as u64 > limit {
            return Err(std::io::Error::other(format!("more than {limit} files")));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether what the kernel tells of is a directory.
pub(super) fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

pub(super) fn os(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}
