//! An archive for somebody who helps from afar: the findings, the configurations, what containerd keeps, the ends of
//! logs. Secrets are taken out of each member before it is added.

mod collect;
mod redact;

use std::collections::HashSet;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::Report;
use crate::error::{Error, Result};
use crate::image::archive::ArchiveWriter;
use crate::store::write_atomic;

/// The most that one member, and all of them, may have before compression.
const LARGEST_MEMBER: usize = 4 << 20;
const LARGEST: usize = 32 << 20;
/// The longest name of a member that every tar can read.
const LONGEST_NAME: usize = 99;
const DIRECTORY: &str = "wharfie-doctor";

/// Write the archive to `path`, which others may not read. How many files are in it.
///
/// # Errors
/// Names the path; an archive that was there before is left as it was then.
pub async fn write(report: &Report, path: &Path) -> Result<usize> {
    let mut bag = Bag::default();
    collect::all(report, &mut bag).await?;
    let number = bag.members.len();
    let path = path.to_path_buf();
    let written = tokio::task::spawn_blocking(move || write_atomic(&path, &bag.pack()?, 0o600));
    written.await.map_err(|cause| Error::failed(format!("write the bundle: {cause}")))??;
    Ok(number)
}

/// What goes into the archive.
#[derive(Debug, Default)]
struct Bag {
    members: Vec<(String, Vec<u8>)>,
    names: HashSet<String>,
    bytes: usize,
}

impl Bag {
    /// Add a text whose secrets are gone. Of one that is too long the end is kept; what is too much in all is left out.
    fn add(&mut self, name: &str, text: &str) {
        let bytes = text.as_bytes();
        let bytes = &bytes[bytes.len().saturating_sub(LARGEST_MEMBER)..];
        if bytes.is_empty() || self.bytes + bytes.len() > LARGEST {
            return;
        }
        self.bytes += bytes.len();
        let name = self.unused(&clean(name));
        self.members.push((name, bytes.to_vec()));
    }

    fn unused(&mut self, name: &str) -> String {
        let mut candidate = name.to_owned();
        let mut number = 2;
        while !self.names.insert(candidate.clone()) {
            candidate = format!("{}-{number}", &name[..name.len().min(LONGEST_NAME - 6)]);
            number += 1;
        }
        candidate
    }

    fn pack(self) -> Result<Vec<u8>> {
        let mut archive = ArchiveWriter::new(GzEncoder::new(Vec::new(), Compression::default()));
        for (name, bytes) in &self.members {
            archive.file(name, bytes)?;
        }
        archive.finish()?.finish().map_err(|cause| Error::failed(format!("compress the bundle: {cause}")))
    }
}

/// A member's name below one directory: letters, digits and a few signs, no way upwards.
fn clean(name: &str) -> String {
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "." | ".."));
    let mut clean = DIRECTORY.to_owned();
    for part in parts {
        clean.push('/');
        clean.extend(part.chars().map(|letter| match letter {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => letter,
            _ => '_',
        }));
    }
    // The end tells more than the beginning.
    if clean.len() > LONGEST_NAME {
        let keep = LONGEST_NAME - DIRECTORY.len() - 2;
        clean = format!("{DIRECTORY}/_{}", &clean[clean.len() - keep..]);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_clean_and_unlike() {
        assert_eq!(clean("../../etc/./pass wd\n"), "wharfie-doctor/etc/pass_wd_");
        assert_eq!(clean("/ä"), "wharfie-doctor/_");
        assert_eq!(clean(&"x/".repeat(200)).len(), LONGEST_NAME);
        let mut bag = Bag::default();
        for _ in 0..3 {
            bag.add("same", "text");
        }
        let names: Vec<&str> = bag.members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["wharfie-doctor/same", "wharfie-doctor/same-2", "wharfie-doctor/same-3"]);
    }

    #[test]
    fn sizes_are_bounded() {
        let mut bag = Bag::default();
        bag.add("nothing", "");
        let long = "x".repeat(LARGEST_MEMBER + 5);
        for number in 0..40 {
            bag.add(&format!("{number}"), &long);
        }
        assert_eq!((bag.members.len(), bag.bytes), (8, LARGEST));
        assert!(!bag.pack().unwrap().is_empty());
    }
}
