//! Writing an archive that is docker's and an OCI layout at once.

use std::collections::HashSet;
use std::io::Write;

use tar::{EntryType, Header};

use crate::error::{Error, Result};

const BLOCK: u64 = 512;

/// Writes one file after the other. Times are zero, so that the same images give the same bytes.
pub struct ArchiveWriter<W> {
    output: W,
    left: u64,
    padding: u64,
    written: HashSet<String>,
}

impl<W: Write> ArchiveWriter<W> {
    /// Into `output`.
    pub fn new(output: W) -> Self {
        Self { output, left: 0, padding: 0, written: HashSet::new() }
    }

    /// A directory.
    pub fn directory(&mut self, name: &str) -> Result<()> {
        self.header(name, EntryType::Directory, 0o755, 0)
    }

    /// A whole small file.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.header(name, EntryType::Regular, 0o644, bytes.len() as u64)?;
        self.data(bytes)?;
        self.end()
    }

    /// Begin a file of `size` bytes; false when it was written before.
    pub fn begin(&mut self, name: &str, size: u64) -> Result<bool> {
        if !self.written.insert(name.to_owned()) {
            return Ok(false);
        }
        self.header(name, EntryType::Regular, 0o644, size)?;
        Ok(true)
    }

    /// The next bytes of the file begun.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.left = self
            .left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| Error::failed("a blob is longer than containerd said"))?;
        self.output.write_all(bytes).map_err(failed)
    }

    /// The file begun is whole.
    pub fn end(&mut self) -> Result<()> {
        if self.left != 0 {
            return Err(Error::failed(format!("a blob is {} bytes shorter than containerd said", self.left)));
        }
        let padding = usize::try_from(self.padding).unwrap_or_default();
        self.output.write_all(&vec![0; padding]).map_err(failed)
    }

    /// End the archive; gives the output back.
    pub fn finish(mut self) -> Result<W> {
        self.output.write_all(&[0; 2 * BLOCK as usize]).map_err(failed)?;
        self.output.flush().map_err(failed)?;
        Ok(self.output)
    }

    fn header(&mut self, name: &str, kind: EntryType, mode: u32, size: u64) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_path(name).map_err(failed)?;
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_cksum();
        self.left = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
        self.output.write_all(header.as_bytes()).map_err(failed)
    }
}

fn failed(cause: std::io::Error) -> Error {
    let mut error = Error::io("write", "the archive", cause);
    // A pipe's reader that goes too early leaves half an archive: that is not a silent end.
    if error.kind == crate::Kind::BrokenPipe {
        error.kind = crate::Kind::Failed;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::super::read::tests::Counting;
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut writer = ArchiveWriter::new(Vec::new());
        writer.directory("blobs/").unwrap();
        assert!(writer.begin("blobs/a", 700).unwrap());
        writer.data(&[1; 600]).unwrap();
        writer.data(&[2; 100]).unwrap();
        writer.end().unwrap();
        assert!(!writer.begin("blobs/a", 700).unwrap());
        writer.file("manifest.json", b"[]").unwrap();
        let bytes = writer.finish().unwrap();
        assert_eq!(bytes.len() % 512, 0);
        let mut sink = Counting::default();
        let contents = super::super::read_images(bytes.as_slice(), &mut sink).unwrap();
        assert_eq!(contents.file("blobs/a").unwrap().size, 700);
        assert_eq!((contents.manifest_json.as_deref(), sink.0), (Some(&b"[]"[..]), 1));
    }

    #[test]
    fn a_blob_of_another_length_is_an_error() {
        let mut writer = ArchiveWriter::new(Vec::new());
        writer.begin("a", 3).unwrap();
        assert!(writer.data(b"four").is_err());
        let mut writer = ArchiveWriter::new(Vec::new());
        writer.begin("a", 3).unwrap();
        writer.data(b"ab").unwrap();
        assert!(writer.end().is_err());
    }
}
