//! `man`: manual pages, one a verb, from the command tree.

use std::path::PathBuf;

use crate::cli::{Context, command};
use crate::error::{Error, Result};
use crate::store::make_directory;

/// Flags of `man`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie man /usr/local/share/man/man1")]
pub struct Args {
    /// The directory of the pages, made if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// Run the verb.
pub fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let directory = cx.environment.directory.join(args.directory);
    make_directory(&directory, 0o755)?;
    let written = clap_mangen::generate_to(command(&cx.program), &directory);
    written.map_err(|cause| Error::io("write manual pages to", &directory, cause))?;
    Ok(0)
}
