//! Constants as Go reads them.

use super::node::Number;
use crate::output::notation::{quote, unquote_char};

/// Reads a number or a character constant.
pub(super) fn parse(text: &str) -> Result<Number, String> {
    if text == "''" {
        return Err("invalid syntax".into());
    }
    if text.starts_with('\'') {
        let letter = unquote_char(text).ok_or_else(|| format!("malformed character constant: {text}"))?;
        let code = letter as u32;
        return Ok(Number {
            text: text.into(),
            int: Some(code.into()),
            uint: Some(code.into()),
            float: Some(code.into()),
        });
    }
    let magnitude = whole(text.trim_start_matches(['+', '-']));
    let negative = text.starts_with('-');
    let signed = text.starts_with(['+', '-']);
    let int = magnitude.and_then(|value| {
        if negative { 0i64.checked_sub_unsigned(value) } else { i64::try_from(value).ok() }
    });
    let uint = magnitude.filter(|value| !signed || *value == 0);
    let mut number = Number { text: text.into(), int, uint, float: None };
    number.float = match (int, uint) {
        (Some(int), _) => Some(int as f64),
        (None, Some(uint)) => Some(uint as f64),
        (None, None) => float(text),
    };
    if number.float.is_none() {
        return Err(format!("illegal number syntax: {}", quote(text)));
    }
    if number.int.is_none() && number.uint.is_none() {
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {}", quote(text)));
        }
        // 1e3 can stand where an integer is wanted.
        number.int = number
            .float
            .filter(|value| value.fract() == 0.0 && value.abs() < 9.2e18)
            .map(|value| value as i64);
    }
    Ok(number)
}

/// Digits with an optional base prefix and single underscores between them.
fn whole(text: &str) -> Option<u64> {
    let (base, digits) = match text.get(..2).unwrap_or_default() {
        "0x" | "0X" => (16, &text[2..]),
        "0o" | "0O" => (8, &text[2..]),
        "0b" | "0B" => (2, &text[2..]),
        _ if text.len() > 1 && text.starts_with('0') => (8, &text[1..]),
        _ => (10, text),
    };
    let prefixed = base != 10;
    if digits.ends_with('_') || digits.contains("__") || (digits.starts_with('_') && !prefixed) {
        return None;
    }
    let digits = digits.replace('_', "");
    if !digits.chars().all(|digit| digit.is_digit(base)) {
        return None;
    }
    u64::from_str_radix(&digits, base).ok()
}

fn float(text: &str) -> Option<f64> {
    // Rust reads neither underscores nor hexadecimal floats; the latter are nowhere in use.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    plain.then(|| text.parse().ok())?.filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_gos() {
        for (text, int, float) in [
            ("0", Some(0), Some(0.0)),
            ("-12", Some(-12), Some(-12.0)),
            ("0x1F", Some(31), Some(31.0)),
            ("017", Some(15), Some(15.0)),
            ("0b101", Some(5), Some(5.0)),
            ("1_000", Some(1000), Some(1000.0)),
            ("'a'", Some(97), Some(97.0)),
            ("1.5", None, Some(1.5)),
            ("1e3", Some(1000), Some(1000.0)),
            (".5", None, Some(0.5)),
        ] {
            let number = parse(text).unwrap();
            assert_eq!((number.int, number.float), (int, float), "{text}");
        }
        for (text, message) in [
            ("99999999999999999999", "integer overflow: \"99999999999999999999\""),
            ("0x", "illegal number syntax: \"0x\""),
            ("1__0", "illegal number syntax: \"1__0\""),
            ("'ab'", "malformed character constant: 'ab'"),
        ] {
            assert_eq!(parse(text).err().as_deref(), Some(message));
        }
    }
}
