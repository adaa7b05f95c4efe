//! Values as Go encodes them to JSON: maps sorted, structs in order.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

use super::shape::{ANY, Shape, ShapeKind};
use super::value::Val;
use crate::output::notation::{Notation, float};

/// A value on one line, as docker's `json` function writes it.
pub(super) fn encode(value: &Val<'_>) -> String {
    let mut out = String::new();
    write_val(&mut out, value);
    out
}

/// A JSON object on one line with its keys sorted, and `<`, `>` and `&` escaped, as docker writes a list's row.
pub(crate) fn encode_row(entries: &Map<String, Value>) -> String {
    let mut writer = Writer { out: String::new(), html: true };
    writer.object(Some(entries), &ANY);
    writer.out
}

fn write_val(out: &mut String, value: &Val<'_>) {
    let mut writer = Writer { out: std::mem::take(out), html: false };
    match value {
        Val::Absent | Val::Nil | Val::NilPointer(_) | Val::Map(None, _) | Val::Seq(None, _) => {
            writer.out.push_str("null");
        }
        Val::Bool(value) => writer.out.push_str(if *value { "true" } else { "false" }),
        Val::Int(number) | Val::Duration(number) => writer.number(&Number::from(*number)),
        Val::Uint(number) => writer.number(&Number::from(*number)),
        Val::Float(number) => writer.float(*number),
        Val::Time(time) => writer.string(&time.to_string()),
        Val::Text(text) => writer.string(text),
        Val::Seq(Some(items), of) => writer.list(items, of),
        Val::Map(entries, of) => writer.object(*entries, of),
        Val::List(items) => {
            writer.out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    writer.out.push(',');
                }
                write_val(&mut writer.out, item);
            }
            writer.out.push(']');
        }
        Val::Struct(record) => match record.methods.and_then(|methods| methods.to_json()) {
            Some(json) => writer.out.push_str(&json),
            None => writer.structure(record.entries, record.shape),
        },
    }
    *out = writer.out;
}

struct Writer {
    out: String,
    /// `<`, `>` and `&` are escaped.
    html: bool,
}

impl Writer {
    fn value(&mut self, value: &Value, shape: &Shape) {
        match (value, &shape.kind) {
            (Value::Null, _) => self.out.push_str("null"),
            (Value::Bool(value), _) => self.out.push_str(if *value { "true" } else { "false" }),
            (Value::Number(number), _) => self.number(number),
            (Value::String(text), _) => self.string(text),
            (Value::Array(items), ShapeKind::List(of)) => self.list(items, of),
            (Value::Array(items), _) => self.list(items, &ANY),
            (Value::Object(entries), ShapeKind::Struct(_)) => self.structure(Some(entries), shape),
            (Value::Object(entries), ShapeKind::Map(of)) => self.object(Some(entries), of),
            (Value::Object(entries), _) => self.object(Some(entries), &ANY),
        }
    }

    fn list(&mut self, items: &[Value], of: &Shape) {
        self.out.push('[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.value(item, of);
        }
        self.out.push(']');
    }

    /// A map: sorted.
    fn object(&mut self, entries: Option<&Map<String, Value>>, of: &Shape) {
        let mut entries: Vec<_> = entries.into_iter().flatten().collect();
        entries.sort_by_key(|(key, _)| *key);
        self.entries(entries.into_iter().map(|(key, value)| (key, value, of)));
    }

    /// A struct: as its maker wrote it.
    fn structure(&mut self, entries: Option<&Map<String, Value>>, shape: &Shape) {
        let entries = entries.into_iter().flatten();
        let fields: &[_] = if let ShapeKind::Struct(fields) = &shape.kind { fields } else { &[] };
        self.entries(entries.map(|(key, value)| {
            let field = fields.iter().find(|field| field.json == *key);
            (key, value, field.map_or(&ANY, |field| &field.shape))
        }));
    }

    fn entries<'e>(&mut self, entries: impl Iterator<Item = (&'e String, &'e Value, &'e Shape)>) {
        self.out.push('{');
        for (index, (key, value, shape)) in entries.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.string(key);
            self.out.push(':');
            self.value(value, shape);
        }
        self.out.push('}');
    }

    fn number(&mut self, number: &Number) {
        match number.as_f64() {
            Some(value) if number.is_f64() => self.float(value),
            // Writing to a string cannot fail.
            _ => drop(write!(self.out, "{number}")),
        }
    }

    /// JavaScript's way: an exponent only for the very small and the very large.
    fn float(&mut self, value: f64) {
        let size = value.abs();
        if size != 0.0 && !(1e-6..1e21).contains(&size) {
            let text = float(value, Notation::Exponent, None);
            self.out.push_str(&text.replace("e-0", "e-"));
        } else {
            self.out.push_str(&float(value, Notation::Fixed, None));
        }
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for letter in text.chars() {
            match letter {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '<' | '>' | '&' if self.html => self.code(letter),
                // Valid in JSON, but not in JavaScript.
                '\u{2028}' | '\u{2029}' => self.code(letter),
                _ if letter < ' ' => self.code(letter),
                _ => self.out.push(letter),
            }
        }
        self.out.push('"');
    }

    fn code(&mut self, letter: char) {
        let _ = write!(self.out, "\\u{:04x}", letter as u32);
    }
}
