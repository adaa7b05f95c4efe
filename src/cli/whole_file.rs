//! The file of `-o`: it appears under its name only when it is whole. A device or a pipe is written as it is.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

const BUFFER: usize = 1 << 20;

/// What cannot be an output path, and why.
pub fn check(path: &Path) -> Result<(), String> {
    match path.parent() {
        Some(parent) if !parent.is_dir() => Err(format!("directory \"{}\" does not exist", parent.display())),
        _ if path.is_dir() => Err(format!("\"{}\" is a directory", path.display())),
        _ => Ok(()),
    }
}

/// A file in the making. Dropped before it is finished, it is gone.
#[derive(Debug)]
pub struct WholeFile {
    output: Option<BufWriter<File>>,
    /// The name it has meanwhile, and the one it shall have.
    names: Option<(PathBuf, PathBuf)>,
}

impl WholeFile {
    /// For `path`.
    pub fn create(path: &Path) -> Result<Self> {
        if path.exists() && !path.is_file() {
            let device =
                File::options().write(true).open(path).map_err(|cause| Error::io("open", path, cause))?;
            return Ok(Self { output: Some(BufWriter::with_capacity(BUFFER, device)), names: None });
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = path.with_file_name(format!(".{name}.{}", std::process::id()));
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&part)
            .map_err(|cause| Error::io("create", &part, cause))?;
        let names = Some((part, path.to_path_buf()));
        Ok(Self { output: Some(BufWriter::with_capacity(BUFFER, file)), names })
    }

    /// Everything is written: give it its name.
    pub fn finish(mut self) -> Result<()> {
        let flushed = self.flush();
        self.output = None;
        let named = match (flushed, &self.names) {
            (Ok(()), Some((part, path))) => std::fs::rename(part, path),
            (flushed, _) => flushed,
        };
        let shown = self.names.as_ref().map(|(_, path)| path.clone()).unwrap_or_else(|| "the output".into());
        named.map_err(|cause| Error::io("write", shown, cause))?;
        self.names = None;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.as_mut().map_or(Ok(0), |output| output.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.as_mut().map_or(Ok(()), |output| output.flush())
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if let Some((part, _)) = &self.names {
            // The first failure is the one that was told.
            let _ = std::fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("f");
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        WholeFile::create(Path::new("/dev/null")).unwrap().finish().unwrap();
        assert!(
            check(directory.path()).is_err() && check(Path::new("/nope/x")).is_err() && check(&path).is_ok()
        );
    }
}
