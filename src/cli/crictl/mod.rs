//! This program called as `crictl`, and `wharfie cri …`: the CRI client's commands, formats and words, so that what was
//! written for it runs unchanged. It speaks CRI; what CRI would stream over a server is done through containerd itself.

mod attach;
mod checkpoint;
mod completion;
mod config;
mod create;
mod events;
mod exec;
mod image_filter;
mod images;
mod info;
mod inspect;
mod inspecti;
mod log;
mod logs;
mod metrics;
mod output;
mod pods;
mod port_forward;
mod ps;
mod pull;
mod remove;
mod rmi;
mod select;
mod session;
mod settings;
mod start;
mod stats;
mod statsp;
mod stop;
#[cfg(test)]
mod tests;
mod tls;
mod tree;
mod update;
mod when;

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches};

use self::log::Log;
pub(in crate::cli) use self::port_forward::serve;
use self::session::{Done, Session};
use self::settings::Settings;
use self::tree::{Cli, Verb};
use super::args::pflag;
use super::args::urfave::{Line, normalize};
use super::{Context, system};
use crate::error::{Error, Kind, Result};
use crate::output::notation::quote;

/// Arguments of `wharfie cri`.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:\n  wharfie cri pods\n  wharfie cri ps -a -o json"
)]
pub struct Args {
    /// What crictl would be called with
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARG")]
    words: Vec<String>,
}

/// Run `wharfie cri …`, or `crictl …`, which comes here as `crictl cri …`.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let program = if cx.program == "crictl" { "crictl".to_owned() } else { format!("{} cri", cx.program) };
    let words = std::iter::once(program).chain(args.words).collect();
    run_words(words, cx).await
}

/// Run crictl's command line; every failure is told in its words and ends with its code.
async fn run_words(words: Vec<String>, cx: &mut Context<'_>) -> Result<u8> {
    let log = Log::new();
    let program = words.first().cloned().unwrap_or_default();
    let (path, ran) = match normalize(&Cli::command(), &words) {
        Line::Help(path) => (path, Ok(Done::Help)),
        Line::Wrong(path, why) => (path.clone(), misused(&path, &why, &program, cx)),
        // `help` is about the command that it names.
        Line::Words { path, words } if path == ["help"] => {
            (words.into_iter().skip_while(|word| word != "--").skip(1).collect(), Ok(Done::Help))
        }
        Line::Words { path, words } => {
            let ran = match parse(&words) {
                Ok(cli) => dispatch(cli, log, cx).await,
                Err(error) => misused(&path, &wrong_value(&error), &program, cx),
            };
            (path, ran)
        }
    };
    match ran {
        Ok(Done::Well) => Ok(0),
        Ok(Done::Help) => {
            cx.ui.print(help(&path, &program))?;
            Ok(0)
        }
        Err(Error { kind: Kind::Silent(code), .. }) => Ok(code),
        Err(error) if error.kind == Kind::BrokenPipe => Ok(0),
        Err(error) => {
            log.fatal(cx.ui, &error)?;
            Ok(1)
        }
    }
}

fn parse(words: &[String]) -> Result<Cli, clap::Error> {
    let matches = pflag::like_pflag(Cli::command()).try_get_matches_from(words)?;
    Cli::from_arg_matches(&matches)
}

/// A wrong command line: what is wrong and the command's help go to standard output, as urfave/cli has it.
fn misused(path: &[String], why: &str, program: &str, cx: &mut Context<'_>) -> Result<Done> {
    cx.ui.print(format_args!("Incorrect Usage: {why}\n\n{}", help(path, program)))?;
    Err(Error::failed(why))
}

/// Go's words for a value that does not parse.
fn wrong_value(error: &clap::Error) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match (context(ContextKind::InvalidArg), context(ContextKind::InvalidValue)) {
        (Some(flag), Some(value)) => {
            let name = flag.split([' ', '=']).next().unwrap_or_default().trim_start_matches('-');
            format!("invalid value {} for flag -{name}: parse error", quote(&value))
        }
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    }
}

/// The help of the command at `path`.
fn help(path: &[String], program: &str) -> String {
    let words: Vec<OsString> =
        std::iter::once("crictl".to_owned()).chain(path.iter().cloned()).map(Into::into).collect();
    let tree = Cli::command().name("crictl").bin_name("crictl");
    let text = pflag::help(&tree, &words).to_string();
    if program.ends_with(" cri") { text } else { text.replace("wharfie cri ", "crictl ") }
}

async fn dispatch(cli: Cli, mut log: Log, cx: &mut Context<'_>) -> Result<Done> {
    if cli.globals.version {
        cx.ui.line(system::version::one_line("crictl"))?;
        return Ok(Done::Well);
    }
    let Some(verb) = cli.verb else {
        let Some(word) = cli.rest.first() else { return Ok(Done::Help) };
        cx.ui.say(format_args!("No help topic for '{word}'"))?;
        return Err(Error::silent(3));
    };
    let settings = Settings::settle(&cli.globals, &cx.environment)?;
    log.debug = settings.debug;
    let mut session = Session { cx, settings, log };
    session.adopt()?;
    dispatch_verb(verb, &mut session).await
}

async fn dispatch_verb(verb: Verb, session: &mut Session<'_, '_>) -> Result<Done> {
    match verb {
        Verb::Attach(args) => attach::run(args, session).await,
        Verb::Checkpoint(args) => checkpoint::run(args, session).await,
        Verb::Completion(args) => completion::run(&args, session),
        Verb::Config(args) => config::run(&args, session),
        Verb::Create(args) => create::run_create(args, session).await,
        Verb::Events(args) => events::run(args, session).await,
        Verb::Exec(args) => exec::run(*args, session).await,
        Verb::Imagefsinfo(args) => info::run_image_fs(args, session).await,
        Verb::Images(args) => images::run(args, session).await,
        Verb::Info(args) => info::run(args, session).await,
        Verb::Inspect(args) => inspect::run(*args, session).await,
        Verb::Inspecti(args) => inspecti::run(args, session).await,
        Verb::Inspectp(args) => inspect::run_pod(*args, session).await,
        Verb::Logs(args) => logs::run(args, session).await,
        Verb::Metricdescs(args) => metrics::run_descriptors(args, session).await,
        Verb::Metricsp(args) => metrics::run(args, session).await,
        Verb::Pods(args) => pods::run(*args, session).await,
        Verb::PortForward(args) => port_forward::run(args, session).await,
        Verb::Ps(args) => ps::run(*args, session).await,
        Verb::Pull(args) => pull::run(args, session).await,
        Verb::Rm(args) => remove::run(args, session).await,
        Verb::Rmi(args) => rmi::run(args, session).await,
        Verb::Rmp(args) => remove::run_pod(args, session).await,
        Verb::Run(args) => create::run_run(args, session).await,
        Verb::Runp(args) => create::run_runp(args, session).await,
        Verb::RuntimeConfig(_) => info::run_runtime_config(session).await,
        Verb::Start(args) => start::run(args, session).await,
        Verb::Stats(args) => stats::run(args, session).await,
        Verb::Statsp(args) => statsp::run(args, session).await,
        Verb::Stop(args) => stop::run(args, session).await,
        Verb::Stopp(args) => stop::run_pod(args, session).await,
        Verb::Update(args) => update::run(args, session).await,
        Verb::UpdateRuntimeConfig(args) => info::run_update(args, session).await,
        Verb::Version(args) => info::run_version(args, session).await,
        Verb::Help(_) => Ok(Done::Help),
    }
}
