//! `crictl inspecti`: all that CRI knows of images.

use super::images;
use super::log::Level;
use super::output::{Status, go_map, statuses};
use super::select;
use super::session::{Done, Session};
use crate::cri::{api, json::to_value};
use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;
use crate::output::units::human_size_with_precision;

/// Flags of `crictl inspecti`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri inspecti busybox\n  wharfie cri inspecti -o table busybox")]
pub(super) struct Args {
    /// Filter images: dangling=BOOL, reference=PATTERN, before=IMAGE, since=IMAGE
    #[arg(short, long, value_name = "FILTER", value_delimiter = ',')]
    filter: Vec<String>,
    /// Filter by image name
    #[arg(long)]
    name: Option<String>,
    /// Output format, one of: json|yaml|go-template|table
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Do not show verbose information
    #[arg(short, long)]
    quiet: bool,
    /// The template string is only used when output is go-template
    #[arg(long)]
    template: Option<String>,
    /// Images by id or name
    #[arg(value_name = "IMAGE-ID")]
    ids: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let images = session.images().await?;
    let mut ids = args.ids;
    if ids.is_empty() {
        let found = images::list(&images, args.name.as_deref().unwrap_or_default(), &args.filter)
            .await
            .map_err(|error| error.context("listing images"))?;
        ids = found.into_iter().map(|image| image.id).collect();
    }
    if ids.is_empty() {
        session.say(Level::Error, "No IDs provided or nothing found per filter")?;
        return Ok(Done::Help);
    }
    let format = args.output.as_deref().filter(|format| !format.is_empty()).unwrap_or("json");
    let mut found = Vec::new();
    for id in &ids {
        let answer = select::image(&images, id, !args.quiet)
            .await
            .map_err(|error| error.context(format!("image status for {} request", quote(id))))?;
        let Some(image) = &answer.image else {
            return Err(Error::not_found(format!("no such image {} present", quote(id))));
        };
        if format == "table" {
            table(image, &answer, args.quiet, session.cx.ui)?;
        } else {
            let status = Some(to_value(image));
            found.push(Status { status, info: answer.info.into_iter().collect(), ..Status::default() });
        }
    }
    statuses(session.cx.ui, found, format, args.template.as_deref())?;
    Ok(Done::Well)
}

fn table(image: &api::Image, answer: &api::ImageStatusResponse, quiet: bool, ui: &mut Ui) -> Result<()> {
    ui.line(format_args!("ID: {}", image.id))?;
    for tag in &image.repo_tags {
        ui.line(format_args!("Tag: {tag}"))?;
    }
    for digest in &image.repo_digests {
        ui.line(format_args!("Digest: {digest}"))?;
    }
    ui.line(format_args!("Size: {}", human_size_with_precision(image.size as f64, 3)))?;
    if quiet { Ok(()) } else { ui.line(format_args!("Info: {}", go_map(&answer.info))) }
}
