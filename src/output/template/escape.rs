//! `html`, `js` and `urlquery`.

use std::fmt::Write;

use super::print;
use super::value::Val;
use crate::output::notation::printable;

type Answer<'a> = Result<Val<'a>, String>;

/// The arguments as text that HTML shows as it is.
pub(super) fn html<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let mut out = String::new();
    for letter in joined(arguments).chars() {
        match letter {
            '\0' => out.push('\u{fffd}'),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            _ => out.push(letter),
        }
    }
    Ok(Val::text(out))
}

/// The arguments as the inside of a JavaScript string.
pub(super) fn js<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let mut out = String::new();
    for letter in joined(arguments).chars() {
        match letter {
            '\\' | '\'' | '"' => out.extend(['\\', letter]),
            '<' | '>' | '&' | '=' => push_code(&mut out, letter),
            _ if letter < ' ' || !(letter.is_ascii() || printable(letter)) => push_code(&mut out, letter),
            _ => out.push(letter),
        }
    }
    Ok(Val::text(out))
}

fn push_code(out: &mut String, letter: char) {
    // Writing to a string cannot fail.
    let _ = write!(out, "\\u{:04X}", letter as u32);
}

/// The arguments as a value in a URL's query.
pub(super) fn url_query<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let mut out = String::new();
    for byte in joined(arguments).bytes() {
        match byte {
            b' ' => out.push('+'),
            _ if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    Ok(Val::text(out))
}

/// The arguments as `print` writes them, what is not there as templates write it.
fn joined(arguments: &[Val<'_>]) -> String {
    let shown: Vec<Val<'_>> =
        arguments
            .iter()
            .map(|value| {
                if matches!(value, Val::Absent | Val::Nil) { Val::text("<no value>") } else { value.clone() }
            })
            .collect();
    print::sprint(&shown)
}
