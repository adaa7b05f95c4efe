//! A command line as ctr's own library reads it: one dash or two, `=value` for switches too, short letters not
//! joined, and whatever follows the first word of `run`, `exec` and `create` belongs to the container.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Arg, ArgAction, Command};

use crate::error::{Error, Result};
use crate::output::units::parse_duration;

/// Commands whose words end their flags.
const VERBATIM: [&str; 4] = ["containers create", "run", "sandboxes run", "tasks exec"];

/// Commands that answer every word with the same line.
const PROBES: [&str; 2] = ["pprof", "shim"];

/// What a command line asks for.
pub(super) enum Read {
    /// Help of the command below these words.
    Help(Vec<String>),
    /// A word that is no command.
    NoTopic(String),
    /// The same line as clap reads it.
    Words(Vec<OsString>),
}

/// A Go duration: `10s`, `1h30m`, `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let nanoseconds = parse_duration(text).map_err(|_| "parse error".to_owned())?;
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| "parse error".to_owned())
}

/// Read `words`, which follow the program's name.
pub(super) fn read(tree: &Command, words: Vec<OsString>) -> Result<Read> {
    let mut level = tree;
    let mut path: Vec<String> = Vec::new();
    let mut out: Vec<OsString> = vec!["ctr".into()];
    let mut plain: Vec<OsString> = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        if text == "--" {
            plain.extend(words.by_ref());
        } else if text.starts_with('-') && text != "-" {
            let (name, value) = match text.trim_start_matches('-').split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text.trim_start_matches('-').to_owned(), None),
            };
            if matches!(name.as_str(), "help" | "h") {
                return Ok(Read::Help(path));
            }
            let flag = find(level, &name).ok_or_else(|| undefined(&name))?;
            let long = flag.get_long().map(|long| format!("--{long}"));
            let long = long.or_else(|| flag.get_short().map(|short| format!("-{short}"))).unwrap_or_default();
            if !flag.get_action().takes_values() {
                if switch(&name, value)? {
                    out.push(long.into());
                }
                continue;
            }
            let value = match value {
                Some(value) => value.into(),
                None => {
                    words.next().ok_or_else(|| Error::failed(format!("flag needs an argument: -{name}")))?
                }
            };
            let mut joined = OsString::from(long);
            joined.push("=");
            joined.push(value);
            out.push(joined);
        } else if let Some(next) = level.find_subcommand(&text) {
            level = next;
            path.push(next.get_name().to_owned());
            out.push(word);
            if PROBES.contains(&next.get_name()) {
                plain.extend(words.by_ref());
            }
        } else if level.has_subcommands() {
            if !matches!(text.as_str(), "help" | "h") {
                return Ok(Read::NoTopic(text));
            }
            path.extend(words.map(|word| word.to_string_lossy().into_owned()));
            return Ok(Read::Help(path));
        } else {
            plain.push(word);
            if VERBATIM.contains(&path.join(" ").as_str()) {
                plain.extend(words.by_ref());
            }
        }
    }
    // A family alone tells what it has.
    if level.has_subcommands() && !path.is_empty() {
        return Ok(Read::Help(path));
    }
    if !plain.is_empty() {
        out.push("--".into());
        out.extend(plain);
    }
    Ok(Read::Words(out))
}

fn switch(name: &str, value: Option<String>) -> Result<bool> {
    match value.as_deref() {
        None | Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        Some(other) => {
            Err(Error::failed(format!("invalid boolean value {other:?} for -{name}: parse error")))
        }
    }
}

fn find<'a>(level: &'a Command, name: &str) -> Option<&'a Arg> {
    level.get_arguments().filter(|flag| !flag.is_positional()).find(|flag| {
        flag.get_long() == Some(name)
            || flag.get_all_aliases().is_some_and(|names| names.contains(&name))
            || flag.get_short().is_some_and(|short| name.chars().eq([short]))
    })
}

fn undefined(name: &str) -> Error {
    Error::failed(format!("flag provided but not defined: -{name}"))
        .hint("`--help` after the command tells its flags")
}

/// The help of the command below `path`, its own usage written out.
pub(super) fn help(tree: &Command, path: &[String]) -> clap::builder::StyledStr {
    let mut command = tree;
    let mut words = vec!["ctr".to_owned()];
    for word in path {
        let Some(next) = command.find_subcommand(word) else { break };
        words.push(next.get_name().to_owned());
        command = next;
    }
    let path = words.join(" ");
    let mut command = command.clone();
    if !command.has_subcommands() {
        let mut usage = vec![path.clone(), "[flags]".into()];
        usage.extend(command.get_positionals().map(|one| {
            let name = one.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
            let name = name.unwrap_or_else(|| one.get_id().as_str().to_owned());
            if matches!(one.get_action(), ArgAction::Append) { format!("[{name}...]") } else { name }
        }));
        command = command.override_usage(usage.join(" "));
    }
    command.bin_name(path).render_help()
}

/// clap's complaint in ctr's words.
pub(super) fn wrong(error: &clap::Error) -> Error {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let flag = text(ContextKind::InvalidArg);
    let name = flag.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default().to_owned();
    match error.kind() {
        ErrorKind::MissingRequiredArgument => Error::failed(format!("Required flag \"{name}\" not set")),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let value = text(ContextKind::InvalidValue);
            Error::failed(format!("invalid value {value:?} for flag -{name}: parse error"))
        }
        ErrorKind::UnknownArgument => Error::failed(format!("extra arguments: {flag}")),
        _ => {
            Error::failed(error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: "))
        }
    }
}
