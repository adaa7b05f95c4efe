//! A tree of files as a tar, both ways: what `cp`, `export` and their like write and read. The form is the one
//! that docker writes: ustar, with extended headers where a name or a number does not fit.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tar::{EntryType, Header};

use super::entries::{Entries, Entry as TarEntry};
use super::input::decompressed;
use crate::error::{Error, Result};
use crate::sys::tree::{Body, Entry, Node, Sink, exactly};

const BLOCK: u64 = 512;
/// What fits into a ustar header: names, and octal numbers.
const LONGEST_NAME: usize = 100;
const LARGEST_ID: u32 = 0o7_777_777;
const LARGEST_SIZE: u64 = 0o77_777_777_777;

/// Writes the entries of a tree as a tar.
pub struct TreeWriter<W> {
    output: W,
    whole: bool,
}

impl<W: Write> TreeWriter<W> {
    /// Into `output`.
    pub fn new(output: W) -> Self {
        Self { output, whole: false }
    }

    /// Into `output`, with what docker leaves out: parts of seconds, and extended attributes.
    pub fn whole(output: W) -> Self {
        Self { output, whole: true }
    }

    /// End the archive.
    pub fn finish(mut self) -> Result<()> {
        self.output.write_all(&[0; 2 * BLOCK as usize]).and_then(|()| self.output.flush()).map_err(failed)
    }
}

impl<W: Write> Sink for TreeWriter<W> {
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
        self.output.write_all(&headers(entry, self.whole)?).map_err(failed)?;
        let Node::File(size) = entry.node else { return Ok(()) };
        match body {
            Body::File(mut file) => exactly(&mut file, &mut self.output, size),
            Body::Stream(stream) => exactly(stream, &mut self.output, size),
            Body::None => exactly(&mut std::io::empty(), &mut self.output, size),
        }
        .map_err(failed)?;
        let padding = usize::try_from((BLOCK - size % BLOCK) % BLOCK).unwrap_or_default();
        self.output.write_all(&[0; BLOCK as usize][..padding]).map_err(failed)
    }
}

/// Passes entries on, and counts what they would be as a tar: the number that docker tells.
pub struct Counted<S> {
    /// Where they go.
    pub sink: S,
    /// Bytes so far, with the end of the archive.
    pub bytes: u64,
}

impl<S> Counted<S> {
    /// Nothing yet.
    pub fn new(sink: S) -> Self {
        Self { sink, bytes: 2 * BLOCK }
    }
}

impl<S: Sink> Sink for Counted<S> {
    fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
        self.bytes += headers(entry, false)?.len() as u64;
        if let Node::File(size) = entry.node {
            self.bytes += size.next_multiple_of(BLOCK);
        }
        self.sink.put(entry, body)
    }
}

/// Reads a tar, or a tar in gzip, to its end and hands its entries to `sink`. No bytes at all are no entries.
pub fn read_tree(input: impl Read, sink: &mut dyn Sink) -> Result<()> {
    let mut input = BufReader::new(input);
    if input.fill_buf().map_err(|cause| super::entries::corrupt(&crate::error::reason(&cause)))?.is_empty() {
        return Ok(());
    }
    let (plain, _) = decompressed(input)?;
    let mut entries = Entries::new(plain);
    while let Some(found) = entries.next()? {
        let Some(entry) = entry(&found) else { continue };
        match entry.node {
            Node::File(_) => sink.put(&entry, Body::Stream(&mut BodyOf(&mut entries)))?,
            _ => sink.put(&entry, Body::None)?,
        }
    }
    Ok(())
}

/// The current entry's body.
pub(super) struct BodyOf<'a, R>(pub(super) &'a mut Entries<R>);

impl<R: Read> Read for BodyOf<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer).map_err(|error| std::io::Error::other(error.message))
    }
}

/// None for what is no file: kinds that nobody writes.
pub(super) fn entry(found: &TarEntry) -> Option<Entry> {
    let attributes = &found.attributes;
    let path = |bytes: &[u8]| Path::new(OsStr::from_bytes(bytes)).to_path_buf();
    let node = match found.kind {
        // The old form of a directory is a file whose name ends with a slash.
        EntryType::Regular if attributes.name.ends_with(b"/") => Node::Directory,
        EntryType::Directory => Node::Directory,
        EntryType::Regular | EntryType::Continuous => Node::File(found.size),
        EntryType::Symlink => Node::Symlink(path(&attributes.link)),
        EntryType::Link => Node::Hardlink(path(&attributes.link)),
        EntryType::Char => Node::Character(attributes.device.0, attributes.device.1),
        EntryType::Block => Node::Block(attributes.device.0, attributes.device.1),
        EntryType::Fifo => Node::Fifo,
        _ => return None,
    };
    Some(Entry {
        name: path(&attributes.name),
        node,
        mode: attributes.mode,
        uid: attributes.uid,
        gid: attributes.gid,
        modified: attributes.modified,
        modified_nanos: attributes.modified_nanos,
        capability: attributes.capability.clone(),
        xattrs: attributes.xattrs.clone(),
    })
}

