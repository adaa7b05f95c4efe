//! The verb of a command line as far as sending it elsewhere depends on it, read off clap's matches: whatever verb
//! there is, now or later, its flags mean the same.

use std::ffi::OsString;

use clap::builder::ValueParser;
use clap::{ArgMatches, Args as _, Command};

use crate::cli::args::pflag::like_pflag;
use crate::cli::globals::Globals;
use crate::config::node::Via;
use crate::error::{Error, Result};

/// What containerd's API alone serves, and serves better from here: files that these verbs name are this machine's.
const BY_SOCKET: &[&str] = &[
    "images",
    "image ls",
    "image inspect",
    "image history",
    "history",
    "rmi",
    "image rm",
    "tag",
    "image tag",
    "save",
    "image save",
    "load",
    "image load",
    "image push",
    "import",
    "image import",
    "namespace ls",
    "namespace inspect",
    "namespace create",
    "namespace remove",
    "namespace update",
];
/// What the API serves with a little less (files, states and times of a container that only its machine knows), for
/// machines that take no copy of this program.
const BY_EITHER: &[&str] =
    &["ps", "container ls", "inspect", "container inspect", "version", "pod ls", "pod inspect"];
/// What asks no containerd.
const LOCAL: &[&str] = &["context", "completion", "help", "man"];
/// What only reads: these take `--nodes`.
const READING: &[&str] = &[
    "ps",
    "container ls",
    "container inspect",
    "container logs",
    "container stats",
    "container top",
    "container port",
    "container diff",
    "inspect",
    "logs",
    "stats",
    "top",
    "port",
    "diff",
    "images",
    "image ls",
    "image inspect",
    "image history",
    "image files",
    "image diff",
    "image usage",
    "history",
    "info",
    "version",
    "events",
    "system df",
    "system info",
    "system events",
    "namespace ls",
    "namespace inspect",
    "network ls",
    "network inspect",
    "volume ls",
    "volume inspect",
    "pod ls",
    "pod inspect",
    "pod logs",
    "pod stats",
    "pod top",
    "doctor",
];
/// Of those, what prints a table.
const TABLES: &[&str] = &[
    "ps",
    "container ls",
    "stats",
    "container stats",
    "top",
    "container top",
    "images",
    "image ls",
    "history",
    "image history",
    "image files",
    "image usage",
    "system df",
    "namespace ls",
    "network ls",
    "volume ls",
    "pod ls",
    "pod stats",
    "pod top",
];
/// Verbs that read standard input without a flag that says so.
const READ_INPUT: &[&str] = &["attach", "load", "import", "build", "debug", "prune", "login"];

/// How a verb's output is put together from several machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Titles, then a row a line.
    Table,
    /// JSON: an array, or an object a line.
    Json,
    /// Lines.
    Lines,
}

/// A parsed command line.
#[derive(Debug, Clone)]
pub struct Line {
    /// The verb's words, aliases resolved: `container ls`.
    verb: String,
    /// The verb and everything behind it, as it was typed.
    rest: Vec<String>,
    matches: ArgMatches,
}

impl Line {
    /// The command line `arguments` (the program's name first), which clap has read as `matches`.
    ///
    /// # Errors
    /// Words that are not UTF-8.
    pub fn read(program: &str, arguments: &[OsString], matches: &ArgMatches) -> Result<Self> {
        let (mut verb, mut leaf) = (Vec::new(), matches);
        while let Some((name, below)) = leaf.subcommand() {
            verb.push(name);
            leaf = below;
        }
        Ok(Self { verb: verb.join(" "), rest: behind_globals(program, arguments)?, matches: leaf.clone() })
    }

    /// The verb's words.
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// The verb and everything behind it.
    pub fn rest(&self) -> &[String] {
        &self.rest
    }

    /// Whether it asks no containerd at all.
    pub fn is_local(&self) -> bool {
        let first = self.verb.split(' ').next().unwrap_or_default();
        LOCAL.contains(&first)
    }

