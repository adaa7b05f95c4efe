//! `pull`: an image from a registry.

use super::kubernetes::KubernetesFlags;
use super::progress::Bars;
use super::{every_platform, told};
use crate::cli::Context;
use crate::cli::registry::flags::RegistryArgs;
use crate::engine::image::{self, PullOptions, PullRequest};
use crate::error::{Error, Result};
use crate::image::platform::Platform;
use crate::registry::Reference;

/// Flags of `pull`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Of several platforms one is unpacked: this machine's, or else the first.\n\nExamples:\n  wharfie pull \
    busybox\n  wharfie pull --platform linux/arm64 debian:12\n  wharfie pull --trace registry.example/app:1"
)]
pub struct Args {
    /// Pull the content of every platform
    #[arg(long)]
    all_platforms: bool,
    /// Download all tagged images in the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Set platform if server is multi-platform capable; may be repeated
    #[arg(long, value_name = "string")]
    platform: Vec<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// Unpack the image, so that containers can start at once: auto, true, false [default: auto]
    #[arg(long, value_name = "auto|true|false", overrides_with = "unpack",
        value_parser = ["auto", "true", "false"])]
    unpack: Option<String>,
    /// Verify the image's signature: none is all there is
    #[arg(long, value_name = "none", value_parser = ["none"], hide = true)]
    verify: Option<String>,
    /// Skip image verification (deprecated)
    #[arg(long, action = clap::ArgAction::SetFalse, hide = true)]
    disable_content_trust: bool,
    #[command(flatten)]
    registry: RegistryArgs,
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
    let mut platforms = every_platform(&args.platform, cx)?;
    let host = Platform::host();
    let first = platforms.iter().position(|wanted| wanted.fit(&host).is_some()).unwrap_or(0);
    let platform = (!platforms.is_empty()).then(|| platforms.remove(first));
    let options = PullOptions {
        all_platforms: args.all_platforms,
        also: platforms,
        no_unpack: args.unpack.as_deref() == Some("false"),
        ..PullOptions::default()
    };
    let mut requests = args.registry.apply(cx);
    let references = if args.all_tags {
        let found = image::remote_tags(&cx.config, &reference).await;
        requests.say(cx.ui)?;
        found.map_err(told)?
    } else {
        vec![reference.clone().with_default_tag()]
    };
    if !named && !args.all_tags && !args.quiet {
        cx.ui.line("Using default tag: latest")?;
        cx.ui.flush()?;
    }
    let engine = args.kubernetes.engine(cx).await?;
    for reference in references {
        let request = PullRequest { reference, platform: platform.clone(), options: options.clone() };
        let bars = Bars::to_stdout(cx.ui, args.quiet);
        let pulled = requests.during(image::pull(&engine, &request, &bars), |line| bars.talk(line)).await;
        bars.finish();
        let pulled = pulled.map_err(told)?;
        if !args.all_tags {
            cx.ui.line(pulled.reference.canonical())?;
        }
        args.kubernetes.publish(&engine, pulled.target.digest().as_ref(), cx).await.map_err(told)?;
    }
    if args.all_tags {
        // docker names the repository, once.
        cx.ui.line(reference.name())?;
    }
    Ok(0)
}
