//! The entries of a tar stream, one after the other. Nothing in it is believed: header sums are checked, long
//! names are bounded, and an end before the end is an error. (The tar crate reads long names of any length.)

use std::io::{Read, Seek, SeekFrom};

use tar::{EntryType, Header};

use crate::error::{Error, Result, reason};

const BLOCK: usize = 512;
/// Names, links and extended headers.
const LARGEST_EXTENSION: u64 = 1 << 20;
const MOST_ENTRIES: u64 = 10_000_000;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// One entry's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// As written.
    pub(super) name: String,
    pub(super) kind: EntryType,
    /// Where a link leads, as written.
    pub(super) link: String,
    /// Bytes of its body.
    pub(super) size: u64,
    /// What only matters to who writes it somewhere.
    pub(super) attributes: Attributes,
}

/// The rest of an entry's header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// The name's bytes, which need not be UTF-8.
    pub(super) name: Vec<u8>,
    /// Likewise the link's.
    pub(super) link: Vec<u8>,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) modified: i64,
    pub(super) modified_nanos: u32,
    /// Major and minor number.
    pub(super) device: (u32, u32),
    pub(super) capability: Option<Vec<u8>>,
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Reads one entry after the other; the body of the current one by [`Entries::read`].
#[derive(Debug)]
pub(super) struct Entries<R> {
    input: R,
    left: u64,
    padding: u64,
    count: u64,
    /// A sparse file is an entry of its kind, whose body is not the file's; otherwise an error.
    tells_sparse: bool,
}

/// What extended headers said of the entry that follows them.
#[derive(Default)]
struct Extension {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u32>,
    gid: Option<u32>,
    modified: Option<(i64, u32)>,
    capability: Option<Vec<u8>>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    sparse: bool,
}

impl<R: Read> Entries<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0, count: 0, tells_sparse: false }
    }

    /// The same for a reader who does something about sparse files.
    pub(super) fn telling_sparse(input: R) -> Self {
        Self { tells_sparse: true, ..Self::new(input) }
    }

    /// The next entry; what was not read of the last one is passed over. None at the end.
    pub(super) fn next(&mut self) -> Result<Option<Entry>> {
        let mut extension = Extension::default();
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            self.count += 1;
            if self.count > MOST_ENTRIES {
                return Err(Error::failed(format!("the archive has more than {MOST_ENTRIES} entries")));
            }
            let size = header.entry_size().map_err(|_| corrupt("an entry's size is no number"))?;
            let kind = header.entry_type();
            self.begin(extension.size.filter(|_| !is_extension(kind)).unwrap_or(size));
            match kind {
                EntryType::GNULongName => extension.name = Some(self.extension()?),
                EntryType::GNULongLink => extension.link = Some(self.extension()?),
                EntryType::XHeader => pax(&self.extension()?, &mut extension)?,
                EntryType::XGlobalHeader => {}
                kind => {
                    let is_sparse = extension.sparse || kind == EntryType::GNUSparse;
                    if is_sparse && !self.tells_sparse {
                        return Err(Error::failed("the archive has a sparse file")
                            .hint("write it without tar's --sparse"));
                    }
                    let kind = if is_sparse { EntryType::GNUSparse } else { kind };
                    let attributes = attributes(&header, extension);
                    let (name, link) = (text(&attributes.name)?, text(&attributes.link)?);
                    // Some writers give links and directories a size that has no body.
                    if !has_body(kind) {
                        self.begin(0);
                    }
                    return Ok(Some(Entry { name, kind, link, size: self.left, attributes }));
                }
            }
        }
    }

    /// The next bytes of the current entry's body; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let count = retry(|| self.input.read(buffer))?;
        if count == 0 {
            return Err(truncated());
        }
        self.left -= count as u64;
        Ok(count)
    }

    /// The input again, after the end.
    pub(super) fn into_input(self) -> R {
        self.input
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
    }

    fn skip(&mut self) -> Result<()> {
        let mut scratch = [0; 16 << 10];
        self.left = self
            .left
            .checked_add(std::mem::take(&mut self.padding))
            .ok_or_else(|| corrupt("an entry's size is impossible"))?;
        while self.read(&mut scratch)? > 0 {}
        Ok(())
    }

    fn header(&mut self) -> Result<Option<Header>> {
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match retry(|| self.input.read(rest))? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated()),
                count => filled += count,
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = Header::from_byte_slice(&block);
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| u32::from(if CHECKSUM.contains(&at) { b' ' } else { *byte }))
            .sum();
        match header.cksum() {
            Ok(written) if written == sum => Ok(Some(header.clone())),
            _ => Err(corrupt("a header's checksum is wrong")),
        }
    }

    fn extension(&mut self) -> Result<Vec<u8>> {
        if self.left > LARGEST_EXTENSION {
            return Err(corrupt("a name or an extended header is longer than 1 MiB"));
        }
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        loop {
            match self.read(&mut part)? {
                0 => break,
                count => bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
            }
        }
        while bytes.last() == Some(&0) {
            bytes.pop();
        }
        Ok(bytes)
    }
}

