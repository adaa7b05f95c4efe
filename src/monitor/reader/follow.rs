//! Reads a log as it grows, over rotations and restarts of the container.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use super::entries::Entries;
use super::files::{self, Content, LogFile};
use super::{Options, Sink, tail};
use crate::store::Watch;
use crate::{Error, Result};

/// How often to ask whether the container has ended.
const TICK: Duration = Duration::from_millis(100);

/// Enough of a file's start to know it again: its first entry, with its time.
const HEAD: usize = 512;

/// Reads as [`super::read`] does and then what is added, until `ended` says that nothing will be, or an entry
/// is later than `until`. `ended` is called whenever all that is there has been read; its argument tells whether
/// nothing has come for a while. Only then may it take its time and say yes: while entries come, a file could be
/// rotated away unread. Everything written before it says so is still read. Blocks: call it from a thread of
/// its own.
pub fn follow(
    path: &Path,
    options: &Options,
    ended: &mut dyn FnMut(bool) -> bool,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let watch = Watch::new(path.parent().unwrap_or(Path::new(".")));
    let mut files = files::open_all(path)?;
    let from = tail::start(&mut files, options.tail)?;
    let mut entries = Entries::new(options);
    let mut waiting = files.into_iter().skip(from).peekable();
    let mut current = None;
    while let Some(mut file) = waiting.next() {
        if entries.read(&mut file, sink)?.is_past_until() {
            return Ok(());
        }
        let is_current = waiting.peek().is_none() && file.path == path;
        if is_current {
            current = Some(file);
        } else {
            entries.forget_rest();
        }
    }
    let mut last_round = false;
    let mut quiet = true;
    loop {
        // Asked before the look at the file: what is written until then counts.
        let next = match &mut current {
            Some(file) => successor(path, file)?,
            None => files::open_all(path)?.into_iter().next().map(Next::File),
        };
        if matches!(next, Some(Next::Start)) {
            entries.forget_rest();
        }
        if let Some(file) = &mut current
            && entries.read(file, sink)?.is_past_until()
        {
            return Ok(());
        }
        match next {
            Some(Next::File(file)) => {
                entries.forget_rest();
                current = Some(file);
                continue;
            }
            Some(Next::Start) => continue,
            None => {}
        }
        if last_round {
            return entries.finish(sink);
        }
        last_round = ended(quiet);
        if !last_round {
            quiet = !watch.wait(TICK);
        }
    }
}

/// Where reading goes on after the end of a file.
enum Next {
    File(LogFile),
    /// The same file was emptied and begins again.
    Start,
}

/// What follows `file`, once it is no longer the one that is written to.
fn successor(log: &Path, file: &mut LogFile) -> Result<Option<Next>> {
    let failed = |cause| Error::io("read", log, cause);
    match (files::inode(log), &mut file.content) {
        (None, _) => return Ok(None),
        (Some(inode), Content::Plain(open)) if inode == file.inode => {
            if open.metadata().map_err(failed)?.len() < open.stream_position().map_err(failed)? {
                open.seek(SeekFrom::Start(0)).map_err(failed)?;
                return Ok(Some(Next::Start));
            }
            return Ok(None);
        }
        _ => {}
    }
    let mut files = files::open_all(log)?;
    let mut place = files.iter().position(|other| other.inode == file.inode);
    if let (None, Content::Plain(open)) = (place, &file.content) {
        // It was packed meanwhile.
        let head = head(open);
        for (index, other) in files.iter_mut().enumerate() {
            if matches!(other.content, Content::Packed(_)) && starts_with(other, &head)? {
                other.rewind()?;
                place = Some(index);
                break;
            }
        }
    }
    // Rotated away entirely: go on with the oldest that is left.
    let next = place.map_or(0, |place| place + 1);
    Ok(files.into_iter().nth(next).map(Next::File))
}

fn head(file: &File) -> Vec<u8> {
    let mut head = vec![0; HEAD];
    let length = file.read_at(&mut head, 0).unwrap_or(0);
    head.truncate(length);
    head
}

fn starts_with(file: &mut LogFile, head: &[u8]) -> Result<bool> {
    let mut start = vec![0; head.len()];
    let mut filled = 0;
    while filled < start.len() {
        let length = file.read(&mut start[filled..])?;
        if length == 0 {
            return Ok(false);
        }
        filled += length;
    }
    Ok(start == head)
}
