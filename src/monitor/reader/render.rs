//! An entry as `docker logs` prints it.

use super::Entry;

/// Appends `entry` to `out`: the time with nine digits and a space when `timestamps`, the attributes and a
/// space when `details`, then the text as it was written.
pub fn render(entry: &Entry<'_>, timestamps: bool, details: bool, out: &mut Vec<u8>) {
    if timestamps {
        fixed(entry.time, out);
        out.push(b' ');
    }
    if details {
        for (number, (name, value)) in entry.attributes.iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            query_escape(name, out);
            out.push(b'=');
            query_escape(value, out);
        }
        out.push(b' ');
    }
    out.extend_from_slice(entry.line);
}

/// The file's times have as many digits as they need; docker prints nine, so that columns line up.
fn fixed(time: &str, out: &mut Vec<u8>) {
    let end = time.len().min(19);
    let (second, rest) = time.as_bytes().split_at(end);
    let digits = rest.strip_prefix(b".").unwrap_or_default();
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count().min(9);
    let zone = if rest.first() == Some(&b'.') { &digits[count..] } else { rest };
    out.extend_from_slice(second);
    out.push(b'.');
    out.extend_from_slice(&digits[..count]);
    out.extend_from_slice(&b"000000000"[count..]);
    out.extend_from_slice(zone);
}

/// As a value in a URL's query, which is how docker writes attributes.
fn query_escape(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(byte),
            b' ' => out.push(b'+'),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::monitor::log::Stream;

    #[test]
    fn as_docker_prints_it() {
        let attributes =
            BTreeMap::from([("b".to_owned(), "x y".to_owned()), ("a/".to_owned(), "1".to_owned())]);
        for (time, timestamps, details, expected) in [
            ("2026-01-02T03:04:05.6Z", false, false, "text\n"),
            ("2026-01-02T03:04:05.6Z", true, false, "2026-01-02T03:04:05.600000000Z text\n"),
            ("2026-01-02T03:04:05Z", true, false, "2026-01-02T03:04:05.000000000Z text\n"),
            (
                "2026-01-02T03:04:05.123456789+02:00",
                true,
                true,
                "2026-01-02T03:04:05.123456789+02:00 a%2F=1,b=x+y text\n",
            ),
            ("odd", true, false, "odd.000000000 text\n"),
        ] {
            let entry = Entry { stream: Stream::Stdout, line: b"text\n", time, attributes: &attributes };
            let mut out = Vec::new();
            render(&entry, timestamps, details, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
