//! `image usage`: the room that each image takes, what of it is shared, and what nobody needs any more.

use jiff::{SignedDuration, Timestamp};

use super::told;
use crate::cli::Context;
use crate::engine::container;
use crate::engine::image::{self, ImageUsage, Keeper, Orphan, Thing};
use crate::error::Result;
use crate::output::ui::visible;
use crate::output::units::{human_duration, human_size};
use crate::output::{Column, Format, Listing};

/// An unfinished download that was written within this time is somebody's.
const LATELY: SignedDuration = SignedDuration::from_hours(1);

/// Flags of `image usage`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "CONTENT is what lies in containerd's content store, UNPACKED the snapshots made of it. SHARED is what \
    other images have too: removing one image frees what is UNIQUE to it.\n\n--orphans lists what no image and no \
    container needs, and what keeps it; `wharfie image prune --orphans` removes what nothing keeps.\n\nExamples:\n  \
    wharfie image usage\n  wharfie -n k8s.io image usage --bytes\n  wharfie image usage --orphans"
)]
pub struct Args {
    /// Show bytes
    #[arg(long)]
    bytes: bool,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// List what no image and no container needs: blobs, snapshots, unfinished downloads
    #[arg(long)]
    orphans: bool,
    /// Only show IDs
    #[arg(short, long)]
    quiet: bool,
}

/// One image.
struct Row {
    image: ImageUsage,
    shared: u64,
    exact: bool,
    no_trunc: bool,
}

impl Row {
    fn size(&self, bytes: u64) -> String {
        shown(bytes, self.exact)
    }
}

const IMAGES: Listing<Row> = Listing {
    type_name: "*wharfie.imageUsageContext",
    columns: &[
        Column { name: "ID", header: "IMAGE ID", value: |row| id(row).into() },
        Column { name: "Name", header: "IMAGE", value: |row| name(row).into() },
        Column { name: "Size", header: "SIZE", value: |row| row.size(row.image.size()).into() },
        Column { name: "ContentSize", header: "CONTENT", value: |row| row.size(row.image.content()).into() },
        Column {
            name: "UnpackedSize",
            header: "UNPACKED",
            value: |row| row.size(row.image.unpacked()).into(),
        },
        Column { name: "SharedSize", header: "SHARED", value: |row| row.size(row.shared).into() },
        Column {
            name: "UniqueSize",
            header: "UNIQUE",
            value: |row| row.size(row.image.size().saturating_sub(row.shared)).into(),
        },
        Column {
            name: "Containers",
            header: "CONTAINERS",
            value: |row| row.image.containers.len().to_string().into(),
        },
    ],
    methods: &[],
    table: &["Name", "ID", "Size", "ContentSize", "UnpackedSize", "SharedSize", "UniqueSize", "Containers"],
    quiet: "ID",
    raw: "",
};

/// One thing that no image and no container needs.
struct OrphanRow {
    orphan: Orphan,
    exact: bool,
    no_trunc: bool,
    now: Timestamp,
}

const ORPHANS: Listing<OrphanRow> = Listing {
    type_name: "*wharfie.orphanContext",
    columns: &[
        Column { name: "Kind", header: "KIND", value: |row| kind(&row.orphan).into() },
        Column { name: "ID", header: "ID", value: |row| orphan_id(row).into() },
        Column { name: "Size", header: "SIZE", value: |row| shown(row.orphan.bytes, row.exact).into() },
        Column { name: "Age", header: "AGE", value: |row| age(row).into() },
        Column { name: "KeptBy", header: "KEPT BY", value: |row| kept_by(row).into() },
    ],
    methods: &[],
    table: &["Kind", "ID", "Size", "Age", "KeptBy"],
    quiet: "ID",
    raw: "",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let (images, orphans) = (
        Format::parse(args.format.as_deref(), args.quiet, IMAGES),
        Format::parse(args.format.as_deref(), args.quiet, ORPHANS),
    );
    let (exact, no_trunc) = (args.bytes, args.no_trunc);
    if args.orphans {
        let format = orphans?;
        let now = Timestamp::now();
        let engine = cx.engine().await?;
        let found = image::orphans(&engine, lately(now)).await.map_err(told)?;
        let rows: Vec<OrphanRow> =
            found.into_iter().map(|orphan| OrphanRow { orphan, exact, no_trunc, now }).collect();
        format.write(cx.ui, &rows)?;
        return Ok(0);
    }
    let format = images?;
    let engine = cx.engine().await?;
    let containers = container::list(&engine).await.map_err(told)?;
    let usage = image::usage(&engine, &containers).await.map_err(told)?;
    let shared = image::shared(&usage);
    let rows: Vec<Row> =
        usage.into_iter().zip(shared).map(|(image, shared)| Row { image, shared, exact, no_trunc }).collect();
    format.write(cx.ui, &rows)?;
    Ok(0)
}

