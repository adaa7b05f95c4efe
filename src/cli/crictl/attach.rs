//! `crictl attach`: join the user to a running container.

use super::exec::{in_state, missing};
use super::session::{Done, Session};
use super::tls::Tls;
use crate::cli::args::parse::keys;
use crate::cli::container::foreign;
use crate::cli::stream::Join;
use crate::engine::container::{Status, find};
use crate::error::{Error, Result};
use crate::sys::terminal::is_terminal;

/// Flags of `crictl attach`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri attach -it 87d3992f84f74     (leave it running with ctrl-p ctrl-q)"
)]
pub(super) struct Args {
    /// Keep STDIN open
    #[arg(short = 'i', long)]
    stdin: bool,
    /// Allocate a pseudo-TTY
    #[arg(short, long)]
    tty: bool,
    #[command(flatten)]
    tls: Tls,
    /// A container's id
    #[arg(value_name = "CONTAINER-ID")]
    rest: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let id = match args.rest.as_slice() {
        [id] if !id.is_empty() => id,
        [] | [_] => return Err(Error::failed("ID cannot be empty")),
        _ => return Ok(Done::Help),
    };
    args.tls.check()?;
    join(&args, id, session).await.map_err(|error| error.context("attaching running container failed"))?;
    Ok(Done::Well)
}

async fn join(args: &Args, id: &str, session: &mut Session<'_, '_>) -> Result<()> {
    if args.tty && !args.stdin {
        return Err(Error::failed("tty=true must be specified with interactive=true"));
    }
    if args.tty && !is_terminal(std::io::stdin()) {
        return Err(Error::failed("input is not a terminal"));
    }
    let engine = session.cx.engine().await?;
    let container = find(&engine, id).await.map_err(|error| missing(id, error))?;
    if !matches!(container.status, Status::Running | Status::Unknown) {
        return Err(in_state(&container, session).await);
    }
    let detach = keys::detach_keys(keys::DEFAULT).unwrap_or_default();
    let how = Join { tty: container.tty, input: args.stdin, proxy: false, detach };
    session.cx.ui.flush()?;
    // However the container ends, the stream has ended well.
    foreign::attach(&engine, &container, &how, session.cx).await.map(drop)
}
