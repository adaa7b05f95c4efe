//! How Go writes floats and quoted strings: docker's sizes and templates are made of them.

/// How a float is written: the letters are Go's verbs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notation {
    /// `%e`: always an exponent.
    Exponent,
    /// `%f`: never an exponent.
    Fixed,
    /// `%g`: whichever is shorter.
    Shorter,
}

/// `value` as Go writes it. `precision` counts digits after the point, or significant digits for
/// [`Notation::Shorter`]; without it, as many as tell the value apart from its neighbours.
pub fn float(value: f64, notation: Notation, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    match (notation, precision) {
        (Notation::Fixed, Some(digits)) => format!("{value:.digits$}"),
        (Notation::Fixed, None) => format!("{value}"),
        (Notation::Exponent, Some(digits)) => go_exponent(&format!("{value:.digits$e}")),
        (Notation::Exponent, None) => go_exponent(&format!("{value:e}")),
        (Notation::Shorter, _) => shorter(value, precision),
    }
}

/// `%g`: an exponent below 1e-4 and from the precision on; without one, from 1e6 on.
fn shorter(value: f64, precision: Option<usize>) -> String {
    let written = match precision {
        Some(digits) => format!("{value:.*e}", digits.max(1) - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).count();
    let limit = match precision {
        None => 6,
        Some(digits) => {
            let digits = digits.max(1);
            let whole = i32::try_from(significant).unwrap_or(i32::MAX) > exponent;
            if digits > significant && whole { significant } else { digits }
        }
    };
    if exponent < -4 || exponent >= i32::try_from(limit).unwrap_or(i32::MAX) {
        return go_exponent(&format!("{mantissa}e{exponent}"));
    }
    let after_point = i32::try_from(significant).unwrap_or(i32::MAX) - exponent - 1;
    format!("{value:.*}", usize::try_from(after_point).unwrap_or(0))
}

/// Rust's `1.5e6` as Go's `1.5e+06`.
fn go_exponent(written: &str) -> String {
    let (mantissa, exponent) = written.split_once('e').unwrap_or((written, "0"));
    let (sign, digits) = match exponent.strip_prefix('-') {
        Some(digits) => ('-', digits),
        None => ('+', exponent),
    };
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `text` in double quotes with Go's escapes.
pub fn quote(text: &str) -> String {
    quoted(text, '"', false)
}

/// `text` in double quotes, everything beyond ASCII escaped too.
pub fn quote_ascii(text: &str) -> String {
    quoted(text, '"', true)
}

/// One character in single quotes with Go's escapes.
pub fn quote_char(letter: char) -> String {
    quoted(letter.encode_utf8(&mut [0; 4]), '\'', false)
}

fn quoted(text: &str, mark: char, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(mark);
    for letter in text.chars() {
        match letter {
            '\\' => out.push_str("\\\\"),
            letter if letter == mark => {
                out.push('\\');
                out.push(mark);
            }
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            letter if printable(letter) && (letter.is_ascii() || !ascii) => out.push(letter),
            letter if (letter as u32) < 0x20 || letter == '\u{7f}' => {
                out.push_str(&format!("\\x{:02x}", letter as u32));
            }
            letter if (letter as u32) < 0x10000 => out.push_str(&format!("\\u{:04x}", letter as u32)),
            letter => out.push_str(&format!("\\U{:08x}", letter as u32)),
        }
    }
    out.push(mark);
    out
}

/// Whether Go would print `letter` as it is: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub fn printable(letter: char) -> bool {
    if letter.is_ascii() {
        return (' '..='~').contains(&letter);
    }
    if letter.is_control() || letter.is_whitespace() {
        return false;
    }
    // The standard library knows what is printable only through its escaping, which treats a combining mark as
    // printable when something stands before it.
    let pair: String = ['a', letter].into_iter().collect();
    pair.escape_debug().count() == 2
}

/// The text between Go's quotes (`"…"`, or `` `…` ``), `None` when it is not valid Go.
pub fn unquote(quoted: &str) -> Option<String> {
    if let Some(raw) = quoted.strip_prefix('`') {
        return Some(raw.strip_suffix('`')?.replace('\r', ""));
    }
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        if rest.starts_with('"') || rest.starts_with('\n') {
            return None;
        }
        rest = unescape(rest, '"', &mut bytes)?;
    }
    // Byte escapes can make what is not UTF-8; our output is text, so such bytes are replaced.
    Some(
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    )
}