    /// The way that suits the verb.
    pub fn way(&self) -> Via {
        if BY_SOCKET.contains(&self.verb.as_str()) { Via::Socket } else { Via::Program }
    }

    /// Whether the forwarded socket is enough.
    pub fn socket_is_enough(&self) -> bool {
        BY_SOCKET.contains(&self.verb.as_str()) || BY_EITHER.contains(&self.verb.as_str())
    }

    /// Whether it only reads, so that it may run on many machines.
    pub fn only_reads(&self) -> bool {
        READING.contains(&self.verb.as_str())
    }

    /// Whether its output goes on until somebody stops it.
    pub fn follows(&self) -> bool {
        let endless =
            matches!(self.verb.as_str(), "events" | "system events") && self.text("until").is_none();
        endless || self.switch("follow")
    }

    /// Whether it draws anew until somebody stops it, unless `--no-stream` is given.
    pub fn draws(&self) -> bool {
        matches!(self.verb.as_str(), "stats" | "container stats" | "pod stats") && !self.switch("no_stream")
    }

    /// Whether it reads our standard input.
    pub fn reads_input(&self) -> bool {
        let last = self.verb.rsplit(' ').next().unwrap_or_default();
        self.switch("interactive")
            || self.switch("password_stdin")
            || READ_INPUT.contains(&last)
            || self.rest.iter().any(|word| word == "-")
    }

    /// Whether it asks for a terminal by a flag.
    pub fn wants_terminal(&self) -> bool {
        self.switch("tty")
    }

    /// How its output is put together.
    pub fn shape(&self) -> Shape {
        let format = self.text("format").unwrap_or_default();
        let is_json = format == "json" || format.replace(' ', "") == "{{json.}}" || self.switch("json");
        let last = self.verb.rsplit(' ').next();
        if is_json || (last == Some("inspect") && format.is_empty()) {
            return Shape::Json;
        }
        let titled = format.is_empty() || format == "table" || format.starts_with("table ");
        let is_table = TABLES.contains(&self.verb.as_str()) && titled;
        if is_table && !self.switch("quiet") && !self.switch("verbose") { Shape::Table } else { Shape::Lines }
    }

    /// Refuses what would mean something else on another machine: files named by flags, variables of this environment.
    ///
    /// # Errors
    /// The flag or argument, and what to do in its place.
    pub fn check_sendable(&self) -> Result<()> {
        for (id, flag) in [
            ("env_file", "--env-file"),
            ("label_file", "--label-file"),
            ("cidfile", "--cidfile"),
            ("iidfile", "--iidfile"),
        ] {
            if self.has(id) {
                return Err(Error::usage(format!(
                    "{flag} names a file of this machine, and the verb runs on the node"
                ))
                .hint("say what it holds in flags, or run the command on the node"));
            }
        }
        let bare =
            self.texts("env").into_iter().find(|variable| !variable.is_empty() && !variable.contains('='));
        if let Some(name) = bare {
            return Err(Error::usage(format!(
                "-e {name} takes its value from this machine's environment, and the verb runs on the node"
            ))
            .hint(format!("write -e {name}=VALUE")));
        }
        let is_file = |word: &str| word != "-" && (word.starts_with(['/', '.']) || !word.contains(':'));
        let ends = [self.text("source"), self.text("destination")];
        if self.verb.ends_with("cp")
            && let Some(file) = ends.into_iter().flatten().find(|word| is_file(word))
        {
            return Err(Error::usage(format!("{file} is a file of this machine, and the verb runs on the node"))
                .hint("let tar pass: `wharfie -H ssh://node cp CONTAINER:/path - | tar -x`, or `tar -c FILE | wharfie -H ssh://node cp - CONTAINER:/path`"));
        }
        if self.verb.ends_with("export") && self.has("output") {
            return Err(Error::usage("--output names a file of this machine, and the verb runs on the node")
                .hint("write to standard output: `wharfie -H ssh://node export CONTAINER > FILE`"));
        }
        Ok(())
    }

