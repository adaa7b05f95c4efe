//! `system df`: how much room everything takes, in a summary or thing by thing.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::cli::container::row::{self, Row};
use crate::cli::errors::EngineResult;
use crate::cli::volume::row as volume;
use crate::engine::container::{Container, Status};
use crate::engine::disk::{DiskUsage, disk_usage};
use crate::engine::image::{ImageUsage, shared, total};
use crate::error::{Error, Result};
use crate::output::units::{ago, go_time, human_size, human_size_with_precision};
use crate::output::{Column, Format, Inspector, Listing, Object};

const NONE: &str = "<none>";

/// Flags of `system df`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie system df\n  wharfie system df -v\n  \
                  wharfie system df --format '{{.Type}}: {{.Reclaimable}}'")]
pub struct Args {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json' or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show detailed information on space usage
    #[arg(short, long)]
    verbose: bool,
}

/// A kind of thing in the summary.
struct Kind {
    name: &'static str,
    count: usize,
    active: usize,
    bytes: u64,
    reclaimable: u64,
}

const SUMMARY: Listing<Kind> = Listing {
    type_name: "*formatter.diskUsageImagesContext",
    columns: &[
        Column { name: "Active", header: "ACTIVE", value: |kind| kind.active.to_string().into() },
        Column { name: "Reclaimable", header: "RECLAIMABLE", value: |kind| reclaimable(kind).into() },
        Column { name: "Size", header: "SIZE", value: |kind| human_size(kind.bytes as f64).into() },
        Column { name: "TotalCount", header: "TOTAL", value: |kind| kind.count.to_string().into() },
        Column { name: "Type", header: "TYPE", value: |kind| kind.name.into() },
    ],
    methods: &[],
    table: &["Type", "TotalCount", "Active", "Size", "Reclaimable"],
    quiet: "Type",
    raw: "type: {{.Type}}\ntotal: {{.TotalCount}}\nactive: {{.Active}}\nsize: {{.Size}}\nreclaimable: {{.Reclaimable}}\n",
};

fn reclaimable(kind: &Kind) -> String {
    let bytes = human_size(kind.reclaimable as f64);
    match (u128::from(kind.reclaimable) * 100).checked_div(u128::from(kind.bytes)) {
        Some(percent) => format!("{bytes} ({percent}%)"),
        None => bytes,
    }
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let given = args.format.as_deref();
    if !args.verbose {
        let format = Format::parse(given, false, SUMMARY)?;
        let engine = cx.engine().await?;
        format.write(cx.ui, &summary(&disk_usage(&engine).await.told()?))?;
        return Ok(0);
    }
    let inspector = match given.unwrap_or_default() {
        "" | "table" => None,
        text => Some(Inspector::parse(Some(text))?),
    };
    let engine = cx.engine().await?;
    let usage = disk_usage(&engine).await.told()?;
    let tables = Tables::new(usage, inspector.is_some(), Timestamp::now());
    match inspector {
        Some(inspector) => inspector.line(cx.ui, Object::Other, &tables.value()?)?,
        None => cx.ui.print(tables.text()?)?,
    }
    Ok(0)
}

/// docker's four rows.
fn summary(usage: &DiskUsage) -> [Kind; 4] {
    let used: Vec<&ImageUsage> = usage.images.iter().filter(|image| !image.containers.is_empty()).collect();
    let all = total(&usage.images);
    let active = |(container, _): &&(Container, u64)| {
        container.status.is_alive() || matches!(container.status, Status::Restarting | Status::Unknown)
    };
    let bytes = |wanted: &dyn Fn(&&(Container, u64)) -> bool| -> u64 {
        usage.containers.iter().filter(wanted).map(|(_, bytes)| bytes).sum()
    };
    let volumes = |unused: bool| {
        usage.volumes.iter().filter(|one| !unused || one.links == 0).filter_map(|one| one.bytes).sum()
    };
    [
        Kind {
            name: "Images",
            count: usage.images.len(),
            active: used.len(),
            bytes: all,
            reclaimable: all.saturating_sub(total(used)),
        },
        Kind {
            name: "Containers",
            count: usage.containers.len(),
            active: usage.containers.iter().filter(active).count(),
            bytes: bytes(&|_| true),
            reclaimable: bytes(&|container| !active(container)),
        },
        Kind {
            name: "Local Volumes",
            count: usage.volumes.len(),
            active: usage.volumes.iter().filter(|one| one.links > 0).count(),
            bytes: volumes(false),
            reclaimable: volumes(true),
        },
        Kind { name: "Build Cache", count: 0, active: 0, bytes: 0, reclaimable: 0 },
    ]
}

