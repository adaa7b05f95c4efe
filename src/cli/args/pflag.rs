//! clap made to read a command line as docker's flag library does.
//!
//! A command tree is written with plain clap. [`like_pflag`] turns it into the one that parses: switches also
//! take `=true` and `=false`, a repeated flag's last value wins, a value may begin with a dash. The plain tree
//! stays the one for help, completions and man pages, where a switch is shown without `[=value]`.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

use super::errors::addressed;
use super::parse::number;

/// The tree to parse with, for the plain tree `command`.
#[must_use]
pub fn like_pflag(command: Command) -> Command {
    command.args_override_self(true).mut_args(flag).mut_subcommands(like_pflag)
}

/// The help of the command that `arguments` address, drawn from the plain tree `root`.
pub fn help(root: &Command, arguments: &[OsString]) -> StyledStr {
    let (path, command) = addressed(root, arguments);
    let mut command = command.clone();
    if !command.has_subcommands() {
        let usage = usage(&path, &command);
        command = command.override_usage(usage);
    }
    command.bin_name(path).render_help()
}

/// `docker run [OPTIONS] IMAGE [COMMAND] [ARG...]`: the command's line, its arguments written as docker writes them.
pub fn usage(path: &str, command: &Command) -> String {
    let mut words = vec![path.to_owned()];
    if command.get_opts().any(|flag| !flag.is_hide_set()) {
        words.push("[OPTIONS]".into());
    }
    words.extend(command.get_positionals().map(|one| {
        let name = match one.get_value_names() {
            Some([name, ..]) => name.to_string(),
            _ => one.get_id().as_str().to_ascii_uppercase(),
        };
        let repeats = matches!(one.get_action(), ArgAction::Append);
        match (name.contains(' '), one.is_required_set(), repeats) {
            (true, ..) | (_, true, false) => name,
            (_, true, true) => format!("{name} [{name}...]"),
            (_, false, true) => format!("[{name}...]"),
            (_, false, false) => format!("[{name}]"),
        }
    }));
    words.join(" ")
}

fn flag(flag: Arg) -> Arg {
    if flag.is_positional() {
        return flag;
    }
    match flag.get_action() {
        ArgAction::SetTrue => switch(flag, "false"),
        ArgAction::SetFalse => switch(flag, "true"),
        ArgAction::Set | ArgAction::Append if !flag.is_require_equals_set() => flag.allow_hyphen_values(true),
        _ => flag,
    }
}

fn switch(flag: Arg, default: &'static str) -> Arg {
    flag.action(ArgAction::Set)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .default_value(default)
        .value_parser(number::switch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Command {
        like_pflag(
            Command::new("docker").subcommand(
                Command::new("run")
                    .arg(Arg::new("rm").long("rm").short('r').action(ArgAction::SetTrue))
                    .arg(Arg::new("it").short('i').action(ArgAction::SetTrue))
                    .arg(Arg::new("proxy").long("proxy").action(ArgAction::SetFalse))
                    .arg(Arg::new("name").long("name").short('n'))
                    .arg(Arg::new("env").long("env").short('e').action(ArgAction::Append))
                    .arg(Arg::new("rest").num_args(1..).trailing_var_arg(true)),
            ),
        )
    }

    fn parse(words: &str) -> Result<clap::ArgMatches, clap::Error> {
        let words = ["docker", "run"].into_iter().chain(words.split(' '));
        Ok(command().try_get_matches_from(words)?.subcommand().unwrap().1.clone())
    }

    #[test]
    fn switches() {
        for (words, rm) in [
            ("x", false),
            ("--rm x", true),
            ("--rm=true x", true),
            ("--rm=false x", false),
            ("--rm --rm=0 x", false),
            ("-r x", true),
            ("-ri x", true),
            ("-ir x", true),
            ("-ir=false x", false),
            ("-r=T x", true),
        ] {
            let matches = parse(words).unwrap();
            assert_eq!(matches.get_flag("rm"), rm, "{words}");
            assert_eq!(matches.get_many::<String>("rest").unwrap().collect::<Vec<_>>(), ["x"], "{words}");
        }
        assert!(parse("x").unwrap().get_flag("proxy"));
        assert!(!parse("--proxy=false x").unwrap().get_flag("proxy"));
        assert!(parse("--proxy x").unwrap().get_flag("proxy"));
        // A switch takes no separate word.
        let matches = parse("--rm false").unwrap();
        assert_eq!(matches.get_many::<String>("rest").unwrap().collect::<Vec<_>>(), ["false"]);
    }

    #[test]
    fn values() {
        for (words, name) in [
            ("--name a x", "a"),
            ("--name=a x", "a"),
            ("--name a --name b x", "b"),
            ("-na x", "a"),
            ("-n=a x", "a"),
            ("-n a x", "a"),
            ("-rna x", "a"),
            ("--name -x x", "-x"),
            ("--name --rm x", "--rm"),
            ("--name -- x", "--"),
            ("--name= x", ""),
            ("-n -1 x", "-1"),
        ] {
            let matches = parse(words).unwrap();
            assert_eq!(matches.get_one::<String>("name").unwrap(), name, "{words}");
            assert!(!matches.get_flag("rm") || words.starts_with("-r"), "{words}");
        }
        let matches = parse("-ea=b -e=c --env d -e e=f x").unwrap();
        assert_eq!(matches.get_many::<String>("env").unwrap().collect::<Vec<_>>(), ["a=b", "c", "d", "e=f"]);
    }

    #[test]
    fn the_first_word_ends_the_flags() {
        for (words, rest) in [
            ("x --rm -n y", vec!["x", "--rm", "-n", "y"]),
            ("x -- y", vec!["x", "--", "y"]),
            ("-- x -r", vec!["x", "-r"]),
            ("x --unknown", vec!["x", "--unknown"]),
        ] {
            let matches = parse(words).unwrap();
            assert_eq!(matches.get_many::<String>("rest").unwrap().collect::<Vec<_>>(), rest, "{words}");
            assert!(!matches.get_flag("rm"));
        }
    }

    #[test]
    fn prefixes_are_not_flags() {
        assert_eq!(parse("--nam a x").unwrap_err().kind(), clap::error::ErrorKind::UnknownArgument);
    }

    #[test]
    fn usage_lines() {
        let named = |name: &'static str| Arg::new(name).value_name(name);
        for (arguments, want) in [
            (vec![], "docker x"),
            (vec![named("NAME").required(true)], "docker x NAME"),
            (vec![named("NAME")], "docker x [NAME]"),
            (
                vec![named("NAME").required(true).num_args(1..).action(ArgAction::Append)],
                "docker x NAME [NAME...]",
            ),
            (vec![named("NAME").num_args(1..).action(ArgAction::Append)], "docker x [NAME...]"),
            (vec![named("IMAGE [ARG...]").required(true)], "docker x IMAGE [ARG...]"),
            (vec![Arg::new("all").long("all"), named("NAME")], "docker x [OPTIONS] [NAME]"),
        ] {
            assert_eq!(usage("docker x", &Command::new("x").args(arguments)), want);
        }
    }

    #[test]
    fn help_shows_a_plain_switch() {
        let plain = Command::new("docker")
            .subcommand(Command::new("run").arg(Arg::new("rm").long("rm").action(ArgAction::SetTrue)));
        let shown = help(&plain, &["docker".into(), "run".into(), "--help".into()]).to_string();
        assert!(shown.contains("Usage: docker run [OPTIONS]\n"), "{shown}");
        assert!(shown.contains("--rm") && !shown.contains("[="), "{shown}");
    }
}
