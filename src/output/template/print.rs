//! Values as text, as Go's `fmt` prints them.

use std::fmt::Write;

use jiff::tz::TimeZone;

use super::shape::ShapeKind;
use super::value::Val;
use crate::output::notation::{Notation, float, quote, quote_ascii, quote_char};
use crate::output::units::{go_duration, go_time};

/// A verb of `printf` and its flags.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spec {
    pub(super) verb: char,
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    /// `%+v` and `%#v`: the names of a struct's fields.
    pub(super) names: bool,
    /// `%#v`: strings as Go writes them in source.
    pub(super) source: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

impl Spec {
    /// `%` and `verb`, nothing else.
    pub(super) const fn of(verb: char) -> Self {
        Self {
            verb,
            plus: false,
            minus: false,
            sharp: false,
            names: false,
            source: false,
            space: false,
            zero: false,
            width: None,
            precision: None,
        }
    }
}

/// What an action prints: what is not there is `<no value>`.
pub(super) fn top(out: &mut String, value: &Val<'_>) {
    match value {
        Val::Absent | Val::Nil => out.push_str("<no value>"),
        Val::Text(text) => out.push_str(text),
        _ => write(out, value, &Spec::of('v'), true),
    }
}

/// A value as `%v`.
pub(super) fn plain(value: &Val<'_>) -> String {
    let mut out = String::new();
    write(&mut out, value, &Spec::of('v'), true);
    out
}

/// All values, with a space between two of which neither is a string.
pub(super) fn sprint(values: &[Val<'_>]) -> String {
    let mut out = String::new();
    let mut before_text = true;
    for value in values {
        let text = matches!(value, Val::Text(_));
        if !before_text && !text {
            out.push(' ');
        }
        before_text = text;
        write(&mut out, value, &Spec::of('v'), false);
    }
    out
}

/// All values with spaces between, and a newline.
pub(super) fn sprintln(values: &[Val<'_>]) -> String {
    let mut out = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        write(&mut out, value, &Spec::of('v'), false);
    }
    out.push('\n');
    out
}

/// One value by `spec`. Inside another value, and where templates print it, a pointer looks like what it points to.
pub(super) fn write(out: &mut String, value: &Val<'_>, spec: &Spec, inside: bool) {
    match value {
        Val::Absent | Val::Nil if inside => out.push_str("<nil>"),
        Val::Absent | Val::Nil if spec.verb == 'v' => pad(out, "<nil>", spec),
        Val::Absent | Val::Nil => drop(write!(out, "%!{}(<nil>)", spec.verb)),
        Val::NilPointer(_) if spec.verb == 'v' => pad(out, "<nil>", spec),
        Val::NilPointer(_) => drop(write!(out, "%!{}({}=<nil>)", spec.verb, value.type_name())),
        Val::Bool(flag) if matches!(spec.verb, 't' | 'v') => {
            pad(out, if *flag { "true" } else { "false" }, spec)
        }
        Val::Int(number) => integer(out, value, (*number).into(), spec),
        Val::Uint(number) => integer(out, value, (*number).into(), spec),
        Val::Duration(number) => match spec.verb {
            'v' | 's' | 'q' | 'x' | 'X' => text(out, value, &go_duration(*number), spec),
            _ => integer(out, value, (*number).into(), spec),
        },
        Val::Time(time) => text(out, value, &go_time(*time, &TimeZone::UTC), spec),
        Val::Float(number) => real(out, value, *number, spec),
        Val::Text(string) => text(out, value, string, spec),
        Val::Seq(..) | Val::List(_) => {
            let items = (0..value.len().unwrap_or_default()).filter_map(|index| value.item(index));
            out.push('[');
            for (index, item) in items.enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write(out, &item, spec, true);
            }
            out.push(']');
        }
        Val::Map(entries, of) => {
            let mut entries: Vec<_> = entries.iter().flat_map(|entries| entries.iter()).collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push_str("map[");
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                write(out, &Val::Text(key.as_str().into()), spec, true);
                out.push(':');
                write(out, &Val::shaped(Some(item), of), spec, true);
            }
            out.push(']');
        }
        Val::Struct(record) => {
            let fields: &[_] = if let ShapeKind::Struct(fields) = &record.shape.kind { fields } else { &[] };
            out.push_str(if record.shape.pointer && !inside { "&{" } else { "{" });
            for (index, field) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(' ');
                }
                if spec.names {
                    let _ = write!(out, "{}:", field.name);
                }
                write(out, &record.field(&field.name).unwrap_or(Val::Nil), spec, true);
            }
            out.push('}');
        }
        Val::Bool(_) => wrong(out, value, spec),
    }
}

