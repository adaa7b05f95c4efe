//! docker's json-file: one JSON object a line, `log`, `stream`, (`attrs`,) `time`. Lines are gathered and
//! written many at a time; a line longer than 16 KiB becomes several entries, of which only the last ends in a
//! newline.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use super::escape::escape;
use super::options::FileOptions;
use super::rotation::{self, Packer};
use super::time::Stamp;
use super::{Driver, Stream};

/// docker's longest entry.
pub const LONGEST: usize = 16 * 1024;

/// What is gathered before it is written.
const BATCH: usize = 64 * 1024;

/// The driver.
#[derive(Debug)]
pub struct JsonFile {
    path: PathBuf,
    options: FileOptions,
    /// `,"attrs":{…}`, or nothing.
    attributes: Vec<u8>,
    file: Option<File>,
    /// Bytes in `file` that are whole entries.
    size: u64,
    buffer: Vec<u8>,
    /// Output bytes that `buffer` stands for.
    held: u64,
    /// What follows an entry's text: the same for all that one read brings.
    tail: Vec<u8>,
    /// Unfinished lines of standard output and standard error.
    unfinished: [Vec<u8>; 2],
    /// Output bytes that could not be written, and why the last time.
    lost: u64,
    reason: String,
    packer: Option<Packer>,
}

impl JsonFile {
    /// A driver that appends to `path`. A file that cannot be opened or written is tried again with each
    /// batch, and what it missed is noted in it.
    pub fn new(path: PathBuf, options: FileOptions, attributes: &BTreeMap<String, String>) -> Self {
        let attributes = match serde_json::to_string(attributes) {
            Ok(json) if !attributes.is_empty() => format!(",\"attrs\":{json}").into_bytes(),
            _ => Vec::new(),
        };
        let mut driver = Self {
            path,
            options,
            attributes,
            file: None,
            size: 0,
            buffer: Vec::new(),
            held: 0,
            tail: Vec::new(),
            unfinished: [Vec::new(), Vec::new()],
            lost: 0,
            reason: String::new(),
            packer: None,
        };
        if let Err(error) = driver.open() {
            driver.reason = crate::error::reason(&error);
        }
        driver
    }

    fn open(&mut self) -> io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        self.size = file.metadata()?.len();
        // A monitor that was killed may have left half an entry: do not write into its line.
        let mut last = [b'\n'];
        if self.size > 0 {
            file.read_exact_at(&mut last, self.size - 1)?;
        }
        if last[0] != b'\n' {
            (&file).write_all(b"\n")?;
            self.size += 1;
        }
        self.file = Some(file);
        Ok(())
    }

    /// One entry: `text`, then what `end` adds (a newline, or nothing for a part of a line).
    fn entry(&mut self, text: &[u8], newline: bool) {
        self.buffer.extend_from_slice(b"{\"log\":\"");
        escape(text, &mut self.buffer);
        if newline {
            self.buffer.extend_from_slice(b"\\n");
        }
        self.buffer.extend_from_slice(&self.tail);
        self.held += text.len() as u64 + u64::from(newline);
        if self.options.max_size.is_some_and(|most| self.size + self.buffer.len() as u64 >= most) {
            self.flush();
            self.rotate();
        } else if self.buffer.len() >= BATCH {
            self.flush();
        }
    }

    fn rotate(&mut self) {
        if self.file.is_none() || self.options.max_size.is_none_or(|most| self.size < most) {
            return;
        }
        if let Err(error) = self.try_rotate() {
            // The log goes on in the file that is there; the next entry tries again.
            self.reason = crate::error::reason(&error);
        }
    }

    fn try_rotate(&mut self) -> io::Result<()> {
        let old = self.options.max_file - 1;
        if old == 0 {
            if let Some(file) = &self.file {
                file.set_len(0)?;
            }
            self.size = 0;
            return Ok(());
        }
        while self.work() {}
        rotation::shift(&self.path, old)?;
        self.file = None;
        self.open()?;
        if self.options.compress {
            self.packer = Some(Packer::new(&self.path)?);
        }
        Ok(())
    }

    fn make_tail(&mut self, stream: Stream, now: &Stamp) {
        self.tail.clear();
        self.tail.extend_from_slice(b"\",\"stream\":\"");
        self.tail.extend_from_slice(stream.name().as_bytes());
        self.tail.push(b'"');
        self.tail.extend_from_slice(&self.attributes);
        self.tail.extend_from_slice(b",\"time\":\"");
        self.tail.extend_from_slice(now.as_bytes());
        self.tail.extend_from_slice(b"\"}\n");
    }

    /// Writes what is gathered, or leaves the file as it was.
    fn try_flush(&mut self) -> io::Result<()> {
        self.open()?;
        let Some(file) = &mut self.file else { return Ok(()) };
        let note = note(self.lost, &self.reason);
        let written = file.write_all(&note).and_then(|()| file.write_all(&self.buffer));
        match written {
            Ok(()) => {
                self.size += (note.len() + self.buffer.len()) as u64;
                Ok(())
            }
            Err(error) => {
                // Half an entry would make the next one unreadable; shrinking works on a full disk too.
                if file.set_len(self.size).is_err() {
                    self.file = None;
                }
                Err(error)
            }
        }
    }
}

