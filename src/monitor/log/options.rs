//! The options of all drivers, and of those that write files, parsed and checked as docker does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use regex_lite::Regex;
use serde::{Deserialize, Serialize};

use crate::output::units::parse_ram;
use crate::{Error, Result};

/// Options of a driver, by name.
pub type Options = BTreeMap<String, String>;

/// How large a log grows and how many files it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// Refuses options that are not among `names` nor every driver's.
pub(super) fn known(driver: &str, options: &Options, names: &[&str]) -> Result<()> {
    let blocking = options.get("mode").is_none_or(|mode| mode != "non-blocking");
    for (name, value) in options {
        match name.as_str() {
            // Every driver has these. A file takes what it can and drops the rest in either mode.
            "mode" if value == "blocking" || value == "non-blocking" || value.is_empty() => {}
            "mode" => return Err(invalid(format!("logger: logging mode {value:?} not supported"))),
            "max-buffer-size" if blocking => {
                return Err(invalid(
                    "logger: max-buffer-size option is only supported with 'mode=non-blocking'".into(),
                ));
            }
            "max-buffer-size" => {
                limit(options)?;
            }
            "cache-disabled" | "cache-max-size" | "cache-max-file" | "cache-compress" => {
                cache(options)?;
            }
            "labels-regex" | "env-regex" if names.contains(&"labels") => {
                Regex::new(value).map_err(|cause| invalid(format!("{name}: {cause}")))?;
            }
            name if names.contains(&name) => {}
            name => return Err(invalid(format!("unknown log opt '{name}' for {driver} log driver"))),
        }
    }
    Ok(())
}

/// `max-buffer-size`, in bytes.
///
/// # Errors
/// A size that does not parse.
pub fn limit(options: &Options) -> Result<Option<usize>> {
    let Some(text) = options.get("max-buffer-size") else { return Ok(None) };
    let size = ram_size(text)
        .ok_or_else(|| invalid(format!("error parsing option max-buffer-size: invalid size: '{text}'")))?;
    Ok(Some(size))
}

/// What is kept for `logs` of a driver that sends messages away; None where it is not wanted.
///
/// # Errors
/// An option that does not parse.
pub fn cache(options: &Options) -> Result<Option<FileOptions>> {
    if let Some(text) = options.get("cache-disabled")
        && boolean(text).ok_or_else(|| invalid(format!("cache-disabled: invalid boolean '{text}'")))?
    {
        return Ok(None);
    }
    let of_file =
        |name: &str| options.get(&format!("cache-{name}")).map(|value| (name.to_owned(), value.clone()));
    let options: Options = ["max-size", "max-file", "compress"].into_iter().filter_map(of_file).collect();
    FileOptions::local(&options).map(Some)
}

/// A server's place, its name not looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A unix socket that takes datagrams.
    Datagram(PathBuf),
    /// A unix socket that takes connections.
    Stream(PathBuf),
    /// UDP: host and port.
    Udp(String, u16),
    /// TCP: host and port.
    Tcp(String, u16),
    /// TCP with TLS: host and port.
    Tls(String, u16),
}

/// `host[:port]`, `[::1]:port`, `[::1]`.
pub(super) fn place(text: &str, default: u16) -> Result<(String, u16)> {
    let wrong = || Error::failed(format!("address {text}: invalid host or port"));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            (host, rest.strip_prefix(':'))
        }
        None if text.matches(':').count() > 1 => {
            return Err(Error::failed(format!("address {text}: too many colons in address")));
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port.filter(|port| !port.is_empty()) {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None => default,
    };
    // Go dials this machine where no host is named.
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    if host.contains(['/', '@', '?', '#', ' ']) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

fn invalid(message: String) -> Error {
    Error::failed(message)
}

/// `10m` as so many bytes, in units of 1024.
pub(super) fn ram_size(text: &str) -> Option<usize> {
    usize::try_from(parse_ram(text).ok()?).ok()
}

/// Go's `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Option<bool> {
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
    fn places_and_copies() {
        for (text, expected) in [
            ("logs", Some(("logs", 5))),
            ("logs:7", Some(("logs", 7))),
            ("[::1]", Some(("::1", 5))),
            ("[::1]:7", Some(("::1", 7))),
            (":7", Some(("127.0.0.1", 7))),
            ("::1", None),
            ("logs:x", None),
            ("user@logs", None),
        ] {
            let expected = expected.map(|(host, port)| (host.to_owned(), port));
            assert_eq!(place(text, 5).ok(), expected, "{text}");
        }
        let of = |key: &str, value: &str| cache(&BTreeMap::from([(key.to_owned(), value.to_owned())]));
        assert_eq!(of("cache-disabled", "true").unwrap(), None);
        assert_eq!(of("cache-max-file", "2").unwrap().unwrap().max_file, 2);
        assert!(of("cache-compress", "maybe").is_err());
        assert_eq!(cache(&BTreeMap::new()).unwrap().unwrap().max_size, Some(20_000_000));
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
