//! `cp`: files out of a container or an image, and into a container; from and to this machine's files, or as a
//! tar. Whatever lies in a container is hostile: see [`crate::sys::view`] for its side, [`crate::sys::tree`] for
//! the way, and [`Put`] for what keeps it within the destination on this machine's side.

mod host;
mod names;

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;
use rustix::io::Errno;

use super::image_view::ImageView;
use super::model::Container;
use super::spec;
use super::view::{self, Opened, Wanted};
use crate::engine::Engine;
use crate::engine::image::ResolvedImage;
use crate::error::{Error, Result};
use crate::image::archive::{Counted, TreeWriter, read_tree};
use crate::sys::mount::{self, Access};
use crate::sys::tree::{Body, Entry, Links, Owner, Put, Sink, Start, walk};
use crate::sys::view::{Forbidden, View};

use names::{End, base, in_container, target};
pub use names::{clean, keep_end};

/// Links that are followed from the destination's path.
const MOST_LINKS: usize = 10;

/// Whose files are read.
#[derive(Debug)]
pub enum Whose {
    /// A container's.
    Container(Box<Container>),
    /// An image's: no container is made.
    Image(Box<ResolvedImage>),
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes, as docker counts them: those of a tar.
    pub bytes: u64,
    /// Devices that were not made on this machine, the first few.
    pub skipped: Vec<PathBuf>,
}

/// Why a copy failed, and on which side: docker's client speaks of this machine's files, its daemon of a
/// container's.
#[derive(Debug)]
pub enum Fault {
    /// On this machine's side.
    Here(Error),
    /// In the container.
    There(Error),
}

/// Something of a container or an image, open to be copied.
#[derive(Debug)]
pub struct Reading {
    view: View,
    snapshot: Option<ImageView>,
    place: OwnedFd,
    end: End,
}

/// Open what `path` names (`typed` is whose it is, in the user's words), to be copied. With `follow` a symbolic
/// link stands for what it leads to.
pub async fn read(
    engine: &Engine,
    whose: Whose,
    (typed, path): (&str, &str),
    follow: bool,
) -> Result<Reading> {
    let (view, snapshot, what) = match whose {
        Whose::Container(mut container) => {
            let opened = view::open(engine, &mut container, Wanted::Files).await?;
            (opened.view, None, "container")
        }
        Whose::Image(image) => {
            let snapshot = ImageView::open(engine, &image).await?;
            let view = mount::detached(&spec::plain(&snapshot.mounts), Access::Read).map(View::of);
            match view {
                Ok(view) => (view, Some(snapshot), "image"),
                Err(error) => {
                    snapshot.close().await;
                    return Err(error);
                }
            }
        }
    };
    match look(&view, (typed, path), follow, what) {
        Ok((place, end)) => Ok(Reading { view, snapshot, place, end }),
        Err(error) => {
            drop(view);
            close(snapshot).await;
            Err(error)
        }
    }
}

fn look(view: &View, (typed, path): (&str, &str), follow: bool, what: &str) -> Result<(OwnedFd, End)> {
    if path.is_empty() {
        return Err(Error::failed("bad parameter: path cannot be empty"));
    }
    let absolute = in_container(path);
    let failed = |cause: Errno| Error::io("lstat", &absolute, cause);
    let place = view.place(Path::new(&absolute), follow).map_err(failed)?;
    let place = place.ok_or_else(|| no_file(path, what, typed))?;
    let is_directory = kind(&place).map_err(failed)? == FileType::Directory;
    Ok((place, End { path: absolute, exists: true, is_directory, asked: None }))
}

fn no_file(path: &str, what: &str, whose: &str) -> Error {
    Error::not_found(format!("Could not find the file {path} in {what} {whose}"))
}

fn kind(place: &OwnedFd) -> rustix::io::Result<FileType> {
    rustix::fs::fstat(place).map(|stat| FileType::from_raw_mode(stat.st_mode))
}

async fn close(snapshot: Option<ImageView>) {
    if let Some(snapshot) = snapshot {
        snapshot.close().await;
    }
}

impl Reading {
    /// As a tar into `output`.
    pub async fn into_tar(self, output: &mut (dyn Write + Send)) -> Result<()> {
        let written = (|| {
            let mut writer = TreeWriter::new(output);
            let start = Start { name: base(&self.end.path).into(), shown: self.end.path.clone().into() };
            walk(self.place, &start, &mut writer)?;
            writer.finish()
        })();
        drop(self.view);
        close(self.snapshot).await;
        written
    }