/// The header of an entry, led by an extended one where it does not fit, or is to be told `whole`.
fn headers(entry: &Entry, whole: bool) -> Result<Vec<u8>> {
    let mut name = entry.name.as_os_str().as_bytes().to_vec();
    if entry.is_directory() && !name.ends_with(b"/") {
        name.push(b'/');
    }
    let (kind, link, device) = match &entry.node {
        Node::Directory => (EntryType::Directory, None, None),
        Node::File(_) => (EntryType::Regular, None, None),
        Node::Symlink(target) => (EntryType::Symlink, Some(target), None),
        Node::Hardlink(first) => (EntryType::Link, Some(first), None),
        Node::Character(major, minor) => (EntryType::Char, None, Some((*major, *minor))),
        Node::Block(major, minor) => (EntryType::Block, None, Some((*major, *minor))),
        Node::Fifo => (EntryType::Fifo, None, None),
    };
    let link = link.map(|link| link.as_os_str().as_bytes()).unwrap_or_default();
    let size = if let Node::File(size) = entry.node { size } else { 0 };
    let modified = u64::try_from(entry.modified).ok().filter(|seconds| *seconds <= LARGEST_SIZE);

    let mut records = Vec::new();
    if let Some(value) = &entry.capability {
        record(&mut records, "SCHILY.xattr.security.capability", value);
    }
    for (name, value) in entry.xattrs.iter().filter(|_| whole) {
        record(&mut records, &format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value);
    }
    if entry.gid > LARGEST_ID {
        record(&mut records, "gid", entry.gid.to_string().as_bytes());
    }
    if !fits(link) {
        record(&mut records, "linkpath", link);
    }
    if whole && entry.modified_nanos != 0 && entry.modified >= 0 {
        let text = format!("{}.{:09}", entry.modified, entry.modified_nanos);
        record(&mut records, "mtime", text.as_bytes());
    } else if modified.is_none() {
        record(&mut records, "mtime", entry.modified.to_string().as_bytes());
    }
    if !fits(&name) {
        record(&mut records, "path", &name);
    }
    if size > LARGEST_SIZE {
        record(&mut records, "size", size.to_string().as_bytes());
    }
    if entry.uid > LARGEST_ID {
        record(&mut records, "uid", entry.uid.to_string().as_bytes());
    }

    let mut bytes = Vec::with_capacity(BLOCK as usize);
    if !records.is_empty() {
        let mut header = blank(EntryType::XHeader, extension_name(&name).as_slice());
        header.set_size(records.len() as u64);
        header.set_cksum();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(&records);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
    }
    let mut header = blank(kind, &name);
    let small = |id: u32| u64::from(if id > LARGEST_ID { 0 } else { id });
    header.set_mode(entry.mode);
    header.set_uid(small(entry.uid));
    header.set_gid(small(entry.gid));
    header.set_size(if size > LARGEST_SIZE { 0 } else { size });
    header.set_mtime(modified.unwrap_or_default());
    copy(&mut header.as_old_mut().linkname, link);
    if let Some((major, minor)) = device {
        let set = header.set_device_major(major).and_then(|()| header.set_device_minor(minor));
        set.map_err(|cause| Error::io("write the header of", &entry.name, cause))?;
    }
    header.set_cksum();
    bytes.extend_from_slice(header.as_bytes());
    Ok(bytes)
}

fn blank(kind: EntryType, name: &[u8]) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    // By hand: the crate's own setter refuses some legal names.
    copy(&mut header.as_old_mut().name, name);
    header
}

fn copy(field: &mut [u8], text: &[u8]) {
    for (to, from) in field.iter_mut().zip(text) {
        *to = *from;
    }
}

fn fits(name: &[u8]) -> bool {
    name.len() <= LONGEST_NAME && name.is_ascii()
}

/// `directory/PaxHeaders.0/file`, as far as it fits.
fn extension_name(name: &[u8]) -> Vec<u8> {
    let path = Path::new(OsStr::from_bytes(name));
    let directory = path.parent().unwrap_or(Path::new(""));
    let file = path.file_name().unwrap_or_default();
    let mut name = directory.join("PaxHeaders.0").join(file).as_os_str().as_bytes().to_vec();
    for byte in &mut name {
        if !byte.is_ascii() {
            *byte = b'_';
        }
    }
    name.truncate(LONGEST_NAME);
    name
}

