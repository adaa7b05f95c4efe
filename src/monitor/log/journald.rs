//! `journald`: a datagram of fields a message, in the journal's native protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Stream;
use super::options::{Options, known};
use super::remote::Message;
use crate::Result;

/// What every message of a container carries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Form {
    /// `CONTAINER_ID` and so on, in the order of their names.
    pub fields: BTreeMap<String, String>,
    /// Leads the ids of lines that come in parts.
    pub id: String,
}

/// Checks the options in docker's words.
///
/// # Errors
/// An option that is not known.
pub fn check(options: &Options) -> Result<()> {
    known("journald", options, &["env", "labels", "tag"])
}

/// A label's or variable's name as a field's: the journal takes capitals, digits and underscores, and keeps
/// those that begin with an underscore for itself. None where nothing is left.
pub fn field(name: &str) -> Option<String> {
    let letter = |letter: char| match letter.to_ascii_uppercase() {
        letter @ ('A'..='Z' | '0'..='9') => letter,
        _ => '_',
    };
    let field: String = name.chars().map(letter).collect();
    let field = field.trim_start_matches('_');
    (!field.is_empty()).then(|| field.to_owned())
}

impl Form {
    /// One datagram.
    pub(super) fn write(&self, message: &Message<'_>, out: &mut Vec<u8>) {
        let priority: &[u8] = if message.stream == Stream::Stderr { b"3" } else { b"6" };
        put("PRIORITY", priority, out);
        put("MESSAGE", message.line, out);
        for (name, value) in &self.fields {
            put(name, value.as_bytes(), out);
        }
        put("SYSLOG_TIMESTAMP", message.time.as_bytes(), out);
        if let Some(part) = message.part {
            put("CONTAINER_PARTIAL_ID", format!("{}-{}", self.id, part.of).as_bytes(), out);
            put("CONTAINER_PARTIAL_ORDINAL", part.ordinal.to_string().as_bytes(), out);
            put("CONTAINER_PARTIAL_LAST", part.last.to_string().as_bytes(), out);
            if !part.last {
                put("CONTAINER_PARTIAL_MESSAGE", b"true", out);
            }
        }
    }
}

/// `NAME=value` and a newline; or, where the value could be mistaken, the name, its length and its bytes.
fn put(name: &str, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::log::lines::Part;
    use crate::monitor::log::time::Stamp;

    #[test]
    fn fields_are_the_journals() {
        for (name, expected) in [
            ("com.example/app-1", Some("COM_EXAMPLE_APP_1")),
            ("_hidden", Some("HIDDEN")),
            ("...", None),
            ("é", None),
        ] {
            assert_eq!(field(name).as_deref(), expected, "{name}");
        }
        let fields = [("CONTAINER_TAG", "t"), ("NOTE", "two\nlines")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let form = Form { fields, id: "abc".into() };
        let time = Stamp::at(0, 0);
        let mut out = Vec::new();
        let part = Some(Part { of: 1, ordinal: 2, last: false });
        form.write(&Message { stream: Stream::Stderr, line: b"text", part, time: &time }, &mut out);
        let expected = b"PRIORITY=3\nMESSAGE=text\nCONTAINER_TAG=t\nNOTE\n\x09\0\0\0\0\0\0\0two\nlines\n\
            SYSLOG_TIMESTAMP=1970-01-01T00:00:00Z\nCONTAINER_PARTIAL_ID=abc-1\nCONTAINER_PARTIAL_ORDINAL=2\n\
            CONTAINER_PARTIAL_LAST=false\nCONTAINER_PARTIAL_MESSAGE=true\n";
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected));
    }
}
