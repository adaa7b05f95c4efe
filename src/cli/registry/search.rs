//! `search`: images of Docker Hub or another registry by a part of their name.

use super::flags::RegistryArgs;
use crate::cli::Context;
use crate::cli::container::row::cut;
use crate::cli::errors::{EngineResult as _, from_engine};
use crate::engine::registry::{self, Search};
use crate::error::{Error, Result};
use crate::output::{Column, Format, Listing};
use crate::registry::{DOCKER_HUB, Repository};

const WIDTH: usize = 45;

/// Flags of `search`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "HOST/TERM asks another registry than Docker Hub: its index, or its list of repositories where it has \
    none; HOST/ lists them all.\n\nExamples:\n  wharfie search -f is-official=true redis\n  wharfie search \
    registry.example:5000/team\n  wharfie search --format '{{.Name}}' registry.example/"
)]
pub struct Args {
    /// Filter output based on conditions provided: stars=N, is-official=BOOL
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Max number of search results
    #[arg(
        long,
        value_name = "int",
        default_value_t = 0,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    limit: i64,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// A part of the name
    #[arg(value_name = "[HOST/]TERM", required = true)]
    term: String,
}

struct Row {
    repository: Repository,
    whole: bool,
    json: bool,
}

const LISTING: Listing<Row> = Listing {
    type_name: "*search.searchContext",
    columns: &[
        Column { name: "Name", header: "NAME", value: |row| row.repository.name.as_str().into() },
        Column { name: "Description", header: "DESCRIPTION", value: |row| description(row).into() },
        Column {
            name: "StarCount",
            header: "STARS",
            value: |row| row.repository.star_count.to_string().into(),
        },
        Column {
            name: "IsOfficial",
            header: "OFFICIAL",
            value: |row| {
                let words = if row.json { ["false", "true"] } else { ["", "[OK]"] };
                words[usize::from(row.repository.is_official)].into()
            },
        },
    ],
    methods: &[],
    table: &["Name", "Description", "StarCount", "IsOfficial"],
    quiet: "Name",
    raw: "",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), false, LISTING)?;
    let request = request(&args)?;
    let mut requests = args.registry.apply(cx);
    let found = registry::search(&cx.config, &request).await;
    requests.say(cx.ui)?;
    let found = found.told()?;
    let json = args.format.as_deref() == Some("json");
    let rows: Vec<Row> =
        found.into_iter().map(|repository| Row { repository, whole: args.no_trunc, json }).collect();
    format.write(cx.ui, &rows)?;
    Ok(0)
}

fn request(args: &Args) -> Result<Search> {
    let (registry, term) = match args.term.split_once('/') {
        Some((host, term)) if host.contains(['.', ':']) || host == "localhost" => (host, term),
        _ => (DOCKER_HUB, args.term.as_str()),
    };
    let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
    let term = if registry == DOCKER_HUB { term.strip_prefix("library/").unwrap_or(term) } else { term };
    let mut search =
        Search { registry: registry.into(), term: term.into(), limit: args.limit, ..Search::default() };
    for filter in &args.filter {
        let (key, value) = filter.split_once('=').ok_or_else(|| {
            Error::usage(format!(
                "invalid argument {filter:?} for \"-f, --filter\" flag: invalid filter '{filter}'"
            ))
            .hint("write it as KEY=VALUE")
        })?;
        let (key, value) = (key.trim().to_lowercase(), value.trim());
        let wrong = || from_engine(Error::failed(format!("invalid filter '{key}=[{value}]'")));
        let yes_or_no = || match value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
            _ => Err(wrong()),
        };
        match key.as_str() {
            "stars" => search.stars = search.stars.max(value.parse().map_err(|_| wrong())?),
            "is-official" => search.official = yes_or_no()?,
            "is-automated" => search.automated = yes_or_no()?,
            _ => {
                return Err(from_engine(Error::failed(format!("invalid filter '{key}'")))
                    .hint("the filters are stars, is-official, is-automated"));
            }
        }
    }
    Ok(search)
}

fn description(row: &Row) -> String {
    let text = row.repository.description.replace(['\n', '\r'], " ");
    if row.whole { text } else { cut(&text, WIDTH) }
}
