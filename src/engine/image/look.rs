//! A look into images without a container: their files, one file's bytes, and what one image has that another has
//! not. What lies in an image is hostile: paths are resolved within it, and nothing but regular files is opened.

use std::io::{Read, Write};
use std::path::Path;

use rustix::fs::FileType;

use super::resolve::ResolvedImage;
use crate::engine::Engine;
use crate::engine::container::{Change, ImageView, plain_mounts};
use crate::error::{Error, Result};
use crate::output::ui::write_error;
use crate::sys::mount::{Access, detached};
use crate::sys::tree::{Body, Compared, Sink, Start, compare, walk, walk_levels};
pub use crate::sys::tree::{Entry, Node};
use crate::sys::view::{Place, View};

/// Bytes of a file that are read at a time.
const PART: usize = 256 << 10;

/// The files of one image. It is ended explicitly: ending takes calls.
#[derive(Debug)]
struct Look {
    view: View,
    snapshot: ImageView,
}

impl Look {
    /// A look at an image, which is unpacked first where it is not.
    async fn open(engine: &Engine, image: &ResolvedImage) -> Result<Self> {
        let snapshot = ImageView::open(engine, image).await?;
        match detached(&plain_mounts(&snapshot.mounts), Access::Read).map(View::of) {
            Ok(view) => Ok(Self { view, snapshot }),
            Err(error) => {
                snapshot.close().await;
                Err(error)
            }
        }
    }

    /// The thing at `path`, links followed; the last one too when `follow`.
    fn place(&self, path: &str, follow: bool) -> Result<(Place, FileType)> {
        let absolute = format!("/{}", path.trim_start_matches('/'));
        let failed = |cause: rustix::io::Errno| Error::io("look into the image at", &absolute, cause);
        let place = self.view.place(Path::new(&absolute), follow).map_err(failed)?;
        let place = place
            .ok_or_else(|| Error::not_found(format!("{absolute}: no such file or directory in the image")))?;
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&place).map_err(failed)?.st_mode);
        Ok((place, kind))
    }

    /// What is at `path` itself, with its bytes; None where nothing is.
    fn lstat(&self, path: &Path) -> Result<Option<(Place, FileType, u64)>> {
        let failed = |cause: rustix::io::Errno| Error::io("look into the image at", path, cause);
        let place = match self.view.place(path, false) {
            // A file stands where the other image has a directory.
            Err(rustix::io::Errno::NOTDIR) => None,
            other => other.map_err(failed)?,
        };
        let Some(place) = place else { return Ok(None) };
        let stat = rustix::fs::fstat(&place).map_err(failed)?;
        let bytes = u64::try_from(stat.st_size).unwrap_or_default();
        Ok(Some((place, FileType::from_raw_mode(stat.st_mode), bytes)))
    }

    async fn close(self) {
        drop(self.view);
        self.snapshot.close().await;
    }
}

/// What lies at `path` of the image: the entries of a directory, all the way down when `deep`, or the one thing that
/// is there. Names are relative to `path`.
///
/// # Errors
/// [`Kind::NotFound`](crate::error::Kind::NotFound) when nothing is there.
pub async fn files(engine: &Engine, image: &ResolvedImage, path: &str, deep: bool) -> Result<Vec<Entry>> {
    let look = Look::open(engine, image).await?;
    let found = (|| {
        // A link to a directory stands for it only where a slash says so, as `ls -l` has it.
        let (mut place, mut kind) = look.place(path, path.ends_with('/'))?;
        if kind == FileType::Symlink && path.trim_matches('/').is_empty() {
            (place, kind) = look.place(path, true)?;
        }
        let start = Start {
            name: if kind == FileType::Directory { "".into() } else { path.into() },
            shown: path.into(),
        };
        let mut listed = Listed(Vec::new());
        walk_levels(place, &start, if deep { usize::MAX } else { 1 }, &mut listed)?;
        Ok(listed.0)
    })();
    look.close().await;
    found
}

struct Listed(Vec<Entry>);

impl Sink for Listed {
    fn put(&mut self, entry: &Entry, _body: Body<'_>) -> Result<()> {
        self.0.push(entry.clone());
        Ok(())
    }
}

