//! What is wrong with a command line, in docker's words: clap's errors translated, and the few shapes that
//! the flag groups share.

use std::ffi::OsString;
use std::fmt::Display;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use crate::cli::errors::LEAD;
use crate::{Error, Kind};

/// `invalid argument "value" for "-m, --memory" flag: cause`, as docker says it of a value that does not parse.
pub fn invalid(value: &str, flag: &str, cause: impl Display) -> Error {
    Error::usage(format!("invalid argument {value:?} for {flag:?} flag: {cause}"))
}

/// What docker's daemon refuses, told before it is asked of anybody.
pub fn refused(message: impl Display) -> Error {
    Error::usage(format!("{LEAD}{message}"))
}

/// A flag of docker's that wharfie knows and cannot do: it names the flag and why.
pub fn unsupported(flag: &str, why: impl Display) -> Error {
    Error::usage(format!("{flag} is not supported: {why}"))
}

/// A flag that has a meaning on Windows only, in docker's words.
pub fn windows_only(flag: &str) -> Error {
    Error::usage(format!(
        "\"{flag}\" is only supported on a Docker daemon running on windows, but the Docker daemon is running on \
         linux"
    ))
}

/// Each of `values` through `parser`, its failure as [`invalid`] for `flag`.
pub fn parse_all<T>(
    values: &[String],
    flag: &str,
    parser: impl Fn(&str) -> Result<T, String>,
) -> crate::Result<Vec<T>> {
    values.iter().map(|value| parser(value).map_err(|cause| invalid(value, flag, cause))).collect()
}

/// `value`, where there is one, through `parser`, its failure as [`invalid`] for `flag`.
pub fn parse_one<T>(
    value: Option<&str>,
    flag: &str,
    parser: impl Fn(&str) -> Result<T, String>,
) -> crate::Result<Option<T>> {
    value.map(|value| parser(value).map_err(|cause| invalid(value, flag, cause))).transpose()
}

/// clap's error about `arguments` (argv, the program's name first) for the tree `root`, in docker's words, with
/// `See '… --help'.` as its hint.
///
/// Not for `DisplayHelp` and `DisplayVersion`, which are no errors: the caller prints those.
pub fn translate(error: &clap::Error, root: &Command, arguments: &[OsString]) -> Error {
    let (path, command) = addressed(root, arguments);
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let argument = context(ContextKind::InvalidArg).unwrap_or_default();
    // A global flag may stand before the verb.
    let flag = find(command, argument).or_else(|| find(root, argument));
    let translated = match error.kind() {
        ErrorKind::UnknownArgument if argument.starts_with("--") => {
            let flag = argument.split('=').next().unwrap_or(argument);
            Error::usage(format!("unknown flag: {flag}"))
        }
        ErrorKind::UnknownArgument if argument.starts_with('-') => {
            Error::usage(format!("unknown shorthand flag: {}", shorthand(argument, arguments)))
        }
        ErrorKind::TooManyValues if argument.starts_with('-') => {
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
            invalid(value, argument, "it takes no value")
        }
        ErrorKind::UnknownArgument | ErrorKind::TooManyValues => too_many(&path, command),
        ErrorKind::InvalidSubcommand => {
            let name = context(ContextKind::InvalidSubcommand).unwrap_or_default();
            Error::failed(format!("unknown command: {path} {name}"))
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => {
            too_few(&path, command)
        }
        ErrorKind::MissingSubcommand => Error::failed(format!("{path}: a command is missing")),
        // clap knows a missing value as an empty invalid one; a value that is there and empty fails validation.
        ErrorKind::InvalidValue if context(ContextKind::InvalidValue).is_none_or(str::is_empty) => {
            needs_argument(flag, arguments)
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let value = context(ContextKind::InvalidValue).unwrap_or_default();
            let name = flag.map_or_else(|| argument.to_owned(), name_of);
            invalid(value, &name, cause(error))
        }
        ErrorKind::InvalidUtf8 => Error::usage("an argument is not valid UTF-8"),
        _ => Error::usage(first_line(error)),
    };
    let suggestion = context(ContextKind::SuggestedArg)
        .or_else(|| context(ContextKind::SuggestedSubcommand))
        .map(|suggestion| format!("Did you mean '{suggestion}'?"));
    let help = format!("See '{path} --help'.");
    suggestion.into_iter().chain([help]).fold(translated, Error::hint)
}

/// The words that lead to the subcommand which `arguments` address, and that subcommand.
pub fn addressed<'a>(root: &'a Command, arguments: &[OsString]) -> (String, &'a Command) {
    let program = arguments.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
    let program = program.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(root.get_name());
    let (mut path, mut command) = (program.to_owned(), root);
    let mut words = arguments.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if word.starts_with('-') {
            // A flag's value is not a command, whatever it says.
            if find(command, &word).is_some_and(takes_next_word) && !word.contains('=') {
                words.next();
            }
            continue;
        }
        let Some(next) = command.find_subcommand(word.as_ref()) else { break };
        path = format!("{path} {}", next.get_name());
        command = next;
    }
    (path, command)
}

