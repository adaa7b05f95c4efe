//! `--k8s` and `--pin` of the verbs that bring images.

use crate::cli::Context;
use crate::engine::Engine;
use crate::engine::image::{KUBERNETES, Seen, publish};
use crate::error::Result;

/// Flags of `load`, `import` and `pull`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct KubernetesFlags {
    /// Bring it into Kubernetes' namespace, named and labelled so that the kubelet sees it, and ask CRI whether it does
    #[arg(long)]
    k8s: bool,
    /// With --k8s: the kubelet never removes it to make room
    #[arg(long, requires = "k8s")]
    pin: bool,
}

impl KubernetesFlags {
    /// The engine of the namespace to bring it into.
    pub async fn engine(self, cx: &mut Context<'_>) -> Result<Engine> {
        let engine = cx.engine().await?;
        if self.k8s { engine.in_namespace(KUBERNETES) } else { Ok(engine) }
    }

    /// What was brought, by its `sha256:…`, is made the kubelet's, and standard error told so. Nothing without `--k8s`.
    pub async fn publish(self, engine: &Engine, target: &str, cx: &mut Context<'_>) -> Result<()> {
        if !self.k8s {
            return Ok(());
        }
        let published = publish(engine, target, self.pin).await?;
        let names = if published.names.is_empty() { published.id } else { published.names.join(", ") };
        let is_pinned = match published.seen {
            Seen::Cri { is_pinned } => is_pinned,
            Seen::Records(_) => self.pin,
        };
        let pinned = if is_pinned { ", pinned" } else { "" };
        match published.seen {
            Seen::Cri { is_pinned } => {
                cx.ui.say(format_args!("{names}: the kubelet sees it{pinned} (CRI says so)"))?;
                if self.pin && !is_pinned {
                    cx.ui.warn("this containerd's CRI knows no pins: the kubelet may remove the image all the same")?;
                }
                Ok(())
            }
            Seen::Records(why) => cx.ui.say(format_args!(
                "{names}: the kubelet will see it{pinned} (by containerd's records; CRI does not answer: {why})"
            )),
        }
    }
}
