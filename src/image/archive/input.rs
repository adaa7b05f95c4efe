//! Bytes of an archive, decompressed when they are gzip, zstd or xz. Nothing that a stream says of itself makes this
//! process take more memory than a bound, and what grows beyond belief is an attack.

use std::cell::Cell;
use std::io::{self, BufRead as _, BufReader, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use crate::error::{Error, Result, reason};

const BUFFER: usize = 256 << 10;
/// The largest window of a zstd frame, as a power of two: what zstd itself takes when nobody asks for more.
const LARGEST_WINDOW: u32 = 27;
/// Memory for the dictionary of an xz block, in KiB: `xz -9` wants 64 MiB.
const LARGEST_DICTIONARY: u32 = 160 << 10;
/// So much, and so many times what was read, may come out. gzip cannot give more than 1032 times.
const LARGEST_GROWTH: (u64, u64) = (16 << 30, 2000);

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
    /// xz, which no layer of an image may be.
    Xz,
}

impl Compression {
    /// By the first bytes.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one to be skipped: parallel compressors begin with such.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Xz,
            _ => Self::Plain,
        }
    }
}

/// Plain bytes of `input`, and how they were compressed. Other compressions are named in the error.
pub fn decompressed<'a>(input: impl Read + 'a) -> Result<(Box<dyn Read + 'a>, Compression)> {
    limited(input, LARGEST_GROWTH)
}

fn limited<'a>(input: impl Read + 'a, growth: (u64, u64)) -> Result<(Box<dyn Read + 'a>, Compression)> {
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { input, taken: Rc::clone(&taken) };
    let mut buffered = BufReader::with_capacity(BUFFER, counted);
    let head = loop {
        match buffered.fill_buf() {
            Ok(head) => break head,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(Error::failed(format!("read the archive: {}", reason(&cause)))),
        }
    };
    if head.is_empty() {
        return Err(Error::failed("the archive is empty"));
    }
    let compression = Compression::of(head);
    let plain: Box<dyn Read + 'a> = match compression {
        Compression::Plain if head.starts_with(b"BZh") => {
            return Err(Error::failed("the archive is compressed with bzip2, which is not supported")
                .hint("decompress it first, for example: bzip2 -dc FILE | wharfie …"));
        }
        Compression::Plain => return Ok((Box::new(buffered), compression)),
        Compression::Gzip => Box::new(MultiGzDecoder::new(buffered)),
        Compression::Zstd => {
            let failed = |cause| Error::failed(format!("read the archive: {}", reason(&cause)));
            let mut decoder = zstd::Decoder::with_buffer(buffered).map_err(failed)?;
            decoder.window_log_max(LARGEST_WINDOW).map_err(failed)?;
            Box::new(decoder)
        }
        Compression::Xz => Box::new(XzReader::new_mem_limit(buffered, true, LARGEST_DICTIONARY)),
    };
    Ok((Box::new(Bounded { plain, taken, given: 0, growth }), compression))
}

/// Counts what is read.
struct Counted<R> {
    input: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

/// Decompressed bytes, as far as they can be believed.
struct Bounded<'a> {
    plain: Box<dyn Read + 'a>,
    taken: Rc<Cell<u64>>,
    given: u64,
    growth: (u64, u64),
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A decoder may take an empty buffer for its end.
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = self.plain.read(buffer)?;
        self.given += count as u64;
        let (allowance, ratio) = self.growth;
        if self.given > allowance.saturating_add(self.taken.get().saturating_mul(ratio)) {
            return Err(io::Error::other(format!(
                "{} bytes of it become more than {}: nothing honest does",
                self.taken.get(),
                self.given
            )));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn all(bytes: &[u8]) -> Result<(Vec<u8>, Compression)> {
        let (mut plain, compression) = decompressed(bytes)?;
        let mut read = Vec::new();
        plain.read_to_end(&mut read).map_err(|cause| Error::failed(cause.to_string()))?;
        Ok((read, compression))
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    /// By the program: the crate's own encoder is not part of this one.
    fn xz(bytes: &[u8], settings: &str) -> Vec<u8> {
        use std::process::{Command, Stdio};
        let mut command = Command::new("xz");
        command.args(["-c", settings]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        let writing = std::thread::spawn(move || input.write_all(&bytes));
        let output = child.wait_with_output().unwrap();
        writing.join().unwrap().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    #[test]
    fn each_compression_is_read_to_its_end() {
        let text: Vec<u8> = (0..200_000_u32).flat_map(|number| number.to_le_bytes()).collect();
        let cases = [
            (gzip(&text), Compression::Gzip),
            (zstd(&text), Compression::Zstd),
            (xz(&text, "-0"), Compression::Xz),
            (text.clone(), Compression::Plain),
        ];
        for (bytes, compression) in cases {
            assert_eq!(all(&bytes).unwrap(), (text.clone(), compression), "{compression:?}");
            if compression == Compression::Plain {
                continue;
            }
            let twice = [bytes.as_slice(), &bytes].concat();
            assert_eq!(all(&twice).unwrap().0.len(), 2 * text.len(), "{compression:?}");
            for cut in [bytes.len() - 1, bytes.len() / 2] {
                assert!(all(&bytes[..cut]).is_err(), "{compression:?} {cut}");
            }
        }
        let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], zstd(&text).as_slice()].concat();
        assert_eq!(all(&skipped).unwrap(), (text, Compression::Zstd));
        assert!(all(b"BZh91AY").unwrap_err().message.contains("bzip2"));
    }

    #[test]
    fn windows_and_dictionaries_are_bounded() {
        // A frame of one block whose header wants a window of 2 GiB.
        let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3, 0x01, 0x00, 0x00];
        let error = all(&huge).unwrap_err();
        assert!(error.message.to_lowercase().contains("memory"), "{error}");
        let error = all(&xz(b"small", "--lzma2=dict=1GiB")).unwrap_err();
        assert!(error.message.to_lowercase().contains("memory"), "{error}");
    }

    #[test]
    fn what_grows_beyond_belief_is_refused() {
        let zeros = vec![0; 8 << 20];
        for bytes in [gzip(&zeros), zstd(&zeros), xz(&zeros, "-0")] {
            let (mut plain, _) = limited(bytes.as_slice(), (1 << 20, 10)).unwrap();
            let error = io::copy(&mut plain, &mut io::sink()).unwrap_err();
            assert!(error.to_string().contains("nothing honest"), "{error}");
            assert_eq!(all(&bytes).unwrap().0.len(), zeros.len());
        }
    }

    fn samples() -> &'static [Vec<u8>; 3] {
        static SAMPLES: std::sync::OnceLock<[Vec<u8>; 3]> = std::sync::OnceLock::new();
        SAMPLES.get_or_init(|| {
            let text: Vec<u8> = (0..3000_u32).flat_map(|number| (number * number).to_le_bytes()).collect();
            [gzip(&text), zstd(&text), xz(&text, "-0")]
        })
    }

    proptest::proptest! {
        #[test]
        fn damage_is_an_error_and_never_a_panic(at in 0_usize..20_000, flip in 1_u8..=255, kind in 0_usize..3) {
            let mut bytes = samples()[kind].clone();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            // Checksums notice most; none may end this process.
            let _ = all(&bytes);
        }
    }
}
