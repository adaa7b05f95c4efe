//! Everything that docker and nerdctl have for containers and the system is here, or is named below with the
//! reason: the tables are copies of the inventory.

use clap::{Arg, Command};

const DOCKER: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/docker.tsv"));
const NERDCTL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/nerdctl.tsv"));

/// Verbs of containers, the system and lists that this program has; below `container` and `system` too.
const VERBS: &[&str] = &[
    "attach",
    "commit",
    "container",
    "context",
    "cp",
    "create",
    "diff",
    "events",
    "exec",
    "export",
    "healthcheck",
    "history",
    "images",
    "info",
    "inspect",
    "kill",
    "login",
    "logout",
    "logs",
    "manifest",
    "network",
    "pause",
    "port",
    "ps",
    "pull",
    "push",
    "rename",
    "restart",
    "rm",
    "rmi",
    "run",
    "search",
    "start",
    "stats",
    "stop",
    "system",
    "top",
    "unpause",
    "update",
    "version",
    "volume",
    "wait",
];

/// Verbs below `image` that this program has.
const IMAGE_VERBS: &[&str] =
    &["convert", "history", "inspect", "list", "ls", "prune", "pull", "push", "remove", "rm", "rmi", "tag"];

/// What is not here, and why: a command, or a command and a flag.
const REFUSED: &[(&str, &str)] = &[
    ("system dial-stdio", "docker's own way through ssh; there is no API to pass on yet"),
    ("create --detach-keys", "nerdctl keeps them for a later start; docker has no such flag"),
    ("commit --estargz", "lazily pulled layers need the stargz snapshotter; gzip runs everywhere"),
    ("commit --estargz-chunk-size", "as --estargz"),
    ("commit --estargz-compression-level", "as --estargz"),
    ("commit --estargz-min-chunk-size", "as --estargz"),
    ("commit --zstdchunked", "new layers are gzip, which every tool reads"),
    ("commit --zstdchunked-chunk-size", "as --zstdchunked"),
    ("commit --zstdchunked-compression-level", "as --zstdchunked"),
    ("pull --cosign-certificate-identity", "signatures are not verified here: cosign does that"),
    ("pull --cosign-certificate-identity-regexp", "as --cosign-certificate-identity"),
    ("pull --cosign-certificate-oidc-issuer", "as --cosign-certificate-identity"),
    ("pull --cosign-certificate-oidc-issuer-regexp", "as --cosign-certificate-identity"),
    ("pull --cosign-key", "as --cosign-certificate-identity"),
    ("pull --ipfs-address", "images come from registries"),
    ("pull --soci-index-digest", "lazily pulled layers need the soci snapshotter"),
    ("create --sig-proxy", "nerdctl keeps it for a later start; docker has no such flag"),
];

/// Words that name the same thing.
const SPELLINGS: &[(&str, &str)] = &[("container list", "container ls"), ("remove", "rm")];

