//! The command line: flags, printed words, exit codes. One file a verb; no meaning lives here.

pub mod args;
mod commands;
mod container;
mod context;
mod errors;
mod exit;
mod foreign;
mod globals;
mod hidden;
mod image;
mod names;
mod namespace;
mod namespaces;
mod pod;
mod prune;
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
    let cli = match commands::parse(program, arguments) {
        Ok(cli) => cli,
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
    let config = cli.globals.settle(&environment)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|cause| Error::new(Kind::Failed, format!("start: {cause}")))?;
    let mut context = Context::new(program, config, environment, ui);
    let result = runtime.block_on(commands::dispatch(verb, &mut context));
    // A thread that still waits for input must not hold the program back.
    runtime.shutdown_background();
    result
}

/// The name that the program was called by, as far as it means something.
fn program(arguments: &[OsString]) -> String {
    let name =
        arguments.first().and_then(|first| Path::new(first).file_name()).and_then(|name| name.to_str());
    match name {
        Some(name @ ("docker" | "nerdctl")) => name.to_owned(),
        _ => "wharfie".to_owned(),
    }
}
