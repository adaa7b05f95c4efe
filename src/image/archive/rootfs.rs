//! A tar of a root file system on its way to become a layer: passed on as it is, and checked entry by entry.

use std::collections::HashSet;
use std::io::Read;

use oci_spec::image::Digest;
use tar::EntryType;

use crate::error::{Error, Result, reason};
use crate::image::digest::Hasher;

use super::entries::{Entries, Entry, corrupt};
use super::input::{Compression, decompressed};
use super::read::resolve;

/// Symbolic links that lead outside; more than that is no root file system.
const MOST_LINKS: usize = 1_000_000;

/// What a tar of a root file system is as a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RootfsTar {
    /// The digest of the plain tar.
    pub diff_id: Digest,
    /// How it is compressed.
    pub compression: Compression,
    /// Entries.
    pub entries: u64,
}

/// Read the tar (or tar in gzip, zstd or xz) to its end. The error names the first entry that could reach outside of the
/// root file system.
pub fn read_rootfs(input: impl Read) -> Result<RootfsTar> {
    let (plain, compression) = decompressed(input)?;
    let mut entries = Entries::new(Hashing { input: plain, hasher: Hasher::default() });
    let mut outward = HashSet::new();
    let mut count = 0;
    while let Some(entry) = entries.next()? {
        check(&entry, &mut outward)?;
        count += 1;
    }
    // The layer is the whole stream, with whatever stands behind the end of the archive.
    let mut rest = entries.into_input();
    std::io::copy(&mut rest, &mut std::io::sink()).map_err(|cause| corrupt(&reason(&cause)))?;
    if count == 0 {
        return Err(Error::failed("the archive has no entries: it is no root file system"));
    }
    Ok(RootfsTar { diff_id: rest.hasher.finish(), compression, entries: count })
}

struct Hashing<R> {
    input: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// Names must stay below the root, hard links too; nothing may be written through a symbolic link that leads
/// outside. Such links by themselves are common and harmless.
fn check(entry: &Entry, outward: &mut HashSet<String>) -> Result<()> {
    let refuse = |why: String| Err(Error::failed(format!("archive entry {:?} {why}", entry.name)));
    let Some(name) = below(&entry.name) else {
        return refuse("leads out of the root file system".into());
    };
    if !outward.is_empty() {
        let mut end = 0;
        while let Some(slash) = name.get(end..).and_then(|rest| rest.find('/')) {
            end += slash;
            if name.get(..end).is_some_and(|parent| outward.contains(parent)) {
                return refuse(format!(
                    "goes through the symbolic link {:?}, which leads outside",
                    &name[..end]
                ));
            }
            end += 1;
        }
    }
    match entry.kind {
        EntryType::Link if below(&entry.link).is_none() => {
            refuse(format!("links to {:?}, out of the root file system", entry.link))
        }
        EntryType::Symlink => {
            let target = match name.rsplit_once('/') {
                Some((directory, _)) => format!("{directory}/{}", entry.link),
                None => entry.link.clone(),
            };
            if entry.link.starts_with('/') || below(&target).is_none() {
                if outward.len() >= MOST_LINKS {
                    return refuse("is one symbolic link too many".into());
                }
                outward.insert(name);
            } else {
                outward.remove(&name);
            }
            Ok(())
        }
        _ => {
            outward.remove(&name);
            Ok(())
        }
    }
}

/// A relative path, `.` and `..` followed; None when it is absolute or goes above the root.
fn below(path: &str) -> Option<String> {
    if path.starts_with('/') { None } else { resolve(path) }
}

#[cfg(test)]
mod tests {
    use super::super::entries::tests::tar;
    use super::*;
    use crate::image::digest::sha256;
    use tar::EntryType::{Directory, Link, Regular, Symlink};

    type Entries<'a> = &'a [(&'a str, EntryType, &'a str, &'a [u8])];

    #[test]
    fn honest_trees_pass() {
        let cases: &[Entries<'_>] = &[
            &[
                ("./", Directory, "", b""),
                ("./bin/sh", Regular, "", b"x"),
                ("bin/ash", Link, "./bin/sh", b""),
            ],
            &[
                ("usr/bin/", Directory, "", b""),
                ("bin", Symlink, "usr/bin", b""),
                ("bin/sh", Regular, "", b"x"),
            ],
            &[("etc/mtab", Symlink, "/proc/mounts", b""), ("etc/os", Symlink, "../usr/os", b"")],
            &[("a", Symlink, "/etc", b""), ("a", Directory, "", b""), ("a/b", Regular, "", b"")],
        ];
        for entries in cases {
            let bytes = tar(entries);
            let found = read_rootfs(bytes.as_slice()).unwrap_or_else(|error| panic!("{entries:?}: {error}"));
            assert_eq!(found.diff_id, sha256(&bytes));
        }
    }

    #[test]
    fn escapes_are_refused_by_name() {
        let cases: &[Entries<'_>] = &[
            &[("../evil", Regular, "", b"")],
            &[("a/../../evil", Regular, "", b"")],
            &[("/evil", Regular, "", b"")],
            &[("evil", Link, "../etc/passwd", b"")],
            &[("evil", Link, "/etc/passwd", b"")],
            &[("a", Symlink, "/etc", b""), ("a/evil", Regular, "", b"")],
            &[("d/a", Symlink, "../../etc", b""), ("./d/./a/evil", Regular, "", b"")],
        ];
        for entries in cases {
            let error = read_rootfs(tar(entries).as_slice()).expect_err(&format!("{entries:?}"));
            assert!(error.message.contains("evil"), "{error}");
        }
        assert!(read_rootfs(tar(&[]).as_slice()).is_err());
    }
}
