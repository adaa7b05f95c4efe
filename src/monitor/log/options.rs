//! The options of the drivers that write files, parsed and checked as docker does.

use std::collections::BTreeMap;

use crate::{Error, Result};

/// How large a log grows and how many files it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOptions {
    /// Bytes after which a new file begins; None never.
    pub max_size: Option<u64>,
    /// Files in all, the current one included.
    pub max_file: u32,
    /// Older files are compressed.
    pub compress: bool,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { max_size: None, max_file: 1, compress: false }
    }
}

impl FileOptions {
    /// docker's json-file: without limit unless asked for.
    pub fn json_file(options: &BTreeMap<String, String>) -> Result<Self> {
        known("json-file", options, &["max-size", "max-file", "compress", "labels", "env", "tag"])?;
        Self::default().with(options)
    }

    /// docker's local: 5 files of 20 MB, compressed.
    pub fn local(options: &BTreeMap<String, String>) -> Result<Self> {
        known("local", options, &["max-size", "max-file", "compress"])?;
        let mut defaults = Self { max_size: Some(20_000_000), max_file: 5, compress: true };
        // Its compression is a default, not a wish: one file alone just goes without.
        if options.get("max-file").is_some_and(|files| files == "1") && !options.contains_key("compress") {
            defaults.compress = false;
        }
        defaults.with(options)
    }

    fn with(mut self, options: &BTreeMap<String, String>) -> Result<Self> {
        if let Some(text) = options.get("max-size") {
            let size = decimal_size(text).ok_or_else(|| invalid(format!("invalid size: '{text}'")))?;
            if size == 0 {
                return Err(invalid("max-size must be a positive number".into()));
            }
            self.max_size = Some(size);
        }
        if let Some(text) = options.get("max-file") {
            let files: i64 =
                text.parse().map_err(|_| invalid(format!("max-file: invalid number '{text}'")))?;
            if files < 1 {
                return Err(invalid("max-file cannot be less than 1".into()));
            }
            self.max_file = u32::try_from(files).unwrap_or(u32::MAX);
        }
        if let Some(text) = options.get("compress") {
            self.compress =
                boolean(text).ok_or_else(|| invalid(format!("compress: invalid boolean '{text}'")))?;
        }
        if self.compress && (self.max_file < 2 || self.max_size.is_none()) {
            return Err(invalid(
                "compress cannot be true when max-file is less than 2 or max-size is not set".into(),
            ));
        }
        Ok(self)
    }
}

fn known(driver: &str, options: &BTreeMap<String, String>, names: &[&str]) -> Result<()> {
    for (name, value) in options {
        match name.as_str() {
            // Every driver has these. A log on disk that drops what the disk does not take never blocks for
            // long, so both modes are the same here.
            "mode" if value == "blocking" || value == "non-blocking" || value.is_empty() => {}
            "mode" => return Err(invalid(format!("logger: logging mode {value:?} not supported"))),
            "max-buffer-size" if decimal_size(value).is_some() => {}
            "labels-regex" | "env-regex" if driver == "json-file" => {
                return Err(invalid(format!("log opt '{name}' is not supported yet"))
                    .hint("name the labels or variables with `labels` or `env`"));
            }
            name if names.contains(&name) => {}
            name => return Err(invalid(format!("unknown log opt '{name}' for {driver} log driver"))),
        }
    }
    Ok(())
}

fn invalid(message: String) -> Error {
    Error::failed(message)
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// `10m`, `1.5 GB`, `100`: powers of a thousand, as docker reads log sizes.
fn decimal_size(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let factor = match unit {
        "" => 1.0,
        "k" => 1e3,
        "m" => 1e6,
        "g" => 1e9,
        "t" => 1e12,
        "p" => 1e15,
        _ => return None,
    };
    let value = number.parse::<f64>().ok()? * factor;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked, and as docker's")]
    (value.is_finite() && (0.0..9e18).contains(&value)).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_decimal() {
        for (text, expected) in [
            ("100", Some(100)),
            ("10k", Some(10_000)),
            ("10m", Some(10_000_000)),
            ("1.5GB", Some(1_500_000_000)),
            ("2 kb", Some(2_000)),
            ("", None),
            ("m", None),
            ("-1", None),
            ("1x", None),
            ("1e9", None),
        ] {
            assert_eq!(decimal_size(text), expected, "{text:?}");
        }
    }

    #[test]
    fn local_defaults() {
        let mut options = BTreeMap::new();
        let expected = FileOptions { max_size: Some(20_000_000), max_file: 5, compress: true };
        assert_eq!(FileOptions::local(&options).unwrap(), expected);
        options.insert("max-file".into(), "1".into());
        assert!(!FileOptions::local(&options).unwrap().compress);
    }
}
