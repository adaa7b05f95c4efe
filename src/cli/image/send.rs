//! `push IMAGE ssh://…`: an image to another machine.

use std::sync::Arc;

use super::progress::Bars;
use super::told;
use crate::cli::Context;
use crate::config::Config;
use crate::config::node::Node;
use crate::engine::image::transfer;
use crate::engine::{Engine, node};
use crate::error::{Error, Kind, Result};
use crate::image::platform::Platform;
use crate::output::units::human_size;
use crate::remote::{Forward, Login, Refusal};
use crate::sys::terminal::is_terminal;

/// Send the image `image` to `node`, or only its manifest of `platform`.
pub async fn run(
    (image, node): (&str, &str),
    platform: Option<&Platform>,
    quiet: bool,
    cx: &mut Context<'_>,
) -> Result<u8> {
    let node = Node::parse(node)?;
    let source = cx.engine().await?;
    let (_forward, target) = connect(&cx.config, &node).await?;
    let bars = Bars::of_push(cx.ui, quiet);
    let sent = transfer(&source, &target, image, platform, &bars).await;
    bars.finish();
    let sent = sent.map_err(told)?;
    if quiet {
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