    /// To `destination` on this machine, an absolute path with what the user wrote at its end. The files belong
    /// to who runs this, or with `archive` to whom they belong in there.
    pub async fn into_host(self, destination: &str, archive: bool) -> Result<Copied> {
        let copied = (|| {
            let (directory, name) = target(&self.end, &host::destination(destination)?)?;
            let root = host::open_directory(Path::new(&directory))?;
            let owner = match archive {
                true => Owner::Kept,
                false => {
                    Owner::Given(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
                }
            };
            let put = Put::new(root, Path::new(""), Path::new(&directory), (Links::Refuse, owner));
            let mut counted = Counted::new(put);
            let start = Start { name: name.into(), shown: self.end.path.clone().into() };
            walk(self.place, &start, &mut counted)?;
            Ok(Copied { bytes: counted.bytes, skipped: counted.sink.finish()? })
        })();
        drop(self.view);
        close(self.snapshot).await;
        copied
    }
}

/// A container's files, open to be written.
#[derive(Debug)]
pub struct Writing {
    opened: Opened,
    end: End,
    typed: String,
}

/// Open `path` of `container` (called `typed` by the user), to be copied to. Nothing need be there yet.
pub async fn write(
    engine: &Engine,
    container: &mut Container,
    (typed, path): (&str, &str),
) -> Result<Writing> {
    let opened = view::open(engine, container, Wanted::Writable).await?;
    let end = destination(&opened.view, (typed, path))?;
    Ok(Writing { opened, end, typed: typed.to_owned() })
}

/// What is at the destination; a link there leads to the destination.
fn destination(view: &View, (typed, path): (&str, &str)) -> Result<End> {
    let mut end = End { path: in_container(path), ..End::default() };
    if path.is_empty() {
        // Nothing is there, as docker says.
        return Ok(end);
    }
    for _ in 0..MOST_LINKS {
        let failed = |cause: Errno| Error::io("lstat", &end.path, cause);
        let place = match view.place(Path::new(&end.path), false) {
            Ok(Some(place)) => place,
            // What is wrong with it is told when something is put there.
            Ok(None) | Err(_) => return Ok(end),
        };
        match kind(&place).map_err(failed)? {
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(&place, "", Vec::new()).map_err(failed)?;
                let link = link.to_string_lossy().into_owned();
                end.asked.get_or_insert_with(|| path.to_owned());
                // Not cleaned by its text: what `..` means is the file system's to say.
                end.path = match link.starts_with('/') {
                    true => link,
                    false => format!("{}/{link}", names::split(&end.path).0.trim_end_matches('/')),
                };
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                return Err(Error::failed(format!(
                    "destination \"{typed}:{path}\" must be a directory or a regular file: got a device"
                )));
            }
            kind => {
                (end.exists, end.is_directory) = (true, kind == FileType::Directory);
                return Ok(end);
            }
        }
    }
    Err(Error::failed(format!("too many symlinks in {path}")))
}

impl Writing {
    /// The destination, where a link at its path leads.
    pub fn path(&self) -> &str {
        &self.end.path
    }

    /// Whether a link has led there.
    pub fn is_link(&self) -> bool {
        self.end.asked.is_some()
    }

    /// Whether the destination is a directory that is there.
    pub fn is_directory(&self) -> bool {
        self.end.is_directory
    }

    /// What `source` of this machine is: an absolute path with what the user wrote at its end. With `follow` a
    /// symbolic link stands for what it leads to.
    pub fn copy(self, source: &str, follow: bool) -> Result<Copied, Fault> {
        let (place, end) = host::source(source, follow).map_err(Fault::Here)?;
        let (directory, name) = target(&end, &self.end).map_err(Fault::Here)?;
        let put = self.put(&directory).map_err(Fault::There)?;
        let mut counted = Counted::new(There { put, failed: false });
        let start = Start { name: name.into(), shown: end.path.trim_end_matches("/.").into() };
        if let Err(error) = walk(place, &start, &mut counted) {
            return Err(if counted.sink.failed { Fault::There(error) } else { Fault::Here(error) });
        }
        counted.sink.put.finish().map_err(Fault::There)?;
        Ok(Copied { bytes: counted.bytes, skipped: Vec::new() })
    }

    /// The entries of a tar.
    pub fn extract(self, input: impl Read) -> Result<()> {
        let mut put = self.put(&self.end.path)?;
        read_tree(input, &mut put)?;
        put.finish().map(drop)
    }

    /// Into `directory`, which must be there and writable.
    fn put(&self, directory: &str) -> Result<Put> {
        let view = &self.opened.view;
        let failed = |cause: Errno| Error::io("lstat", directory, cause);
        let place = view.place(Path::new(directory), true).map_err(failed)?;
        let place = place.ok_or_else(|| no_file(directory, "container", &self.typed))?;
        if kind(&place).map_err(failed)? != FileType::Directory {
            return Err(Error::failed("extraction point is not a directory"));
        }
        match view.forbids_writing(&place).map_err(failed)? {
            Some(Forbidden::Root) => return Err(Error::failed("container rootfs is marked read-only")),
            Some(Forbidden::Bind) => return Err(Error::failed("mounted volume is marked read-only")),
            None => {}
        }
        let root = view.root().map_err(failed)?;
        let directory = Path::new(directory);
        Ok(Put::new(root, directory, directory, (Links::Follow, Owner::Kept)))
    }
}

/// Remembers that it was the container's side that failed.
struct There {
    put: Put,
    failed: bool,
}

impl Sink for There {
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
        self.put.put(entry, body).inspect_err(|_| self.failed = true)
    }
}
