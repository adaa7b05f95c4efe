//! The files of one log: the current one, and the older ones that rotation left, perhaps compressed.

use std::collections::BTreeMap;
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

/// All files of the log at `path`, oldest first, as they are between two rotations.
pub(super) fn open_all(path: &Path) -> Result<Vec<LogFile>> {
    for attempt in 0..TRIES {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        let numbers = numbers(path).map_err(|cause| Error::io("read", path, cause))?;
        let gaps = !numbers.keys().copied().eq(1..=u32::try_from(numbers.len()).unwrap_or(u32::MAX));
        // While files are renamed one after the other, one is missing. If it stays so, somebody removed it.
        if (gaps || (!numbers.is_empty() && !path.exists())) && attempt < TRIES / 2 {
            continue;
        }
        let mut files = Vec::new();
        for (number, packed) in numbers.iter().rev() {
            files.extend(LogFile::open(numbered(path, *number, *packed), *packed)?);
        }
        let complete = files.len() == numbers.len();
        files.extend(LogFile::open(path.to_path_buf(), false)?);
        // A list that was read while files were renamed may have missed one.
        let again = self::numbers(path).is_ok_and(|again| again == numbers);
        if complete && again && files.iter().all(|file| inode(&file.path) == Some(file.inode)) {
            return Ok(files);
        }
    }
    Err(Error::failed(format!("read {}: it is rotated faster than it can be opened", path.display()))
        .hint("give the container a larger `--log-opt max-size`"))
}

/// The numbers of the old files, and whether each is packed.
fn numbers(path: &Path) -> io::Result<BTreeMap<u32, bool>> {
    let mut numbers = BTreeMap::new();
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str)) else {
        return Ok(numbers);
    };
    let entries = match std::fs::read_dir(directory) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(numbers),
        other => other?,
    };
    for entry in entries {
        let entry = entry?.file_name();
        let suffix = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('.'));
        let Some(suffix) = suffix else { continue };
        let plain = suffix.strip_suffix(".gz");
        if let Ok(number) = plain.unwrap_or(suffix).parse() {
            // Just before the unpacked one is removed both are there.
            numbers.entry(number).and_modify(|packed| *packed = false).or_insert(plain.is_some());
        }
    }
    Ok(numbers)
}

/// Which file a path leads to now.
pub(super) fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|data| data.ino())
}
