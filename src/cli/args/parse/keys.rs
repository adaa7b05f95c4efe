//! `--detach-keys`: the bytes a terminal sends for a sequence of keys.

use super::Parsed;

/// docker's sequence when none is given.
pub const DEFAULT: &str = "ctrl-p,ctrl-q";

/// `ctrl-p,ctrl-q`, `a,b`: a comma between keys, each one character or `ctrl-` with a letter or one of
/// `@ [ \ ] ^ _`.
pub fn detach_keys(text: &str) -> Parsed<Vec<u8>> {
    let mut bytes = Vec::new();
    for key in text.split(',') {
        if key.len() == 1 {
            bytes.extend_from_slice(key.as_bytes());
            continue;
        }
        match key.strip_prefix("ctrl-").map(str::as_bytes) {
            // A control character is its letter without the upper bits.
            Some([letter @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]) => {
                bytes.push(letter & 0x1f)
            }
            _ => return Err(format!("Unknown character: '{key}'")),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        for (text, want) in [
            (DEFAULT, vec![16, 17]),
            ("ctrl-a", vec![1]),
            ("ctrl-z,x", vec![26, b'x']),
            ("a,b", b"ab".to_vec()),
            ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", vec![0, 27, 28, 29, 30, 31]),
        ] {
            assert_eq!(detach_keys(text), Ok(want), "{text}");
        }
        for text in ["shift-a", "ctrl-", "ctrl-P", "ctrl-1", "", "a,,b", "é", "ctrl-ab"] {
            assert!(detach_keys(text).unwrap_err().starts_with("Unknown character: '"), "{text}");
        }
    }
}
