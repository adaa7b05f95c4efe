//! `ctr events`: what containerd tells, of every namespace, as it comes.

use jiff::tz::TimeZone;

use super::{connect, shown};
use crate::cli::Context;
use crate::error::Result;
use crate::output::units::go_time;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr events\n  ctr events 'topic~=/tasks/'")]
pub struct Args {
    /// containerd's filters, one of which must match
    #[arg(value_name = "filter")]
    filters: Vec<String>,
}

pub(super) async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let mut events = engine.containerd.watch(args.filters).await?;
    while let Some(event) = events.next().await? {
        if event.is_listening() {
            continue;
        }
        let at = go_time(event.at.unwrap_or_default(), &TimeZone::UTC);
        let content = event.json().map(|json| shown::escaped(&json.to_string())).unwrap_or_default();
        cx.ui.line(format_args!("{at} {} {} {content}", event.namespace, event.topic))?;
        cx.ui.flush()?;
    }
    Ok(0)
}
