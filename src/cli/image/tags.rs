//! `image tags`: what tags a registry has of a repository.

use super::told;
use crate::cli::Context;
use crate::cli::registry::flags::RegistryArgs;
use crate::config::contexts::natural;
use crate::engine::image;
use crate::error::Result;
use crate::output::{Column, Format, Listing};
use crate::registry::Reference;

/// Flags of `image tags`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Sorted as people count: 1.9 before 1.10.\n\nExamples:\n  wharfie image tags busybox\n  wharfie image tags \
    -q registry.example/team/app | tail -1"
)]
pub struct Args {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Only show the tags
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// The repository
    #[arg(value_name = "REPOSITORY", required = true)]
    repository: String,
}

const LISTING: Listing<Reference> = Listing {
    type_name: "*image.Tag",
    columns: &[
        Column { name: "Repository", header: "REPOSITORY", value: |row| row.familiar_name().into() },
        Column { name: "Tag", header: "TAG", value: |row| row.tag().unwrap_or_default().into() },
        Column { name: "Reference", header: "REFERENCE", value: |row| row.familiar().into() },
    ],
    methods: &[],
    table: &["Repository", "Tag"],
    quiet: "Tag",
    raw: "",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), args.quiet, LISTING)?;
    let reference = Reference::parse(&args.repository).map_err(told)?;
    let mut requests = args.registry.apply(cx);
    let tags = image::remote_tags(&cx.config, &reference).await;
    requests.say(cx.ui)?;
    let mut tags = tags.map_err(told)?;
    tags.sort_by(|one, other| natural(one.tag().unwrap_or_default(), other.tag().unwrap_or_default()));
    format.write(cx.ui, &tags)?;
    Ok(0)
}