impl<R: Read + Seek> Entries<R> {
    /// Where the next byte of the current entry's body lies in the input.
    pub(super) fn place(&mut self) -> Result<u64> {
        self.input.stream_position().map_err(|cause| corrupt(&reason(&cause)))
    }

    /// Passes over what is left of the current entry without reading it.
    pub(super) fn pass_over(&mut self) -> Result<()> {
        let whole = self.left.checked_add(std::mem::take(&mut self.padding));
        let whole = whole.and_then(|whole| i64::try_from(whole).ok());
        let whole = whole.ok_or_else(|| corrupt("an entry's size is impossible"))?;
        self.left = 0;
        self.input.seek(SeekFrom::Current(whole)).map_err(|cause| corrupt(&reason(&cause)))?;
        Ok(())
    }
}

fn is_extension(kind: EntryType) -> bool {
    matches!(
        kind,
        EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
    )
}

fn has_body(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Directory
            | EntryType::Char
            | EntryType::Block
            | EntryType::Fifo
    )
}

/// `length key=value\n`, again and again.
fn pax(bytes: &[u8], extension: &mut Extension) -> Result<()> {
    let invalid = || corrupt("an extended header is damaged");
    let mut rest = bytes;
    while !rest.is_empty() {
        let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(invalid)?;
        let length: usize = std::str::from_utf8(rest.get(..space).unwrap_or_default())
            .ok()
            .and_then(|text| text.parse().ok())
            .filter(|length| *length > space + 1)
            .ok_or_else(invalid)?;
        // The last record's newline may have gone with the zeros after it.
        let record = rest.get(space + 1..length.min(rest.len())).ok_or_else(invalid)?;
        rest = rest.get(length..).unwrap_or_default();
        let record = record.strip_suffix(b"\n").unwrap_or(record);
        let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(invalid)?;
        let (key, value) =
            (record.get(..equals).unwrap_or_default(), record.get(equals + 1..).unwrap_or_default());
        match key {
            b"path" => extension.name = Some(value.to_vec()),
            b"linkpath" => extension.link = Some(value.to_vec()),
            b"uid" => extension.uid = number(value),
            b"gid" => extension.gid = number(value),
            b"mtime" => extension.modified = time(value),
            b"SCHILY.xattr.security.capability" => extension.capability = Some(value.to_vec()),
            b"size" => {
                let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                extension.size = Some(size.ok_or_else(invalid)?);
            }
            key if key.starts_with(b"GNU.sparse.") => extension.sparse = true,
            key => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    extension.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
    }
    Ok(())
}

fn number(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Seconds with a fraction.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let nanos = format!("{fraction:0<9}");
    let (seconds, nanos): (i64, u32) = (seconds.parse().ok()?, nanos.get(..9)?.parse().ok()?);
    Some(if text.starts_with('-') && nanos > 0 {
        (seconds - 1, 1_000_000_000 - nanos)
    } else {
        (seconds, nanos)
    })
}

/// The header's own words, and over them what was said before. A number that is none is zero.
fn attributes(header: &Header, extension: Extension) -> Attributes {
    let small = |number: std::io::Result<u64>| number.ok().and_then(|number| u32::try_from(number).ok());
    let device = |number: std::io::Result<Option<u32>>| number.ok().flatten().unwrap_or_default();
    let modified = || (i64::try_from(header.mtime().unwrap_or_default()).unwrap_or_default(), 0);
    let (modified, modified_nanos) = extension.modified.unwrap_or_else(modified);
    Attributes {
        name: extension.name.unwrap_or_else(|| header.path_bytes().into_owned()),
        link: extension
            .link
            .unwrap_or_else(|| header.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default()),
        mode: header.mode().unwrap_or_default() & 0o7777,
        uid: extension.uid.or_else(|| small(header.uid())).unwrap_or_default(),
        gid: extension.gid.or_else(|| small(header.gid())).unwrap_or_default(),
        modified,
        modified_nanos,
        device: (device(header.device_major()), device(header.device_minor())),
        capability: extension.capability,
        xattrs: extension.xattrs,
    }
}

/// Names that are not UTF-8 are legal in root file systems; as text they are checked and shown, never used.
fn text(bytes: &[u8]) -> Result<String> {
    if bytes.contains(&0) {
        return Err(corrupt("a name contains a zero byte"));
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn retry(mut read: impl FnMut() -> std::io::Result<usize>) -> Result<usize> {
    loop {
        match read() {
            Ok(count) => return Ok(count),
            Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(corrupt(&reason(&cause))),
        }
    }
}

pub(super) fn corrupt(why: &str) -> Error {
    Error::failed(format!("the archive is corrupt or truncated: {why}"))
        .hint("copy or write it again; `tar -tf FILE` shows how far it is readable")
}

pub(super) fn truncated() -> Error {
    corrupt("it ends in the middle of an entry")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A tar of (name, kind, link, body).
    pub(crate) fn tar(entries: &[(&str, EntryType, &str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, kind, link, body) in entries {
            let mut header = Header::new_gnu();
            // Set by hand: the crate refuses the names that the tests are about.
            let gnu = header.as_gnu_mut().unwrap();
            gnu.name[..name.len()].copy_from_slice(name.as_bytes());
            gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            header.set_size(body.len() as u64);
            header.set_cksum();
            bytes.extend_from_slice(header.as_bytes());
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        }
        bytes.resize(bytes.len() + 2 * BLOCK, 0);
        bytes
    }

    fn names(bytes: &[u8]) -> Result<Vec<(String, u64)>> {
        let mut entries = Entries::new(bytes);
        let mut names = Vec::new();
        while let Some(entry) = entries.next()? {
            names.push((entry.name, entry.size));
        }
        Ok(names)
    }

    #[test]
    fn long_names_and_extended_headers() {
        let long = "n".repeat(300);
        let record = format!("path={}\n", "p".repeat(200));
        let pax = format!("{} {record}", record.len() + 4);
        let bytes = tar(&[
            ("././@LongLink", EntryType::GNULongName, "", format!("{long}\0").as_bytes()),
            ("short", EntryType::Regular, "", b"body"),
            ("x", EntryType::XHeader, "", pax.as_bytes()),
            ("y", EntryType::Regular, "", b""),
            ("g", EntryType::XGlobalHeader, "", b"12 a=bcdefgh\n"),
            ("z", EntryType::Directory, "", b""),
        ]);
        let expected = [(long, 4), ("p".repeat(200), 0), ("z".to_owned(), 0)];
        assert_eq!(names(&bytes).unwrap(), expected);
    }

    #[test]
    fn each_truncation_is_noticed() {
        let bytes = tar(&[("a", EntryType::Regular, "", &[7; 700]), ("b", EntryType::Regular, "", b"x")]);
        for length in [1, 511, 513, 1100, 1535, 1540] {
            assert!(names(&bytes[..length]).is_err(), "{length}");
        }
        let mut flipped = bytes.clone();
        flipped[3] ^= 1;
        assert!(names(&flipped).is_err());
    }

    #[test]
    fn hostile_extensions_are_bounded() {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::GNULongName);
        header.set_size(1 << 40);
        header.set_cksum();
        let endless = header.as_bytes().as_slice().chain(std::io::repeat(b'a'));
        let error = Entries::new(endless).next().unwrap_err();
        assert!(error.message.contains("longer than"), "{error}");
        for bad in ["5", "99999999999999999999 a=b\n", "3 a\n", "0 a=b\n", "x a=b\n"] {
            let bytes =
                tar(&[("x", EntryType::XHeader, "", bad.as_bytes()), ("y", EntryType::Regular, "", b"")]);
            assert!(names(&bytes).is_err(), "{bad}");
        }
    }
}
