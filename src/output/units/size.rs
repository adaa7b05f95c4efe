//! Sizes: decimal ("13.3kB") for what is stored, binary ("1.5MiB") for memory.

use crate::output::notation::{Notation, float, quote};
use crate::{Error, Result};

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// Bytes in units of 1000 with four significant digits: `13.3kB`.
pub fn human_size(bytes: f64) -> String {
    human_size_with_precision(bytes, 4)
}

/// Bytes in units of 1000 with so many significant digits; lists of images and containers use three.
pub fn human_size_with_precision(bytes: f64, digits: usize) -> String {
    scaled(bytes, 1000.0, &DECIMAL, digits)
}

/// Bytes in units of 1024 with four significant digits: `1.5MiB`.
pub fn bytes_size(bytes: f64) -> String {
    scaled(bytes, 1024.0, &BINARY, 4)
}

fn scaled(mut size: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    format!("{}{}", float(size, Notation::Shorter, Some(digits)), units[unit])
}

/// Reads a size in units of 1000 (`10b`, `1.5kB`, `2 GB`) as bytes.
pub fn parse_human_size(text: &str) -> Result<i64> {
    parse(text, 1000)
}

/// Reads a size in units of 1024 (`512m`, `1.5g`, `64MiB`) as bytes: docker's `--memory`, `--shm-size` and friends.
pub fn parse_ram(text: &str) -> Result<i64> {
    parse(text, 1024)
}

fn parse(text: &str, base: i64) -> Result<i64> {
    let invalid = || Error::usage(format!("invalid size: '{text}'"));
    let last = text
        .rfind(|letter: char| letter.is_ascii_digit() || letter == '.' || letter == ' ')
        .ok_or_else(invalid)?;
    let (number, suffix) = text.split_at(last + 1);
    let number = number.strip_suffix(' ').unwrap_or(number);
    let size = parse_float(number).ok_or_else(|| {
        Error::usage(format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(number)))
    })?;
    if size < 0.0 {
        return Err(invalid());
    }
    let factor = factor(&suffix.to_ascii_lowercase(), base)
        .ok_or_else(|| Error::usage(format!("invalid suffix: '{}'", suffix.to_ascii_lowercase())))?;
    // docker's overflow would make a negative limit of a huge one.
    let bytes = size * factor;
    if bytes < i64::MAX as f64 { Ok(bytes as i64) } else { Err(invalid()) }
}

/// Decimal numbers only: Rust's own parser also takes `inf` and `nan`.
fn parse_float(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b".+-eE".contains(&byte));
    plain.then(|| text.parse().ok())?
}

fn factor(suffix: &str, base: i64) -> Option<f64> {
    let mut letters = suffix.chars();
    let power = match letters.next() {
        None => return Some(1.0),
        Some('b') => return letters.as_str().is_empty().then_some(1.0),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(letters.as_str(), "" | "b" | "ib").then(|| base.pow(power) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_docker_does() {
        for (bytes, expected) in [
            (0.0, "0B"),
            (999.0, "999B"),
            (1000.0, "1kB"),
            (1024.0, "1.024kB"),
            (13_300.0, "13.3kB"),
            (1_048_576.0, "1.049MB"),
            (3.42e9, "3.42GB"),
            (5.372e12, "5.372TB"),
            (2.22e15, "2.22PB"),
            (1e28, "1e+04YB"),
        ] {
            assert_eq!(human_size(bytes), expected);
        }
        assert_eq!(human_size_with_precision(7_654_321.0, 3), "7.65MB");
        assert_eq!(human_size_with_precision(999_999.0, 3), "1e+03kB");
        for (bytes, expected) in [
            (1024.0, "1KiB"),
            (1_572_864.0, "1.5MiB"),
            (3.42 * 1_073_741_824.0, "3.42GiB"),
            (2.22 * 1024f64.powi(5), "2.22PiB"),
            (1024f64.powi(10), "1.049e+06YiB"),
        ] {
            assert_eq!(bytes_size(bytes), expected);
        }
    }

    #[test]
    fn sizes_are_read_as_docker_does() {
        for (text, ram, human) in [
            ("0", 0, 0),
            ("32", 32, 32),
            ("32b", 32, 32),
            ("10B", 10, 10),
            ("512m", 512 << 20, 512_000_000),
            ("1.5g", 3 << 29, 1_500_000_000),
            ("32Kb", 32 << 10, 32_000),
            ("32KiB", 32 << 10, 32_000),
            ("32.5 kB", 33_280, 32_500),
            ("32.5 B", 32, 32),
            (".3kB", 307, 300),
            ("0.", 0, 0),
            ("-0", 0, 0),
            ("1p", 1 << 50, 1_000_000_000_000_000),
        ] {
            assert_eq!(parse_ram(text).map_err(|e| e.message), Ok(ram), "{text}");
            assert_eq!(parse_human_size(text).map_err(|e| e.message), Ok(human), "{text}");
        }
        for (text, message) in [
            ("", "invalid size: ''"),
            ("hello", "invalid size: 'hello'"),
            ("-32", "invalid size: '-32'"),
            ("9000000p", "invalid size: '9000000p'"),
            ("7e300", "invalid size: '7e300'"),
            ("32mm", "invalid suffix: 'mm'"),
            ("32bb", "invalid suffix: 'bb'"),
            ("32kibb", "invalid suffix: 'kibb'"),
            ("32x", "invalid suffix: 'x'"),
            ("1 000k", "strconv.ParseFloat: parsing \"1 000\": invalid syntax"),
            ("inf0", "strconv.ParseFloat: parsing \"inf0\": invalid syntax"),
            ("1.2.3", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"),
        ] {
            assert_eq!(parse_ram(text).map_err(|e| e.message), Err(message.to_string()), "{text}");
        }
    }
}
