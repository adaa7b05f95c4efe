//! `crictl images`: list images.

use super::image_filter::{digest, filter, sort, tags};
use super::output::{self, short, table};
use super::session::{Answer, Done, Session};
use crate::cri::{Client, api, json::to_value};
use crate::error::Result;
use crate::output::ui::Ui;
use crate::output::units::human_size_with_precision;

/// Flags of `crictl images`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri images\n  wharfie cri images --digests -f dangling=false")]
pub(super) struct Args {
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Filter output: dangling=BOOL, reference=PATTERN, before=IMAGE, since=IMAGE
    #[arg(short, long, value_name = "FILTER", value_delimiter = ',')]
    filter: Vec<String>,
    /// Show output without truncating the ID
    #[arg(long)]
    no_trunc: bool,
    /// Output format, one of: json|yaml|table
    #[arg(short, long, value_name = "FORMAT")]
    output: Option<String>,
    /// Show whether the image is pinned or not
    #[arg(long)]
    pinned: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// Show verbose info for images
    #[arg(short, long)]
    verbose: bool,
    /// A name, and a tag
    #[arg(value_name = "REPOSITORY[:TAG]")]
    rest: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if args.rest.len() > 1 {
        return Ok(Done::Help);
    }
    let images = session.images().await?;
    let name = args.rest.first().map_or("", String::as_str);
    let found = list(&images, name, &args.filter).await.map_err(|error| error.context("listing images"))?;
    write(&args, found, session.cx.ui)?;
    Ok(Done::Well)
}

/// The images of a name (all, for an empty one) that the filters leave over, in crictl's order.
pub(super) async fn list(images: &Client, name: &str, filters: &[String]) -> Result<Vec<api::Image>> {
    let spec = api::ImageSpec { image: name.to_owned(), ..Default::default() };
    let request = api::ListImagesRequest { filter: Some(api::ImageFilter { image: Some(spec) }) };
    let mut found = images.list_images(request).await.during("")?.images;
    sort(&mut found);
    filter(found, filters)
}

fn write(args: &Args, found: Vec<api::Image>, ui: &mut Ui) -> Result<()> {
    match args.output.as_deref() {
        Some("json") => return output::json(ui, &to_value(&api::ListImagesResponse { images: found })),
        Some("yaml") => return ui.line(output::yaml(&to_value(&api::ListImagesResponse { images: found }))?),
        _ => {}
    }
    if args.quiet {
        return found.iter().try_for_each(|image| ui.line(&image.id));
    }
    if args.verbose {
        return found.iter().try_for_each(|image| verbose(image, ui));
    }
    let row = |cells: [&str; 6]| {
        let shown = [true, true, args.digests, true, true, args.pinned];
        cells.into_iter().zip(shown).filter(|(_, shown)| *shown).map(|(cell, _)| cell.to_owned()).collect()
    };
    let mut rows: Vec<Vec<String>> = vec![row(["IMAGE", "TAG", "DIGEST", "IMAGE ID", "SIZE", "PINNED"])];
    for image in &found {
        let (name, digest) = digest(&image.repo_digests);
        let size = human_size_with_precision(image.size as f64, 3);
        let cut = |id: &str| {
            if args.no_trunc { id.to_owned() } else { short(id.strip_prefix("sha256:").unwrap_or(id)) }
        };
        for (name, tag) in tags(&image.repo_tags, &name) {
            let pinned = image.pinned.to_string();
            rows.push(row([&name, &tag, &cut(&digest), &cut(&image.id), &size, &pinned]));
        }
    }
    table(ui, &rows)
}

fn verbose(image: &api::Image, ui: &mut Ui) -> Result<()> {
    ui.line(format_args!("ID: {}", image.id))?;
    for tag in &image.repo_tags {
        ui.line(format_args!("RepoTags: {tag}"))?;
    }
    for digest in &image.repo_digests {
        ui.line(format_args!("RepoDigests: {digest}"))?;
    }
    if image.size != 0 {
        ui.line(format_args!("Size: {}", image.size))?;
    }
    if let Some(uid) = &image.uid {
        ui.line(format_args!("Uid: {}", proto_text(uid)))?;
    }
    if !image.username.is_empty() {
        ui.line(format_args!("Username: {}", image.username))?;
    }
    if image.pinned {
        ui.line("Pinned: true")?;
    }
    ui.line("")
}

/// A number in protobuf's text form, where nothing is 0.
fn proto_text(number: &api::Int64Value) -> String {
    if number.value == 0 { String::new() } else { format!("value:{}", number.value) }
}
