//! Reading an archive of images. Of a stream every file goes to a sink while its digest is computed; of a plain file
//! the places of the others are noted, so that only what is wanted is read. Names and links are checked and kept, so
//! that nothing in the archive is ever a path on this machine.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek as _};
use std::os::unix::fs::FileExt as _;

use oci_spec::image::Digest;
use tar::EntryType;

use crate::error::{Error, Result};
use crate::image::digest::Hasher;
use crate::image::media::LARGEST_MANIFEST;

use super::entries::{Entries, Entry};
use super::input::{Compression, decompressed};

/// Bytes handed on at a time.
const PART: usize = 1 << 20;
/// First bytes that are kept of each file.
const HEAD: usize = 8;
/// Far above any real archive.
const MOST_FILES: usize = 100_000;
/// Zeros after the end that are read, so that the writer of a pipe is not cut off.
const TRAILER: u64 = 64 << 20;
const LINKS: usize = 16;

/// A file of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Of its bytes; where they were passed over, what its name promises.
    pub digest: Option<Digest>,
    /// Its length.
    pub size: u64,
    /// Its first bytes, which show how it is compressed.
    pub head: Vec<u8>,
    /// Where its bytes begin in a file whose places were noted.
    pub place: Option<u64>,
}

/// What an archive holds, by clean names.
#[derive(Debug, Default)]
pub struct Contents {
    files: HashMap<String, Blob>,
    links: HashMap<String, String>,
    /// Docker's list of images.
    pub manifest_json: Option<Vec<u8>>,
    /// The OCI layout's list of images.
    pub index_json: Option<Vec<u8>>,
    /// Whether it says that it is an OCI layout.
    pub oci_layout: bool,
    /// A file occurs twice, and whether its contents are the same was not looked at.
    is_ambiguous: bool,
}

/// Takes the files of an archive.
pub trait Sink {
    /// A file begins, with its length and the digest that its name promises.
    fn begin(&mut self, size: u64, promised: Option<&Digest>) -> Result<()>;
    /// Its next bytes.
    fn data(&mut self, part: Vec<u8>) -> Result<()>;
    /// It is whole.
    fn end(&mut self, digest: &Digest) -> Result<()>;
}

impl Contents {
    /// The file that a name of the archive's own lists leads to, through links inside of the archive.
    pub fn file(&self, name: &str) -> Result<&Blob> {
        let missing = || {
            Error::failed(format!("the archive names the file {name:?} and does not have it"))
                .hint("the archive is incomplete: write it again")
        };
        let mut clean = clean(name)?;
        for _ in 0..LINKS {
            if let Some(blob) = self.files.get(&clean) {
                return Ok(blob);
            }
            clean = self.links.get(&clean).ok_or_else(missing)?.clone();
        }
        Err(Error::failed(format!("archive entry {name:?} is a link to itself")))
    }

    /// The file of this digest in the OCI layout. Of a file whose places were noted, it is what its name says.
    pub fn blob(&self, digest: &Digest) -> Option<&Blob> {
        self.file(&format!("blobs/{}/{}", digest.algorithm(), digest.digest()))
            .ok()
            .filter(|blob| blob.digest.as_ref().is_none_or(|found| found == digest))
    }
}

/// Read the whole archive (tar, or tar in gzip, zstd or xz).
pub fn read_images(input: impl Read, sink: &mut dyn Sink) -> Result<Contents> {
    let (plain, _) = decompressed(input)?;
    let mut entries = Entries::new(plain);
    let contents =
        collect(&mut entries, &mut |entries, entry, promised| pass_on(entries, entry, promised, sink))?;
    let mut rest = entries.into_input().take(TRAILER);
    std::io::copy(&mut rest, &mut std::io::sink())
        .map_err(|cause| super::entries::corrupt(&crate::error::reason(&cause)))?;
    Ok(contents)
}

/// Note where each file of an archive lies. None where that cannot be: it is no regular file or not a plain tar, or has
/// a file twice; then it is to be read as a stream.
pub fn index_images(mut file: &File) -> Result<Option<Contents>> {
    let failed = |cause| Error::io("read", "the archive", cause);
    let data = file.metadata().map_err(failed)?;
    let mut head = [0; HEAD];
    if !data.is_file() || file.read_at(&mut head, 0).map_err(failed)? < HEAD {
        return Ok(None);
    }
    if Compression::of(&head) != Compression::Plain || head.starts_with(b"BZh") {
        return Ok(None);
    }
    file.rewind().map_err(failed)?;
    let contents = collect(&mut Entries::new(file), &mut |entries, entry, digest| {
        let place = entries.place()?;
        if place.checked_add(entry.size).is_none_or(|end| end > data.len()) {
            return Err(super::entries::truncated());
        }
        let mut head = vec![0; HEAD.min(usize::try_from(entry.size).unwrap_or(HEAD))];
        file.read_exact_at(&mut head, place).map_err(failed)?;
        entries.pass_over()?;
        Ok(Blob { digest, size: entry.size, head, place: Some(place) })
    })?;
    Ok(Some(contents).filter(|contents| !contents.is_ambiguous))
}

