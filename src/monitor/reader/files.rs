//! The files of one log: the current one, and the older ones that rotation left, perhaps compressed.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use crate::monitor::log::rotation::numbered;
use crate::{Error, Result};

/// How often to look for a moment without rotation, and how long to wait in between.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(1);

/// The form of a kubelet's times in names, `0` for any digit.
const MOMENT: &str = "00000000-000000";

/// One opened file.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    pub(super) content: Content,
}

/// How its text is stored.
#[derive(Debug)]
pub(super) enum Content {
    Plain(File),
    Packed(Box<MultiGzDecoder<File>>),
}

impl LogFile {
    /// Opens a file, None where there is none.
    pub(super) fn open(path: PathBuf, packed: bool) -> Result<Option<Self>> {
        match File::open(&path) {
            Ok(file) => {
                let inode = file.metadata().map_err(|cause| Error::io("read", &path, cause))?.ino();
                let content = if packed {
                    Content::Packed(Box::new(MultiGzDecoder::new(file)))
                } else {
                    Content::Plain(file)
                };
                Ok(Some(Self { path, inode, content }))
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::io("read", path, cause)),
        }
    }

    /// Reads on; the error names the file.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            let result = match &mut self.content {
                Content::Plain(file) => file.read(into),
                Content::Packed(decoder) => decoder.read(into),
            };
            match result {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(|cause| Error::io("read", &self.path, cause)),
            }
        }
    }

    /// Back to the start. A packed file's decoder starts anew.
    pub(super) fn rewind(&mut self) -> Result<()> {
        match Self::open(self.path.clone(), matches!(self.content, Content::Packed(_)))? {
            Some(fresh) => *self = fresh,
            None => return Err(Error::io("read", &self.path, io::ErrorKind::NotFound)),
        }
        Ok(())
    }
}

/// An older file of a log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Older {
    /// What rotation put behind the log's name, in the order of the files' age.
    age: Age,
    packed: bool,
}

/// The sooner variant and the smaller value is the older file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    /// A kubelet's: the moment of the rotation, as in `0.log.20260102-030405`.
    Moment(String),
    /// docker's: one more with each rotation since.
    Number(Reverse<u32>),
}

impl Older {
    fn path(&self, log: &Path) -> PathBuf {
        match &self.age {
            Age::Number(Reverse(number)) => numbered(log, *number, self.packed),
            Age::Moment(moment) => {
                let packed = if self.packed { ".gz" } else { "" };
                let mut path = log.as_os_str().to_owned();
                path.push(format!(".{moment}{packed}"));
                path.into()
            }
        }
    }
}

/// All files of the log at `path`, oldest first, as they are between two rotations.
pub(super) fn open_all(path: &Path) -> Result<Vec<LogFile>> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        let older = older(path).map_err(|cause| Error::io("read", path, cause))?;
        // While files are renamed one after the other, one is missing. If it stays so, somebody removed it.
        if (has_gaps(&older) || (!older.is_empty() && !path.exists())) && attempt < TRIES / 2 {
            continue;
        }
        let mut files = Vec::new();
        for old in &older {
            files.extend(LogFile::open(old.path(path), old.packed)?);
        }
        let complete = files.len() == older.len();
        files.extend(LogFile::open(path.to_path_buf(), false)?);
        // A list that was read while files were renamed may have missed one.
        let again = self::older(path).is_ok_and(|again| again == older);
        if complete && again && files.iter().all(|file| inode(&file.path) == Some(file.inode)) {
            return Ok(files);
        }
    }
    Err(Error::failed(format!("read {}: it is rotated faster than it can be opened", path.display()))
        .hint("give the container a larger `--log-opt max-size`"))
}

/// Numbers have no gaps but during a rotation.
fn has_gaps(older: &[Older]) -> bool {
    let numbers = older.iter().rev().filter_map(|old| match old.age {
        Age::Number(Reverse(number)) => Some(number),
        Age::Moment(_) => None,
    });
    numbers.zip(1..).any(|(number, expected)| number != expected)
}

/// The old files, oldest first.
fn older(path: &Path) -> io::Result<Vec<Older>> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Ok(Vec::new());
    };
    let entries = match std::fs::read_dir(directory) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?.file_name();
        let suffix = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.'));
        let Some(suffix) = suffix else { continue };
        let plain = suffix.strip_suffix(".gz");
        if let Some(age) = age(plain.unwrap_or(suffix)) {
            found.push(Older { age, packed: plain.is_some() });
        }
    }
    // Just before the unpacked one is removed both are there, the unpacked one first.
    found.sort_unstable();
    found.dedup_by(|next, first| next.age == first.age);
    Ok(found)
}

fn age(suffix: &str) -> Option<Age> {
    let is_moment = suffix.len() == MOMENT.len()
        && suffix.bytes().zip(MOMENT.bytes()).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        });
    if is_moment {
        return Some(Age::Moment(suffix.to_owned()));
    }
    suffix.parse().ok().map(|number| Age::Number(Reverse(number)))
}

/// Which file a path leads to now.
pub(super) fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|data| data.ino())
}
