//! `images`: the list.

mod tree;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::{files, told};
use crate::cli::{Context, namespaces};
use crate::engine::container;
use crate::engine::image::{self, ImageFilters, ImageSummary};
use crate::error::{Error, Result};
use crate::output::units::{ago, go_time, human_size_with_precision, parse_moment};
use crate::output::{Column, Format, Listing};

const NONE: &str = "<none>";

/// Flags of `images`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Names of the same image are one image: in k8s.io its digest and its id are no rows of their own. \
    `image ls IMAGE:/path` lists files of an image, as `image files` does.\n\nFilters: reference=PATTERN, label=KEY[=VALUE], \
    dangling=BOOL, before=IMAGE, since=IMAGE, until=TIME\n\nExamples:\n  wharfie images\n  wharfie -n k8s.io images --digests\n  \
    wharfie images -q -f dangling=true\n  wharfie images --tree\n  wharfie image ls busybox:/etc"
)]
pub struct Args {
    /// Show all images (default hides intermediate and dangling images)
    #[arg(short, long)]
    all: bool,
    /// List the images of every containerd namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Show digests
    #[arg(long)]
    digests: bool,
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', 'raw', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Show containerd's names
    #[arg(long)]
    names: bool,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    /// Only show image IDs
    #[arg(short, long)]
    quiet: bool,
    /// List multi-platform images as a tree
    #[arg(long)]
    tree: bool,
    /// Only images of this name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// One name of an image.
struct Row {
    namespace: String,
    name: String,
    platform: String,
    id: String,
    repository: String,
    tag: String,
    digest: String,
    created: Option<Timestamp>,
    size: u64,
    content_size: u64,
    now: Timestamp,
}

const COLUMNS: &[Column<Row>] = &[
    Column { name: "ID", header: "IMAGE ID", value: |row| row.id.as_str().into() },
    Column { name: "Namespace", header: "NAMESPACE", value: |row| row.namespace.as_str().into() },
    Column { name: "Repository", header: "REPOSITORY", value: |row| row.repository.as_str().into() },
    Column { name: "Tag", header: "TAG", value: |row| row.tag.as_str().into() },
    Column { name: "Digest", header: "DIGEST", value: |row| row.digest.as_str().into() },
    Column {
        name: "CreatedSince",
        header: "CREATED",
        value: |row| created(row, |time| since(row.now, time)),
    },
    Column {
        name: "CreatedAt",
        header: "CREATED AT",
        value: |row| created(row, |time| go_time(whole_seconds(time), &TimeZone::system())),
    },
    Column { name: "Size", header: "SIZE", value: |row| size(row.size).into() },
    Column { name: "BlobSize", header: "BLOB SIZE", value: |row| size(row.content_size).into() },
    Column { name: "Name", header: "NAME", value: |row| row.name.as_str().into() },
    Column { name: "Platform", header: "PLATFORM", value: |row| row.platform.as_str().into() },
    Column { name: "Containers", header: "CONTAINERS", value: |_| "N/A".into() },
    Column { name: "SharedSize", header: "SHARED SIZE", value: |_| "N/A".into() },
    Column { name: "UniqueSize", header: "UNIQUE SIZE", value: |_| "N/A".into() },
];

const TABLE: &[&str] = &["Repository", "Tag", "ID", "CreatedSince", "Size"];
const TABLE_WITH_DIGESTS: &[&str] = &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"];
/// nerdctl's.
const TABLE_WITH_NAMES: &[&str] = &["Name", "ID", "CreatedSince", "Platform", "Size", "BlobSize"];
const TABLE_WITH_NAMES_AND_DIGESTS: &[&str] =
    &["Name", "Digest", "ID", "CreatedSince", "Platform", "Size", "BlobSize"];

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if let Some(path) = args.name.as_deref().filter(|name| files::is_path(name)) {
        return files::run(files::Args::of(path, args.format, args.quiet), cx).await;
    }
    check_tree(&args)?;
    let listing = Listing {
        type_name: "*formatter.imageContext",
        columns: COLUMNS,
        methods: &[],
        table: match (args.all_namespaces, args.digests) {
            (false, false) if args.names => TABLE_WITH_NAMES,
            (false, true) if args.names => TABLE_WITH_NAMES_AND_DIGESTS,
            (true, _) if args.names => {
                &["Namespace", "Name", "ID", "CreatedSince", "Platform", "Size", "BlobSize"]
            }
            (false, false) => TABLE,
            (false, true) => TABLE_WITH_DIGESTS,
            (true, false) => ["Namespace", "Repository", "Tag", "ID", "CreatedSince", "Size"].as_slice(),
            (true, true) => &["Namespace", "Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"],
        },
        quiet: "ID",
        raw: "repository: {{.Repository}}\ntag: {{.Tag}}\nimage_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n",
    };
    // nerdctl's `wide` is the table.
    let given = args.format.as_deref().map(|text| if text == "wide" { "table" } else { text });
    let chosen = cx.format(given, args.quiet, |file| file.images_format)?;
    let format = Format::parse(chosen.as_deref(), args.quiet, listing)?;
    let with_digests = args.digests || chosen.as_deref().is_some_and(|text| text.contains(".Digest"));
    let now = Timestamp::now();
    let filters = filters(&args, now)?;
    let engine = cx.engine().await?;
    let mut listed = Vec::new();
    for engine in namespaces::engines(&engine, args.all_namespaces).await.map_err(told)? {
        let mut images = image::list(&engine, &filters).await.map_err(told)?;
        // As docker does since version 29: nameless images are shown when they are asked for.
        images.retain(|image| args.all || filters.dangling.is_some() || !image.is_dangling());
        let mut used = Vec::new();
        if args.tree {
            let containers = container::list(&engine).await.map_err(told)?;
            used = images.iter().map(|image| image.is_used_by(&containers)).collect();
        }
        listed.push((engine.containerd.namespace().to_owned(), images, used));
    }
    if args.tree {
        let images = listed.iter().flat_map(|(_, images, used)| images.iter().zip(used.iter().copied()));
        cx.ui.print(tree::text(images))?;
        return Ok(0);
    }
    let mut all: Vec<Row> = Vec::new();
    for (namespace, images, _) in &listed {
        let of = images.iter().flat_map(|image| rows(image, with_digests, args.no_trunc, now));
        all.extend(of.map(|row| Row { namespace: namespace.clone(), ..row }));
    }
    format.write(cx.ui, &all)?;
    cx.ui.flush()?;
    if all.is_empty() {
        namespaces::hint_at_kubernetes(&engine, cx).await?;
    }
    Ok(0)
}

