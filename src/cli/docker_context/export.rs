//! `context export`: a context as docker's tar.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use super::{contexts, endpoint};
use crate::cli::Context;
use crate::error::{Error, Result, reason};
use crate::image::archive::export_context;

/// Arguments of `context export`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie context export edge\n  wharfie context export edge - | ssh other docker context import edge -"
)]
pub struct Args {
    /// The context
    #[arg(value_name = "CONTEXT", required = true)]
    name: String,
    /// The file, or - for standard output; CONTEXT.dockercontext where none is named
    #[arg(value_name = "FILE|-")]
    file: Option<String>,
}

/// Run the verb.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let stored = endpoint::find(&args.name, &contexts(cx), cx)?;
    let archive = export_context(&stored.bytes())?;
    let file = args.file.clone().unwrap_or_else(|| format!("{}.dockercontext", args.name));
    if file == "-" {
        if cx.ui.out_is_terminal() {
            return Err(Error::failed("cowardly refusing to export to a terminal, specify a file path"));
        }
        cx.ui.write(&archive)?;
        return Ok(0);
    }
    // One that is there is somebody's: it stays.
    let opened = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(cx.environment.directory.join(&file));
    let written = opened.and_then(|mut output| output.write_all(&archive));
    written.map_err(|cause| Error::failed(format!("open {file}: {}", reason(&cause))))?;
    cx.ui.say(format_args!("Written file {file:?}"))?;
    Ok(0)
}
