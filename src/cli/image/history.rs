//! `history`: what an image was made of.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::told;
use crate::cli::Context;
use crate::cli::args::parse::number;
use crate::engine::image::{self, Step};
use crate::error::Result;
use crate::output::units::{ago, human_size_with_precision, rfc3339_nano};
use crate::output::{Column, Format, Listing};

/// What docker calls a step that is no image.
const MISSING: &str = "<missing>";
/// As much of a command is shown.
const WIDTH: usize = 45;

/// Flags of `history`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie history busybox\n  wharfie history --no-trunc --human=false busybox\n  \
    wharfie history --format '{{.Size}} {{.CreatedBy}}' busybox"
)]
pub struct Args {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(short = 'f', long, value_name = "string")]
    format: Option<String>,
    /// Print sizes and dates in human readable format
    #[arg(short = 'H', long, num_args = 0..=1, require_equals = true, default_value = "true", default_missing_value = "true", value_parser = number::switch, value_name = "")]
    human: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Show history for the given platform, formatted as os[/arch[/variant]]
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// The image
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    image: String,
}

/// One step.
struct Row {
    step: Step,
    human: bool,
    no_trunc: bool,
    now: Timestamp,
}

const COLUMNS: &[Column<Row>] = &[
    Column { name: "Comment", header: "COMMENT", value: |row| row.step.comment.as_str().into() },
    Column { name: "CreatedAt", header: "CREATED AT", value: |row| created_at(row).into() },
    Column { name: "CreatedBy", header: "CREATED BY", value: |row| created_by(row).into() },
    Column {
        name: "CreatedSince",
        header: "CREATED",
        value: |row| if row.human { created_since(row) } else { created_at(row) }.into(),
    },
    Column { name: "ID", header: "IMAGE", value: |row| id(row).into() },
    Column {
        name: "Size",
        header: "SIZE",
        value: |row| match row.human {
            true => human_size_with_precision(row.step.size as f64, 3).into(),
            false => row.step.size.to_string().into(),
        },
    },
    Column { name: "Snapshot", header: "SNAPSHOT", value: |row| row.step.snapshot.as_str().into() },
];

/// docker's table, with other dates for machines.
fn listing(human: bool) -> Listing<Row> {
    Listing {
        type_name: "*image.historyContext",
        columns: COLUMNS,
        methods: &[],
        table: match human {
            true => &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
            false => &["ID", "CreatedAt", "CreatedBy", "Size", "Comment"],
        },
        quiet: "ID",
        raw: "",
    }
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), args.quiet, listing(args.human))?;
    // As with docker, the environment's platform does not count here.
    let platform = args.platform.as_deref().map(image::platform).transpose().map_err(told)?;
    let engine = cx.engine().await?;
    let steps = image::history(&engine, &args.image, platform.as_ref()).await.map_err(told)?;
    let now = Timestamp::now();
    let rows: Vec<Row> =
        steps.into_iter().map(|step| Row { step, human: args.human, no_trunc: args.no_trunc, now }).collect();
    format.write(cx.ui, &rows)?;
    Ok(0)
}

fn id(row: &Row) -> String {
    let Some(id) = &row.step.id else { return MISSING.into() };
    if row.no_trunc {
        return id.clone();
    }
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

fn created_by(row: &Row) -> String {
    let text = row.step.created_by.replace('\t', " ");
    if row.no_trunc || text.chars().count() <= WIDTH {
        return text;
    }
    text.chars().take(WIDTH - 1).chain(['…']).collect()
}

fn created_at(row: &Row) -> String {
    let time = row.step.created.unwrap_or_default();
    rfc3339_nano(Timestamp::from_second(time.as_second()).unwrap_or(time), &TimeZone::system())
}

fn created_since(row: &Row) -> String {
    // Before the year 2000 nobody built an image: what docker shows for a made-up time.
    const EPOCH: i64 = 946_684_800;
    match row.step.created.filter(|time| time.as_second() > EPOCH) {
        Some(time) => ago(row.now.duration_since(time).try_into().unwrap_or_default()),
        None => "N/A".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(step: Step, human: bool, no_trunc: bool) -> Row {
        Row { step, human, no_trunc, now: Timestamp::from_second(2_000_000_000).unwrap() }
    }

    #[test]
    fn steps_are_shown_as_docker_does() {
        let step = Step {
            id: Some("sha256:0123456789abcdef".into()),
            created: Timestamp::from_second(2_000_000_000 - 7200).ok(),
            created_by: "RUN\t/bin/sh -c apt-get update && apt-get install -y everything".into(),
            comment: "buildkit".into(),
            size: 1_234_567,
            snapshot: "sha256:x".into(),
        };
        let text = |human, no_trunc| {
            let rows = [row(step.clone(), human, no_trunc), row(Step::default(), human, no_trunc)];
            Format::parse(None, false, listing(human)).unwrap().text(&rows).unwrap()
        };
        assert_eq!(
            text(true, false),
            "IMAGE          CREATED       CREATED BY                                      SIZE      COMMENT\n\
             0123456789ab   2 hours ago   RUN /bin/sh -c apt-get update && apt-get ins…   1.23MB    buildkit\n\
             <missing>      N/A                                                           0B        \n"
        );
        let machines = text(false, true);
        assert!(machines.contains("CREATED AT") && machines.contains("1234567"), "{machines}");
        assert!(machines.contains("sha256:0123456789abcdef   2033-05-18T"), "{machines}");
        assert!(machines.contains("apt-get install -y everything"), "{machines}");
    }
}