fn takes_next_word(flag: &Arg) -> bool {
    flag.get_action().takes_values() && !flag.is_require_equals_set()
}

/// The flag that `text` (`--name`, `--name=x`, `--name <value>`, `-n`) begins with.
fn find<'a>(command: &'a Command, text: &str) -> Option<&'a Arg> {
    let name = text.split(['=', ' ', '[']).next().unwrap_or(text);
    if let Some(long) = name.strip_prefix("--") {
        return command.get_arguments().find(|flag| {
            flag.get_long() == Some(long) || flag.get_all_aliases().is_some_and(|names| names.contains(&long))
        });
    }
    let short = name.strip_prefix('-')?.chars().next()?;
    command.get_arguments().find(|flag| flag.get_short() == Some(short))
}

/// `-m, --memory`, as docker names a flag.
fn name_of(flag: &Arg) -> String {
    match (flag.get_short(), flag.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => flag.get_id().to_string(),
    }
}

/// `'x' in -xyz`: the letter that no flag has, and what stands with it.
fn shorthand(argument: &str, arguments: &[OsString]) -> String {
    let letter = argument.chars().nth(1).unwrap_or('-');
    let rest = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .find_map(|word| match word.strip_prefix('-') {
            Some(letters) if !letters.starts_with('-') => {
                letters.find(letter).and_then(|at| letters.get(at..)).map(str::to_owned)
            }
            _ => None,
        })
        .unwrap_or_else(|| letter.to_string());
    format!("'{letter}' in -{rest}")
}

/// The flag whose value is missing, in the form in which it was written.
fn needs_argument(flag: Option<&Arg>, arguments: &[OsString]) -> Error {
    let last = arguments.last().map(|argument| argument.to_string_lossy()).unwrap_or_default();
    let written = match (flag, last.strip_prefix('-')) {
        (Some(flag), Some(letters)) if !letters.starts_with('-') => {
            flag.get_short().map(|short| format!("'{short}' in -{short}"))
        }
        _ => None,
    };
    let name =
        written.or_else(|| flag.and_then(Arg::get_long).map(|long| format!("--{long}"))).unwrap_or_default();
    Error::usage(format!("flag needs an argument: {name}"))
}

/// The words of the parser that refused a value.
fn cause(error: &clap::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => first_line(error),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// The first of the words that call a command.
fn program(path: &str) -> &str {
    path.split(' ').next().unwrap_or(path)
}

fn too_few(path: &str, command: &Command) -> Error {
    let (least, more) = positionals(command);
    let bound = if more { "at least " } else { "" };
    Error::new(Kind::Failed, format!("{}: '{path}' requires {bound}{}", program(path), counted(least)))
}

fn too_many(path: &str, command: &Command) -> Error {
    let most: usize =
        command.get_positionals().map(|one| one.get_num_args().map_or(1, |range| range.max_values())).sum();
    let (least, _) = positionals(command);
    let program = program(path);
    Error::new(
        Kind::Failed,
        match most {
            0 => format!("{program}: '{path}' accepts no arguments"),
            _ if most == least => format!("{program}: '{path}' requires {}", counted(most)),
            _ => format!("{program}: '{path}' requires at most {}", counted(most)),
        },
    )
}

/// How many positional arguments a command needs, and whether it takes more than that.
fn positionals(command: &Command) -> (usize, bool) {
    command.get_positionals().fold((0, false), |(least, more), one| {
        let range = one.get_num_args().unwrap_or_else(|| 1.into());
        let required = if one.is_required_set() { range.min_values().max(1) } else { 0 };
        let repeats = matches!(one.get_action(), clap::ArgAction::Append);
        (least + required, more || repeats || range.max_values() > required)
    })
}

fn counted(number: usize) -> String {
    if number == 1 { "1 argument".into() } else { format!("{number} arguments") }
}
