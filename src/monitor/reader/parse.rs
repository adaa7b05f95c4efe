//! One line of a json-file log. Nearly all lines have exactly the form that the writers give them, and are read
//! by hand; any other is left to serde_json.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::monitor::log::Stream;

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// A whole entry; its text was put into the scratch buffer.
    Entry { stream: Stream, time: &'a str, length: usize },
    /// Something else, or not all of it is there.
    Other,
}

/// Reads an entry of the usual form, with its newline, from the start of `bytes`. The text replaces what is
/// in `text`.
pub(super) fn known<'a>(bytes: &'a [u8], text: &mut Vec<u8>) -> Known<'a> {
    usual(bytes, text).unwrap_or(Known::Other)
}

fn usual<'a>(bytes: &'a [u8], text: &mut Vec<u8>) -> Option<Known<'a>> {
    text.clear();
    let rest = bytes.strip_prefix(b"{\"log\":\"")?;
    let rest = unescape(rest, text)?.strip_prefix(b",\"stream\":\"std")?;
    let (stream, rest) = match rest.first()? {
        b'o' => (Stream::Stdout, rest.strip_prefix(b"out\",\"time\":\"")?),
        _ => (Stream::Stderr, rest.strip_prefix(b"err\",\"time\":\"")?),
    };
    // 2026-01-02T03:04:05.123456789+00:00 is the longest form.
    let end = rest.iter().take(36).position(|byte| *byte == b'"')?;
    let time = std::str::from_utf8(&rest[..end]).ok()?;
    let rest = rest[end..].strip_prefix(b"\"}\n")?;
    Some(Known::Entry { stream, time, length: bytes.len() - rest.len() })
}

/// Appends the string that `bytes` begins with to `text`; what follows its closing quote.
fn unescape<'a>(bytes: &'a [u8], text: &mut Vec<u8>) -> Option<&'a [u8]> {
    let mut rest = bytes;
    loop {
        let plain = plain_length(rest);
        text.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        if rest.first()? == &b'"' {
            return Some(&rest[1..]);
        }
        let letter = *rest.get(1)?;
        rest = &rest[2..];
        match letter {
            b'n' => text.push(b'\n'),
            b'"' | b'\\' | b'/' => text.push(letter),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'u' => {
                let digits = std::str::from_utf8(rest.get(..4)?).ok()?;
                // Halves of pairs are no characters: serde_json joins them.
                let character = char::from_u32(u32::from_str_radix(digits, 16).ok()?)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[4..];
            }
            _ => return None,
        }
    }
}

/// How many bytes stand before the first quote or backslash. Eight are looked at together: subtracting one
/// from each byte borrows into the high bit exactly where a byte was zero.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut length = 0;
    while let Some(eight) = bytes[length..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let found = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let rest = &bytes[length..];
    length + rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len())
}

/// An entry in any form that JSON allows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Loose {
    pub(super) log: String,
    pub(super) stream: String,
    pub(super) time: String,
    pub(super) attrs: BTreeMap<String, String>,
}

impl Loose {
    /// From one line; None when it is no entry.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let loose: Self = serde_json::from_slice(line).ok()?;
        (!loose.time.is_empty()).then_some(loose)
    }

    pub(super) fn stream(&self) -> Stream {
        if self.stream == "stderr" { Stream::Stderr } else { Stream::Stdout }
    }
}

/// One line of a CRI log: time, stream, `F` for a whole line or `P` for a part of one, text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cri<'a> {
    pub(super) time: &'a str,
    pub(super) stream: Stream,
    /// The rest of the line comes in a later one.
    pub(super) is_part: bool,
    pub(super) text: &'a [u8],
}

impl<'a> Cri<'a> {
    /// From one line without its newline; None when it is none of a CRI log.
    pub(super) fn parse(line: &'a [u8]) -> Option<Self> {
        if !line.first()?.is_ascii_digit() {
            return None;
        }
        let mut fields = line.splitn(4, |byte| *byte == b' ');
        let time = std::str::from_utf8(fields.next()?).ok()?;
        let stream = match fields.next()? {
            b"stdout" => Stream::Stdout,
            b"stderr" => Stream::Stderr,
            _ => return None,
        };
        // There may be more tags, each after a colon.
        let is_part = fields.next()?.split(|byte| *byte == b':').next() != Some(b"F".as_slice());
        moment(time)?;
        Some(Self { time, stream, is_part, text: fields.next().unwrap_or_default() })
    }
}

