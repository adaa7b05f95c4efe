//! A layer compressed anew: what is in it stays the same, byte for byte.

use std::io::{self, Read, Write};

use oci_spec::image::Digest;

use super::archive::decompressed;
use super::digest::Hasher;
use crate::error::{Error, Result, reason};

const BUFFER: usize = 256 << 10;

/// What a layer is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A plain tar.
    Plain,
    /// In zstd, by its level.
    Zstd(i32),
}

/// Write the tar in `input` (plain, gzip or zstd) into `output`, compressed anew. Gives the tar's digest.
///
/// # Errors
/// The layer is damaged, or `output` takes no more.
pub fn recompress(input: impl Read, output: impl Write, to: Form) -> Result<Digest> {
    let (mut plain, _) = decompressed(input)?;
    let failed = |cause: io::Error| Error::failed(format!("compress the layer: {}", reason(&cause)));
    match to {
        Form::Plain => copy(&mut plain, output).map(|(digest, _)| digest),
        Form::Zstd(level) => {
            let encoder = zstd::stream::write::Encoder::new(output, level).map_err(failed)?;
            let (digest, encoder) = copy(&mut plain, encoder)?;
            encoder.finish().and_then(|mut output| output.flush()).map_err(failed)?;
            Ok(digest)
        }
    }
}

fn copy<W: Write>(input: &mut dyn Read, mut output: W) -> Result<(Digest, W)> {
    let mut hasher = Hasher::default();
    let mut part = vec![0; BUFFER];
    loop {
        let count = match input.read(&mut part) {
            Ok(0) => break,
            Ok(count) => count,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => continue,
            Err(cause) => return Err(Error::failed(format!("read the layer: {}", reason(&cause)))),
        };
        let bytes = part.get(..count).unwrap_or_default();
        hasher.update(bytes);
        output
            .write_all(bytes)
            .map_err(|cause| Error::failed(format!("write the layer: {}", reason(&cause))))?;
    }
    output.flush().map_err(|cause| Error::failed(format!("write the layer: {}", reason(&cause))))?;
    Ok((hasher.finish(), output))
}

#[cfg(test)]
mod tests {
    use super::super::digest::sha256;
    use super::*;

    #[test]
    fn the_tar_stays_the_same() {
        let tar: Vec<u8> = (0..300_000u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zstd = Vec::new();
        for level in [1, 3, 19] {
            zstd.clear();
            assert_eq!(recompress(gzip.as_slice(), &mut zstd, Form::Zstd(level)).unwrap(), sha256(&tar));
            assert!(zstd.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) && zstd.len() < tar.len() / 2);
        }
        for input in [&tar, &gzip, &zstd] {
            let mut plain = Vec::new();
            assert_eq!(recompress(input.as_slice(), &mut plain, Form::Plain).unwrap(), sha256(&tar));
            assert_eq!(plain, tar);
        }
        let cut = recompress(&gzip[..gzip.len() / 2], io::sink(), Form::Plain);
        assert!(cut.unwrap_err().message.starts_with("read the layer: "));
        assert!(recompress(&zstd[..zstd.len() / 2], io::sink(), Form::Plain).is_err());
    }
}
