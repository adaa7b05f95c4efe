//! The generated files of the repository, docs/reference and completions, compared with what the code says.
//! `UPDATE_REFERENCE=1 cargo test --lib reference` writes them anew.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Arg, Command};

use super::super::completion;
use crate::cli::{command, unbuilt};

/// Compare `content` with the repository's file, or write it.
fn compare(file: &str, content: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    if kept != content {
        let line = kept.lines().zip(content.lines()).position(|(kept, now)| kept != now).unwrap_or_default();
        panic!(
            "{file} is not what the code says, from line {} on:\n  there: {}\n  now:   {}\nrun UPDATE_REFERENCE=1 cargo test --lib reference",
            line + 1,
            kept.lines().nth(line).unwrap_or_default(),
            content.lines().nth(line).unwrap_or_default(),
        );
    }
}

#[test]
fn completion_scripts_are_kept() {
    for shell in ["bash", "zsh", "fish"] {
        compare(
            &format!("completions/wharfie.{shell}"),
            &String::from_utf8(completion::script("wharfie", shell).unwrap()).unwrap(),
        );
    }
}

#[test]
fn the_reference_of_commands_is_kept() {
    let mut root = command("wharfie");
    root.build();
    let mut text =
        "# Commands\n\nGenerated from the command tree: `UPDATE_REFERENCE=1 cargo test --lib reference`. \
        What is not built yet is in [unbuilt.md](unbuilt.md).\n"
            .to_owned();
    page(&root, &root, &mut Vec::new(), &mut text);
    compare("docs/reference/commands.md", &text);
}

#[test]
fn the_list_of_what_is_not_built_is_kept() {
    let mut text = "# Not built yet\n\nGenerated from `src/cli/unbuilt.rs`: `UPDATE_REFERENCE=1 cargo test --lib reference`.\n\n\
        | verbs | why |\n|---|---|\n"
        .to_owned();
    for (verbs, reason) in unbuilt::UNBUILT {
        let verbs: Vec<String> = verbs.iter().map(|verb| format!("`{verb}`")).collect();
        writeln!(text, "| {} | {} |", verbs.join(", "), escaped(reason)).unwrap();
    }
    compare("docs/reference/unbuilt.md", &text);
}

/// A section for `command` and each command below it. `container run` is `run`: it is described once.
fn page(root: &Command, command: &Command, path: &mut Vec<String>, text: &mut String) {
    path.push(command.get_name().to_owned());
    let mut below: Vec<&Command> = command.get_subcommands().filter(|sub| !sub.is_hide_set()).collect();
    below.sort_by_key(|sub| sub.get_name());
    writeln!(text, "\n## {}\n", path.join(" ")).unwrap();
    if let Some(about) = command.get_about() {
        writeln!(text, "{}.\n", about.to_string().trim_end_matches('.')).unwrap();
    }
    let twin = root.find_subcommand(command.get_name()).filter(|_| path.len() == 3);
    if twin.is_some_and(|twin| rows(twin) == rows(command)) {
        let name = command.get_name();
        writeln!(text, "The same as [`{} {name}`](#{}-{name}).", root.get_name(), root.get_name()).unwrap();
        path.pop();
        return;
    }
    let usage = command.clone().render_usage().to_string();
    writeln!(text, "    {}", usage.trim_start_matches("Usage: ").trim().replace('\n', "\n    ")).unwrap();
    let aliases: Vec<String> = command.get_visible_aliases().map(|alias| format!("`{alias}`")).collect();
    if !aliases.is_empty() {
        writeln!(text, "\nAlso called {}.", aliases.join(", ")).unwrap();
    }
    if !below.is_empty() {
        text.push_str("\n| command | |\n|---|---|\n");
        for sub in &below {
            let anchor =
                path.iter().map(String::as_str).chain([sub.get_name()]).collect::<Vec<_>>().join("-");
            let about = sub.get_about().map(ToString::to_string).unwrap_or_default();
            writeln!(text, "| [`{}`](#{anchor}) | {} |", sub.get_name(), escaped(&about)).unwrap();
        }
    }
    text.push_str(&rows(command));
    if let Some(after) = command.get_after_help() {
        writeln!(text, "\n{}", examples(&after.to_string())).unwrap();
    }
    for sub in below {
        page(root, sub, path, text);
    }
    path.pop();
}

/// The table of arguments and flags; empty where there are none.
fn rows(command: &Command) -> String {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_id() != "help");
    let (positional, mut flags): (Vec<&Arg>, Vec<&Arg>) = shown.partition(|arg| arg.is_positional());
    flags.sort_by_key(|arg| arg.get_long().map(str::to_owned).or_else(|| arg.get_short().map(String::from)));
    let mut text = String::new();
    for arg in positional.into_iter().chain(flags) {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "| `{}` | {} |", escaped(&spelled(arg)), escaped(&help)).unwrap();
    }
    if text.is_empty() { text } else { format!("\n| | |\n|---|---|\n{text}") }
}

/// `-n, --namespace NAME`.
fn spelled(arg: &Arg) -> String {
    let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
    if arg.is_positional() {
        return value;
    }
    let takes =
        arg.get_action().takes_values() && arg.get_num_args().is_none_or(|range| range.min_values() > 0);
    let names = arg
        .get_short()
        .map(|short| format!("-{short}"))
        .into_iter()
        .chain(arg.get_long().map(|long| format!("--{long}")));
    let names = names.collect::<Vec<_>>().join(", ");
    if takes { format!("{names} {value}") } else { names }
}

fn escaped(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;").replace('\n', " ")
}

/// Examples are commands, indented by two in the help: a block of code here.
fn examples(text: &str) -> String {
    let lines: Vec<String> = text
        .lines()
        .map(|line| line.strip_prefix("  ").map_or_else(|| format!("{line}\n"), |code| format!("    {code}")))
        .collect();
    lines.join("\n")
}
