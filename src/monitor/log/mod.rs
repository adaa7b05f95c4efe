//! Log drivers: what becomes of a container's output. A driver never fails towards the container: what it
//! cannot keep it drops, and says so in the log as soon as it can.

pub mod attributes;
pub mod escape;
pub mod fluentd;
pub mod journald;
pub mod json_file;
pub mod lines;
pub mod link;
pub mod none;
pub mod options;
pub mod remote;
pub mod rotation;
pub mod socket;
pub mod syslog;
pub mod time;
pub mod tls;

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::event::PollFlags;

use crate::oci::request::LogConfig;
use crate::{Error, Result};

use options::FileOptions;
use time::Stamp;

/// Which of a container's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, or the terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// `stdout` or `stderr`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }
}

/// One way of keeping output.
pub trait Driver {
    /// Takes what was read at `now`, in any pieces.
    fn write(&mut self, stream: Stream, bytes: &[u8], now: &Stamp);

    /// Makes visible to readers what is still held back, but for unfinished lines.
    fn flush(&mut self);

    /// The container has ended: also unfinished lines are written.
    fn finish(&mut self);

    /// Does one short step of work that can wait (compression); true while there is more.
    fn work(&mut self) -> bool {
        false
    }

    /// What to wait for, and in which way, before [`Driver::ready`] is called.
    fn source(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        None
    }

    /// When to call [`Driver::ready`] although nothing is ready.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The container's output should not be read for now.
    fn is_full(&self) -> bool {
        false
    }

    /// Goes on with what had to wait.
    fn ready(&mut self) {}
}

/// Refuses a driver or an option that is not known, in docker's words. Pure: the cli calls it before anything
/// is made.
pub fn validate(config: &LogConfig) -> Result<()> {
    match config.driver.as_str() {
        "none" => Ok(()),
        "json-file" => FileOptions::json_file(&config.options).map(|_| ()),
        "local" => FileOptions::local(&config.options).map(|_| ()),
        "syslog" => syslog::parse(&config.options).map(|_| ()),
        "journald" => journald::check(&config.options),
        "fluentd" => fluentd::parse(&config.options).map(|_| ()),
        other => Err(Error::failed(format!("logger: no log driver named '{other}' is registered"))
            .hint("the drivers are json-file, local, journald, syslog, fluentd and none")),
    }
}

/// Whether the driver keeps something to read: a file, or a copy of what it sends away.
pub fn is_kept(config: &LogConfig) -> bool {
    match config.driver.as_str() {
        "none" => false,
        "syslog" | "journald" | "fluentd" => {
            options::cache(&config.options).is_ok_and(|cache| cache.is_some())
        }
        _ => true,
    }
}

/// Where the log of `id` lies in its `directory`.
pub fn path(directory: &Path, id: &str) -> PathBuf {
    directory.join(format!("{id}-json.log"))
}

/// The driver that `config` asks for, with the `target` of one that sends messages away. `attributes` go into every entry (see [`attributes::select`]). A driver
/// that is not known keeps a plain json-file: the container is running, and its output is worth more than
/// the rule.
pub fn open(
    config: &LogConfig,
    target: Option<&remote::Target>,
    path: PathBuf,
    attributes: &BTreeMap<String, String>,
) -> Box<dyn Driver> {
    if let Some(target) = target {
        return Box::new(remote::Remote::new(target, path, attributes));
    }
    let options = match config.driver.as_str() {
        "none" => return Box::new(none::None),
        // docker's "local" keeps a binary form that only docker reads; ours is the json-file with its defaults.
        "local" => FileOptions::local(&config.options),
        _ => FileOptions::json_file(&config.options),
    };
    Box::new(json_file::JsonFile::new(path, options.unwrap_or_default(), attributes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_and_options_by_table() {
        for (driver, options, expected) in [
            ("json-file", "", None),
            ("json-file", "max-size=10m max-file=3 compress=true labels=a,b env=C tag=x mode=blocking", None),
            ("local", "max-size=1k", None),
            ("local", "labels=a", Some("unknown log opt 'labels' for local log driver")),
            ("none", "anything=1", None),
            ("json-file", "colour=blue", Some("unknown log opt 'colour' for json-file log driver")),
            ("json-file", "max-size=ten", Some("invalid size: 'ten'")),
            ("json-file", "max-size=0", Some("max-size must be a positive number")),
            ("json-file", "max-file=0", Some("max-file cannot be less than 1")),
            ("json-file", "max-file=x", Some("max-file: invalid number 'x'")),
            (
                "json-file",
                "compress=true",
                Some("compress cannot be true when max-file is less than 2 or max-size is not set"),
            ),
            ("json-file", "mode=fast", Some("logger: logging mode \"fast\" not supported")),
            (
                "json-file",
                "max-buffer-size=1m",
                Some("logger: max-buffer-size option is only supported with 'mode=non-blocking'"),
            ),
            ("json-file", "mode=non-blocking max-buffer-size=1m", None),
            ("syslog", "", None),
            (
                "syslog",
                "syslog-address=udp://127.0.0.1:1 tag=x labels=a cache-disabled=true mode=non-blocking",
                None,
            ),
            ("journald", "tag=x env=A cache-max-size=1m cache-max-file=2", None),
            ("journald", "max-size=1m", Some("unknown log opt 'max-size' for journald log driver")),
            ("fluentd", "fluentd-async=true", None),
            ("splunk", "", Some("logger: no log driver named 'splunk' is registered")),
        ] {
            let config = LogConfig {
                driver: driver.into(),
                options: options
                    .split_whitespace()
                    .filter_map(|pair| pair.split_once('='))
                    .map(|(key, value)| (key.into(), value.into()))
                    .collect(),
            };
            let got = validate(&config).err().map(|error| error.message);
            assert_eq!(got.as_deref(), expected, "{driver} {options}");
        }
    }
}
