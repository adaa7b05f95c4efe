//! Everything that containerd's ctr has is here, or is named below with the reason: the table is a copy of the
//! inventory.

use clap::Command;

const CTR: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/ctr.tsv"));

/// What is for those who develop containerd: one line for the family, nothing below it.
const PROBES: &[(&str, &str)] = &[
    ("pprof", "reads containerd's own profiles from its debug socket"),
    ("shim", "talks to a shim past containerd"),
];

#[test]
fn every_row_is_true() {
    let tree = super::command();
    let (mut missing, mut seen) = (Vec::new(), 0);
    for row in CTR.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [command, flag, short, ..] = columns.as_slice() else { panic!("short row: {row}") };
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        if words.first().is_some_and(|family| PROBES.iter().any(|(probe, _)| probe == family)) {
            continue;
        }
        seen += 1;
        let Some(found) = find(&tree, &words) else {
            missing.push(format!("{command}: no such command"));
            continue;
        };
        let names = [*flag].into_iter().chain(short.split(',')).map(|name| name.trim_start_matches('-'));
        for name in names.filter(|name| !name.is_empty()) {
            let known = found.get_arguments().any(|known| {
                known.get_long() == Some(name)
                    || known.get_short().is_some_and(|short| name.chars().eq([short]))
            });
            if !known {
                missing.push(format!("{command} {flag}: no {name}"));
            }
        }
    }
    assert!(seen > 400, "only {seen} rows were compared");
    assert_eq!(missing, Vec::<String>::new());
}

#[test]
fn every_command_has_examples() {
    let mut without = Vec::new();
    fn below(path: &str, command: &Command, without: &mut Vec<String>) {
        for next in command.get_subcommands() {
            let path = format!("{path} {}", next.get_name());
            let told = next.get_after_help().map(ToString::to_string).unwrap_or_default();
            if !next.has_subcommands() && !told.starts_with("Examples:\n") {
                without.push(path.clone());
            }
            below(&path, next, without);
        }
    }
    below("ctr", &super::command(), &mut without);
    assert_eq!(without, Vec::<String>::new());
}

#[test]
fn lines_are_read_as_by_ctr() {
    use super::flags::{Read, read};
    let line = |text: &str| {
        let words = text.split(' ').map(Into::into).collect();
        match read(&super::command(), words) {
            Ok(Read::Words(words)) => words
                .iter()
                .skip(1)
                .map(|word| word.to_string_lossy().into_owned())
                .collect::<Vec<_>>()
                .join(" "),
            Ok(Read::Help(path)) => format!("help of {}", path.join(" ")),
            Ok(Read::NoTopic(word)) => format!("no topic {word}"),
            Err(error) => error.message,
        }
    };
    for (given, expected) in [
        ("-n k8s.io i ls -q", "--namespace=k8s.io i ls --quiet"),
        ("-namespace=k8s.io images ls -quiet=true x", "--namespace=k8s.io images ls --quiet -- x"),
        ("images ls x -q=false", "images ls -- x"),
        ("run --rm -t a b sh -c x --rm", "run --rm --tty -- a b sh -c x --rm"),
        ("tasks exec --exec-id -x one ls -l", "tasks exec --exec-id=-x -- one ls -l"),
        ("snapshots --snapshotter native usage -b", "snapshots --snapshotter=native usage -b"),
        ("run -dt a b", "flag provided but not defined: -dt"),
        ("images ls -quiet=maybe", "invalid boolean value \"maybe\" for -quiet: parse error"),
        ("run --env", "flag needs an argument: -env"),
        ("images frob", "no topic frob"),
        ("images", "help of images"),
        ("i ls --help", "help of images list"),
        ("help i ls", "help of i ls"),
        ("images import -", "images import -- -"),
    ] {
        assert_eq!(line(given), expected, "{given}");
    }
}

fn find<'a>(tree: &'a Command, words: &[&str]) -> Option<&'a Command> {
    words.iter().try_fold(tree, |level, word| level.find_subcommand(word))
}
