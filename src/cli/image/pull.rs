//! `pull`: an image from a registry.

use super::kubernetes::KubernetesFlags;
use super::progress::Bars;
use super::{platform, told};
use crate::cli::Context;
use crate::engine::image::{self, PullOptions, PullRequest};
use crate::error::{Error, Result};
use crate::registry::Reference;

/// Flags of `pull`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie pull busybox\n  wharfie pull --platform linux/arm64 debian:12")]
pub struct Args {
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// Skip image verification (deprecated)
    #[arg(long, action = clap::ArgAction::SetFalse, hide = true)]
    disable_content_trust: bool,
    #[command(flatten)]
    kubernetes: KubernetesFlags,
    /// The image
    #[arg(value_name = "NAME[:TAG|@DIGEST]", required = true)]
    name: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let reference = Reference::parse(&args.name).map_err(told)?;
    let named = reference.tag().is_some() || reference.digest().is_some();
    if args.all_tags && named {
        return Err(Error::failed("tag can't be used with --all-tags/-a"));
    }
    let platform = platform(args.platform.as_deref(), cx)?;
    let references = if args.all_tags {
        image::remote_tags(&cx.config, &reference).await.map_err(told)?
    } else {
        vec![reference.with_default_tag()]
    };
    if !named && !args.all_tags && !args.quiet {
        cx.ui.line("Using default tag: latest")?;
        cx.ui.flush()?;
    }
    let engine = args.kubernetes.engine(cx).await?;
    for reference in references {
        let request = PullRequest { reference, platform: platform.clone(), options: PullOptions::default() };
        let bars = Bars::to_stdout(cx.ui, args.quiet);
        let pulled = image::pull(&engine, &request, &bars).await;
        bars.finish();
        let pulled = pulled.map_err(told)?;
        cx.ui.line(pulled.reference.canonical())?;
        args.kubernetes.publish(&engine, pulled.target.digest().as_ref(), cx).await.map_err(told)?;
    }
    Ok(0)
}