/// What was written after this is somebody's.
pub fn lately(now: Timestamp) -> Timestamp {
    now.checked_sub(LATELY).unwrap_or(Timestamp::MIN)
}

/// An orphan as a prune names it.
pub fn line(orphan: &Orphan) -> String {
    format!("{} {}  {}", kind(orphan), whole_id(&orphan.thing), human_size(orphan.bytes as f64))
}

fn shown(bytes: u64, exact: bool) -> String {
    if exact { bytes.to_string() } else { human_size(bytes as f64) }
}

fn id(row: &Row) -> String {
    if row.no_trunc { row.image.id.clone() } else { short(&row.image.id) }
}

fn name(row: &Row) -> String {
    let names = if row.image.tags.is_empty() { &row.image.digests } else { &row.image.tags };
    if names.is_empty() { "<none>".into() } else { names.join(", ") }
}

fn kind(orphan: &Orphan) -> &'static str {
    match orphan.thing {
        Thing::Ingest(_) => "ingest",
        Thing::Blob(_) => "blob",
        Thing::Snapshot(..) => "snapshot",
    }
}

fn whole_id(thing: &Thing) -> String {
    match thing {
        Thing::Ingest(id) | Thing::Blob(id) => visible(id),
        Thing::Snapshot(snapshotter, key) => visible(&format!("{snapshotter}/{key}")),
    }
}

fn orphan_id(row: &OrphanRow) -> String {
    match &row.orphan.thing {
        thing if row.no_trunc => whole_id(thing),
        Thing::Snapshot(snapshotter, key) if key.starts_with("sha256:") => {
            format!("{snapshotter}/{}", short(key))
        }
        Thing::Blob(digest) => short(digest),
        thing => whole_id(thing),
    }
}

fn age(row: &OrphanRow) -> String {
    let since = |time: Timestamp| row.now.duration_since(time).try_into().unwrap_or_default();
    row.orphan.since.map_or_else(|| "N/A".into(), |time| human_duration(since(time)))
}

fn kept_by(row: &OrphanRow) -> String {
    match &row.orphan.keeper {
        None => String::new(),
        Some(Keeper::Label) => "label".into(),
        Some(Keeper::Young) => "its writer".into(),
        Some(Keeper::Maker) => "its maker".into(),
        Some(Keeper::Lease(id, None)) => format!("lease {}", visible(id)),
        Some(Keeper::Lease(id, Some(end))) => {
            let left = end.duration_since(row.now).try_into().unwrap_or_default();
            format!("lease {} for {}", visible(id), human_duration(left).to_lowercase())
        }
    }
}

fn short(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_are_shown_with_what_keeps_them() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let row = |thing, keeper, no_trunc| OrphanRow {
            orphan: Orphan {
                thing,
                bytes: 1500,
                since: Timestamp::from_second(1_000_000 - 7200).ok(),
                keeper,
            },
            exact: no_trunc,
            no_trunc,
            now,
        };
        let blob = || Thing::Blob("sha256:0123456789abcdef".into());
        let snapshot = || Thing::Snapshot("overlayfs".into(), "sha256:0123456789abcdef".into());
        let ends = Timestamp::from_second(1_000_000 + 3 * 3600).ok();
        let rows = [
            row(Thing::Ingest("layer-sha256:x".into()), Some(Keeper::Young), false),
            row(blob(), None, false),
            row(blob(), Some(Keeper::Lease("l".into(), ends)), true),
            row(snapshot(), Some(Keeper::Label), false),
        ];
        assert_eq!(
            Format::parse(None, false, ORPHANS).unwrap().text(&rows).unwrap(),
            "KIND       ID                        SIZE      AGE       KEPT BY\n\
             ingest     layer-sha256:x            1.5kB     2 hours   its writer\n\
             blob       0123456789ab              1.5kB     2 hours   \n\
             blob       sha256:0123456789abcdef   1500      2 hours   lease l for 3 hours\n\
             snapshot   overlayfs/0123456789ab    1.5kB     2 hours   label\n"
        );
        assert_eq!(line(&rows[3].orphan), "snapshot overlayfs/sha256:0123456789abcdef  1.5kB");
    }
}
