//! What is for those who develop containerd itself, or would change this machine behind its packages: one line each.

use super::connect;
use crate::cli::Context;
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  curl --unix-socket /run/containerd/debug.sock http://localhost/debug/pprof/heap"
)]
pub struct Args {
    /// Whatever follows
    #[arg(value_name = "ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr install docker.io/library/tools:latest")]
pub struct InstallArgs {
    /// Install libs from the image
    #[arg(short, long)]
    libs: bool,
    /// Replace any binaries or libs in the opt directory
    #[arg(short, long)]
    replace: bool,
    /// Set an optional install path other than the managed opt directory
    #[arg(long, value_name = "value")]
    path: Option<String>,
    /// The image
    #[arg(value_name = "ref")]
    reference: Option<String>,
}

pub(super) fn pprof(_: &Args) -> Result<u8> {
    Err(Error::failed("pprof is for those who develop containerd, and not here").hint(
        "curl --unix-socket /run/containerd/debug.sock http://localhost/debug/pprof/ asks containerd itself",
    ))
}

pub(super) fn shim(_: &Args) -> Result<u8> {
    Err(Error::failed("talking to a shim past containerd is for those who develop it, and not here")
        .hint("`ctr tasks` does the same through containerd"))
}

pub(super) async fn install(args: &InstallArgs, cx: &mut Context<'_>) -> Result<u8> {
    let name = args.reference.as_deref().unwrap_or_default();
    connect(cx).await?.containerd.image(name).await?;
    Err(Error::failed("installing programs of an image into containerd's opt directory is not here")
        .hint(format!("`ctr images mount {name} DIR` shows its files: copy what is needed")))
}