/// A time as seconds and nanoseconds since 1970; None when it is none.
pub fn moment(text: &str) -> Option<(i64, u32)> {
    utc(text.as_bytes()).or_else(|| {
        let time: jiff::Timestamp = text.parse().ok()?;
        Some((time.as_second(), u32::try_from(time.subsec_nanosecond()).ok()?))
    })
}

/// The usual form, `YYYY-MM-DDThh:mm:ss[.fraction]Z`.
fn utc(text: &[u8]) -> Option<(i64, u32)> {
    let number = |from: usize, to: usize| {
        text.get(from..to)?
            .iter()
            .try_fold(0i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
    };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if marks.iter().any(|(at, mark)| text.get(*at) != Some(mark)) || text.last() != Some(&b'Z') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let nanoseconds = match &text[19..text.len() - 1] {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            let value = number(20, 20 + digits.len())?;
            u32::try_from(value).ok()? * 10u32.pow(9 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    // Years begin in March, so that the leap day is their last.
    let (year, from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + of_year - 719_468;
    Some((days * 86_400 + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::log::escape::escape;

    #[test]
    fn what_the_writer_escapes_comes_back() {
        for length in 0..40 {
            let text: String = "ab\"\\\n\r\t<>&€😀\u{2028}\u{7f}\u{1}".chars().cycle().take(length).collect();
            let mut line = b"{\"log\":\"".to_vec();
            escape(text.as_bytes(), &mut line);
            line.extend_from_slice(b"\",\"stream\":\"stderr\",\"time\":\"2026-01-02T03:04:05.6Z\"}\nrest");
            let mut out = b"old".to_vec();
            let expected = Known::Entry {
                stream: Stream::Stderr,
                time: "2026-01-02T03:04:05.6Z",
                length: line.len() - 4,
            };
            assert_eq!(known(&line, &mut out), expected, "{text:?}");
            assert_eq!(out, text.as_bytes());
            for cut in 0..line.len() - 4 {
                assert_eq!(known(&line[..cut], &mut out), Known::Other);
            }
        }
    }

    #[test]
    fn other_forms_are_left_to_serde() {
        for line in [
            r#"{ "log":"x\n","stream":"stdout","time":"2026-01-02T03:04:05Z"}"#,
            r#"{"log":"x\n","stream":"stdout","attrs":{"a":"b"},"time":"2026-01-02T03:04:05Z"}"#,
            r#"{"stream":"stdout","log":"x\n","time":"2026-01-02T03:04:05Z"}"#,
        ] {
            let whole = format!("{line}\n");
            assert_eq!(known(whole.as_bytes(), &mut Vec::new()), Known::Other);
            assert_eq!(Loose::parse(line.as_bytes()).unwrap().log, "x\n");
        }
        let pair = r#"{"log":"\ud83d\ude00","stream":"stdout","time":"2026-01-02T03:04:05Z"}"#;
        assert_eq!(known(format!("{pair}\n").as_bytes(), &mut Vec::new()), Known::Other);
        assert_eq!(Loose::parse(pair.as_bytes()).unwrap().log, "😀");
        assert!(Loose::parse(b"{\"log\":\"ha").is_none());
        assert!(Loose::parse(b"{}").is_none());
    }

    #[test]
    fn lines_of_cri() {
        let cri = |line: &'static str| Cri::parse(line.as_bytes());
        let (time, stream) = ("2026-01-02T03:04:05.123456789Z", Stream::Stderr);
        let expected = Cri { time, stream, is_part: false, text: b"a b" };
        assert_eq!(cri("2026-01-02T03:04:05.123456789Z stderr F a b"), Some(expected));
        let part = cri("2026-01-02T03:04:05+02:00 stdout P part").unwrap();
        assert_eq!((part.is_part, part.text), (true, b"part".as_slice()));
        assert_eq!(cri("2026-01-02T03:04:05Z stdout F ").unwrap().text, b"");
        assert!(!cri("2026-01-02T03:04:05Z stdout F:new x").unwrap().is_part);
        for line in ["", "2026 stdout F x", "2026-01-02T03:04:05Z other F x", "7", "{}"] {
            assert_eq!(cri(line), None, "{line}");
        }
    }

    #[test]
    fn moments_agree_with_jiff() {
        for text in [
            "2026-01-02T03:04:05Z",
            "2024-02-29T23:59:59.000000001Z",
            "2000-03-01T00:00:00.5Z",
            "1970-01-01T00:00:00Z",
            "2026-01-02T03:04:05.123456789+02:00",
        ] {
            let time: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(moment(text), Some((time.as_second(), time.subsec_nanosecond() as u32)), "{text}");
        }
        for text in ["", "yesterday", "2026-01-02T03:04:05", "2026-01-02T03:04:05.Z", "2026-0x-02T03:04:05Z"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
