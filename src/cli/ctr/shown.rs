//! How ctr prints: its tables, its sizes, its JSON, its log lines, and labels on the command line.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize as _;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::output::table::aligned;
use crate::output::ui::Ui;
use crate::output::units::rfc3339_nano;

const TAB: usize = 8;

/// A table with one space between its columns.
pub(super) fn narrow(ui: &mut Ui, text: &str) -> Result<()> {
    ui.print(aligned(text, 1, 1))
}

/// A table with four spaces between its columns.
pub(super) fn wide(ui: &mut Ui, text: &str) -> Result<()> {
    ui.print(aligned(text, 4, 4))
}

/// A table whose columns are filled with tabs, for lines of tab-separated cells of which the last is as it is.
pub(super) fn tabbed(text: &str) -> String {
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let widest =
            rows.iter().filter(|row| column + 1 < row.len()).map(|row| row[column].chars().count()).max();
        (widest.unwrap_or_default() + 1).div_ceil(TAB) * TAB
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            out.push_str(cell);
            if column + 1 < row.len() {
                let missing = widths[column] - cell.chars().count();
                out.push_str(&"\t".repeat(missing.div_ceil(TAB)));
            }
        }
        out.push('\n');
    }
    out
}

/// Bytes in units of 1024 with one decimal: `1004.7 KiB`.
pub(super) fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// JSON as ctr prints it: four spaces, Go's escapes.
pub(super) fn json(ui: &mut Ui, value: &Value) -> Result<()> {
    indented(ui, value, b"    ")
}

/// JSON with another indentation.
pub(super) fn indented(ui: &mut Ui, value: &Value, indent: &[u8]) -> Result<()> {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter));
    written.map_err(|cause| Error::failed(format!("write JSON: {cause}")))?;
    ui.line(escaped(&String::from_utf8_lossy(&out)))
}

/// Go writes these letters of JSON's texts as escapes, for JSON inside of HTML.
pub(super) fn escaped(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// Labels as JSON, sorted; null where there are none.
pub(super) fn labels_json(labels: &HashMap<String, String>) -> Value {
    match labels.is_empty() {
        true => Value::Null,
        false => serde_json::json!(sorted(labels)),
    }
}

fn sorted(labels: &HashMap<String, String>) -> std::collections::BTreeMap<&String, &String> {
    labels.iter().collect()
}

/// A time in JSON; Go's zero where there is none.
pub(super) fn time(time: Option<Timestamp>) -> String {
    match time {
        Some(time) => rfc3339_nano(time, &jiff::tz::TimeZone::UTC),
        None => "0001-01-01T00:00:00Z".into(),
    }
}

/// `key=value,…`, sorted.
pub(super) fn pairs(labels: &HashMap<String, String>) -> String {
    sorted(labels).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// The same, `-` for none.
pub(super) fn pairs_or_dash(labels: &HashMap<String, String>) -> String {
    if labels.is_empty() { "-".into() } else { pairs(labels) }
}

/// Labels from `key=value` words; a key alone has an empty value.
pub(super) fn labels(words: &[String]) -> HashMap<String, String> {
    let pair = |word: &String| match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (word.clone(), String::new()),
    };
    words.iter().map(pair).collect()
}

/// The same from flags: a key alone is `true`.
pub(super) fn flag_labels(words: &[String]) -> HashMap<String, String> {
    let pair = |word: &String| match word.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (word.clone(), "true".to_owned()),
    };
    words.iter().map(pair).collect()
}

/// The first word and the labels after it.
pub(super) fn object(words: &[String]) -> (String, HashMap<String, String>) {
    match words.split_first() {
        Some((name, rest)) => (name.clone(), labels(rest)),
        None => Default::default(),
    }
}

/// A log line on stderr, in the form of containerd's programs.
pub(super) fn log(ui: &mut Ui, level: &str, message: &str, error: Option<&Error>) -> Result<()> {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let cause = error.map(|error| format!(" error={:?}", error.message)).unwrap_or_default();
    ui.say(format_args!("time=\"{now}\" level={level} msg={message:?}{cause}"))
}

/// A digest, checked as ctr does it.
pub(super) fn digest(text: &str) -> Result<String> {
    let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    match text.split_once(':') {
        Some(("sha256", rest)) if rest.len() != 64 => Err(Error::failed("invalid checksum digest length")),
        Some(("sha512", rest)) if rest.len() != 128 => Err(Error::failed("invalid checksum digest length")),
        Some(("sha256" | "sha512", rest)) if hex(rest) => Ok(text.to_owned()),
        Some((kind, _)) if !matches!(kind, "sha256" | "sha512") && !kind.is_empty() => {
            Err(Error::failed("unsupported digest algorithm"))
        }
        _ => Err(Error::failed("invalid checksum digest format")),
    }
}
