//! Everything that crictl has is here: the table is a copy of the inventory.

use clap::{Arg, ArgAction, Command, CommandFactory};

use super::tree::Cli;
use super::{help, parse};
use crate::cli::args::urfave::{Line, normalize};

const CRICTL: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/crictl.tsv"));

#[test]
fn every_row_of_crictl_is_true() {
    let tree = Cli::command();
    let (mut missing, mut seen) = (Vec::new(), 0);
    for row in CRICTL.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let [command, flag, short, kind, takes_value, ..] = columns.as_slice() else {
            panic!("short row: {row}");
        };
        seen += 1;
        let mut found = Some(&tree);
        for word in command.split(' ').skip(1) {
            found = found.and_then(|command| command.find_subcommand(word));
        }
        let Some(found) = found else {
            missing.push(format!("{command}: no such command"));
            continue;
        };
        if flag.is_empty() {
            continue;
        }
        let takes_value = *takes_value == "yes" && *kind != "bool";
        match known(found, flag.trim_start_matches('-')) {
            None => missing.push(format!("{command} {flag}: missing")),
            Some(known) => {
                let letter = short.trim_start_matches('-').chars().next();
                let has = letter.is_none_or(|letter| known.get_short() == Some(letter));
                if !has {
                    missing.push(format!("{command} {flag}: no short form {short}"));
                }
                if takes_value == matches!(known.get_action(), ArgAction::SetTrue) {
                    missing.push(format!("{command} {flag}: a value is {takes_value}"));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert_eq!(seen, 234);
}

fn known<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|known| {
        known.get_long() == Some(name) || known.get_all_aliases().is_some_and(|all| all.contains(&name))
    })
}

#[test]
fn every_flag_has_a_long_form_and_no_two_share_a_letter() {
    fn check(command: &Command) {
        let mut letters = Vec::new();
        for arg in command.get_arguments().filter(|arg| !arg.is_positional()) {
            assert!(arg.get_long().is_some(), "{} {}", command.get_name(), arg.get_id());
            letters.extend(arg.get_short());
        }
        letters.sort_unstable();
        let count = letters.len();
        letters.dedup();
        assert_eq!(letters.len(), count, "{}: {letters:?}", command.get_name());
        command.get_subcommands().for_each(check);
    }
    let tree = Cli::command();
    check(&tree);
    tree.debug_assert();
}

/// Each of `lines` is understood.
fn understood(lines: &[&str]) {
    for line in lines {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let Line::Words { words, .. } = normalize(&Cli::command(), &words) else { panic!("{line}") };
        if let Err(error) = parse(&words) {
            panic!("{line}: {words:?}: {error}");
        }
    }
}

#[test]
fn lines_that_scripts_have() {
    understood(&[
        "crictl ps -aq",
        "crictl ps -a --name=^etcd$ --state Exited -o json --no-trunc",
        "crictl -r unix:///run/containerd/containerd.sock ps",
        "crictl --runtime-endpoint=unix:///a.sock --timeout 30s pods -q --label a=b,c=d --label e=f",
        "crictl exec -it ID sh -c ls",
        "crictl exec -s --timeout=5 ID ls -l",
        "crictl logs --tail=5 -f ID",
        "crictl logs -tail 5 ID",
        "crictl inspect -o go-template --template {{.status.id}} ID1 ID2",
        "crictl inspecti --output=yaml busybox",
        "crictl rmi --prune",
        "crictl rm -fa",
        "crictl stop -t 5 ID",
        "crictl stopp ID",
        "crictl create POD c.json p.json",
        "crictl create jsonschema -c",
        "crictl runp js",
        "crictl run --with-pull -pt 5s -T 10s c.json p.json",
        "crictl pull --creds=a:b --annotation a=b name",
        "crictl images --filter dangling=false -v",
        "crictl img",
        "crictl event",
        "crictl config --set timeout=10,debug=true --set image-endpoint=",
        "crictl config debug true",
        "crictl port-forward -r websocket POD 8080:80 :443",
        "crictl stats -a --seconds 2 ID",
        "crictl update --memory -1 --oom-score-adj=5 ID",
        "crictl --debug=false --max-retries 5 version",
        "crictl -v",
        "crictl",
    ]);
}

#[test]
fn help_names_the_program_it_is_called_by() {
    let path = ["ps".to_owned()];
    assert!(help(&path, "crictl").contains("\n  crictl ps -a\n"), "{}", help(&path, "crictl"));
    assert!(help(&path, "wharfie cri").contains("\n  wharfie cri ps -a\n"));
}
