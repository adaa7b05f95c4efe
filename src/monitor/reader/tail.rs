//! Where the last so many entries begin, found from the end.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use super::files::{Content, LogFile};
use crate::{Error, Result};

const BLOCK: usize = 64 * 1024;

/// Moves `files` (oldest first) so that reading goes on with the last `count` lines of them all. The index of
/// the first file to read.
pub(super) fn start(files: &mut [LogFile], count: Option<u64>) -> Result<usize> {
    let Some(mut wanted) = count else { return Ok(0) };
    for (index, file) in files.iter_mut().enumerate().rev() {
        let found = match &mut file.content {
            Content::Plain(plain) => {
                last_lines(plain, wanted).map_err(|cause| Error::io("read", &file.path, cause))?
            }
            Content::Packed(_) => last_packed_lines(file, wanted)?,
        };
        if found >= wanted {
            return Ok(index);
        }
        wanted -= found;
    }
    Ok(0)
}

/// Seeks to the start of the last `wanted` lines. How many there are: `wanted`, or all of them.
fn last_lines(file: &mut File, wanted: u64) -> std::io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut block = vec![0; BLOCK];
    let mut found = 0;
    let mut end = length;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..usize::try_from(end - begin).unwrap_or(BLOCK)];
        file.read_exact_at(part, begin)?;
        for (at, _) in part.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            if found == wanted {
                file.seek(SeekFrom::Start(begin + at as u64 + 1))?;
                return Ok(found);
            }
            found += 1;
        }
        end = begin;
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(found)
}

/// The same for a file that can only be read forwards: once to count, once to skip.
fn last_packed_lines(file: &mut LogFile, wanted: u64) -> Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut lines = 0;
    loop {
        let length = file.read(&mut block)?;
        if length == 0 {
            break;
        }
        lines += block[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    file.rewind()?;
    let mut skip = lines.saturating_sub(wanted);
    while skip > 0 {
        // The decoder cannot give back what it has read: so many bytes hold no more than so many lines.
        let most = usize::try_from(skip).unwrap_or(BLOCK).min(BLOCK);
        let length = file.read(&mut block[..most])?;
        if length == 0 {
            break;
        }
        skip -= block[..length].iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    Ok(lines.min(wanted))
}
