//! `ctr images`: names of images, and what is here of them.

use std::collections::BTreeSet;

use oci_spec::image::Descriptor;

use super::{connect, connect_for, inspect, mounts, shown, transfer};
use crate::cli::Context;
use crate::containerd::{Client, Image};
use crate::engine::Engine;
use crate::engine::image::{ResolvedImage, platforms, read};
use crate::error::{Error, Kind, Result};
use crate::registry::Reference;

/// The kubelet's mark on images that nothing removes.
const PINNED: &str = "io.cri-containerd.pinned";

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Check existing images to ensure all content is available locally
    Check(CheckArgs),
    /// Export images
    Export(transfer::ExportArgs),
    /// Import images
    Import(transfer::ImportArgs),
    /// Inspect an image
    #[command(visible_alias = "i")]
    Inspect(inspect::Args),
    /// List images known to containerd
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Mount an image to a target path
    Mount(mounts::MountArgs),
    /// Unmount the image from the target
    Unmount(mounts::UnmountArgs),
    /// Pull an image from a remote
    Pull(transfer::PullArgs),
    /// Push an image to a remote
    Push(transfer::PushArgs),
    /// Remove unused images
    Prune(PruneArgs),
    /// Remove one or more images by reference
    #[command(visible_aliases = ["del", "remove", "rm"])]
    Delete(DeleteArgs),
    /// Tag an image
    Tag(TagArgs),
    /// Set and clear labels for an image
    Label(LabelArgs),
    /// Convert an image: not here
    Convert(transfer::ConvertArgs),
    /// Display usage of snapshots for a given image ref
    Usage(UsageArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images ls\n  ctr images ls -q 'name~=busybox'")]
pub struct ListArgs {
    /// Print only the image refs
    #[arg(short, long)]
    quiet: bool,
    /// containerd's filters, one of which must match
    #[arg(value_name = "filter")]
    filters: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images check")]
pub struct CheckArgs {
    /// Print only the ready image refs (fully downloaded and unpacked)
    #[arg(short, long)]
    quiet: bool,
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    /// containerd's filters, one of which must match
    #[arg(value_name = "filter")]
    filters: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images rm docker.io/library/busybox:latest")]
pub struct DeleteArgs {
    /// Synchronously remove image and all associated resources
    #[arg(long)]
    sync: bool,
    /// The names
    #[arg(value_name = "ref")]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images prune --all")]
pub struct PruneArgs {
    /// Remove all unused images, not just dangling ones (if all is not specified no images will be pruned)
    #[arg(long)]
    all: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images tag docker.io/library/busybox:latest host:5000/busybox:1")]
pub struct TagArgs {
    /// Force target_ref to be created, regardless if it already exists
    #[arg(long)]
    force: bool,
    /// Refuse a name that exists, as ctr does without containerd's transfer service
    #[arg(long)]
    local: bool,
    /// Skip the strict check for reference names
    #[arg(long)]
    skip_reference_check: bool,
    /// The image, then its new names
    #[arg(value_name = "source_ref target_ref")]
    names: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images label docker.io/library/busybox:latest team=ci old=")]
pub struct LabelArgs {
    /// Replace all labels
    #[arg(short, long)]
    replace_all: bool,
    /// The image, then labels; an empty value clears one
    #[arg(value_name = "name key=value")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images usage docker.io/library/busybox:latest")]
pub struct UsageArgs {
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    /// The image
    #[arg(value_name = "ref")]
    name: Option<String>,
}

pub(super) async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::Check(args) => check(args, cx).await,
        Verb::Export(args) => transfer::export(args, cx).await,
        Verb::Import(args) => transfer::import(args, cx).await,
        Verb::Inspect(args) => inspect::run(args, cx).await,
        Verb::List(args) => list(args, cx).await,
        Verb::Mount(args) => mounts::mount(args, cx).await,
        Verb::Unmount(args) => mounts::unmount(args, cx).await,
        Verb::Pull(args) => transfer::pull(args, cx).await,
        Verb::Push(args) => transfer::push(args, cx).await,
        Verb::Prune(args) => prune(args, cx).await,
        Verb::Delete(args) => delete(args, cx).await,
        Verb::Tag(args) => tag(args, cx).await,
        Verb::Label(args) => label(args, cx).await,
        Verb::Convert(args) => transfer::convert(args, cx).await,
        Verb::Usage(args) => usage(args, cx).await,
    }
}

async fn listed(engine: &Engine, filters: &[String]) -> Result<Vec<Image>> {
    let images = engine.containerd.images(filters).await.map_err(Error::from);
    images.map_err(|error| error.context("failed to list images"))
}

async fn list(args: ListArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let mut table = String::from("REF\tTYPE\tDIGEST\tSIZE\tPLATFORMS\tLABELS\t\n");
    for image in listed(&engine, &args.filters).await? {
        if args.quiet {
            cx.ui.line(image.name)?;
            continue;
        }
        let size = match read(&engine.containerd, &image, None).await {
            Ok(found) => size(&found),
            Err(error) => {
                let message = format!("failed calculating size for image {}", image.name);
                shown::log(cx.ui, "error", &message, Some(&error))?;
                0
            }
        };
        let names = match platforms(&engine.containerd, &image.target).await {
            Ok(platforms) => {
                let names: BTreeSet<String> = platforms.iter().map(ToString::to_string).collect();
                names.into_iter().collect::<Vec<_>>().join(",")
            }
            Err(error) => {
                let message = format!("failed resolving platform for image {}", image.name);
                shown::log(cx.ui, "error", &message, Some(&error))?;
                String::new()
            }
        };
        let names = if names.is_empty() { "-" } else { &names };
        let (kind, digest) = (image.target.media_type(), image.target.digest());
        let labels = shown::pairs_or_dash(&image.labels);
        table += &format!("{}\t{kind}\t{digest}\t{}\t{names}\t{labels}\t\n", image.name, shown::bytes(size));
    }
    if !args.quiet {
        shown::narrow(cx.ui, &table)?;
    }
    Ok(0)
}

/// Bytes of everything that the image of one platform is made of.
fn size(image: &ResolvedImage) -> u64 {
    let index = match image.target.digest() == image.manifest_descriptor.digest() {
        true => 0,
        false => image.target.size(),
    };
    let parts: u64 = parts(image).map(Descriptor::size).sum();
    index + image.manifest_descriptor.size() + parts
}

fn parts(image: &ResolvedImage) -> impl Iterator<Item = &Descriptor> {
    std::iter::once(image.manifest.config()).chain(image.manifest.layers())
}

async fn check(args: CheckArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect_for(cx, args.snapshotter.as_deref()).await?;
    let images = listed(&engine, &args.filters).await?;
    let mut table = String::from("REF\tTYPE\tDIGEST\tSTATUS\tSIZE\tUNPACKED\t\n");
    for image in &images {
        let (mut status, mut size) = ("unavailable (0/?)".to_owned(), "0.0 B/?".to_owned());
        let (mut unpacked, mut complete) = (false, false);
        match read(&engine.containerd, image, None).await {
            Ok(found) => {
                let (mut here, mut all, mut bytes_here, mut bytes) = (0, 0, 0, 0);
                for part in parts(&found) {
                    all += 1;
                    bytes += part.size();
                    if is_here(&engine.containerd, part).await? {
                        here += 1;
                        bytes_here += part.size();
                    }
                }
                complete = here == all;
                status = format!("{} ({here}/{all})", if complete { "complete" } else { "incomplete" });
                size = format!("{}/{}", shown::bytes(bytes_here), shown::bytes(bytes));
                let snapshotter = &engine.config.snapshotter;
                unpacked = engine.containerd.snapshot(snapshotter, &found.chain_id).await.is_ok();
            }
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => {
                shown::log(cx.ui, "error", &format!("unable to check {}", image.name), Some(&error))?;
            }
        }
        if args.quiet {
            if complete && unpacked {
                cx.ui.line(&image.name)?;
            }
            continue;
        }
        let (kind, digest) = (image.target.media_type(), image.target.digest());
        table += &format!("{}\t{kind}\t{digest}\t{status}\t{size}\t{unpacked}\n", image.name);
    }
    if !args.quiet && !images.is_empty() {
        shown::narrow(cx.ui, &table)?;
    }
    Ok(0)
}

async fn is_here(client: &Client, part: &Descriptor) -> Result<bool> {
    match client.blob(part.digest().as_ref()).await {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

async fn delete(args: DeleteArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let mut first = None;
    for (number, name) in args.names.iter().enumerate() {
        let last = number + 1 == args.names.len();
        match engine.containerd.delete_image(name, args.sync && last).await {
            Ok(()) => cx.ui.line(name)?,
            Err(error) if error.is_not_found() => {
                shown::log(cx.ui, "warning", &format!("{name}: image not found"), None)?;
            }
            Err(error) => {
                let error = Error::from(error);
                shown::log(cx.ui, "error", &format!("unable to delete {name}"), Some(&error))?;
                first.get_or_insert(error.context(format!("unable to delete {name}")));
            }
        }
    }
    first.map_or(Ok(0), Err)
}

async fn prune(args: PruneArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    if !args.all {
        let message = "No images pruned. `image prune` requires --all to be specified.";
        shown::log(cx.ui, "warning", message, None)?;
        return Ok(0);
    }
    let used: BTreeSet<String> =
        engine.containerd.containers(&[]).await?.into_iter().map(|container| container.image).collect();
    let images = engine.containerd.images(&[]).await?;
    let unused: Vec<Image> = images.into_iter().filter(|image| !used.contains(&image.name)).collect();
    for (number, image) in unused.iter().enumerate() {
        if image.labels.get(PINNED).is_some_and(|value| value == "pinned") {
            shown::log(cx.ui, "warning", &format!("{}: pinned by CRI, kept", image.name), None)?;
            continue;
        }
        engine.containerd.delete_image(&image.name, number + 1 == unused.len()).await?;
        cx.ui.line(&image.name)?;
    }
    Ok(0)
}

async fn tag(args: TagArgs, cx: &mut Context<'_>) -> Result<u8> {
    let Some((source, targets)) = args.names.split_first().filter(|(source, _)| !source.is_empty()) else {
        return Err(Error::failed("please provide an image reference to tag from"));
    };
    if targets.is_empty() {
        return Err(Error::failed("please provide an image reference to tag to"));
    }
    for target in targets.iter().filter(|_| !args.skip_reference_check) {
        Reference::parse(target).map_err(|error| {
            Error::failed(format!(
                "error parsing reference: {target:?} is not a valid repository/tag {}",
                error.message
            ))
        })?;
    }
    let engine = connect(cx).await?;
    let image = engine.containerd.image(source).await?;
    for target in targets {
        let named = Image { name: target.clone(), ..image.clone() };
        match args.local && !args.force {
            true => engine.containerd.create_image(&named).await?,
            false => engine.containerd.put_image(&named).await?,
        }
        cx.ui.line(target)?;
    }
    Ok(0)
}

async fn label(args: LabelArgs, cx: &mut Context<'_>) -> Result<u8> {
    let (name, labels) = shown::object(&args.words);
    if name.is_empty() {
        return Err(Error::failed("please specify an image"));
    }
    let engine = connect(cx).await?;
    let image = match labels.is_empty() {
        true => engine.containerd.image(&name).await?,
        false => engine.containerd.relabel_image(&name, labels, args.replace_all).await?,
    };
    cx.ui.line(shown::pairs(&image.labels))?;
    Ok(0)
}

async fn usage(args: UsageArgs, cx: &mut Context<'_>) -> Result<u8> {
    let name = args.name.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Error::failed("please provide an image reference to mount"))?;
    let engine = connect_for(cx, args.snapshotter.as_deref()).await?;
    let image = engine.containerd.image(&name).await.map_err(Error::from);
    let image = image.map_err(|error| error.context(format!("failed to ensure if image {name} exists")))?;
    let found = read(&engine.containerd, &image, None).await?;
    let snapshotter = engine.config.snapshotter.clone();
    let mut table = String::from("KEY\tSIZE\tINODES\t\n");
    let mut key = found.chain_id;
    while !key.is_empty() {
        let snapshot = engine.containerd.snapshot(&snapshotter, &key).await?;
        let (bytes, inodes) = engine.containerd.snapshot_size(&snapshotter, &key).await?;
        table += &format!("{key}\t{}\t{inodes}\t\n", shown::bytes(bytes));
        key = snapshot.parent;
    }
    shown::narrow(cx.ui, &table)?;
    Ok(0)
}
