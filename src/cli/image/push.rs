//! `image push`: an image to another machine.

use std::sync::Arc;

use super::progress::Bars;
use super::{platform, told};
use crate::cli::Context;
use crate::config::Config;
use crate::config::node::Node;
use crate::engine::image::transfer;
use crate::engine::{Engine, node};
use crate::error::{Error, Kind, Result};
use crate::output::units::human_size;
use crate::remote::{Forward, Login, Refusal};
use crate::sys::terminal::is_terminal;

/// Flags of `image push`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Only blobs that the other containerd lacks are sent, over the system's ssh; the image is unpacked on \
    arrival. A push that was interrupted goes on where it stopped.\n\nExamples:\n  wharfie image push app:1 ssh://root@node\n  \
    wharfie image push app:1 'ssh://root@node?ns=k8s.io'"
)]
pub struct Args {
    /// Send the manifest of this platform alone
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Suppress verbose output
    #[arg(short, long)]
    quiet: bool,
    /// The image
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    image: String,
    /// The machine, ssh://[user@]node[:port][/path/of/containerd.sock][?ns=NAMESPACE]
    #[arg(value_name = "ssh://NODE", required = true)]
    node: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    // Either order: nothing else begins so.
    let (image, node) = match args.image.starts_with("ssh://") {
        true => (&args.node, &args.image),
        false => (&args.image, &args.node),
    };
    if !node.starts_with("ssh://") {
        return Err(Error::usage(format!(
            "{node} is no machine: pushing to a registry comes in a later version"
        ))
        .hint("name a machine: wharfie image push IMAGE ssh://user@node"));
    }
    let node = Node::parse(node)?;
    let platform = platform(args.platform.as_deref(), cx)?;
    let source = cx.engine().await?;
    let (_forward, target) = connect(&cx.config, &node).await?;
    let bars = Bars::of_push(cx.ui, args.quiet);
    let sent = transfer(&source, &target, image, platform.as_ref(), &bars).await;
    bars.finish();
    let sent = sent.map_err(told)?;
    if args.quiet {
        cx.ui.line(&sent.name)?;
        return Ok(0);
    }
    cx.ui.line(format_args!(
        "{}: digest: {} sent: {} of {} blobs, {}",
        sent.name,
        sent.target.digest(),
        sent.sent,
        sent.blobs,
        human_size(sent.bytes as f64)
    ))?;
    Ok(0)
}

/// The other containerd. Its connection lives as long as the first of the two.
async fn connect(config: &Config, node: &Node) -> Result<(Forward, Engine)> {
    let login = Login {
        node,
        may_ask: is_terminal(std::io::stdin()) && is_terminal(rustix::stdio::stderr()),
        deadline: None,
    };
    let known = crate::cli::globals::SOCKETS.iter().map(Into::into).collect();
    let sockets = node.socket.clone().map_or(known, |socket| vec![socket]);
    let forward = match Forward::open(&login, &sockets, &config.runtime_dir)? {
        Ok(forward) => forward,
        Err(refusal) => {
            let why = match refusal {
                Refusal::Denied => "that user may not open its socket",
                Refusal::Missing => "none of the known sockets is there",
            };
            return Err(Error::new(
                Kind::Unavailable,
                format!("cannot connect to containerd of {node}: {why}"),
            )
            .hint(
                "push as a user who may open it, or name the socket: ssh://root@node/path/of/containerd.sock",
            ));
        }
    };
    let mut settings = node::settings(config, &forward);
    settings.node = Some(node.clone());
    if let Some(namespace) = &node.namespace {
        settings.namespace.clone_from(namespace);
    }
    let engine = node::connect(Arc::new(settings), node, &forward).await?;
    Ok((forward, engine))
}