/// Takes an entry with the digest that its name promises.
type Take<'a, R> = &'a mut dyn FnMut(&mut Entries<R>, &Entry, Option<Digest>) -> Result<Blob>;

fn collect<R: Read>(entries: &mut Entries<R>, take: Take<'_, R>) -> Result<Contents> {
    let mut contents = Contents::default();
    while let Some(entry) = entries.next()? {
        if contents.files.len() + contents.links.len() >= MOST_FILES {
            return Err(Error::failed(format!("the archive has more than {MOST_FILES} files")));
        }
        let name = clean(&entry.name)?;
        match entry.kind {
            EntryType::Directory => {}
            EntryType::Symlink => {
                let target = match name.rsplit_once('/') {
                    Some((directory, _)) => format!("{directory}/{}", entry.link),
                    None => entry.link.clone(),
                };
                link(&mut contents, &entry, name, &target)?;
            }
            EntryType::Link => link(&mut contents, &entry, name, &entry.link)?,
            EntryType::Regular | EntryType::Continuous => file(entries, &entry, name, &mut contents, take)?,
            _ => {
                return Err(Error::failed(format!(
                    "archive entry {:?} is a device, a pipe or of an unknown kind: not an image archive",
                    entry.name
                )));
            }
        }
    }
    Ok(contents)
}

fn link(contents: &mut Contents, entry: &Entry, name: String, target: &str) -> Result<()> {
    let target = if entry.link.starts_with('/') { None } else { resolve(target) };
    let target = target.ok_or_else(|| {
        Error::failed(format!("archive entry {:?} links to {:?}, out of the archive", entry.name, entry.link))
    })?;
    if contents.files.contains_key(&name) || contents.links.insert(name, target).is_some() {
        return Err(twice(&entry.name));
    }
    Ok(())
}

fn file<R: Read>(
    entries: &mut Entries<R>,
    entry: &Entry,
    name: String,
    contents: &mut Contents,
    take: Take<'_, R>,
) -> Result<()> {
    match name.as_str() {
        "manifest.json" => return keep(entries, entry, &mut contents.manifest_json),
        "index.json" => return keep(entries, entry, &mut contents.index_json),
        "oci-layout" => {
            contents.oci_layout = true;
            return Ok(());
        }
        // What docker wrote before version 1.10.
        "repositories" => return Ok(()),
        name if name.ends_with("/VERSION") || name.ends_with("/json") => return Ok(()),
        _ => {}
    }
    let promised =
        name.strip_prefix("blobs/sha256/").and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
    let blob = take(entries, entry, promised)?;
    if contents.links.contains_key(&name) {
        return Err(twice(&entry.name));
    }
    // Some writers store a shared layer once for each image.
    match contents.files.insert(name, blob.clone()) {
        Some(before) if before.size != blob.size || before.digest != blob.digest => Err(twice(&entry.name)),
        Some(before) => {
            contents.is_ambiguous |= before.digest.is_none();
            Ok(())
        }
        None => Ok(()),
    }
}

/// The file's bytes to the sink, hashed on their way.
fn pass_on<R: Read>(
    entries: &mut Entries<R>,
    entry: &Entry,
    promised: Option<Digest>,
    sink: &mut dyn Sink,
) -> Result<Blob> {
    sink.begin(entry.size, promised.as_ref())?;
    let mut hasher = Hasher::default();
    let mut head = Vec::new();
    let mut left = entry.size;
    while left > 0 {
        let mut part = vec![0; PART.min(usize::try_from(left).unwrap_or(PART))];
        let mut filled = 0;
        while let Some(rest) = part.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += entries.read(rest)?;
        }
        if head.is_empty() {
            head = part.get(..part.len().min(HEAD)).unwrap_or_default().to_vec();
        }
        left -= part.len() as u64;
        hasher.update(&part);
        sink.data(part)?;
    }
    let digest = hasher.finish();
    if let Some(promised) = promised.filter(|promised| *promised != digest) {
        return Err(Error::failed(format!(
            "archive entry {:?} is damaged: its digest is {digest}, not {promised}",
            entry.name
        )));
    }
    sink.end(&digest)?;
    Ok(Blob { digest: Some(digest), size: entry.size, head, place: None })
}

fn keep<R: Read>(entries: &mut Entries<R>, entry: &Entry, place: &mut Option<Vec<u8>>) -> Result<()> {
    if place.is_some() {
        return Err(twice(&entry.name));
    }
    if entry.size > LARGEST_MANIFEST {
        return Err(Error::failed(format!(
            "archive entry {:?} is larger than {LARGEST_MANIFEST} bytes",
            entry.name
        )));
    }
    let mut bytes = Vec::new();
    let mut part = [0; 16 << 10];
    loop {
        match entries.read(&mut part)? {
            0 => break,
            count => bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
        }
    }
    *place = Some(bytes);
    Ok(())
}

fn twice(name: &str) -> Error {
    Error::failed(format!("archive entry {name:?} occurs twice with different contents"))
}