/// One row a tag; without tags one a repository, as docker does it.
fn rows(image: &ImageSummary, with_digests: bool, no_trunc: bool, now: Timestamp) -> Vec<Row> {
    let row = |repository: &str, tag: &str, digest: &str| Row {
        namespace: String::new(),
        name: name_of(image, repository, tag),
        platform: platforms(image),
        id: if no_trunc { image.id.clone() } else { short(&image.id) },
        repository: repository.to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
        created: image.created,
        size: image.size,
        content_size: image.content_size,
        now,
    };
    if image.is_dangling() {
        return vec![row(NONE, NONE, NONE)];
    }
    let digest_of = |repository: &str| {
        image
            .digests
            .iter()
            .filter_map(|digest| digest.split_once('@'))
            .find(|(named, _)| *named == repository)
            .filter(|_| with_digests)
            .map_or(NONE, |(_, digest)| digest)
    };
    let mut rows = Vec::new();
    let mut tagged = Vec::new();
    for name in &image.tags {
        // A colon before a slash is a port.
        let split = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let (repository, tag) = split.unwrap_or((name, NONE));
        tagged.push(repository);
        rows.push(row(repository, tag, digest_of(repository)));
    }
    for digest in &image.digests {
        if let Some((repository, digest)) = digest.split_once('@')
            && !tagged.contains(&repository)
        {
            rows.push(row(repository, NONE, if with_digests { digest } else { NONE }));
        }
    }
    rows
}

/// containerd's name of a row.
fn name_of(image: &ImageSummary, repository: &str, tag: &str) -> String {
    let shown = format!("{repository}:{tag}");
    let is_meant = |name: &&String| match (image::familiar(name), tag) {
        (familiar, NONE) => familiar.split('@').next() == Some(repository) && familiar.contains('@'),
        (familiar, _) => familiar == shown,
    };
    image.names.iter().find(is_meant).or(image.names.first()).cloned().unwrap_or_else(|| NONE.into())
}

