//! docker's own template functions.

use std::rc::Rc;

use super::value::Val;
use super::{json, print};

type Answer<'a> = Result<Val<'a>, String>;

/// Padding beyond this is a mistake, and would eat the memory.
const MAX_PADDING: i64 = 1 << 20;

/// The argument as JSON on one line.
pub(super) fn json<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    Ok(Val::text(arguments.first().map_or_else(String::new, json::encode)))
}

/// A string at each separator, as a list.
pub(super) fn split<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let (text, separator) = (text(arguments, 0), text(arguments, 1));
    let parts: Vec<Val<'a>> = if separator.is_empty() {
        text.chars().map(Val::text).collect()
    } else {
        text.split(separator).map(Val::text).collect()
    };
    Ok(Val::List(Rc::new(parts)))
}

/// A list's items, or a map's values in order, with a separator between.
pub(super) fn join<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let separator = text(arguments, 1);
    let joined = match arguments.first() {
        None | Some(Val::Absent | Val::Nil) => String::new(),
        Some(list @ (Val::Seq(..) | Val::List(_))) => {
            let items = (0..list.len().unwrap_or_default()).filter_map(|index| list.item(index));
            items.map(|item| print::plain(&item)).collect::<Vec<_>>().join(separator)
        }
        Some(Val::Map(entries, of)) => {
            let values = entries.iter().flat_map(|entries| entries.values());
            let mut values: Vec<_> =
                values.map(|value| print::plain(&Val::shaped(Some(value), of))).collect();
            values.sort();
            values.join(separator)
        }
        Some(other) => return Err(format!("expected slice, got {}", other.type_name())),
    };
    Ok(Val::text(joined))
}

/// Each word's first letter in upper case.
pub(super) fn title<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let mut inside = false;
    let mut titled = String::new();
    for letter in text(arguments, 0).chars() {
        if inside {
            titled.push(letter);
        } else {
            titled.extend(letter.to_uppercase());
        }
        // Beyond ASCII, only spaces separate words.
        inside = letter.is_alphanumeric() || letter == '_' || (!letter.is_ascii() && !letter.is_whitespace());
    }
    Ok(Val::text(titled))
}

/// A string in lower case.
pub(super) fn lower<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    Ok(Val::text(text(arguments, 0).to_lowercase()))
}

/// A string in upper case.
pub(super) fn upper<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    Ok(Val::text(text(arguments, 0).to_uppercase()))
}

/// A string with spaces before and behind it; nothing stays nothing.
pub(super) fn pad<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let source = text(arguments, 0);
    if source.is_empty() {
        return Ok(Val::text(""));
    }
    let (before, behind) = (int(arguments, 1), int(arguments, 2));
    if before < 0 || behind < 0 {
        return Err("strings: negative Repeat count".into());
    }
    if before > MAX_PADDING || behind > MAX_PADDING {
        return Err(format!("more than {MAX_PADDING} spaces asked for"));
    }
    Ok(Val::text([&" ".repeat(before as usize), source, &" ".repeat(behind as usize)].concat()))
}

/// The first bytes of a string.
pub(super) fn truncate<'a>(arguments: &[Val<'a>]) -> Answer<'a> {
    let (source, length) = (text(arguments, 0), int(arguments, 1));
    let Ok(length) = usize::try_from(length) else {
        return Err(format!("runtime error: slice bounds out of range [:{length}]"));
    };
    match source.as_bytes().get(..length) {
        // Half a letter at the cut is replaced.
        Some(kept) => Ok(Val::text(String::from_utf8_lossy(kept))),
        None => Ok(Val::text(source)),
    }
}

fn text<'v>(arguments: &'v [Val<'_>], index: usize) -> &'v str {
    match arguments.get(index) {
        Some(Val::Text(text)) => text,
        _ => "",
    }
}

fn int(arguments: &[Val<'_>], index: usize) -> i64 {
    match arguments.get(index) {
        Some(Val::Int(number)) => *number,
        _ => 0,
    }
}
