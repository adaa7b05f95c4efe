//! `crictl completion`: scripts for shells.

use clap::CommandFactory;

use super::session::{Done, Session};
use super::tree::Cli;
use crate::error::{Error, Result};

/// Flags of `crictl completion`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  source <(wharfie cri completion bash)\n  wharfie cri completion fish | source"
)]
pub(super) struct Args {
    /// The shell: bash, zsh or fish
    #[arg(value_name = "SHELL")]
    rest: Vec<String>,
}

pub(super) fn run(args: &Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let script = match args.rest.as_slice() {
        [] => bash(),
        [shell] => match shell.as_str() {
            "bash" => bash(),
            "zsh" => zsh(),
            "fish" => fish(),
            _ => return Err(Error::failed("only bash, zsh or fish are supported")),
        },
        _ => return Ok(Done::Help),
    };
    session.cx.ui.line(script)?;
    Ok(Done::Well)
}

/// Each command with its names and what it does.
fn commands() -> Vec<(String, String)> {
    let tree = Cli::command();
    let mut found = Vec::new();
    for command in tree.get_subcommands().filter(|command| !command.is_hide_set()) {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let names = std::iter::once(command.get_name()).chain(command.get_visible_aliases());
        found.extend(names.map(|name| (name.to_owned(), about.clone())));
    }
    found
}

fn flags() -> Vec<String> {
    let tree = Cli::command();
    tree.get_arguments().filter_map(|flag| flag.get_long()).map(|long| format!("--{long}")).collect()
}

fn bash() -> String {
    let words: Vec<String> = commands().into_iter().map(|(name, _)| name).chain(flags()).collect();
    format!(
        "_crictl() {{\n    COMPREPLY=($(compgen -W \"{}\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n}}\n\
         complete -F _crictl crictl",
        words.join(" ")
    )
}

fn zsh() -> String {
    let quoted = |text: &str| text.replace('\'', "'\\''");
    let commands: Vec<String> =
        commands().iter().map(|(name, about)| format!("'{name}:{}'", quoted(about))).collect();
    let flags: Vec<String> = flags().iter().map(|flag| format!("'{flag}'")).collect();
    format!(
        "#compdef crictl\n_crictl() {{\n  local -a verbs options\n  verbs=({})\n  options=({})\n  \
         _describe 'commands' verbs\n  _describe 'global options' options\n}}\ncompdef _crictl crictl",
        commands.join(" "),
        flags.join(" ")
    )
}

fn fish() -> String {
    let quoted = |text: &str| text.replace('\'', "\\'");
    let mut lines: Vec<String> = commands()
        .iter()
        .map(|(name, about)| {
            format!("complete -c crictl -n __fish_use_subcommand -f -a '{name}' -d '{}'", quoted(about))
        })
        .collect();
    lines.extend(
        flags().iter().map(|flag| format!("complete -c crictl -l {}", flag.trim_start_matches("--"))),
    );
    lines.join("\n")
}