/// A name without `.` and empty parts; an error when it is absolute or goes up.
fn clean(name: &str) -> Result<String> {
    let escapes = name.starts_with('/') || name.split('/').any(|part| part == "..");
    if escapes {
        return Err(Error::failed(format!("archive entry {name:?} leads out of the archive")));
    }
    Ok(resolve(name).unwrap_or_default())
}

/// A relative path with `.` and `..` followed; None when it goes above its beginning.
pub(super) fn resolve(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::entries::tests::tar;
    use super::*;
    use crate::image::digest::sha256;

    /// Counts and forgets.
    #[derive(Default)]
    pub(crate) struct Counting(pub(crate) usize);

    impl Sink for Counting {
        fn begin(&mut self, _: u64, _: Option<&Digest>) -> Result<()> {
            Ok(())
        }
        fn data(&mut self, _: Vec<u8>) -> Result<()> {
            Ok(())
        }
        fn end(&mut self, _: &Digest) -> Result<()> {
            self.0 += 1;
            Ok(())
        }
    }

    pub(crate) fn contents(entries: &[(&str, EntryType, &str, &[u8])]) -> Result<Contents> {
        read_images(tar(entries).as_slice(), &mut Counting::default())
    }

    #[test]
    fn links_stay_inside() {
        let found = contents(&[
            ("a/layer.tar", EntryType::Regular, "", b"layer"),
            ("b/layer.tar", EntryType::Symlink, "../a/layer.tar", b""),
            ("./c", EntryType::Link, "b/layer.tar", b""),
        ])
        .unwrap();
        assert_eq!(found.file("c").unwrap().digest, Some(sha256(b"layer")));
        assert!(found.file("d").is_err());
        assert!(found.file("../a/layer.tar").is_err());
    }

    #[test]
    fn hostile_entries_are_refused_by_name() {
        type Case<'a> = (&'a str, &'a [(&'a str, EntryType, &'a str, &'a [u8])]);
        let cases: &[Case<'_>] = &[
            ("leads out", &[("../evil", EntryType::Regular, "", b"x")]),
            ("leads out", &[("a/../../evil", EntryType::Regular, "", b"x")]),
            ("leads out", &[("/etc/evil", EntryType::Regular, "", b"x")]),
            ("out of the archive", &[("evil", EntryType::Symlink, "/etc/passwd", b"")]),
            ("out of the archive", &[("a/evil", EntryType::Symlink, "../../etc/passwd", b"")]),
            ("out of the archive", &[("evil", EntryType::Link, "../etc/passwd", b"")]),
            (
                "occurs twice",
                &[("evil", EntryType::Regular, "", b"1"), ("evil", EntryType::Regular, "", b"2")],
            ),
            (
                "occurs twice",
                &[("evil", EntryType::Regular, "", b"1"), ("evil", EntryType::Symlink, "x", b"")],
            ),
            ("a device", &[("evil", EntryType::Char, "", b"")]),
        ];
        for (message, entries) in cases {
            let error = contents(entries).map(|_| ()).expect_err(message);
            assert!(error.message.contains(message) && error.message.contains("evil"), "{error}");
        }
    }

    #[test]
    fn loops_end() {
        let found =
            contents(&[("a", EntryType::Symlink, "b", b""), ("b", EntryType::Symlink, "a", b"")]).unwrap();
        assert!(found.file("a").unwrap_err().message.contains("link to itself"));
    }

    #[test]
    fn damaged_blobs_are_noticed() {
        let name = format!("blobs/sha256/{}", sha256(b"right").digest());
        assert!(contents(&[(&name, EntryType::Regular, "", b"right")]).is_ok());
        let error = contents(&[(&name, EntryType::Regular, "", b"wrong")]).unwrap_err();
        assert!(error.message.contains("is damaged"), "{error}");
    }

    #[test]
    fn gzip_is_checked_to_its_end() {
        use std::io::Write as _;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&tar(&[("a", EntryType::Regular, "", b"x")])).unwrap();
        let bytes = encoder.finish().unwrap();
        assert!(read_images(bytes.as_slice(), &mut Counting::default()).is_ok());
        for cut in [bytes.len() - 4, bytes.len() / 2, 12] {
            assert!(read_images(&bytes[..cut], &mut Counting::default()).is_err(), "{cut}");
        }
        let mut flipped = bytes.clone();
        let last = flipped.len() - 6;
        flipped[last] ^= 1;
        assert!(read_images(flipped.as_slice(), &mut Counting::default()).is_err());
        for (bytes, word) in
            [(&b""[..], "empty"), (b"\xfd7zXZ\0", "corrupt"), (b"garbage that is no tar", "corrupt")]
        {
            let error = read_images(bytes, &mut Counting::default()).unwrap_err();
            assert!(error.message.contains(word), "{error}");
        }
    }

    #[test]
    fn huge_lists_are_refused() {
        let big = vec![b' '; LARGEST_MANIFEST as usize + 1];
        let error = contents(&[("manifest.json", EntryType::Regular, "", &big)]).unwrap_err();
        assert!(error.message.contains("larger than"), "{error}");
    }
}