/// The entry that tells a reader of a gap.
fn note(lost: u64, reason: &str) -> Vec<u8> {
    if lost == 0 {
        return Vec::new();
    }
    let mut line = b"{\"log\":\"".to_vec();
    escape(format!("wharfie: {lost} bytes of output were not logged: {reason}\n").as_bytes(), &mut line);
    line.extend_from_slice(b"\",\"stream\":\"stderr\",\"time\":\"");
    line.extend_from_slice(Stamp::now().as_bytes());
    line.extend_from_slice(b"\"}\n");
    line
}

/// Where to cut a line that is too long: after `LONGEST` bytes, or up to three earlier so as not to cut a
/// character in two.
fn cut(line: &[u8]) -> usize {
    let continues = |at: usize| line.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (LONGEST - 3..=LONGEST).rev().find(|at| !continues(*at)).unwrap_or(LONGEST)
}

impl Driver for JsonFile {
    fn write(&mut self, stream: Stream, bytes: &[u8], now: &Stamp) {
        self.make_tail(stream, now);
        let mut unfinished = std::mem::take(&mut self.unfinished[stream as usize]);
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, next) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = next;
            if unfinished.is_empty() && line.len() < LONGEST && end.is_some() {
                self.entry(line, true);
                continue;
            }
            let mut line = line;
            while unfinished.len() + line.len() > LONGEST {
                let (now, later) = line.split_at(LONGEST + 1 - unfinished.len());
                unfinished.extend_from_slice(now);
                let at = cut(&unfinished);
                self.entry(&unfinished[..at], false);
                unfinished.drain(..at);
                line = later;
            }
            unfinished.extend_from_slice(line);
            if end.is_some() {
                self.entry(&unfinished, true);
                unfinished.clear();
            }
        }
        self.unfinished[stream as usize] = unfinished;
    }

    fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        match self.try_flush() {
            Ok(()) => self.lost = 0,
            Err(error) => {
                self.reason = crate::error::reason(&error);
                self.lost += self.held;
            }
        }
        self.held = 0;
        self.buffer.clear();
        // A burst must not stay resident for the container's life.
        self.buffer.shrink_to(BATCH / 16);
    }

    fn finish(&mut self) {
        let now = Stamp::now();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let line = std::mem::take(&mut self.unfinished[stream as usize]);
            if !line.is_empty() {
                self.make_tail(stream, &now);
                self.entry(&line, false);
            }
        }
        self.flush();
        while self.work() {}
    }

    fn work(&mut self) -> bool {
        let Some(packer) = &mut self.packer else { return false };
        // A file that cannot be packed stays readable as it is.
        let more = packer.step().unwrap_or(false);
        if !more {
            self.packer = None;
        }
        more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(options: FileOptions) -> (tempfile::TempDir, JsonFile) {
        let temp = tempfile::tempdir().unwrap();
        let driver = JsonFile::new(temp.path().join("log"), options, &BTreeMap::new());
        (temp, driver)
    }

    fn entries(text: &str) -> Vec<(String, String)> {
        text.lines()
            .map(|line| {
                let value: serde_json::Value = serde_json::from_str(line).unwrap();
                let field = |name: &str| value[name].as_str().unwrap().to_owned();
                (field("stream"), field("log"))
            })
            .collect()
    }

    fn read(temp: &tempfile::TempDir, name: &str) -> String {
        std::fs::read_to_string(temp.path().join(name)).unwrap()
    }

    #[test]
    fn the_line_is_dockers() {
        let temp = tempfile::tempdir().unwrap();
        let attributes = BTreeMap::from([("app".to_owned(), "w\"b".to_owned())]);
        for (attributes, expected) in [
            (
                BTreeMap::new(),
                "{\"log\":\"a\\u0026b\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:01Z\"}\n",
            ),
            (
                attributes,
                "{\"log\":\"a\\u0026b\\n\",\"stream\":\"stderr\",\"attrs\":{\"app\":\"w\\\"b\"},\"time\":\"1970-01-01T00:00:01Z\"}\n",
            ),
        ] {
            let path = temp.path().join(format!("log{}", attributes.len()));
            let mut driver = JsonFile::new(path.clone(), FileOptions::default(), &attributes);
            driver.write(Stream::Stderr, b"a&b\n", &Stamp::at(1, 0));
            driver.flush();
            assert_eq!(std::fs::read_to_string(path).unwrap(), expected);
        }
    }

    #[test]
    fn pieces_become_lines_and_streams_stay_apart() {
        let (temp, mut driver) = driver(FileOptions::default());
        let now = Stamp::now();
        driver.write(Stream::Stdout, b"one\ntw", &now);
        driver.write(Stream::Stderr, b"err", &now);
        driver.write(Stream::Stdout, b"o\n\nthree", &now);
        driver.flush();
        assert_eq!(entries(&read(&temp, "log")).len(), 3);
        driver.finish();
        let got = entries(&read(&temp, "log"));
        let expected = [
            ("stdout", "one\n"),
            ("stdout", "two\n"),
            ("stdout", "\n"),
            ("stdout", "three"),
            ("stderr", "err"),
        ];
        assert_eq!(got, expected.map(|(stream, text)| (stream.to_owned(), text.to_owned())));
    }

    #[test]
    fn long_lines_are_split_and_come_back_whole() {
        let lengths = [LONGEST - 1, LONGEST, LONGEST + 1, 3 * LONGEST + 5];
        for piece in [1000, LONGEST, 100_000] {
            let (temp, mut driver) = driver(FileOptions::default());
            let text: String = lengths.iter().map(|length| "x".repeat(*length) + "\n").collect();
            for part in text.as_bytes().chunks(piece) {
                driver.write(Stream::Stdout, part, &Stamp::now());
            }
            driver.finish();
            let got = entries(&read(&temp, "log"));
            assert_eq!(got.iter().map(|(_, text)| text.as_str()).collect::<String>(), text);
            assert!(got.iter().all(|(_, text)| text.trim_end().len() <= LONGEST));
            assert_eq!(got.len(), 1 + 1 + 2 + 4, "{piece}");
        }
    }

    #[test]
    fn a_long_line_is_not_cut_within_a_character() {
        let (temp, mut driver) = driver(FileOptions::default());
        let text = "x".to_owned() + &"€".repeat(LONGEST);
        driver.write(Stream::Stdout, text.as_bytes(), &Stamp::now());
        driver.finish();
        let got: String = entries(&read(&temp, "log")).into_iter().map(|(_, text)| text).collect();
        assert!(got == text);
    }

    #[test]
    fn rotation_keeps_so_many_files_of_about_that_size() {
        for compress in [false, true] {
            let options = FileOptions { max_size: Some(2000), max_file: 3, compress };
            let (temp, mut driver) = driver(options);
            for number in 0..100 {
                driver.write(Stream::Stdout, format!("line {number}\n").as_bytes(), &Stamp::now());
            }
            driver.finish();
            let suffix = if compress { ".gz" } else { "" };
            let mut text = String::new();
            for name in [format!("log.2{suffix}"), format!("log.1{suffix}"), "log".into()] {
                let bytes = std::fs::read(temp.path().join(&name)).unwrap();
                let part = if name.ends_with(".gz") {
                    io::read_to_string(flate2::read::GzDecoder::new(&bytes[..])).unwrap()
                } else {
                    String::from_utf8(bytes).unwrap()
                };
                assert!(name == "log" || (2000..2100).contains(&part.len()), "{name} {}", part.len());
                text += &part;
            }
            assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 3);
            let got = entries(&text);
            assert_eq!(got.last().unwrap().1, "line 99\n");
            let first: usize = got[0].1[5..].trim().parse().unwrap();
            assert_eq!(got.len(), 100 - first, "no gap");
        }
    }

    #[test]
    fn one_file_starts_over() {
        let (temp, mut driver) = driver(FileOptions { max_size: Some(500), ..FileOptions::default() });
        for number in 0..50 {
            driver.write(Stream::Stdout, format!("{number}\n").as_bytes(), &Stamp::now());
        }
        driver.finish();
        assert!(read(&temp, "log").len() < 600);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn half_an_entry_of_a_killed_monitor_is_ended() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("log");
        std::fs::write(&path, "{\"log\":\"ha").unwrap();
        let mut driver = JsonFile::new(path, FileOptions::default(), &BTreeMap::new());
        driver.write(Stream::Stdout, b"next\n", &Stamp::now());
        driver.finish();
        assert_eq!(entries(read(&temp, "log").split_once('\n').unwrap().1)[0].1, "next\n");
    }

    #[test]
    fn what_cannot_be_written_is_dropped_and_noted_once() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("missing").join("log");
        let mut driver = JsonFile::new(path.clone(), FileOptions::default(), &BTreeMap::new());
        let now = Stamp::now();
        for _ in 0..2 {
            driver.write(Stream::Stdout, b"12345\n", &now);
            driver.flush();
        }
        std::fs::create_dir(temp.path().join("missing")).unwrap();
        for _ in 0..2 {
            driver.write(Stream::Stdout, b"back\n", &now);
            driver.flush();
        }
        let got = entries(&std::fs::read_to_string(path).unwrap());
        assert_eq!(got.len(), 3);
        assert!(got[0].1.starts_with("wharfie: 12 bytes of output were not logged: no such file"), "{got:?}");
        assert_eq!((got[1].1.as_str(), got[2].1.as_str()), ("back\n", "back\n"));
    }

    /// Not a test but what the next one runs in a mount namespace of its own.
    #[test]
    fn on_a_small_disk() {
        let Some(disk) = std::env::var_os("WHARFIE_TEST_DISK").map(PathBuf::from) else { return };
        let path = disk.join("log");
        let mut driver = JsonFile::new(path.clone(), FileOptions::default(), &BTreeMap::new());
        let now = Stamp::now();
        let mut written = 0;
        for number in 0..20_000 {
            driver.write(Stream::Stdout, format!("{number:06}\n").as_bytes(), &now);
            written += 7;
            if number % 100 == 0 {
                driver.flush();
            }
        }
        driver.flush();
        std::fs::remove_file(disk.join("ballast")).unwrap();
        driver.write(Stream::Stdout, b"room again\n", &now);
        driver.finish();
        // Every line is whole, and what is missing is told.
        let got = entries(&std::fs::read_to_string(path).unwrap());
        assert_eq!(got.last().unwrap().1, "room again\n");
        let (notes, lines): (Vec<_>, Vec<_>) =
            got[..got.len() - 1].iter().partition(|(_, text)| text.starts_with("wharfie: "));
        assert_eq!(notes.len(), 1);
        let lost = written - 7 * lines.len();
        let expected = format!("wharfie: {lost} bytes of output were not logged: no space left on device\n");
        assert_eq!(notes[0].1, expected);
    }

    #[test]
    fn a_full_disk_loses_whole_lines_and_says_how_many() {
        let temp = tempfile::tempdir().unwrap();
        let script = "mount -t tmpfs -o size=256k none \"$WHARFIE_TEST_DISK\" \
            && head -c 100000 /dev/zero > \"$WHARFIE_TEST_DISK/ballast\" && exec \"$@\"";
        let output = std::process::Command::new("unshare")
            .args(["--mount", "--map-root-user", "sh", "-c", script, "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "monitor::log::json_file::tests::on_a_small_disk"])
            .env("WHARFIE_TEST_DISK", temp.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
    }
}