/// The platforms that are here.
fn platforms(image: &ImageSummary) -> String {
    let here = image.platforms.iter().filter(|part| part.available);
    here.map(|part| part.platform.as_str()).collect::<Vec<_>>().join(",")
}

fn filters(args: &Args, now: Timestamp) -> Result<ImageFilters> {
    let mut filters = ImageFilters::default();
    filters.references.extend(args.name.clone());
    for filter in &args.filter {
        let (key, value) = filter.split_once('=').ok_or_else(|| {
            Error::failed(format!(
                "invalid argument \"{filter}\" for \"-f, --filter\" flag: invalid filter '{filter}'"
            ))
            .hint("write it as KEY=VALUE")
        })?;
        let value = value.trim().to_owned();
        match key.trim().to_lowercase().as_str() {
            "reference" => filters.references.push(value),
            "label" => filters.labels.push(value),
            "before" => filters.before = Some(value),
            "since" => filters.since = Some(value),
            "until" => filters.until = Some(parse_moment(&value, now, &TimeZone::system())?),
            "dangling" => {
                filters.dangling = Some(match value.to_lowercase().as_str() {
                    "1" | "t" | "true" => true,
                    "0" | "f" | "false" => false,
                    _ => return Err(told(Error::failed(format!("invalid filter 'dangling=[{value}]'")))),
                });
            }
            other => {
                return Err(told(
                    Error::failed(format!("invalid filter '{other}'"))
                        .hint("filters: reference, label, dangling, before, since, until"),
                ));
            }
        }
    }
    Ok(filters)
}

fn check_tree(args: &Args) -> Result<()> {
    let excluded = [
        (args.quiet, "--quiet"),
        (args.no_trunc, "--no-trunc"),
        (args.digests, "--show-digest"),
        (args.format.is_some(), "--format"),
    ];
    match excluded.iter().find(|(given, _)| args.tree && *given) {
        Some((_, flag)) => Err(Error::failed(format!("{flag} is not yet supported with --tree"))),
        None => Ok(()),
    }
}

fn created(row: &Row, show: impl Fn(Timestamp) -> String) -> Value {
    row.created.map_or_else(|| "N/A".into(), |time| show(time).into())
}

fn since(now: Timestamp, time: Timestamp) -> String {
    // A clock that is behind the builder's makes images of the future.
    ago(std::time::Duration::try_from(now.duration_since(time)).unwrap_or_default())
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn size(bytes: u64) -> String {
    human_size_with_precision(bytes as f64, 3)
}

fn short(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(tags: &[&str], digests: &[&str]) -> ImageSummary {
        ImageSummary {
            id: "sha256:0123456789abcdef".into(),
            names: tags.iter().map(|tag| format!("docker.io/library/{tag}")).collect(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            digests: digests.iter().map(|digest| (*digest).to_owned()).collect(),
            created: None,
            size: 1234,
            content_size: 1000,
            labels: Default::default(),
            platforms: vec![],
        }
    }

    #[test]
    fn names_become_rows() {
        type Case<'a> = (&'a [&'a str], &'a [&'a str], bool, &'a [(&'a str, &'a str, &'a str)]);
        let cases: &[Case<'_>] = &[
            (&["a:1", "a:2"], &["a@sha256:x"], false, &[("a", "1", NONE), ("a", "2", NONE)]),
            (&["a:1"], &["a@sha256:x"], true, &[("a", "1", "sha256:x")]),
            (&["h:5000/a:1"], &["h:5000/a@sha256:x"], true, &[("h:5000/a", "1", "sha256:x")]),
            (&[], &["a@sha256:x"], false, &[("a", NONE, NONE)]),
            (&[], &["a@sha256:x"], true, &[("a", NONE, "sha256:x")]),
            (&[], &[], true, &[(NONE, NONE, NONE)]),
        ];
        for (tags, digests, with_digests, expected) in cases {
            let found = rows(&summary(tags, digests), *with_digests, false, Timestamp::UNIX_EPOCH);
            let found: Vec<_> = found
                .iter()
                .map(|row| (row.repository.as_str(), row.tag.as_str(), row.digest.as_str()))
                .collect();
            assert_eq!(found, *expected, "{tags:?} {digests:?}");
        }
    }
}
