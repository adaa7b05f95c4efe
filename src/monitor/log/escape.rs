//! Bytes as the inside of a JSON string, exactly as docker's json-file writes them: `<`, `>`, `&` and control
//! characters as `\u00xx`, only newline and carriage return by letter, and each byte that is not UTF-8 as
//! `\ufffd`.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// What stands for itself: printable ASCII but for `"`, `\`, `<`, `>` and `&`.
const PLAIN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0x20;
    while byte < 0x80 {
        table[byte] = !matches!(byte as u8, b'"' | b'\\' | b'<' | b'>' | b'&');
        byte += 1;
    }
    table
};

/// Appends `bytes`, escaped, to `out`.
pub fn escape(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    loop {
        let plain = rest.iter().position(|byte| !PLAIN[usize::from(*byte)]).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let Some(&first) = rest.first() else { return };
        if first < 0x80 {
            ascii(first, out);
            rest = &rest[1..];
        } else {
            rest = beyond_ascii(rest, out);
        }
    }
}

fn ascii(byte: u8, out: &mut Vec<u8>) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ => out.extend_from_slice(&[
            b'\\',
            b'u',
            b'0',
            b'0',
            HEX[usize::from(byte >> 4)],
            HEX[usize::from(byte & 15)],
        ]),
    }
}

/// Takes the run of bytes beyond ASCII that `bytes` begins with, and gives what follows it.
fn beyond_ascii<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let end = bytes.iter().position(u8::is_ascii).unwrap_or(bytes.len());
    let (run, rest) = bytes.split_at(end);
    for chunk in run.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                // JavaScript takes these two for line ends.
                '\u{2028}' => out.extend_from_slice(b"\\u2028"),
                '\u{2029}' => out.extend_from_slice(b"\\u2029"),
                _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for _ in chunk.invalid() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_docker_writes_it() {
        for (bytes, expected) in [
            (&b"plain ~ text"[..], r"plain ~ text"),
            (b"a\"b\\c\n\r", r#"a\"b\\c\n\r"#),
            (b"\t\x00\x1b[0m\x7f", "\\u0009\\u0000\\u001b[0m\x7f"),
            (b"<a href='x'>&", r"\u003ca href='x'\u003e\u0026"),
            ("grün €".as_bytes(), "grün €"),
            (b"x\xff\xe2\x82y", r"x\ufffd\ufffd\ufffdy"),
            (b"\xc3", r"\ufffd"),
            ("\u{2028}\u{2029}😀".as_bytes(), "\\u2028\\u2029😀"),
        ] {
            let mut out = Vec::new();
            escape(bytes, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{bytes:?}");
        }
    }

    #[test]
    fn every_byte_comes_back_through_a_json_parser() {
        let all: String = (0..0x250u32).filter_map(char::from_u32).collect();
        let mut out = b"\"".to_vec();
        escape(all.as_bytes(), &mut out);
        out.push(b'"');
        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), all);
    }
}
