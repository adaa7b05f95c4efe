//! `image diff`: what one image has that another has not.

use std::os::unix::ffi::OsStrExt;

use super::told;
use crate::cli::Context;
use crate::engine::container::ChangeKind;
use crate::engine::image::{self, Difference, Setting};
use crate::error::Result;
use crate::output::ui::visible;
use crate::output::units::human_size;
use crate::output::{Column, Format, Listing};

/// Flags of `image diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A line a path: A for added, C for changed, D for deleted, as `diff` of a container has them. Files that \
    look the same are compared by their bytes.\n\nExamples:\n  wharfie image diff app:1 app:2\n  \
    wharfie image diff --size app:1 app:2\n  wharfie image diff --config app:1 app:2\n  \
    wharfie image diff --format json app:1 app:2"
)]
pub struct Args {
    /// Compare the configurations instead of the files
    #[arg(long)]
    config: bool,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Compare the given platform of the images
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Show how many bytes are more or less
    #[arg(short, long)]
    size: bool,
    /// The older image
    #[arg(value_name = "OLD", required = true, add = crate::cli::names::images())]
    old: String,
    /// The newer image
    #[arg(value_name = "NEW", required = true, add = crate::cli::names::images())]
    new: String,
}

const FILES: Listing<Difference> = Listing {
    type_name: "*wharfie.differenceContext",
    columns: &[
        Column { name: "Kind", header: "KIND", value: |one| letter(one.change.kind).into() },
        Column { name: "Growth", header: "GROWTH", value: |one| growth(one).into() },
        Column { name: "NewSize", header: "NEW SIZE", value: |one| one.after.into() },
        Column { name: "OldSize", header: "OLD SIZE", value: |one| one.before.into() },
        Column { name: "Path", header: "PATH", value: |one| path(one).into() },
    ],
    methods: &[],
    table: &["Kind", "Growth", "Path"],
    quiet: "Path",
    raw: "",
};

const SETTINGS: Listing<Setting> = Listing {
    type_name: "*wharfie.settingContext",
    columns: &[
        Column { name: "Kind", header: "KIND", value: |one| letter(one.kind()).into() },
        Column { name: "Name", header: "NAME", value: |one| one.name.as_str().into() },
        Column { name: "New", header: "NEW", value: |one| one.after.as_deref().unwrap_or_default().into() },
        Column { name: "Old", header: "OLD", value: |one| one.before.as_deref().unwrap_or_default().into() },
    ],
    methods: &[],
    table: &["Kind", "Name", "Old", "New"],
    quiet: "Name",
    raw: "",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let given = args.format.as_deref().filter(|text| !text.is_empty());
    let (files, settings) = (Format::parse(given, false, FILES), Format::parse(given, false, SETTINGS));
    let platform = args.platform.as_deref().map(image::platform).transpose().map_err(told)?;
    let platform = platform.as_ref();
    if args.config {
        let format = settings?;
        let engine = cx.engine().await?;
        let old = image::resolve(&engine, &args.old, platform).await.map_err(told)?;
        let new = image::resolve(&engine, &args.new, platform).await.map_err(told)?;
        let changes = image::settings_changed(&old, &new);
        if given.is_some() {
            return format.write(cx.ui, &changes).map(|()| 0);
        }
        for one in &changes {
            cx.ui.line(visible(&line(one)))?;
        }
        return Ok(0);
    }
    let format = files?;
    let engine = cx.engine().await?;
    let old = image::resolve(&engine, &args.old, platform).await.map_err(told)?;
    let new = image::resolve(&engine, &args.new, platform).await.map_err(told)?;
    let changes = image::difference(&engine, &old, &new).await.map_err(told)?;
    if given.is_some() || args.size {
        format.write(cx.ui, &changes)?;
        return Ok(0);
    }
    for one in &changes {
        // The name as it is: it need not be text.
        let path = match cx.ui.out_is_terminal() {
            true => path(one).into_bytes(),
            false => one.change.path.as_os_str().as_bytes().to_vec(),
        };
        cx.ui.write(&[letter(one.change.kind).as_bytes(), b" ", &path, b"\n"].concat())?;
    }
    Ok(0)
}

fn letter(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Added => "A",
        ChangeKind::Changed => "C",
        ChangeKind::Deleted => "D",
    }
}

fn path(one: &Difference) -> String {
    visible(&one.change.path.to_string_lossy()).replace(['\n', '\t'], "?")
}

/// `+1.5kB`; nothing where no file is.
fn growth(one: &Difference) -> String {
    if one.before.is_none() && one.after.is_none() {
        return String::new();
    }
    let bytes = one.growth();
    let sign = match bytes {
        0 => "",
        bytes if bytes > 0 => "+",
        _ => "-",
    };
    format!("{sign}{}", human_size(bytes.unsigned_abs() as f64))
}

/// `C Env.A: x -> y`.
fn line(one: &Setting) -> String {
    let (letter, name) = (letter(one.kind()), &one.name);
    match (&one.before, &one.after) {
        (Some(before), Some(after)) => format!("{letter} {name}: {before} -> {after}"),
        (Some(one), None) | (None, Some(one)) if !one.is_empty() => format!("{letter} {name}: {one}"),
        _ => format!("{letter} {name}"),
    }
}
