//! `completion`: scripts that make a shell ask this program what can come next, and the answers.
//!
//! A script calls the program with `COMPLETE=bash` and the words so far behind `--`. The candidates come from
//! the command tree, names of containers and images from containerd ([`names`]).

use std::ffi::{OsStr, OsString};

use clap::FromArgMatches;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::{EnvCompleter, Shells};

use crate::cli::args::pflag::like_pflag;
use crate::cli::globals::Globals;
use crate::cli::{Context, command, names};
use crate::config::environment::Environment;
use crate::error::{Error, Result};

/// The variable that makes a call a question of a shell.
const VARIABLE: &str = "COMPLETE";
/// The shells that we keep scripts of.
const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Flags of `completion`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  source <(wharfie completion bash)\n  wharfie completion zsh > \"${fpath[1]}/_wharfie\"\n  \
    wharfie completion fish > ~/.config/fish/completions/wharfie.fish"
)]
pub struct Args {
    /// bash, zsh or fish
    #[arg(value_name = "SHELL", add = ArgValueCandidates::new(shells))]
    shell: String,
}

fn shells() -> Vec<CompletionCandidate> {
    SHELLS.map(CompletionCandidate::new).into()
}

/// Run the verb.
pub fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let script = script(&cx.program, &args.shell)?;
    cx.ui.write(&script)?;
    Ok(0)
}

/// The script of `shell` for the program called `program`, which it will find on the PATH.
pub(super) fn script(program: &str, shell: &str) -> Result<Vec<u8>> {
    let shells = Shells::builtins();
    let Some(shell) = SHELLS.contains(&shell).then(|| shells.completer(shell)).flatten() else {
        return Err(Error::usage(format!("unknown shell {shell:?}: must be one of {}", SHELLS.join(", "))));
    };
    registration(shell, program, program)
}

fn registration(shell: &dyn EnvCompleter, program: &str, caller: &str) -> Result<Vec<u8>> {
    let mut script = Vec::new();
    let written =
        shell.write_registration(VARIABLE, &program.replace('-', "_"), program, caller, &mut script);
    written.map_err(|cause| Error::failed(format!("write the completion script: {cause}")))?;
    Ok(script)
}

/// The answer to a shell that asks through the environment; None for every other call.
pub fn answer(program: &str, arguments: &[OsString], environment: &Environment) -> Result<Option<Vec<u8>>> {
    let Some(name) = environment.set(VARIABLE) else { return Ok(None) };
    let shells = Shells::builtins();
    // The variable may be somebody else's: what is no shell's name is not for us.
    let Some(shell) = shells.completer(name) else { return Ok(None) };
    let Some(start) = arguments.iter().position(|word| word == "--") else {
        let caller = arguments.first().and_then(|first| first.to_str()).unwrap_or(program);
        return registration(shell, program, caller).map(Some);
    };
    let words = arguments[start + 1..].to_vec();
    if let Ok(config) = globals(program, &words).settle(environment) {
        names::settle(config);
    }
    let mut reply = Vec::new();
    let written =
        shell.write_complete(&mut command(program), words, Some(&environment.directory), &mut reply);
    written.map_err(|cause| Error::failed(format!("complete: {cause}")))?;
    Ok(Some(reply))
}

/// The global flags among `words`, which may be unfinished.
fn globals(program: &str, words: &[OsString]) -> Globals {
    // The last word is the one being written.
    let (done, _) = words.split_at(words.len().saturating_sub(1));
    let done = if done.is_empty() { vec![OsStr::new(program).to_owned()] } else { done.to_vec() };
    let matches = like_pflag(command(program)).ignore_errors(true).try_get_matches_from(done);
    matches.ok().and_then(|matches| Globals::from_arg_matches(&matches).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_call_the_program_by_its_name() {
        for shell in SHELLS {
            let script = String::from_utf8(script("docker", shell).unwrap()).unwrap();
            assert!(script.contains("COMPLETE") && script.contains("docker"), "{script}");
        }
        assert!(script("wharfie", "tcsh").unwrap_err().message.contains("bash, zsh, fish"));
    }

    #[test]
    fn only_a_shell_s_question_is_answered() {
        let words: Vec<OsString> = ["wharfie", "ps"].map(OsString::from).into();
        for value in ["", "yes", "0"] {
            assert_eq!(answer("wharfie", &words, &Environment::of(&[("COMPLETE", value)])).unwrap(), None);
        }
        assert_eq!(answer("wharfie", &words, &Environment::of(&[])).unwrap(), None);
        let script =
            answer("wharfie", &words[..1], &Environment::of(&[("COMPLETE", "fish")])).unwrap().unwrap();
        assert!(String::from_utf8(script).unwrap().contains("complete"));
    }

    #[test]
    fn verbs_and_flags_are_candidates() {
        let ask = |words: &[&str]| {
            let words: Vec<OsString> =
                ["wharfie", "--", "wharfie"].iter().chain(words).map(OsString::from).collect();
            let reply = answer(
                "wharfie",
                &words,
                &Environment::of(&[("COMPLETE", "fish"), ("CONTAINERD_ADDRESS", "/nowhere.sock")]),
            );
            String::from_utf8(reply.unwrap().unwrap()).unwrap()
        };
        assert!(ask(&["ins"]).starts_with("inspect\t"), "{}", ask(&["ins"]));
        assert!(ask(&["image", "l"]).contains("load\t"));
        assert!(ask(&["run", "--pri"]).contains("--privileged\t"));
        // containerd is away: silence.
        assert_eq!(ask(&["stop", "w"]).trim(), "");
    }

    #[test]
    fn global_flags_before_the_word_count() {
        let words =
            ["wharfie", "-n", "k8s.io", "--address=/x.sock", "rm", "--nonsense", "we"].map(OsString::from);
        let globals = globals("wharfie", &words);
        assert_eq!(
            (globals.namespace.as_deref(), globals.address.as_deref()),
            (Some("k8s.io"), Some("/x.sock"))
        );
    }
}
