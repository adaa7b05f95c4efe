//! The command line: flags, printed words, exit codes. One file a verb; no meaning lives here.

pub mod args;
mod commands;
mod container;
mod context;
mod crictl;
mod ctr;
mod debug;
mod docker_context;
mod doctor;
mod errors;
mod exit;
mod foreign;
mod globals;
mod hidden;
mod image;
mod manifest;
mod names;
mod namespace;
mod namespaces;
mod netns;
mod nodes;
mod pod;
mod prune;
mod registry;
mod stream;
mod system;
#[cfg(test)]
mod tests;
mod unbuilt;
mod whole_file;

use std::ffi::OsString;
use std::path::Path;

pub use commands::{Cli, command};
pub use context::Context;

use crate::config::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::output::ui::Ui;
use nodes::{Line, Place};

/// Run the program with `arguments` (the first one is its own name) and return its exit code.
pub fn main(arguments: Vec<OsString>) -> u8 {
    if let Some(code) = hidden::run(&arguments) {
        return code;
    }
    let environment = Environment::read();
    let mut ui = Ui::stdio(environment.get("NO_COLOR"));
    let program = program(&arguments);
    let result = run(&program, arguments, environment, &mut ui);
    let flushed = ui.flush();
    match result.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            let error = if error.kind == Kind::Usage && error.hints.is_empty() {
                error.hint(format!("See '{program} --help'."))
            } else {
                error
            };
            // A broken standard error leaves nobody to tell.
            let _ = ui.error(&error);
            error.exit_code()
        }
    }
}

fn run(program: &str, arguments: Vec<OsString>, environment: Environment, ui: &mut Ui) -> Result<u8> {
    if let Some(script) = commands::complete(program, &arguments, &environment)? {
        ui.write(&script)?;
        return Ok(0);
    }
    let (program, arguments) = as_subcommand(program, arguments);
    let (cli, matches) = match commands::parse(program, &arguments) {
        Ok(parsed) => parsed,
        Err(commands::Stop::Help(text)) => {
            ui.print(text)?;
            return Ok(0);
        }
        Err(commands::Stop::Error(error)) => return Err(error),
    };
    if cli.globals.version {
        ui.line(system::version::one_line(program))?;
        return Ok(0);
    }
    let Some(verb) = cli.command else {
        ui.print(command(program).render_help())?;
        return Ok(0);
    };
    let line = Line::read(program, &arguments, &matches)?;
    let mut globals = cli.globals;
    globals.asks_nobody = line.is_local();
    let mut config = globals.settle(&environment)?;
    let caller = nodes::Caller { program, globals: &globals, environment: &environment, line: &line };
    if !globals.nodes.is_empty() {
        return nodes::side_by_side(&caller, &config, ui);
    }
    let forward = match nodes::place(&caller, &mut config, ui)? {
        Place::Here => None,
        Place::Forwarded(forward) => Some(forward),
        Place::Ended(code) => return Ok(code),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(Kind::Failed, format!("start: {cause}")))?;
    let mut context = Context::new(program, config, environment, ui).over(forward);
    let result = runtime.block_on(commands::dispatch(verb, &mut context));
    // A thread that still waits for input must not hold the program back.
    runtime.shutdown_background();
    result
}

/// Called as `ctr`, the program is `wharfie ctr`; as `crictl`, it is `wharfie cri`.
fn as_subcommand(program: &str, arguments: Vec<OsString>) -> (&str, Vec<OsString>) {
    let (program, words) = match program {
        "ctr" => ("wharfie", ["wharfie", "ctr"]),
        "crictl" => (program, [program, "cri"]),
        _ => return (program, arguments),
    };
    (program, words.map(OsString::from).into_iter().chain(arguments.into_iter().skip(1)).collect())
}

/// The name that the program was called by, as far as it means something.
fn program(arguments: &[OsString]) -> String {
    let name =
        arguments.first().and_then(|first| Path::new(first).file_name()).and_then(|name| name.to_str());
    match name {
        Some(name @ ("docker" | "nerdctl" | "ctr" | "crictl")) => name.to_owned(),
        _ => "wharfie".to_owned(),
    }
}
