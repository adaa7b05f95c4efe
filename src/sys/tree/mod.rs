//! Trees of files on their way: a [`walk`] hands one [`Entry`] after the other to a [`Sink`], which writes it
//! into a directory ([`Put`]), into a tar (`image::archive`), or only counts it. Source and target may be
//! changed by hostile hands meanwhile: nothing is named by a path that could be exchanged, a link is never
//! followed out of the tree, and nothing but a regular file is ever opened.

mod compare;
mod data;
mod put;
#[cfg(test)]
mod tests;
mod walk;

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Stat};

pub use compare::{Change, ChangeKind, Compared, compare};
pub(super) use compare::{is_opaque, is_whiteout};
pub use data::exactly;
pub use put::{Links, Owner, Put};
pub use walk::{Start, walk, walk_levels};

use crate::Result;

/// Directories deeper than this are refused.
pub(super) const MAX_DEPTH: usize = 256;
/// More entries than this are refused.
pub(super) const MAX_ENTRIES: u64 = 10_000_000;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A directory.
    Directory,
    /// A regular file of so many bytes.
    File(u64),
    /// A symbolic link and where it leads.
    Symlink(PathBuf),
    /// One more name of the file that came under this name before.
    Hardlink(PathBuf),
    /// A character device: major and minor number.
    Character(u32, u32),
    /// A block device: major and minor number.
    Block(u32, u32),
    /// A FIFO.
    Fifo,
}

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the tree, as it stands in an archive: without a slash at the end.
    pub name: PathBuf,
    /// What it is.
    pub node: Node,
    /// Permission bits, with set-user-id and its kin.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// Seconds since 1970.
    pub modified: i64,
    /// Nanoseconds of that second.
    pub modified_nanos: u32,
    /// The file's capabilities as the kernel keeps them (`security.capability`).
    pub capability: Option<Vec<u8>>,
    /// The other extended attributes that an archive tells of; a walk looks at none.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A file's content.
pub enum Body<'a> {
    /// None: it is no file.
    None,
    /// An open file. Its size is the entry's, or has been.
    File(&'a File),
    /// Bytes from elsewhere, as many as the entry says.
    Stream(&'a mut dyn Read),
}

/// Takes the entries of a tree, a directory before what lies in it.
pub trait Sink {
    /// The next entry.
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()>;
}

impl Entry {
    /// From what the kernel says of a thing. None for a socket, which nothing can copy.
    pub(super) fn of(
        name: PathBuf,
        stat: &Stat,
        link: impl FnOnce() -> Result<PathBuf>,
    ) -> Result<Option<Self>> {
        let numbers = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        let node = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Node::Directory,
            FileType::RegularFile => Node::File(u64::try_from(stat.st_size).unwrap_or_default()),
            FileType::Symlink => Node::Symlink(link()?),
            FileType::CharacterDevice => Node::Character(numbers.0, numbers.1),
            FileType::BlockDevice => Node::Block(numbers.0, numbers.1),
            FileType::Fifo => Node::Fifo,
            _ => return Ok(None),
        };
        Ok(Some(Self {
            name,
            node,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            modified: stat.st_mtime,
            modified_nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
            capability: None,
            xattrs: Vec::new(),
        }))
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.node == Node::Directory
    }
}

/// A relative path without `.`, `..` followed; empty for the top. None when it leads above the top. A leading
/// slash means the top, as in docker's archives.
pub fn below(path: &Path) -> Option<PathBuf> {
    let mut clean: Vec<&[u8]> = Vec::new();
    for part in path.as_os_str().as_bytes().split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(clean.pop()?),
            part => clean.push(part),
        }
    }
    Some(clean.iter().map(|part| std::ffi::OsStr::from_bytes(part)).collect())
}
