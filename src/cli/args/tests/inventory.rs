//! Every flag that docker has is here, with its letter and its arity.

use clap::{ArgAction, Command};

use super::{super::pflag::like_pflag, plain};

const INVENTORY: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/docker.tsv"));

#[test]
fn clap_accepts_the_tree() {
    plain().debug_assert();
    like_pflag(plain()).debug_assert();
}

#[test]
fn every_flag_of_docker_is_known() {
    let tree = plain();
    let mut missing = Vec::new();
    let mut seen = 0;
    for row in INVENTORY.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [command, flag, short, kind, value, _, visibility, ..] = columns[..] else {
            panic!("short row: {row}");
        };
        let Some(verb) =
            command.strip_prefix("docker ").filter(|verb| ["run", "create", "exec"].contains(verb))
        else {
            continue;
        };
        if flag.is_empty() {
            continue;
        }
        seen += 1;
        let known = find(&tree, verb, flag);
        let Some(known) = known else {
            missing.push(format!("{command} {flag}: missing"));
            continue;
        };
        if known.get_short().map(|letter| format!("-{letter}")).unwrap_or_default() != short {
            missing.push(format!("{command} {flag}: its short form is {:?}, not {short}", known.get_short()));
        }
        if known.get_action().takes_values() != (value == "yes") {
            missing.push(format!("{command} {flag}: takes a value: {value}"));
        }
        // A list grows with each use; anything else is replaced by the last.
        let repeats = matches!(known.get_action(), ArgAction::Append);
        if ["list", "map", "mount", "network", "ulimit", "gpu-request"].contains(&kind) != repeats {
            missing.push(format!("{command} {flag}: {kind}, but {:?}", known.get_action()));
        }
        let alias = known.get_long() != flag.strip_prefix("--");
        let hidden = known.is_hide_set() || alias;
        if (visibility == "visible") == hidden {
            missing.push(format!("{command} {flag}: docker's help has it {visibility}"));
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(seen > 200, "only {seen} rows were compared");
}

fn find<'a>(tree: &'a Command, verb: &str, flag: &str) -> Option<&'a clap::Arg> {
    let name = flag.strip_prefix("--")?;
    tree.find_subcommand(verb)?.get_arguments().find(|known| {
        known.get_long() == Some(name) || known.get_all_aliases().is_some_and(|names| names.contains(&name))
    })
}

#[test]
fn help_lines_are_docker_like() {
    for command in plain().get_subcommands() {
        for flag in command.get_opts() {
            let help = flag.get_help().map(ToString::to_string).unwrap_or_default();
            assert!(!help.is_empty() && !help.ends_with('.'), "{}: {help:?}", flag.get_id());
        }
    }
}