#[test]
fn every_row_of_docker_is_true() {
    let missing = missing(DOCKER, "docker", 6);
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_row_of_nerdctl_is_true() {
    let missing = missing(NERDCTL, "nerdctl", 5);
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_command_has_examples() {
    let mut without = Vec::new();
    walk(&crate::cli::command("wharfie"), &mut |path, command| {
        let told = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let leads = ["Example:\n", "Examples:\n"].iter().any(|lead| told.contains(lead));
        let calls = told.lines().filter(|line| line.contains("wharfie ")).count();
        // A family's examples are those of its verbs.
        let is_family = command.has_subcommands();
        if !is_family && (!leads || calls == 0) {
            without.push(path.to_owned());
        }
    });
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn a_wrong_flag_or_verb_suggests_the_right_one() {
    for (line, suggestion) in [
        ("ps --fromat x", "'--format'"),
        ("stop --tiemout 3 web", "'--timeout'"),
        ("exec --interactiv web sh", "'--interactive'"),
        ("images --digest", "'--digests'"),
        ("logs --folow web", "'--follow'"),
    ] {
        let arguments: Vec<_> = std::iter::once("wharfie").chain(line.split(' ')).map(Into::into).collect();
        let Err(crate::cli::commands::Stop::Error(error)) =
            crate::cli::commands::parse("wharfie", &arguments)
        else {
            panic!("{line} is understood");
        };
        assert!(error.hints.iter().any(|hint| hint.contains(suggestion)), "{line}: {error:?}");
    }
}

#[test]
fn a_global_flag_is_named_as_it_is_written() {
    let arguments = ["docker", "--log-level", "nope", "ps"].map(Into::into);
    let Err(crate::cli::commands::Stop::Error(error)) = crate::cli::commands::parse("docker", &arguments)
    else {
        panic!("there is such a level");
    };
    assert!(error.message.contains("for \"-l, --log-level\" flag"), "{}", error.message);
}

/// Every visible command below `root`, with its words.
fn walk(root: &Command, visit: &mut dyn FnMut(&str, &Command)) {
    fn below(path: &str, command: &Command, visit: &mut dyn FnMut(&str, &Command)) {
        for next in command.get_subcommands().filter(|next| !next.is_hide_set()) {
            let path = format!("{path} {}", next.get_name());
            visit(&path, next);
            below(&path, next, visit);
        }
    }
    below(root.get_name(), root, visit);
}

/// The rows that are neither here nor refused by name.
fn missing(table: &str, program: &str, least_columns: usize) -> Vec<String> {
    let tree = crate::cli::command(program);
    let (mut missing, mut seen) = (Vec::new(), 0);
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        assert!(columns.len() > least_columns, "short row: {row}");
        let (command, flag, short) = (columns[0], columns[1], columns[2]);
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        let known = match words.as_slice() {
            ["image", verb, ..] => IMAGE_VERBS.contains(verb),
            [verb, ..] => VERBS.contains(verb),
            [] => true,
        };
        if !known || columns[5] == "unimplemented" {
            continue;
        }
        seen += 1;
        let verb = words.join(" ");
        let named = format!("{verb} {flag}");
        let refused = |name: &str| {
            let name = name.trim();
            let name = name.strip_prefix("container ").or(name.strip_prefix("image ")).unwrap_or(name);
            REFUSED.iter().any(|(known, _)| *known == name)
        };
        if refused(&verb) || refused(&named) {
            continue;
        }
        match find(&tree, &words) {
            None => missing.push(format!("{command}: no such command")),
            Some(_) if flag.is_empty() => {}
            Some(found) => {
                missing.extend(wrong(found, flag, short).map(|what| format!("{command} {flag}: {what}")))
            }
        }
    }
    assert!(seen > 300, "only {seen} rows were compared");
    missing.dedup();
    missing
}

fn find<'a>(tree: &'a Command, words: &[&str]) -> Option<&'a Command> {
    let mut found = tree;
    for word in words {
        let spelled =
            SPELLINGS.iter().find(|(known, _)| known == word).map_or(*word, |(_, spelled)| *spelled);
        found = found.find_subcommand(word).or_else(|| found.find_subcommand(spelled))?;
    }
    Some(found)
}

/// What is wrong with a flag of `command`; None where it is as the row says.
fn wrong(command: &Command, flag: &str, short: &str) -> Option<String> {
    let is_short =
        |known: &Arg| known.get_short().map(|letter| format!("-{letter}")).as_deref() == Some(short);
    // nerdctl writes short flags of its own as `--n`.
    let name = flag.trim_start_matches('-');
    let known = command.get_arguments().find(|known| {
        known.get_long() == Some(name)
            || known.get_all_aliases().is_some_and(|names| names.contains(&name))
            || (name.len() == 1 && is_short(known))
    });
    match known {
        None if name == "help" => None,
        None => Some("missing".into()),
        Some(known) => {
            let letters = known.get_short_and_visible_aliases().unwrap_or_default();
            let letter = short.trim_start_matches('-').chars().next();
            let has = letter.is_none_or(|letter| {
                letters.contains(&letter)
                    || command
                        .get_arguments()
                        .any(|other| other.get_short() == Some(letter) && other.is_hide_set())
            });
            (!has).then(|| format!("no short form {short}"))
        }
    }
}
