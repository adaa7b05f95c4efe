//! `diff`: what a container has changed of its image's files.

use std::os::unix::ffi::OsStrExt;

use crate::cli::errors::EngineResult;
use crate::cli::{Context, names};
use crate::engine::container::{ChangeKind, diff, locate};
use crate::error::Result;

/// Flags of `diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A line a path: A for added, C for changed, D for deleted.\n\nExample:\n  wharfie diff web"
)]
pub struct Args {
    /// The container by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    let (engine, container) = locate(&engine, &args.container).await.told()?;
    for change in diff(&engine, &container).await.told()? {
        let letter = match change.kind {
            ChangeKind::Added => b"A ",
            ChangeKind::Changed => b"C ",
            ChangeKind::Deleted => b"D ",
        };
        // The name as it is: it need not be text.
        cx.ui.write(&[letter, change.path.as_os_str().as_bytes(), b"\n"].concat())?;
    }
    Ok(0)
}
