//! `context ls`: docker's table of contexts.

use super::{contexts, endpoint};
use crate::cli::Context;
use crate::config::contexts::DEFAULT;
use crate::error::Result;
use crate::output::{Column, Format, Listing};

/// Flags of `context ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie context ls\n  wharfie context ls --format '{{.Name}}: {{.DockerEndpoint}}'"
)]
pub struct Args {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only show context names
    #[arg(short, long)]
    quiet: bool,
}

struct Row {
    name: String,
    description: String,
    endpoint: String,
    error: String,
    current: bool,
    /// In the default table the current one is marked.
    marked: bool,
}

const LISTING: Listing<Row> = Listing {
    type_name: "*formatter.clientContextContext",
    columns: &[
        Column { name: "Current", header: "", value: |row| row.current.into() },
        Column { name: "Description", header: "DESCRIPTION", value: |row| row.description.clone().into() },
        Column {
            name: "DockerEndpoint",
            header: "DOCKER ENDPOINT",
            value: |row| row.endpoint.clone().into(),
        },
        Column { name: "Error", header: "ERROR", value: |row| shortened(row).into() },
        Column {
            name: "Name",
            header: "NAME",
            value: |row| match row.marked {
                true => format!("{} *", row.name).into(),
                false => row.name.clone().into(),
            },
        },
    ],
    methods: &[],
    table: &["Name", "Description", "DockerEndpoint", "Error"],
    quiet: "Name",
    raw: "",
};

/// docker shows 45 characters of an error, the last one dots.
const LONGEST_ERROR: usize = 45;

fn shortened(row: &Row) -> String {
    if row.error.chars().count() <= LONGEST_ERROR {
        return row.error.clone();
    }
    row.error.chars().take(LONGEST_ERROR - 1).chain(['…']).collect()
}

/// Run the verb.
pub fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), args.quiet, LISTING)?;
    let is_default_table = !args.quiet && matches!(args.format.as_deref(), None | Some("" | "table"));
    let current = cx.config.context.clone();
    let contexts = contexts(cx);
    let row = |name: &str, description: &str, host: &str| Row {
        name: name.to_owned(),
        description: description.to_owned(),
        endpoint: host.to_owned(),
        error: String::new(),
        current: name == current,
        marked: is_default_table && name == current,
    };
    let mut rows = vec![row(DEFAULT, endpoint::DEFAULT_DESCRIPTION, endpoint::default(cx).host())];
    let stored = contexts.list()?;
    rows.extend(stored.iter().map(|one| row(one.name(), one.description(), one.host())));
    if rows.iter().all(|row| !row.current)
        && let Err(error) = contexts.get(&current)
    {
        let at = stored.iter().take_while(|one| one.name() < current.as_str()).count() + 1;
        let mut gone = row(&current, "", "");
        gone.error = error.message;
        rows.insert(at, gone);
    }
    format.write(cx.ui, &rows)?;
    if is_default_table && current == DEFAULT && cx.environment.set("DOCKER_HOST").is_some() && rows.len() > 1
    {
        cx.ui.say(
            "Warning: DOCKER_HOST environment variable overrides the active context. To use a context, either set the \
             global --context flag, or unset DOCKER_HOST environment variable.",
        )?;
    }
    Ok(0)
}
