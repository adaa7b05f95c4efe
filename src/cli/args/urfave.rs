//! clap made to read a command line as urfave/cli does, the flag library of crictl.
//!
//! Flags have one dash or two, and stand before the arguments: the first word that is no flag, and no subcommand, ends
//! them. Short switches may stand together. [`normalize`] writes a command line so that clap reads the same from it.

use clap::{Arg, ArgAction, Command};

/// What a command line turned out to be. The path names the command that it addresses, without the program.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// Words that clap reads as urfave/cli would have read the line.
    Words {
        /// The command.
        path: Vec<String>,
        /// The line, program first.
        words: Vec<String>,
    },
    /// The user asks for help of a command.
    Help(Vec<String>),
    /// It is wrong, in Go's words.
    Wrong(Vec<String>, String),
}

/// Reads `words` (the program's name is the first) for the tree `root`.
pub fn normalize(root: &Command, words: &[String]) -> Line {
    let mut path = Vec::new();
    let mut out: Vec<String> = words.iter().take(1).cloned().collect();
    let mut command = root;
    let mut rest = words.iter().skip(1);
    let mut flags_ended = false;
    while let Some(word) = rest.next() {
        if word == "--" && !flags_ended {
            flags_ended = true;
            continue;
        }
        if flags_ended || !word.starts_with('-') || word == "-" {
            if let Some(next) = command.find_subcommand(word) {
                path.push(next.get_name().to_owned());
                out.push(next.get_name().to_owned());
                command = next;
                flags_ended = false;
                continue;
            }
            // What follows is not looked at any more.
            out.push("--".into());
            out.push(word.clone());
            out.extend(rest.cloned());
            break;
        }
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        let bare = name.strip_prefix("--").or_else(|| name.strip_prefix('-')).unwrap_or(name);
        if matches!(bare, "help" | "h") && flag(command, bare).is_none() {
            return Line::Help(path);
        }
        let known = match flag(command, bare) {
            Some(known) => vec![(bare.to_owned(), known)],
            None if name.starts_with("--") => Vec::new(),
            None => together(command, bare).unwrap_or_default(),
        };
        let Some(((last_name, last), switches)) = known.split_last() else {
            return Line::Wrong(path, format!("flag provided but not defined: -{bare}"));
        };
        out.extend(switches.iter().map(|(_, switch)| long(switch)));
        if is_switch(last) {
            match value.map_or(Some(true), truth) {
                Some(true) => out.push(long(last)),
                Some(false) => {}
                None => {
                    let value = value.unwrap_or_default();
                    let why = format!("invalid boolean value {value:?} for -{last_name}: parse error");
                    return Line::Wrong(path, why);
                }
            }
            continue;
        }
        let Some(value) = value.or_else(|| rest.next().map(String::as_str)) else {
            return Line::Wrong(path, format!("flag needs an argument: -{last_name}"));
        };
        out.push(format!("{}={value}", long(last)));
    }
    Line::Words { path, words: out }
}

/// The flag of `command` that is called `name`, in its long or its short form.
fn flag<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let mut letters = name.chars();
    let letter = letters.next().filter(|_| letters.next().is_none());
    command.get_opts().chain(command.get_arguments().filter(|arg| is_switch(arg))).find(|arg| {
        let short = |letter| arg.get_short_and_visible_aliases().is_some_and(|all| all.contains(&letter));
        arg.get_long() == Some(name)
            || arg.get_all_aliases().is_some_and(|names| names.contains(&name))
            || letter.is_some_and(short)
    })
}

/// The switches that stand together in `letters`, the last of which may take a value.
fn together<'a>(command: &'a Command, letters: &str) -> Option<Vec<(String, &'a Arg)>> {
    let known: Vec<(String, &Arg)> = letters
        .chars()
        .map(|letter| Some((letter.to_string(), flag(command, &letter.to_string())?)))
        .collect::<Option<_>>()?;
    let (_, before) = known.split_last()?;
    before.iter().all(|(_, arg)| is_switch(arg)).then_some(known)
}

fn is_switch(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
}

fn long(arg: &Arg) -> String {
    format!("--{}", arg.get_long().unwrap_or_default())
}

/// A truth value as Go reads it.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Command {
        let switch =
            |name: &'static str, letter| Arg::new(name).long(name).short(letter).action(ArgAction::SetTrue);
        Command::new("crictl").arg(Arg::new("timeout").long("timeout").short('t')).subcommand(
            Command::new("exec")
                .visible_alias("x")
                .arg(switch("tty", 't'))
                .arg(switch("interactive", 'i'))
                .arg(Arg::new("name").long("name").alias("nick").short('n'))
                .arg(Arg::new("rest").num_args(0..)),
        )
    }

    fn read(line: &str) -> Line {
        normalize(&tree(), &line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_line_is_read_as_urfave_reads_it() {
        for (line, expected) in [
            ("crictl exec", "crictl exec"),
            ("crictl x -it ID sh -c x", "crictl exec --interactive --tty -- ID sh -c x"),
            ("crictl -t 5s exec -tty --name=a ID", "crictl --timeout=5s exec --tty --name=a -- ID"),
            ("crictl exec -tn a ID", "crictl exec --tty --name=a -- ID"),
            ("crictl exec --nick a -i=false ID -i", "crictl exec --name=a -- ID -i"),
            ("crictl exec -n -i ID", "crictl exec --name=-i -- ID"),
            ("crictl exec -- -t", "crictl exec -- -t"),
            ("crictl exec -", "crictl exec -- -"),
            ("crictl frob -x", "crictl -- frob -x"),
        ] {
            let words = expected.split(' ').map(str::to_owned).collect();
            let path = if expected.contains(" exec") { vec!["exec".to_owned()] } else { Vec::new() };
            assert_eq!(read(line), Line::Words { path, words }, "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_gos_words() {
        for (line, why) in [
            ("crictl exec -z", "flag provided but not defined: -z"),
            ("crictl exec --tx", "flag provided but not defined: -tx"),
            ("crictl exec -nt ID", "flag provided but not defined: -nt"),
            ("crictl exec -n", "flag needs an argument: -n"),
            ("crictl exec --tty=maybe", "invalid boolean value \"maybe\" for -tty: parse error"),
        ] {
            assert_eq!(read(line), Line::Wrong(vec!["exec".into()], why.into()), "{line}");
        }
        assert_eq!(read("crictl exec -it -h"), Line::Help(vec!["exec".into()]));
        assert_eq!(read("crictl --help exec"), Line::Help(vec![]));
    }
}
