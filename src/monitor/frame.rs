//! The attach protocol's frames: one byte of type, four of length (big endian), the payload. Both sides
//! start with a hello; the lower version of the two counts. Unknown types are skipped, so a newer side may
//! send more than an older one knows.

use std::io;

use serde::{Deserialize, Serialize};

/// The most that one frame carries; a sender splits.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// Length of type and length.
pub const HEADER: usize = 5;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    /// JSON: [`Hello`] from the client, [`Welcome`] from the monitor.
    Hello = 1,
    /// Bytes of the container's standard output (or of its terminal).
    Stdout = 2,
    /// Bytes of its standard error.
    Stderr = 3,
    /// Bytes for its standard input.
    Stdin = 4,
    /// This client's input has ended.
    StdinClose = 5,
    /// All input was handed on and the monitor's end is closed: ask containerd to close its own.
    StdinClosed = 6,
    /// The container has ended and all its output was delivered.
    End = 7,
    /// This client does the clean-up and the removal itself.
    Own = 8,
    /// It did.
    DisownDone = 9,
    /// The user asked to stop: no restart by policy this time.
    Stopping = 10,
    /// The init process's id, 4 bytes, big endian.
    Pid = 11,
}

impl Type {
    fn known(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Hello,
            2 => Self::Stdout,
            3 => Self::Stderr,
            4 => Self::Stdin,
            5 => Self::StdinClose,
            6 => Self::StdinClosed,
            7 => Self::End,
            8 => Self::Own,
            9 => Self::DisownDone,
            10 => Self::Stopping,
            11 => Self::Pid,
            _ => return None,
        })
    }
}

/// A client's first frame.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The newest protocol that it speaks.
    pub version: u32,
    /// It will send input.
    pub stdin: bool,
    /// It wants standard output.
    pub stdout: bool,
    /// It wants standard error.
    pub stderr: bool,
}

/// The monitor's first frame.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Welcome {
    /// The protocol that both speak from now on.
    pub version: u32,
    /// The container has a terminal.
    pub tty: bool,
    /// It has an input to write to.
    pub stdin: bool,
    /// Its input ends with the first client's.
    pub stdin_once: bool,
}

/// Appends one frame to `out`. Payloads beyond [`MAX_PAYLOAD`] become several frames of the same type.
pub fn put(out: &mut Vec<u8>, kind: Type, payload: &[u8]) {
    let mut rest = payload;
    loop {
        let (part, more) = rest.split_at(rest.len().min(MAX_PAYLOAD));
        out.push(kind as u8);
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(0).to_be_bytes());
        out.extend_from_slice(part);
        rest = more;
        if rest.is_empty() {
            return;
        }
    }
}

/// One frame by itself.
pub fn frame(kind: Type, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + HEADER);
    put(&mut out, kind, payload);
    out
}

/// Takes bytes as they come and gives frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
    skip: usize,
}

impl Decoder {
    /// Adds bytes from the other side.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 && self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        } else if self.start > MAX_PAYLOAD {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        let skipped = self.skip.min(bytes.len());
        self.skip -= skipped;
        self.buffer.extend_from_slice(&bytes[skipped..]);
    }

    /// The next whole frame of a known type, or None when more bytes are needed. A known type with a longer
    /// payload than allowed is an error: the other side does not speak this protocol.
    pub fn take(&mut self) -> io::Result<Option<(Type, Vec<u8>)>> {
        loop {
            let rest = self.buffer.len() - self.start;
            let Some(header) = self.buffer.get(self.start..self.start + HEADER) else { return Ok(None) };
            let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
            let Some(kind) = Type::known(header[0]) else {
                let here = rest.min(HEADER + length);
                self.start += here;
                self.skip = HEADER + length - here;
                continue;
            };
            if length > MAX_PAYLOAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "frame too long"));
            }
            if rest < HEADER + length {
                return Ok(None);
            }
            let from = self.start + HEADER;
            self.start = from + length;
            return Ok(Some((kind, self.buffer[from..from + length].to_vec())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder) -> Vec<(Type, Vec<u8>)> {
        let mut frames = Vec::new();
        while let Some(frame) = decoder.take().unwrap() {
            frames.push(frame);
        }
        frames
    }

    #[test]
    fn frames_survive_any_cut_and_unknown_types_are_skipped() {
        let mut wire = Vec::new();
        put(&mut wire, Type::Stdout, b"one");
        wire.extend_from_slice(&[200, 0, 0, 0, 4, 1, 2, 3, 4]);
        put(&mut wire, Type::End, b"");
        put(&mut wire, Type::Stdin, &[7; 100]);
        let expected =
            vec![(Type::Stdout, b"one".to_vec()), (Type::End, Vec::new()), (Type::Stdin, vec![7; 100])];
        for size in 1..wire.len() {
            let mut decoder = Decoder::default();
            let mut got = Vec::new();
            for part in wire.chunks(size) {
                decoder.feed(part);
                got.extend(all(&mut decoder));
            }
            assert_eq!(got, expected, "pieces of {size}");
        }
    }

    #[test]
    fn long_payloads_are_split_and_too_long_ones_refused() {
        let long = vec![b'x'; MAX_PAYLOAD * 2 + 1];
        let mut decoder = Decoder::default();
        decoder.feed(&frame(Type::Stdout, &long));
        let frames = all(&mut decoder);
        assert_eq!(frames.len(), 3);
        assert_eq!(frames.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(), long);

        let mut decoder = Decoder::default();
        decoder.feed(&[Type::Stdin as u8, 0xff, 0xff, 0xff, 0xff]);
        assert!(decoder.take().is_err());
    }

    #[test]
    fn hellos_of_other_versions_are_read() {
        let newer: Hello = serde_json::from_str(r#"{"version":9,"stdout":true,"colour":"blue"}"#).unwrap();
        assert_eq!(newer, Hello { version: 9, stdout: true, ..Hello::default() });
    }
}