/// A verb that does not fit its value.
fn wrong(out: &mut String, value: &Val<'_>, spec: &Spec) {
    let _ = write!(out, "%!{}({}=", spec.verb, value.type_name());
    // The flags stay, and a duration is bare.
    let bare = if let Val::Duration(number) = value { &Val::Int(*number) } else { value };
    write(out, bare, &Spec { verb: 'v', sharp: false, ..*spec }, true);
    out.push(')');
}

fn text(out: &mut String, value: &Val<'_>, string: &str, spec: &Spec) {
    let cut: String = match spec.precision {
        Some(letters) => string.chars().take(letters).collect(),
        None => string.to_owned(),
    };
    match spec.verb {
        'v' if spec.source => pad(out, &quote(&cut), spec),
        'v' | 's' => pad(out, &cut, spec),
        'q' if spec.sharp && !cut.contains('`') && !cut.contains(char::is_control) => {
            pad(out, &format!("`{cut}`"), spec);
        }
        'q' if spec.plus => pad(out, &quote_ascii(&cut), spec),
        'q' => pad(out, &quote(&cut), spec),
        'x' | 'X' => pad(out, &hexadecimal(string, spec), spec),
        _ => wrong(out, value, spec),
    }
}

/// Bytes in hexadecimal: `% x` puts spaces between, `%#x` a prefix before.
fn hexadecimal(string: &str, spec: &Spec) -> String {
    let prefix = if spec.sharp { "0x" } else { "" };
    let bytes = string.bytes().take(spec.precision.unwrap_or(usize::MAX)).map(|byte| format!("{byte:02x}"));
    let bytes: Vec<String> = bytes.collect();
    let written = match (spec.space, bytes.is_empty()) {
        (_, true) => String::new(),
        (true, _) => format!("{prefix}{}", bytes.join(&format!(" {prefix}"))),
        (false, _) => format!("{prefix}{}", bytes.concat()),
    };
    if spec.verb == 'X' { written.to_uppercase() } else { written }
}

fn integer(out: &mut String, value: &Val<'_>, number: i128, spec: &Spec) {
    let size = number.unsigned_abs();
    let (digits, prefix) = match spec.verb {
        'v' | 'd' => (size.to_string(), ""),
        'b' => (format!("{size:b}"), if spec.sharp { "0b" } else { "" }),
        'o' => (format!("{size:o}"), if spec.sharp { "0" } else { "" }),
        'O' => (format!("{size:o}"), "0o"),
        'x' => (format!("{size:x}"), if spec.sharp { "0x" } else { "" }),
        'X' => (format!("{size:X}"), if spec.sharp { "0X" } else { "" }),
        'c' => return pad(out, &letter(number).to_string(), spec),
        'q' => return pad(out, &quote_char(letter(number)), spec),
        'U' if spec.sharp => return pad(out, &format!("U+{size:04X} '{}'", letter(number)), spec),
        'U' => return pad(out, &format!("U+{size:04X}"), spec),
        'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 's' | 't' => return wrong(out, value, spec),
        _ => return wrong(out, value, spec),
    };
    let sign = sign(number < 0, spec);
    // Zeros fill up to the precision, or to the width that is left.
    let least = match (spec.precision, spec.width) {
        (Some(0), _) if number == 0 => return pad(out, "", &Spec { zero: false, ..*spec }),
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.zero && !spec.minus => width.saturating_sub(sign.len()),
        _ => 0,
    };
    pad(out, &format!("{sign}{prefix}{digits:0>least$}"), &Spec { zero: false, ..*spec });
}

fn letter(number: i128) -> char {
    u32::try_from(number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}')
}

fn real(out: &mut String, value: &Val<'_>, number: f64, spec: &Spec) {
    let written = match spec.verb {
        'v' | 'g' | 'G' => float(number.abs(), Notation::Shorter, spec.precision),
        'e' | 'E' => float(number.abs(), Notation::Exponent, Some(spec.precision.unwrap_or(6))),
        'f' | 'F' => float(number.abs(), Notation::Fixed, Some(spec.precision.unwrap_or(6))),
        _ => return wrong(out, value, spec),
    };
    let written = if spec.verb.is_ascii_uppercase() { written.to_uppercase() } else { written };
    let sign = if number.is_infinite() && number > 0.0 { "+" } else { sign(number.is_sign_negative(), spec) };
    let written = written.trim_start_matches('+');
    let least = match spec.width {
        Some(width) if spec.zero && !spec.minus && number.is_finite() => width.saturating_sub(sign.len()),
        _ => 0,
    };
    pad(out, &format!("{sign}{written:0>least$}"), &Spec { zero: false, ..*spec });
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, ..) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        _ => "",
    }
}

fn pad(out: &mut String, text: &str, spec: &Spec) {
    let missing = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    let fill = if spec.zero && !spec.minus { "0" } else { " " };
    if spec.minus {
        out.push_str(text);
        out.push_str(&fill.repeat(missing));
    } else {
        out.push_str(&fill.repeat(missing));
        out.push_str(text);
    }
}
