//! `context import`: a context out of docker's tar.

use std::io::Read;

use super::contexts;
use crate::cli::Context;
use crate::config::contexts::{Stored, check_name};
use crate::config::node::Address;
use crate::error::{Error, Kind, Result, reason};
use crate::image::archive::import_context;

/// A context's archive is small; more bytes are an attack.
const LARGEST: u64 = 10 << 20;

/// Arguments of `context import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie context import edge edge.dockercontext")]
pub struct Args {
    /// The context's name
    #[arg(value_name = "CONTEXT", required = true)]
    name: String,
    /// The file, or - for standard input
    #[arg(value_name = "FILE|-", required = true)]
    file: String,
}

/// Run the verb.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    check_name(&args.name)?;
    let contexts = contexts(cx);
    match contexts.get(&args.name) {
        Ok(_) => return Err(Error::conflict(format!("context {:?} already exists", args.name))),
        Err(error) if error.kind == Kind::NotFound => {}
        Err(error) => return Err(error),
    }
    let input: Box<dyn Read> = if args.file == "-" {
        Box::new(std::io::stdin())
    } else {
        let file = std::fs::File::open(cx.environment.directory.join(&args.file));
        Box::new(file.map_err(|cause| Error::failed(format!("open {}: {}", args.file, reason(&cause))))?)
    };
    let stored = Stored::parse(&import_context(input.take(LARGEST))?)?.named(&args.name);
    // What cannot be spoken to is told now, not at the first command.
    Address::of_docker(stored.host())?;
    contexts.put(&stored)?;
    cx.ui.line(&args.name)?;
    cx.ui.say(format_args!("Successfully imported context {:?}", args.name))?;
    Ok(0)
}
