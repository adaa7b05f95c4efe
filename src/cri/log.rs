//! The log of a kubelet's container, as CRI defines it: `TIME STREAM TAGS TEXT` a line, the first tag `F` at the end of
//! what was written as one line, `P` before it.

/// One line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When, as in the file.
    pub time: &'a str,
    /// Whether it was written to standard error.
    pub is_error: bool,
    /// Whether the line goes on in the next entry of its stream.
    pub is_partial: bool,
    /// What was written, without a newline.
    pub text: &'a [u8],
}

impl<'a> Entry<'a> {
    /// Reads a line of the file, with its newline or without. None for what is none.
    pub fn parse(line: &'a [u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut words = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(words.next()?).ok().filter(|time| time.len() >= 20)?;
        let is_error = match words.next()? {
            b"stdout" => false,
            b"stderr" => true,
            _ => return None,
        };
        let tag = words.next()?.split(|byte| *byte == b':').next()?;
        let is_partial = match tag {
            b"F" => false,
            b"P" => true,
            _ => return None,
        };
        Some(Self { time, is_error, is_partial, text: words.next().unwrap_or_default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let time = "2023-11-14T22:13:20.123456789Z";
        for (rest, expected) in [
            (" stdout F hello world\n", Some((false, false, "hello world"))),
            (" stderr P:x half", Some((true, true, "half"))),
            (" stdout F \n", Some((false, false, ""))),
            (" stdout F\n", Some((false, false, ""))),
            (" stdin F x\n", None),
            (" stdout X x\n", None),
            ("\n", None),
        ] {
            let line = format!("{time}{rest}");
            let read = Entry::parse(line.as_bytes())
                .map(|entry| (entry.is_error, entry.is_partial, std::str::from_utf8(entry.text).unwrap()));
            assert_eq!(read, expected, "{line}");
        }
        assert_eq!(Entry::parse(b"short stdout F x"), None);
    }
}
