//! `load`: the images of an archive.

use std::fs::File;
use std::io::{IsTerminal as _, Read};

use super::{one_platform, told};
use crate::cli::Context;
use crate::engine::image::{self, LoadRequest, Loaded};
use crate::error::{Error, Result};
use crate::image::progress::Silent;

/// Flags of `load`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie load -i images.tar.gz\n  wharfie save app | ssh host wharfie load"
)]
pub struct Args {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "string")]
    input: Option<String>,
    /// Load only the given platform(s)
    #[arg(long, value_name = "stringSlice")]
    platform: Vec<String>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let platform = one_platform(&args.platform)?;
    let input: Box<dyn Read + Send> = match args.input.as_deref().filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = cx.environment.directory.join(path);
            Box::new(File::open(&path).map_err(|cause| Error::io("open", &path, cause))?)
        }
        None if std::io::stdin().is_terminal() => {
            return Err(Error::failed("requested load from stdin, but stdin is empty")
                .hint("name the archive with --input, or send it to standard input"));
        }
        None => Box::new(std::io::stdin()),
    };
    let engine = cx.engine().await?;
    let from = args.input.as_deref().filter(|path| !path.is_empty()).unwrap_or("standard input");
    let broken = |error: Error| match error.hints.is_empty() {
        true => error.hint(format!("the archive came from {from}: make it again, or copy it again")),
        false => error,
    };
    let request = LoadRequest { platform, no_unpack: false };
    let loaded = image::load(&engine, input, &request, &Silent).await.map_err(broken).map_err(told)?;
    for Loaded { name, id } in loaded {
        match name {
            Some(name) => cx.ui.line(format_args!("Loaded image: {name}"))?,
            None => cx.ui.line(format_args!("Loaded image ID: {id}"))?,
        }
    }
    Ok(0)
}
