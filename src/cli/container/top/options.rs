//! The options of `ps` that choose columns. Those that choose processes have no sense here and are refused.

use super::columns::{KNOWN, Value};
use crate::error::{Error, Result};

/// A column to print.
pub(super) struct Column {
    /// Its title.
    pub(super) title: String,
    /// Its value.
    pub(super) value: Value,
}

/// `ps -ef`, docker's default. Its UID is the user's name.
const FULL: &str = "user=UID|pid|ppid|c|stime|tty|time|cmd";
/// `ps -e`.
const PLAIN: &str = "pid|tty|time|comm=CMD";
/// `ps aux`.
const BSD: &str = "user|pid|pcpu|pmem|vsz|rss|tty|stat|stime=START|bsdtime|command";

/// The columns that `options` ask for.
pub(super) fn columns(options: &[String]) -> Result<Vec<Column>> {
    let mut chosen = if options.is_empty() { preset(FULL)? } else { Vec::new() };
    let mut preset_of = None;
    let mut words = options.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "aux" | "axu" | "uax" | "auxw" | "auxww" | "-aux" => preset_of = Some(BSD),
            "ax" | "-ax" => preset_of = preset_of.or(Some(PLAIN)),
            "-w" | "-ww" | "w" | "ww" => {}
            "--format" | "-o" | "o" => {
                let list = words
                    .next()
                    .ok_or_else(|| Error::usage(format!("top: option {word} needs a list of columns")))?;
                of_list(list, &mut chosen)?;
            }
            long if long.starts_with("--format=") => of_list(&long["--format=".len()..], &mut chosen)?,
            short if is_cluster(short) => {
                let (flags, list) =
                    short.split_once('o').map_or((short, None), |(flags, list)| (flags, Some(list)));
                if flags.contains('f') {
                    preset_of = Some(FULL);
                } else {
                    preset_of = preset_of.or(Some(PLAIN));
                }
                match list {
                    Some("") => {
                        let list = words.next().ok_or_else(|| {
                            Error::usage(format!("top: option {short} needs a list of columns"))
                        })?;
                        of_list(list, &mut chosen)?;
                    }
                    Some(list) => of_list(list, &mut chosen)?,
                    None => {}
                }
            }
            other => {
                return Err(Error::failed(format!(
                    "top: ps option {other:?} is not supported: processes are read without ps"
                ))
                .hint("use -ef, aux, or -o with a list such as pid,user,rss,args"));
            }
        }
    }
    if chosen.is_empty() { preset(preset_of.unwrap_or(FULL)) } else { Ok(chosen) }
}

/// `-e`, `-f`, `-A` together, then perhaps `o` and its list.
fn is_cluster(word: &str) -> bool {
    let Some(flags) = word.strip_prefix('-') else { return false };
    let flags = flags.split_once('o').map_or(flags, |(flags, _)| flags);
    flags.chars().all(|flag| "eAfw".contains(flag)) && word.len() > 1
}

fn preset(list: &str) -> Result<Vec<Column>> {
    list.split('|').map(column).collect()
}

/// `pid,user=WHO`: as in ps, a title goes on to the end of the word.
fn of_list(list: &str, chosen: &mut Vec<Column>) -> Result<()> {
    let mut rest = list;
    while !rest.is_empty() {
        let end = rest.find([',', ' ', '=']).unwrap_or(rest.len());
        if rest[end..].starts_with('=') {
            chosen.push(column(rest)?);
            return Ok(());
        }
        if end > 0 {
            chosen.push(column(&rest[..end])?);
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if chosen.is_empty() { Err(Error::usage("top: the list of columns is empty")) } else { Ok(()) }
}

fn column(text: &str) -> Result<Column> {
    let (name, title) = text.split_once('=').map_or((text, None), |(name, title)| (name, Some(title)));
    let known = KNOWN.iter().find(|known| known.names.contains(&name)).ok_or_else(|| {
        let names: Vec<&str> = KNOWN.iter().filter_map(|known| known.names.first().copied()).collect();
        Error::failed(format!(
            "Error response from daemon: ps: error: unknown user-defined format specifier {name:?}"
        ))
        .hint(format!("the columns are {}", names.join(", ")))
    })?;
    Ok(Column { title: title.unwrap_or(known.title).to_owned(), value: known.value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(words: &str) -> Result<String> {
        let words: Vec<String> =
            words.split('|').filter(|word| !word.is_empty()).map(str::to_owned).collect();
        Ok(columns(&words)?.iter().map(|column| column.title.clone()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn options_choose_columns() {
        for (words, expected) in [
            ("", "UID PID PPID C STIME TTY TIME CMD"),
            ("-ef", "UID PID PPID C STIME TTY TIME CMD"),
            ("-e", "PID TTY TIME CMD"),
            ("aux", "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND"),
            ("-o|pid,comm", "PID COMMAND"),
            ("-opid,args", "PID COMMAND"),
            ("-eo|pid user", "PID USER"),
            ("-eopid", "PID"),
            ("-o|pid|-o|rss=Memory, resident", "PID Memory, resident"),
            ("--format=uid,%cpu", "UID %CPU"),
            ("-ww|-ef", "UID PID PPID C STIME TTY TIME CMD"),
        ] {
            assert_eq!(titles(words).unwrap(), expected, "{words}");
        }
    }

    #[test]
    fn others_are_refused_by_name() {
        for (words, named) in [
            ("-u|root", "\"-u\""),
            ("--forest", "\"--forest\""),
            ("-o|pid,nope", "\"nope\""),
            ("-o", "-o"),
            ("-o|", "-o"),
        ] {
            let message = titles(words).unwrap_err().message;
            assert!(message.contains(named), "{message}");
        }
    }
}