/// `length key=value\n`, the length counting itself.
fn record(records: &mut Vec<u8>, key: &str, value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + rest.to_string().len();
    if rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} {key}=").as_bytes());
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn failed(cause: std::io::Error) -> Error {
    Error::io("write", "the archive", cause)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[derive(Default)]
    struct Kept(Vec<(Entry, Vec<u8>)>);

    impl Sink for Kept {
        fn put(&mut self, entry: &Entry, body: Body<'_>) -> Result<()> {
            let mut bytes = Vec::new();
            if let Body::Stream(stream) = body {
                stream.read_to_end(&mut bytes).unwrap();
            }
            self.0.push((entry.clone(), bytes));
            Ok(())
        }
    }

    fn entry(name: &[u8], node: Node) -> Entry {
        Entry {
            name: PathBuf::from(OsStr::from_bytes(name)),
            node,
            mode: 0o4755,
            uid: 5,
            gid: 6,
            modified: 1_700_000_000,
            modified_nanos: 0,
            capability: None,
            xattrs: Vec::new(),
        }
    }

    fn there_and_back(entries: &[(Entry, &[u8])]) -> Vec<(Entry, Vec<u8>)> {
        let mut bytes = Vec::new();
        let mut writer = Counted::new(TreeWriter::new(&mut bytes));
        for (entry, body) in entries {
            let mut body: &[u8] = body;
            writer.put(entry, Body::Stream(&mut body)).unwrap();
        }
        let told = writer.bytes;
        writer.sink.finish().unwrap();
        assert_eq!(bytes.len() as u64, told);
        let mut kept = Kept::default();
        read_tree(bytes.as_slice(), &mut kept).unwrap();
        kept.0
    }

    #[test]
    fn what_is_written_is_read() {
        let long: Vec<u8> = [b"d/".as_slice(), &[b'n'; 300]].concat();
        let mut big = entry(b"owned", Node::File(0));
        (big.uid, big.gid, big.modified) = (4_000_000_000, 3_000_000_000, -5);
        big.capability = Some(vec![1, 0, 0, 2, 0, b'\n', b'=']);
        let entries = [
            (entry(b"d/", Node::Directory), b"".as_slice()),
            (entry(b"d/f", Node::File(3)), b"abc"),
            (entry(&long, Node::File(600)), &[7; 600]),
            (entry(b"d/\xff\xfe", Node::File(0)), b""),
            (entry(b"d/l", Node::Symlink("/x".repeat(80).into())), b""),
            (entry(b"d/h", Node::Hardlink("d/f".into())), b""),
            (entry(b"d/c", Node::Character(10, 229)), b""),
            (entry(b"d/b", Node::Block(8, 1)), b""),
            (entry(b"d/p", Node::Fifo), b""),
            (big, b""),
        ];
        let back = there_and_back(&entries);
        assert_eq!(back.len(), entries.len());
        for ((written, body), (read, content)) in entries.iter().zip(&back) {
            assert_eq!((written, *body), (read, content.as_slice()));
        }
    }

    #[test]
    fn a_whole_tree_keeps_attributes_and_parts_of_seconds() {
        let mut odd = entry(b"f", Node::File(0));
        odd.modified_nanos = 7;
        odd.xattrs = vec![(b"user.a".to_vec(), vec![0, b'\n', 0xff]), (b"user.b".to_vec(), Vec::new())];
        let (mut bytes, mut kept) = (Vec::new(), Kept::default());
        let mut writer = TreeWriter::whole(&mut bytes);
        writer.put(&odd, Body::None).unwrap();
        writer.finish().unwrap();
        read_tree(bytes.as_slice(), &mut kept).unwrap();
        assert_eq!(kept.0[0].0, odd);
    }

    #[test]
    fn a_file_that_shrinks_is_filled_with_zeros() {
        let back = there_and_back(&[(entry(b"f", Node::File(5)), b"ab"), (entry(b"g", Node::File(1)), b"x")]);
        assert_eq!((back[0].1.as_slice(), back[1].1.as_slice()), (b"ab\0\0\0".as_slice(), b"x".as_slice()));
    }

    #[test]
    fn one_byte_is_dockers_two_kilobytes() {
        let mut counted = Counted::new(Kept::default());
        let mut body: &[u8] = b"x";
        counted.put(&entry(b"f", Node::File(1)), Body::Stream(&mut body)).unwrap();
        assert_eq!(counted.bytes, 2048);
    }

    #[test]
    fn no_bytes_are_no_entries_and_noise_is_an_error() {
        let mut kept = Kept::default();
        read_tree(std::io::empty(), &mut kept).unwrap();
        assert!(kept.0.is_empty());
        assert!(read_tree([1; 700].as_slice(), &mut kept).is_err());
    }
}