/// An image and what of it others have too.
struct ImageRow {
    no_trunc: bool,
    image: ImageUsage,
    shared: u64,
    now: Timestamp,
}

const IMAGES: Listing<ImageRow> = Listing {
    type_name: "*formatter.imageContext",
    columns: &[
        Column {
            name: "Containers",
            header: "CONTAINERS",
            value: |row| row.image.containers.len().to_string().into(),
        },
        Column { name: "CreatedAt", header: "CREATED AT", value: |row| created_at(row).into() },
        Column { name: "CreatedSince", header: "CREATED", value: |row| created_since(row).into() },
        Column { name: "Digest", header: "DIGEST", value: |row| name(&row.image).2.into() },
        Column { name: "ID", header: "IMAGE ID", value: |row| id(row).into() },
        Column { name: "Repository", header: "REPOSITORY", value: |row| name(&row.image).0.into() },
        Column {
            name: "SharedSize",
            header: "SHARED SIZE",
            value: |row| human_size(row.shared as f64).into(),
        },
        Column {
            name: "Size",
            header: "SIZE",
            value: |row| human_size_with_precision(row.image.size() as f64, 3).into(),
        },
        Column { name: "Tag", header: "TAG", value: |row| name(&row.image).1.into() },
        Column {
            name: "UniqueSize",
            header: "UNIQUE SIZE",
            value: |row| human_size(row.image.size().saturating_sub(row.shared) as f64).into(),
        },
    ],
    methods: &[],
    table: &["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"],
    quiet: "ID",
    raw: "",
};

/// Repository, tag and digest of its first name.
fn name(image: &ImageUsage) -> (String, String, String) {
    let digest = image.digests.first().and_then(|digest| digest.split_once('@'));
    let (repository, tag) = match image.tags.first() {
        // A colon before a slash is a port.
        Some(tag) => match tag.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
            Some((repository, tag)) => (repository, tag),
            None => (tag.as_str(), NONE),
        },
        None => (NONE, NONE),
    };
    (repository.to_owned(), tag.to_owned(), digest.map_or(NONE, |(_, digest)| digest).to_owned())
}

fn created_at(row: &ImageRow) -> String {
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    row.image.created.map_or_else(|| "N/A".into(), |time| go_time(whole(time), &TimeZone::system()))
}

fn created_since(row: &ImageRow) -> String {
    let since = |time: Timestamp| row.now.duration_since(time).try_into().unwrap_or_default();
    row.image.created.map_or_else(|| "N/A".into(), |time| ago(since(time)))
}