/// The character of a Go constant such as `'a'` or `'\n'`.
pub fn unquote_char(quoted: &str) -> Option<char> {
    let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut bytes = Vec::new();
    if inner.starts_with('\'') || !unescape(inner, '\'', &mut bytes)?.is_empty() {
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => text.chars().next(),
        Err(error) => error.as_bytes().first().map(|&byte| char::from(byte)),
    }
}

/// Takes one character or escape off `rest` into `bytes` and gives what is left.
fn unescape<'s>(rest: &'s str, mark: char, bytes: &mut Vec<u8>) -> Option<&'s str> {
    let mut letters = rest.chars();
    let first = letters.next()?;
    if first != '\\' {
        bytes.extend_from_slice(&rest.as_bytes()[..first.len_utf8()]);
        return Some(letters.as_str());
    }
    let kind = letters.next()?;
    let rest = letters.as_str();
    let simple = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => 10,
        'r' => 13,
        't' => 9,
        'v' => 11,
        '\\' => b'\\',
        '\'' | '"' if kind == mark => mark as u8,
        'x' => u8::try_from(number(rest, 2, 16)?).ok()?,
        '0'..='7' => {
            bytes.push(u8::try_from(kind.to_digit(8)? * 64 + number(rest, 2, 8)?).ok()?);
            return rest.get(2..);
        }
        'u' | 'U' => {
            let digits = if kind == 'u' { 4 } else { 8 };
            let letter = char::from_u32(number(rest, digits, 16)?)?;
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            return rest.get(digits..);
        }
        _ => return None,
    };
    bytes.push(simple);
    rest.get(if kind == 'x' { 2 } else { 0 }..)
}

fn number(text: &str, digits: usize, base: u32) -> Option<u32> {
    let text = text.get(..digits)?;
    text.chars().all(|letter| letter.is_digit(base)).then(|| u32::from_str_radix(text, base).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_gos() {
        for (value, notation, precision, expected) in [
            (13.3, Notation::Shorter, Some(4), "13.3"),
            (1.048576, Notation::Shorter, Some(4), "1.049"),
            (999.99, Notation::Shorter, Some(4), "1000"),
            (10000.0, Notation::Shorter, Some(4), "1e+04"),
            (2e6, Notation::Shorter, Some(4), "2e+06"),
            (0.0, Notation::Shorter, Some(3), "0"),
            (0.00001, Notation::Shorter, None, "1e-05"),
            (0.0001, Notation::Shorter, None, "0.0001"),
            (100000.0, Notation::Shorter, None, "100000"),
            (1000000.0, Notation::Shorter, None, "1e+06"),
            (123456789.0, Notation::Shorter, None, "1.23456789e+08"),
            (-2.5, Notation::Shorter, None, "-2.5"),
            (3.0, Notation::Fixed, Some(2), "3.00"),
            (1.0, Notation::Exponent, Some(6), "1.000000e+00"),
            (f64::INFINITY, Notation::Shorter, None, "+Inf"),
        ] {
            assert_eq!(float(value, notation, precision), expected, "{value} {notation:?} {precision:?}");
        }
    }

    #[test]
    fn quotes_are_gos() {
        for (text, expected) in [
            ("sleep 1", "\"sleep 1\""),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("\t\n\u{1}\u{7f}", r#""\t\n\x01\x7f""#),
            ("é…日本", "\"é…日本\""),
            ("\u{a0}\u{200b}", r#""\u00a0\u200b""#),
            ("e\u{301}", "\"e\u{301}\""),
            ("\u{e0001}", r#""\U000e0001""#),
        ] {
            assert_eq!(quote(text), expected);
            assert_eq!(unquote(expected).as_deref(), Some(text));
        }
        assert_eq!(quote_ascii("é"), r#""\u00e9""#);
        assert_eq!(quote_char('\''), r"'\''");
    }

    #[test]
    fn unquoting_refuses_what_go_refuses() {
        assert_eq!(unquote(r#""\101\x41""#).as_deref(), Some("AA"));
        assert_eq!(unquote("`a\\n`").as_deref(), Some("a\\n"));
        for bad in ["\"", "\"\\q\"", "\"\\'\"", "\"\\u12\"", "\"\\x4é\"", "abc", ""] {
            assert_eq!(unquote(bad), None, "{bad}");
        }
        assert_eq!(unquote_char("'a'"), Some('a'));
        assert_eq!(unquote_char(r"'\n'"), Some('\n'));
        assert_eq!(unquote_char("'ab'"), None);
    }
}
