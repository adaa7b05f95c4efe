//! Whole numbers and switches as Go's strconv reads them, with its words: that is what docker's users see.

use super::Parsed;

/// A switch's value: `1 t T TRUE true True` and their opposites.
pub fn switch(text: &str) -> Parsed<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// A signed number of up to 64 bits; `0x`, `0o`, `0b` and a leading zero choose the base.
pub fn signed(text: &str) -> Parsed<i64> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = magnitude(digits, "ParseInt", text)?;
    let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    i64::try_from(value).map_err(|_| out_of_range("ParseInt", text))
}

/// An unsigned number of up to 64 bits, in the bases of [`signed`].
pub fn unsigned(text: &str) -> Parsed<u64> {
    magnitude(text, "ParseUint", text)
}

/// [`unsigned`] within 16 bits.
pub fn unsigned16(text: &str) -> Parsed<u16> {
    u16::try_from(unsigned(text)?).map_err(|_| out_of_range("ParseUint", text))
}

/// Decimal digits and nothing else, within 16 bits: a port.
pub fn port(text: &str) -> Parsed<u16> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("strconv.ParseUint: parsing {text:?}: invalid syntax"));
    }
    text.parse().map_err(|_| out_of_range("ParseUint", text))
}

fn magnitude(digits: &str, function: &str, whole: &str) -> Parsed<u64> {
    let lower = digits.to_ascii_lowercase();
    let (base, rest) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if rest.is_empty() || !rest.chars().all(|digit| digit.is_digit(base)) {
        return Err(format!("strconv.{function}: parsing {whole:?}: invalid syntax"));
    }
    u64::from_str_radix(rest, base).map_err(|_| out_of_range(function, whole))
}

fn out_of_range(function: &str, text: &str) -> String {
    format!("strconv.{function}: parsing {text:?}: value out of range")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        for (text, want) in [("0", 0), ("-1", -1), ("+7", 7), ("0x10", 16), ("010", 8), ("0b11", 3)] {
            assert_eq!(signed(text), Ok(want), "{text}");
        }
        assert_eq!(signed("x").unwrap_err(), r#"strconv.ParseInt: parsing "x": invalid syntax"#);
        assert_eq!(signed("").unwrap_err(), r#"strconv.ParseInt: parsing "": invalid syntax"#);
        assert_eq!(signed("--1").unwrap_err(), r#"strconv.ParseInt: parsing "--1": invalid syntax"#);
        assert!(signed("9223372036854775808").unwrap_err().ends_with("value out of range"));
        assert_eq!(signed("-9223372036854775808"), Ok(i64::MIN));
        assert!(unsigned("-1").unwrap_err().ends_with("invalid syntax"));
        assert!(unsigned16("65536").unwrap_err().ends_with("value out of range"));
        assert!(port("+80").is_err() && port("").is_err() && port("0x50").is_err());
        assert_eq!(port("65535"), Ok(65535));
    }

    #[test]
    fn switches_are_read_as_go_reads_them() {
        assert_eq!(switch("T"), Ok(true));
        assert_eq!(switch("False"), Ok(false));
        assert_eq!(switch("yes").unwrap_err(), r#"strconv.ParseBool: parsing "yes": invalid syntax"#);
    }
}
