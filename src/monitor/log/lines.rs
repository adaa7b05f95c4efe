//! From pieces of output to docker's log messages: a line each, a line of more than 16 KiB in parts.

use super::Stream;
use super::json_file::LONGEST;

/// What one message is of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The line, numbered, where it came in several parts.
    pub of: u64,
    /// Which part of the line this is, from 1.
    pub ordinal: u32,
    /// The line ends here.
    pub last: bool,
}

/// The lines that have not ended yet, one a stream.
#[derive(Debug, Default)]
pub struct Lines {
    unfinished: [Vec<u8>; 2],
    parts: [Option<Part>; 2],
    count: u64,
}

/// Takes one message: its stream, the line without its newline, and what part of it this is.
pub type Take<'t> = dyn FnMut(Stream, &[u8], Option<Part>) + 't;

impl Lines {
    /// Adds what was read from `stream` and hands on what is complete.
    pub fn feed(&mut self, stream: Stream, bytes: &[u8], take: &mut Take<'_>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let room = LONGEST - self.unfinished[stream as usize].len();
            let length = end.unwrap_or(rest.len()).min(room);
            self.unfinished[stream as usize].extend_from_slice(&rest[..length]);
            rest = &rest[length..];
            if rest.first() == Some(&b'\n') {
                rest = &rest[1..];
                self.emit(stream, true, take);
            } else if self.unfinished[stream as usize].len() == LONGEST && !rest.is_empty() {
                self.emit(stream, false, take);
            }
        }
    }

    /// Hands on what never got its newline.
    pub fn finish(&mut self, take: &mut Take<'_>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.unfinished[stream as usize].is_empty() {
                self.emit(stream, true, take);
            }
        }
    }

    fn emit(&mut self, stream: Stream, last: bool, take: &mut Take<'_>) {
        let index = stream as usize;
        let part = match self.parts[index] {
            Some(part) => Some(Part { ordinal: part.ordinal + 1, last, ..part }),
            None if last => None,
            None => {
                self.count += 1;
                Some(Part { of: self.count, ordinal: 1, last })
            }
        };
        self.parts[index] = part.filter(|_| !last);
        take(stream, &self.unfinished[index], part);
        self.unfinished[index].clear();
        self.unfinished[index].shrink_to(1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines_and_long_ones_parts() {
        let mut lines = Lines::default();
        let mut got: Vec<(usize, Option<(u32, bool)>)> = Vec::new();
        let mut take = |_: Stream, line: &[u8], part: Option<Part>| {
            got.push((line.len(), part.map(|part| (part.ordinal, part.last))));
        };
        lines.feed(Stream::Stdout, b"on", &mut take);
        lines.feed(Stream::Stderr, b"error\nmo", &mut take);
        lines.feed(Stream::Stdout, b"e\n\n", &mut take);
        let long = [vec![b'x'; 2 * LONGEST + 7], b"\nafter\n".to_vec()].concat();
        for piece in long.chunks(1000) {
            lines.feed(Stream::Stdout, piece, &mut take);
        }
        // Exactly as long as a part: one line.
        lines.feed(Stream::Stdout, &[vec![b'y'; LONGEST], b"\n".to_vec()].concat(), &mut take);
        lines.finish(&mut take);
        let expected = [
            (5, None),
            (3, None),
            (0, None),
            (LONGEST, Some((1, false))),
            (LONGEST, Some((2, false))),
            (7, Some((3, true))),
            (5, None),
            (LONGEST, None),
            (2, None),
        ];
        assert_eq!(got, expected);
    }
}
