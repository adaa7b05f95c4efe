//! `ctr snapshots`: file systems and what they stand on.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{connect_for, content, flags, shown};
use crate::cli::Context;
use crate::containerd::{Client, Mount, Snapshot, SnapshotKind};
use crate::engine::image::{ensure_unpacked, read};
use crate::error::{Error, Result};
use crate::image::progress::Silent;

/// containerd's label that keeps a thing by itself.
const ROOT: &str = "containerd.io/gc.root";

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Commit an active snapshot into the provided name
    Commit(CommitArgs),
    /// Get the diff of two snapshots. The default second snapshot is the first snapshot's parent
    Diff(DiffArgs),
    /// Get info about a snapshot
    Info(KeyArgs),
    /// List snapshots
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Mount gets mount commands for the snapshots
    #[command(visible_aliases = ["m", "mount"])]
    Mounts(MountsArgs),
    /// Prepare a snapshot from a committed snapshot
    Prepare(PrepareArgs),
    /// Remove snapshots
    #[command(visible_aliases = ["del", "remove", "rm"])]
    Delete(DeleteArgs),
    /// Add labels to content
    Label(LabelArgs),
    /// Display tree view of snapshot branches
    Tree(TreeArgs),
    /// Unpack applies layers from a manifest to a snapshot
    Unpack(UnpackArgs),
    /// Usage snapshots
    Usage(UsageArgs),
    /// Create a read-only snapshot from a committed snapshot
    View(PrepareArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots ls")]
pub struct ListArgs {
    #[arg(hide = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots tree")]
pub struct TreeArgs {
    #[arg(hide = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots info one")]
pub struct KeyArgs {
    /// The snapshot
    #[arg(value_name = "key")]
    keys: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots rm one")]
pub struct DeleteArgs {
    /// The snapshots
    #[arg(value_name = "key")]
    keys: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots commit fixed active")]
pub struct CommitArgs {
    /// The new name, then the active snapshot
    #[arg(value_name = "key active")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots mounts /mnt one | sh")]
pub struct MountsArgs {
    /// Take the snapshot's mounts as they are; they always are
    #[arg(long)]
    temp: bool,
    /// A directory, then the snapshot
    #[arg(value_name = "target key")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots prepare --target /mnt mine sha256:…")]
pub struct PrepareArgs {
    /// Mount target path, will print mount, if provided
    #[arg(short, long, value_name = "value")]
    target: Option<String>,
    /// Print out snapshot mounts as JSON
    #[arg(long)]
    mounts: bool,
    /// The new snapshot, then what it stands on
    #[arg(value_name = "key parent")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots label one team=ci old=")]
pub struct LabelArgs {
    /// The snapshot, then labels; an empty value clears one
    #[arg(value_name = "name label=value")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots unpack sha256:…")]
pub struct UnpackArgs {
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    /// Synchronize the underlying filesystem; containerd's own setting decides
    #[arg(long)]
    sync_fs: bool,
    /// The image's target
    #[arg(value_name = "digest")]
    digest: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots usage\n  ctr snapshots usage -b one")]
pub struct UsageArgs {
    /// Display size in bytes
    #[arg(short)]
    b: bool,
    /// The snapshots
    #[arg(value_name = "key")]
    keys: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr snapshots diff one > layer.tar.gz")]
pub struct DiffArgs {
    /// Media type to use for creating diff
    #[arg(long, value_name = "value", default_value = "application/vnd.oci.image.layer.v1.tar+gzip")]
    media_type: String,
    /// Content upload reference to use
    #[arg(long = "ref", value_name = "value")]
    reference: Option<String>,
    /// Keep diff content. Up to creator to delete it
    #[arg(long)]
    keep: bool,
    /// Labels to attach to the content
    #[arg(long, value_name = "key=value")]
    label: Vec<String>,
    /// One snapshot or two
    #[arg(value_name = "idA idB")]
    words: Vec<String>,
}

pub(super) async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if let Verb::Unpack(unpacked) = args.verb {
        let snapshotter = unpacked.snapshotter.clone().or(args.snapshotter);
        return unpack(unpacked, snapshotter, cx).await;
    }
    // ctr shows the help of a command that has the wrong number of words, and is content.
    if let Some(name) = unfit(&args.verb) {
        cx.ui.print(flags::help(&super::command(), &["snapshots".into(), name.into()]))?;
        return Ok(0);
    }
    if let Verb::Diff(diff) = &args.verb
        && diff.words.first().is_none_or(String::is_empty)
    {
        return Err(Error::failed("snapshot id must be provided"));
    }
    let engine = connect_for(cx, args.snapshotter.as_deref()).await?;
    let (client, name) = (&engine.containerd, engine.config.snapshotter.clone());
    let kept =
        || HashMap::from([(ROOT.to_owned(), Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())]);
    match args.verb {
        Verb::Commit(args) => client.commit_snapshot(&name, &args.words[0], &args.words[1], kept()).await?,
        Verb::Diff(args) => diff(args, client, &name, cx).await?,
        Verb::Info(args) => shown::json(cx.ui, &info(&client.snapshot(&name, &args.keys[0]).await?))?,
        Verb::List(_) => {
            let mut table = String::from("KEY\tPARENT\tKIND\t\n");
            for one in client.snapshots(&name).await? {
                table += &format!("{}\t{}\t{}\t\n", one.name, one.parent, kind(one.kind));
            }
            shown::narrow(cx.ui, &table)?;
        }
        Verb::Mounts(args) => {
            let mounts = client.snapshot_mounts(&name, &args.words[1]).await?;
            print_mounts(&args.words[0], &mounts, cx)?;
        }
        Verb::Prepare(args) => {
            let parent = args.words.get(1).cloned().unwrap_or_default();
            let mounts = client.prepare_snapshot(&name, &args.words[0], &parent, kept()).await?;
            print_prepared(&args, &mounts, cx)?;
        }
        Verb::View(args) => {
            let parent = args.words.get(1).cloned().unwrap_or_default();
            let mounts = client.view_snapshot(&name, &args.words[0], &parent, HashMap::new()).await?;
            print_prepared(&args, &mounts, cx)?;
        }
        Verb::Delete(args) => {
            for key in &args.keys {
                let removed = client.remove_snapshot(&name, key).await.map_err(Error::from);
                removed.map_err(|error| error.context(format!("failed to remove {key:?}")))?;
            }
        }
        Verb::Label(args) => {
            let (key, labels) = shown::object(&args.words);
            let snapshot = match labels.is_empty() {
                true => client.snapshot(&name, &key).await?,
                false => client.relabel_snapshot(&name, &key, labels).await?,
            };
            cx.ui.line(shown::pairs(&snapshot.labels))?;
        }
        Verb::Tree(_) => tree(&client.snapshots(&name).await?, cx)?,
        Verb::Usage(args) => usage(args, client, &name, cx).await?,
        Verb::Unpack(_) => {}
    }
    Ok(0)
}

/// The command whose words are too few or too many.
fn unfit(verb: &Verb) -> Option<&'static str> {
    let (name, count, fits) = match verb {
        Verb::Commit(args) => ("commit", args.words.len(), 2..=2),
        Verb::Info(args) => ("info", args.keys.len(), 1..=1),
        Verb::Mounts(args) => ("mounts", args.words.len(), 2..=2),
        Verb::Prepare(args) => ("prepare", args.words.len(), 1..=2),
        Verb::View(args) => ("view", args.words.len(), 1..=2),
        _ => return None,
    };
    (!fits.contains(&count)).then_some(name)
}

fn kind(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::View => "View",
        SnapshotKind::Active => "Active",
        SnapshotKind::Committed => "Committed",
        SnapshotKind::Unknown => "Unknown",
    }
}

fn info(snapshot: &Snapshot) -> Value {
    let mut fields = Map::new();
    fields.insert("Kind".into(), json!(kind(snapshot.kind)));
    fields.insert("Name".into(), json!(snapshot.name));
    if !snapshot.parent.is_empty() {
        fields.insert("Parent".into(), json!(snapshot.parent));
    }
    if !snapshot.labels.is_empty() {
        fields.insert("Labels".into(), shown::labels_json(&snapshot.labels));
    }
    fields.insert("Created".into(), json!(shown::time(snapshot.created_at)));
    fields.insert("Updated".into(), json!(shown::time(snapshot.updated_at)));
    Value::Object(fields)
}

fn print_prepared(args: &PrepareArgs, mounts: &[Mount], cx: &mut Context<'_>) -> Result<()> {
    if let Some(target) = args.target.as_deref().filter(|target| !target.is_empty()) {
        print_mounts(target, mounts, cx)?;
    }
    if args.mounts {
        let list = mounts.iter().map(|mount| {
            json!({
                "Type": mount.kind, "Source": mount.source, "Target": mount.target, "Options": mount.options,
            })
        });
        shown::json(cx.ui, &list.collect::<Vec<Value>>().into())?;
    }
    Ok(())
}

fn print_mounts(target: &str, mounts: &[Mount], cx: &mut Context<'_>) -> Result<()> {
    for mount in mounts {
        let below = mount.target.trim_start_matches('/');
        let at =
            if below.is_empty() { Path::new(target).to_path_buf() } else { Path::new(target).join(below) };
        let options = mount.options.join(",");
        cx.ui.line(format_args!("mount -t {} {} {} -o {options}", mount.kind, mount.source, at.display()))?;
    }
    Ok(())
}

fn tree(snapshots: &[Snapshot], cx: &mut Context<'_>) -> Result<()> {
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in snapshots {
        children.entry(&one.parent).or_default().push(&one.name);
    }
    let mut open: Vec<(&str, usize)> = Vec::new();
    let below = |name: &str, level: usize| -> Vec<(&str, usize)> {
        children.get(name).into_iter().flatten().rev().map(|name| (*name, level)).collect()
    };
    open.extend(below("", 0));
    while let Some((name, level)) = open.pop() {
        let lead = if level > 0 { format!("{}\\_", "  ".repeat(level)) } else { String::new() };
        cx.ui.line(format_args!("{lead} {name}"))?;
        open.extend(below(name, level + 1));
    }
    Ok(())
}

async fn usage(args: UsageArgs, client: &Client, snapshotter: &str, cx: &mut Context<'_>) -> Result<()> {
    let keys = match args.keys.is_empty() {
        true => client.snapshots(snapshotter).await?.into_iter().map(|one| one.name).collect(),
        false => args.keys,
    };
    let mut table = String::from("KEY\tSIZE\tINODES\t\n");
    for key in keys {
        let (bytes, inodes) = client.snapshot_size(snapshotter, &key).await?;
        let size = if args.b { bytes.to_string() } else { shown::bytes(bytes) };
        table += &format!("{key}\t{size}\t{inodes}\t\n");
    }
    shown::narrow(cx.ui, &table)
}

async fn unpack(args: UnpackArgs, snapshotter: Option<String>, cx: &mut Context<'_>) -> Result<u8> {
    let digest = shown::digest(args.digest.as_deref().unwrap_or_default())?;
    let engine = connect_for(cx, snapshotter.as_deref()).await?;
    let images = engine.containerd.images(&[format!("target.digest=={digest}")]).await?;
    let image = images.into_iter().next().ok_or_else(|| Error::failed("manifest not found"))?;
    cx.ui.print(format_args!("unpacking {digest} ({})...", image.target.media_type()))?;
    let found = read(&engine.containerd, &image, None).await?;
    ensure_unpacked(&engine, &found, &Silent).await?;
    cx.ui.line("done")?;
    Ok(0)
}

/// Mounts to look at a snapshot, and the view that was made for it.
async fn look(client: &Client, snapshotter: &str, key: &str) -> Result<(Vec<Mount>, Option<String>)> {
    let snapshot = client.snapshot(snapshotter, key).await?;
    if snapshot.kind == SnapshotKind::Active {
        return Ok((client.snapshot_mounts(snapshotter, key).await?, None));
    }
    let view = format!("{key}-view-{}", std::process::id());
    let mounts = client.view_snapshot(snapshotter, &view, key, HashMap::new()).await?;
    Ok((mounts, Some(view)))
}

async fn diff(args: DiffArgs, client: &Client, snapshotter: &str, cx: &mut Context<'_>) -> Result<()> {
    let lease = format!("wharfie-diff-{}", std::process::id());
    client.create_lease(&lease, jiff::SignedDuration::from_hours(1)).await?;
    let leased = client.with_lease(&lease)?;
    let result = compare(args, &leased, snapshotter, cx).await;
    // It ends by itself otherwise.
    let _ = client.delete_lease(&lease, false).await;
    result
}

async fn compare(args: DiffArgs, client: &Client, snapshotter: &str, cx: &mut Context<'_>) -> Result<()> {
    let first = &args.words[0];
    let (lower, upper) = match args.words.get(1).filter(|key| !key.is_empty()) {
        Some(second) => (first.clone(), second.clone()),
        None => (client.snapshot(snapshotter, first).await?.parent, first.clone()),
    };
    let mut labels = shown::flag_labels(&args.label);
    if args.keep {
        labels.insert(ROOT.into(), Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    let (below, lower_view) = match lower.is_empty() {
        true => (Vec::new(), None),
        false => look(client, snapshotter, &lower).await?,
    };
    let (above, upper_view) = look(client, snapshotter, &upper).await?;
    let reference = args.reference.unwrap_or_default();
    let made = client.diff_layer(&below, &above, &args.media_type, &reference, labels).await;
    for view in [lower_view, upper_view].into_iter().flatten() {
        // The lease's end takes it otherwise.
        let _ = client.remove_snapshot(snapshotter, &view).await;
    }
    content::write_blob(client, made?.digest().as_ref(), cx).await
}