fn id(row: &ImageRow) -> String {
    let id = &row.image.id;
    if row.no_trunc {
        return id.clone();
    }
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

const VOLUMES: Listing<volume::Row> = Listing { table: &["Name", "Links", "Size"], ..volume::LISTING };

/// The columns of a cache that is not there.
const BUILD_CACHE: &str = "CACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n";

/// What `-v` shows.
struct Tables {
    images: Vec<ImageRow>,
    containers: Vec<Row>,
    volumes: Vec<volume::Row>,
}

impl Tables {
    /// docker shortens ids and commands in its tables only.
    fn new(usage: DiskUsage, no_trunc: bool, now: Timestamp) -> Self {
        let shared = shared(&usage.images);
        let images = usage.images.into_iter().zip(shared);
        let containers = usage.containers.into_iter();
        Self {
            images: images.map(|(image, shared)| ImageRow { no_trunc, image, shared, now }).collect(),
            containers: containers
                .map(|(container, bytes)| Row { container, no_trunc, size: Some((bytes, 0)), now })
                .collect(),
            volumes: usage
                .volumes
                .into_iter()
                .map(|one| volume::Row { usage: Some((one.links, one.bytes)), volume: one.volume })
                .collect(),
        }
    }

    fn containers() -> Listing<Row> {
        Listing {
            table: &["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"],
            ..row::LISTING
        }
    }

    /// docker's tables, one below the other.
    fn text(&self) -> Result<String> {
        Ok(format!(
            "Images space usage:\n\n{}\nContainers space usage:\n\n{}\nLocal Volumes space usage:\n\n{}\n\
             Build cache usage: 0B\n\n{BUILD_CACHE}",
            Format::parse(None, false, IMAGES)?.text(&self.images)?,
            Format::parse(None, false, Self::containers())?.text(&self.containers)?,
            Format::parse(None, false, VOLUMES)?.text(&self.volumes)?,
        ))
    }

    /// The same for templates.
    fn value(&self) -> Result<Value> {
        Ok(json!({
            "BuildCache": [],
            "Containers": rows(&self.containers, Self::containers())?,
            "Images": rows(&self.images, IMAGES)?,
            "Volumes": rows(&self.volumes, VOLUMES)?,
        }))
    }
}

fn rows<T>(rows: &[T], listing: Listing<T>) -> Result<Vec<Value>> {
    let format = Format::parse(Some("json"), false, listing)?;
    let encode = |row: &T| {
        let text = format.row(row)?;
        serde_json::from_str(&text).map_err(|cause| Error::failed(format!("encode JSON: {cause}")))
    };
    rows.iter().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ui::Ui;

    #[test]
    fn the_summary_is_dockers() {
        let kind = |name, count, active, bytes, reclaimable| Kind { name, count, active, bytes, reclaimable };
        let rows = [
            kind("Images", 5, 2, 16_430_000, 11_630_000),
            kind("Containers", 2, 0, 212, 212),
            kind("Build Cache", 0, 0, 0, 0),
        ];
        let (mut ui, captured) = Ui::captured();
        Format::parse(None, false, SUMMARY).unwrap().write(&mut ui, &rows).unwrap();
        Format::parse(Some("json"), false, SUMMARY).unwrap().write(&mut ui, &rows[..1]).unwrap();
        assert_eq!(
            captured.out(),
            "TYPE          TOTAL     ACTIVE    SIZE      RECLAIMABLE\n\
             Images        5         2         16.43MB   11.63MB (70%)\n\
             Containers    2         0         212B      212B (100%)\n\
             Build Cache   0         0         0B        0B\n\
             {\"Active\":\"2\",\"Reclaimable\":\"11.63MB (70%)\",\"Size\":\"16.43MB\",\"TotalCount\":\"5\",\"Type\":\"Images\"}\n"
        );
    }

    #[test]
    fn nothing_is_four_tables_of_titles() {
        let none = DiskUsage { images: Vec::new(), containers: Vec::new(), volumes: Vec::new() };
        assert_eq!(
            Tables::new(none, false, Timestamp::UNIX_EPOCH).text().unwrap(),
            "Images space usage:\n\nREPOSITORY   TAG       IMAGE ID   CREATED   SIZE      SHARED SIZE   UNIQUE SIZE   CONTAINERS\n\n\
             Containers space usage:\n\nCONTAINER ID   IMAGE     COMMAND   LOCAL VOLUMES   SIZE      CREATED   STATUS    NAMES\n\n\
             Local Volumes space usage:\n\nVOLUME NAME   LINKS     SIZE\n\n\
             Build cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   USAGE     SHARED\n"
        );
    }
}
