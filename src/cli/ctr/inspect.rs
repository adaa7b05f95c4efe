//! `ctr images inspect`: an image as a tree of its content.

use oci_spec::image::Descriptor;
use serde::Serialize as _;
use serde_json::Value;

use super::connect;
use crate::cli::Context;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::image::media::{LARGEST_MANIFEST, is_index, is_manifest};
use crate::output::units::go_time;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images inspect --content docker.io/library/busybox:latest")]
pub struct Args {
    /// Show JSON content
    #[arg(long)]
    content: bool,
    /// The image
    #[arg(value_name = "image")]
    name: Option<String>,
}

struct Tree<'a> {
    engine: &'a Engine,
    content: bool,
    text: String,
}

pub(super) async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let image = engine.containerd.image(args.name.as_deref().unwrap_or_default()).await?;
    let time = |time: Option<jiff::Timestamp>| go_time(time.unwrap_or_default(), &jiff::tz::TimeZone::UTC);
    let mut tree = Tree { engine: &engine, content: args.content, text: format!("{}\n", image.name) };
    tree.text += &format!("│    Created: {}\n", time(image.created_at));
    tree.text += &format!("│    Updated: {}\n", time(image.updated_at));
    let labels: std::collections::BTreeMap<_, _> = image.labels.iter().collect();
    for (key, value) in labels {
        tree.text += &format!("│    {key}: {value}\n");
    }
    tree.node(&image.target, "└── ", "    ").await?;
    cx.ui.print(tree.text)?;
    Ok(0)
}

impl Tree<'_> {
    async fn node(&mut self, target: &Descriptor, lead: &str, below: &str) -> Result<()> {
        let (kind, digest, size) = (target.media_type(), target.digest(), target.size());
        self.text += &format!("{lead}{kind} @{digest} ({size} bytes)\n");
        if let Some(platform) = target.platform() {
            let (os, architecture) = (platform.os(), platform.architecture());
            self.text += &format!("{below}│     Platform: {os}/{architecture}\n");
        }
        let structured = is_index(kind) || is_manifest(kind);
        if !structured
            && !kind.to_string().contains("config")
            && !kind.to_string().contains("container.image")
        {
            return Ok(());
        }
        let bytes = match self.engine.containerd.read_blob(digest.as_ref(), LARGEST_MANIFEST).await {
            Ok(bytes) => bytes,
            // Another platform's, which was not pulled.
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let parsed: Option<Value> = serde_json::from_slice(&bytes).ok();
        if self.content {
            self.show(digest.as_ref(), parsed.as_ref(), below, structured).await?;
        }
        let list = |name: &str| {
            let entries = parsed.as_ref().and_then(|value| value.get(name)?.as_array().cloned());
            entries.unwrap_or_default().into_iter()
        };
        let config =
            parsed.as_ref().filter(|_| is_manifest(kind)).and_then(|value| value.get("config").cloned());
        let children = match structured {
            true => list("manifests").chain(config).chain(list("layers")).collect::<Vec<_>>(),
            false => Vec::new(),
        };
        let count = children.len();
        for (number, child) in children.into_iter().enumerate() {
            let child: Descriptor = serde_json::from_value(child)
                .map_err(|cause| Error::failed(format!("{digest}: damaged: {cause}")))?;
            let (lead, next) =
                if number + 1 == count { ("└── ", "    ") } else { ("├── ", "│   ") };
            let (lead, next) = (format!("{below}{lead}"), format!("{below}{next}"));
            Box::pin(self.node(&child, &lead, &next)).await?;
        }
        Ok(())
    }

    async fn show(&mut self, digest: &str, parsed: Option<&Value>, below: &str, open: bool) -> Result<()> {
        let below = match open {
            true => format!("{below}│   "),
            false => below.to_owned(),
        };
        let labels = self.engine.containerd.blob(digest).await?.labels;
        if !labels.is_empty() {
            self.text += &format!("{below}┌────────Labels─────────\n");
            let sorted: std::collections::BTreeMap<_, _> = labels.iter().collect();
            for (key, value) in sorted {
                self.text += &format!("{below}│{key:?}: {value:?}\n");
            }
            self.text += &format!("{below}└───────────────────────\n");
        }
        let Some(parsed) = parsed else { return Ok(()) };
        let mut out = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
        let written = parsed.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter));
        written.map_err(|cause| Error::failed(format!("write JSON: {cause}")))?;
        self.text += &format!("{below}┌────────Content────────\n");
        for line in String::from_utf8_lossy(&out).lines() {
            self.text += &format!("{below}│{line}\n");
        }
        self.text += &format!("{below}└───────────────────────\n");
        Ok(())
    }
}
