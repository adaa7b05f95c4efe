//! Bytes of an archive, decompressed when they are gzip.

use std::io::{BufRead as _, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Result, reason};

const BUFFER: usize = 256 << 10;

/// Plain bytes of `input`, and whether they were compressed. Other compressions than gzip are named in the
/// error.
pub(super) fn decompressed<'a>(input: impl Read + 'a) -> Result<(Box<dyn Read + 'a>, bool)> {
    let mut buffered = BufReader::with_capacity(BUFFER, input);
    let head = loop {
        match buffered.fill_buf() {
            Ok(head) => break head,
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(Error::failed(format!("read the archive: {}", reason(&cause)))),
        }
    };
    let other = match head {
        [] => return Err(Error::failed("the archive is empty")),
        [0x1f, 0x8b, ..] => return Ok((Box::new(MultiGzDecoder::new(buffered)), true)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "zstd",
        [b'B', b'Z', b'h', ..] => "bzip2",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "xz",
        _ => return Ok((Box::new(buffered), false)),
    };
    Err(Error::failed(format!("the archive is compressed with {other}, which is not supported"))
        .hint(format!("decompress it first, for example: {other} -dc FILE | wharfie …")))
}
