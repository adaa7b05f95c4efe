//! `system recover`: bring back what the restart policies ask for, for example after a reboot.

use crate::cli::Context;
use crate::cli::errors::EngineResult;
use crate::engine::container::recover;
use crate::error::Result;

/// Flags of `system recover`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wharfie system recover   (for a unit that runs at boot, after containerd's)"
)]
pub struct Args {}

/// Run the verb: what was started on stdout, what else was done as talk.
pub async fn run(_: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    let recovered = recover(&engine).await.told()?;
    for name in &recovered.started {
        cx.ui.line(name)?;
    }
    cx.ui.flush()?;
    for owner in &recovered.freed {
        cx.ui.say(format_args!("freed the addresses and rules of {owner}, which is gone"))?;
    }
    let failed = !recovered.failed.is_empty();
    for (name, error) in recovered.failed {
        cx.ui.error(&error.context(format_args!("start {name}")))?;
    }
    Ok(u8::from(failed))
}
