//! `help`: help of a command.

use std::ffi::OsString;

use crate::cli::args::pflag;
use crate::cli::{Context, command};
use crate::error::{Error, Result};

/// Flags of `help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie help run\n  wharfie help image ls")]
pub struct Args {
    /// The command
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

/// Run the verb.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let plain = command(&cx.program);
    let mut level = &plain;
    for word in &args.words {
        level = level.find_subcommand(word).ok_or_else(|| {
            Error::failed(format!("{}: unknown help topic: {}", cx.program, args.words.join(" ")))
                .hint(format!("`{} --help` lists the commands", cx.program))
        })?;
    }
    let arguments: Vec<OsString> = [&cx.program].into_iter().chain(&args.words).map(OsString::from).collect();
    let help = pflag::help(&plain, &arguments);
    if cx.ui.out_color() {
        cx.ui.print(help.ansi())?
    } else {
        cx.ui.print(help)?
    }
    Ok(0)
}
