//! docker's exported contexts: a tar with `meta.json` and a directory for certificates.

use std::io::Read;

use super::entries::Entries;
use super::write::ArchiveWriter;
use crate::error::{Error, Result};

const META: &str = "meta.json";
const LARGEST_META: u64 = 1 << 20;

/// The tar of a context whose file is `meta`.
///
/// # Errors
/// None of its own: the bytes go to memory.
pub fn export_context(meta: &[u8]) -> Result<Vec<u8>> {
    let mut archive = ArchiveWriter::new(Vec::new());
    archive.file(META, meta)?;
    archive.directory("tls")?;
    archive.finish()
}

/// The `meta.json` of an exported context.
///
/// # Errors
/// What is no such tar, and one with certificates, which nothing here could use.
pub fn import_context(input: impl Read) -> Result<Vec<u8>> {
    let mut entries = Entries::new(input);
    let mut meta = None;
    while let Some(entry) = entries.next()? {
        let name = entry.name.trim_start_matches("./").trim_end_matches('/').to_owned();
        if name == META && entry.kind.is_file() {
            if entry.size > LARGEST_META {
                return Err(Error::failed(format!("{META} is larger than {LARGEST_META} bytes")));
            }
            let mut bytes = Vec::new();
            let mut part = [0; 8 << 10];
            loop {
                match entries.read(&mut part)? {
                    0 => break,
                    count => bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
                }
            }
            meta = Some(bytes);
        } else if name == "tls" || name.is_empty() || entry.kind.is_dir() {
        } else if name.starts_with("tls/") {
            return Err(Error::failed(format!(
                "{name}: TLS material is not supported: ssh has keys of its own"
            ))
            .hint("create the context anew with --docker host=ssh://user@node"));
        } else {
            return Err(Error::failed(format!("{name}: unexpected context file")));
        }
    }
    meta.ok_or_else(|| Error::failed("invalid context: no metadata found"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_is_imported() {
        let archive = export_context(b"{}").unwrap();
        assert_eq!(import_context(&archive[..]).unwrap(), b"{}");
        assert!(import_context(&b"junk"[..]).is_err());
        let mut other = ArchiveWriter::new(Vec::new());
        other.file("tls/docker/ca.pem", b"x").unwrap();
        let error = import_context(&other.finish().unwrap()[..]).unwrap_err();
        assert!(error.message.contains("TLS material"), "{}", error.message);
    }
}