/// Write the bytes of the files at `paths` of the image to `output`, one after the other.
///
/// # Errors
/// A path where nothing is, or no regular file; those before it are written. What `output` says.
pub async fn cat(
    engine: &Engine,
    image: &ResolvedImage,
    paths: &[String],
    output: &mut (dyn Write + Send),
) -> Result<()> {
    let look = Look::open(engine, image).await?;
    let written = paths.iter().try_for_each(|path| {
        let (place, kind) = look.place(path, true)?;
        match kind {
            FileType::RegularFile => {}
            FileType::Directory => {
                return Err(Error::failed(format!("{path}: is a directory"))
                    .hint("`wharfie image files` lists it, `wharfie cp IMAGE:/path .` copies it"));
            }
            _ => return Err(Error::failed(format!("{path}: is no regular file"))),
        }
        walk(place, &Start { name: "".into(), shown: path.into() }, &mut Bytes(path, &mut *output)).map(drop)
    });
    look.close().await;
    written
}

struct Bytes<'a>(&'a str, &'a mut (dyn Write + Send));

impl Sink for Bytes<'_> {
    fn put(&mut self, _entry: &Entry, body: Body<'_>) -> Result<()> {
        let Body::File(mut file) = body else { return Ok(()) };
        let mut buffer = vec![0; PART];
        loop {
            let read = file.read(&mut buffer).map_err(|cause| Error::io("read", self.0, cause))?;
            if read == 0 {
                return Ok(());
            }
            let part = buffer.get(..read).unwrap_or_default();
            self.1.write_all(part).map_err(|cause| write_error("stdout", &cause))?;
        }
    }
}

/// A path that is not the same in two images.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The path, and whether it was added, changed or deleted.
    pub change: Change,
    /// Bytes in the first image: a file's own, of a directory that is gone those of its files; None where there is
    /// no file.
    pub before: Option<u64>,
    /// Bytes in the second image: a file's own.
    pub after: Option<u64>,
}

impl Difference {
    /// Bytes that the second image has more, or less.
    pub fn growth(&self) -> i128 {
        i128::from(self.after.unwrap_or_default()) - i128::from(self.before.unwrap_or_default())
    }
}

/// What has to be done to the files of the image `old` to get those of `new`: directories before what lies in them, in the
/// order of names.
pub async fn difference(
    engine: &Engine,
    old: &ResolvedImage,
    new: &ResolvedImage,
) -> Result<Vec<Difference>> {
    let first = Look::open(engine, old).await?;
    let second = match Look::open(engine, new).await {
        Ok(second) => second,
        Err(error) => {
            first.close().await;
            return Err(error);
        }
    };
    let compared = (|| {
        let root = |look: &Look| look.view.root().map_err(|cause| Error::io("open", "the image", cause));
        let changes = compare(&root(&first)?, &root(&second)?, Compared::Content)?;
        changes.into_iter().map(|change| Difference::of(change, &first, &second)).collect()
    })();
    first.close().await;
    second.close().await;
    compared
}

impl Difference {
    fn of(change: Change, first: &Look, second: &Look) -> Result<Self> {
        let after = second.lstat(&change.path)?;
        let before = match first.lstat(&change.path)? {
            // What lies in a directory that is gone has no line of its own.
            Some((place, FileType::Directory, _)) => match &after {
                Some((_, FileType::Directory, _)) => None,
                _ => {
                    let mut sum = Sum(0);
                    walk(place, &Start { name: "".into(), shown: change.path.clone() }, &mut sum)?;
                    Some(sum.0)
                }
            },
            other => file_size(other),
        };
        Ok(Self { before, after: file_size(after), change })
    }
}

fn file_size(thing: Option<(Place, FileType, u64)>) -> Option<u64> {
    thing.filter(|(_, kind, _)| *kind == FileType::RegularFile).map(|(_, _, bytes)| bytes)
}

struct Sum(u64);

impl Sink for Sum {
    fn put(&mut self, entry: &Entry, _body: Body<'_>) -> Result<()> {
        if let Node::File(bytes) = entry.node {
            self.0 += bytes;
        }
        Ok(())
    }
}