    fn switch(&self, id: &str) -> bool {
        self.matches.try_get_one::<bool>(id).ok().flatten().copied().unwrap_or(false)
    }

    fn text(&self, id: &str) -> Option<String> {
        self.texts(id).into_iter().next_back()
    }

    fn texts(&self, id: &str) -> Vec<String> {
        let values = self.matches.try_get_raw(id).ok().flatten().into_iter().flatten();
        values.map(|value| value.to_string_lossy().into_owned()).collect()
    }

    fn has(&self, id: &str) -> bool {
        let given = self.matches.try_contains_id(id).unwrap_or(false);
        given && self.matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine)
    }
}

/// The verb and what follows it, word for word: the global flags are read by a tree that has nothing else.
fn behind_globals(program: &str, arguments: &[OsString]) -> Result<Vec<String>> {
    let tree = Globals::augment_args(Command::new(program.to_owned()))
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .allow_external_subcommands(true)
        .external_subcommand_value_parser(ValueParser::os_string());
    let matches = like_pflag(tree).try_get_matches_from(arguments);
    let matches = matches.map_err(|error| Error::usage(error.to_string()))?;
    let Some((verb, rest)) = matches.subcommand() else { return Ok(Vec::new()) };
    let words = rest.get_many::<OsString>("").into_iter().flatten();
    let words = words
        .map(|word| word.clone().into_string().map_err(|_| Error::usage("an argument is not valid UTF-8")));
    std::iter::once(Ok(verb.to_owned())).chain(words).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &str) -> Line {
        let arguments: Vec<OsString> = words.split(' ').map(OsString::from).collect();
        let (_, matches) = crate::cli::commands::parse("wharfie", &arguments).ok().unwrap();
        Line::read("wharfie", &arguments, &matches).unwrap()
    }

    #[test]
    fn the_verb_is_passed_on_as_it_was_typed() {
        let ps = line("wharfie -H ssh://n --debug -n k8s.io container list -a --filter name=x");
        assert_eq!(ps.verb(), "container ls");
        assert_eq!(ps.rest(), ["container", "list", "-a", "--filter", "name=x"]);
        let run = line("wharfie --host=ssh://n run --rm -it x sh -c -- -H");
        assert_eq!(run.rest(), ["run", "--rm", "-it", "x", "sh", "-c", "--", "-H"]);
        assert!(run.reads_input() && run.wants_terminal() && !run.only_reads());
        assert_eq!(run.way(), Via::Program);
        assert_eq!(line("wharfie images").way(), Via::Socket);
        assert!(line("wharfie logs -f x").follows() && !line("wharfie logs x").follows());
        assert!(line("wharfie stats x").draws() && !line("wharfie stats --no-stream x").draws());
        assert!(line("wharfie completion bash").is_local());
    }

    #[test]
    fn shapes() {
        for (words, shape) in [
            ("wharfie ps", Shape::Table),
            ("wharfie ps -q", Shape::Lines),
            ("wharfie ps --format json", Shape::Json),
            ("wharfie images --format {{.ID}}", Shape::Lines),
            ("wharfie inspect x", Shape::Json),
            ("wharfie inspect -f {{.Id}} x", Shape::Lines),
            ("wharfie version", Shape::Lines),
            ("wharfie system df", Shape::Table),
            ("wharfie system df -v", Shape::Lines),
        ] {
            assert_eq!(line(words).shape(), shape, "{words}");
        }
    }

    #[test]
    fn what_means_this_machine_is_not_sent() {
        for (words, fine) in [
            ("wharfie run -e A=b x", true),
            ("wharfie run -e A x", false),
            ("wharfie run --env-file f x", false),
            ("wharfie cp a:/x -", true),
            ("wharfie cp a:/x .", false),
            ("wharfie cp f a:/x", false),
            ("wharfie export -o f a", false),
            ("wharfie export a", true),
        ] {
            assert_eq!(line(words).check_sendable().is_ok(), fine, "{words}");
        }
    }
}
