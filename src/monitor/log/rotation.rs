//! Numbered log files: `log`, `log.1` (newest of the old ones), `log.2`, …, the old ones perhaps with `.gz`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// The path of the old file `number` of `log`.
pub fn numbered(log: &Path, number: u32, packed: bool) -> PathBuf {
    let mut name = OsString::from(log);
    name.push(format!(".{number}{}", if packed { ".gz" } else { "" }));
    PathBuf::from(name)
}

/// Moves `log` to `log.1`, `log.1` to `log.2` and so on, so that `keep` old ones are there at most (at least 1).
pub fn shift(log: &Path, keep: u32) -> io::Result<()> {
    // Names without a gap are few, however many are allowed.
    let mut last = 0;
    while last + 1 < keep && exists(log, last + 1) {
        last += 1;
    }
    for packed in [false, true] {
        absent_is_fine(std::fs::remove_file(numbered(log, last + 1, packed)))?;
        for number in (1..=last).rev() {
            let (from, to) = (numbered(log, number, packed), numbered(log, number + 1, packed));
            absent_is_fine(std::fs::rename(from, to))?;
        }
    }
    std::fs::rename(log, numbered(log, 1, false))
}

fn exists(log: &Path, number: u32) -> bool {
    [false, true].iter().any(|packed| numbered(log, number, *packed).exists())
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Compresses `log.1` to `log.1.gz` in small steps, between which the monitor serves its container.
#[derive(Debug)]
pub struct Packer {
    source: PathBuf,
    input: File,
    fresh: PathBuf,
    target: PathBuf,
    output: GzEncoder<File>,
}

impl Packer {
    /// Begins with `log.1`.
    pub fn new(log: &Path) -> io::Result<Self> {
        let source = numbered(log, 1, false);
        let target = numbered(log, 1, true);
        let mut fresh = OsString::from(&target);
        fresh.push(".new");
        let fresh = PathBuf::from(fresh);
        let input = File::open(&source)?;
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        let output = GzEncoder::new(file, Compression::new(6));
        Ok(Self { source, input, fresh, target, output })
    }

    /// Packs up to 64 KiB; true while there is more. When it fails the file stays as it was, unpacked.
    pub fn step(&mut self) -> io::Result<bool> {
        let result = self.advance();
        if result.is_err() {
            // Nobody needs the half of it.
            let _ = std::fs::remove_file(&self.fresh);
        }
        result
    }

    fn advance(&mut self) -> io::Result<bool> {
        let mut block = [0; 16 * 1024];
        for _ in 0..4 {
            let length = self.input.read(&mut block)?;
            if length == 0 {
                self.output.try_finish()?;
                std::fs::rename(&self.fresh, &self.target)?;
                std::fs::remove_file(&self.source)?;
                return Ok(false);
            }
            self.output.write_all(&block[..length])?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_move_up_and_the_oldest_goes() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        for round in 0..5 {
            std::fs::write(&log, format!("{round}")).unwrap();
            shift(&log, 3).unwrap();
        }
        let read = |number| std::fs::read_to_string(numbered(&log, number, false)).unwrap();
        assert_eq!([read(1), read(2), read(3)], ["4", "3", "2"]);
        assert!(!exists(&log, 4));
    }

    #[test]
    fn packing_goes_by_steps_and_moves_with_the_numbers() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        let text = "0123456789".repeat(50_000);
        std::fs::write(&log, &text).unwrap();
        shift(&log, 2).unwrap();
        let mut packer = Packer::new(&log).unwrap();
        let mut steps = 1;
        while packer.step().unwrap() {
            steps += 1;
        }
        assert!(steps > 4, "{steps}");
        std::fs::write(&log, "next").unwrap();
        shift(&log, 2).unwrap();
        let mut back = String::new();
        let packed = File::open(numbered(&log, 2, true)).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_string(&mut back).unwrap();
        assert!(back == text);
        assert_eq!(std::fs::read_to_string(numbered(&log, 1, false)).unwrap(), "next");
    }
}
