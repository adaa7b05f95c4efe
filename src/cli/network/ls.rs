//! `network ls`: the list.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::filter::Filters;
use crate::cli::Context;
use crate::cli::errors::EngineResult;
use crate::engine::network::{Listed, list, users};
use crate::error::Result;
use crate::output::units::go_time;
use crate::output::{Column, Format, Listing, Method};

/// Flags of `network ls`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie network ls\n  wharfie network ls -f driver=bridge --format '{{.Name}}'\n  \
                  wharfie network ls -q -f dangling=true"
)]
pub struct Args {
    /// Provide filter values (e.g. "driver=bridge")
    #[arg(short, long, value_name = "filter")]
    filter: Vec<String>,
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', 'raw', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Do not truncate the output
    #[arg(long)]
    no_trunc: bool,
    /// Only display network IDs
    #[arg(short, long)]
    quiet: bool,
}

struct Row {
    listed: Listed,
    no_trunc: bool,
}

const LISTING: Listing<Row> = Listing {
    type_name: "*formatter.networkContext",
    columns: &[
        Column { name: "CreatedAt", header: "CREATED AT", value: |row| created(&row.listed).into() },
        Column { name: "Driver", header: "DRIVER", value: |row| row.listed.driver.clone().into() },
        Column { name: "ID", header: "NETWORK ID", value: |row| id(row).into() },
        Column { name: "IPv4", header: "IPV4", value: |row| row.listed.ipv4.to_string().into() },
        Column { name: "IPv6", header: "IPV6", value: |row| row.listed.ipv6.to_string().into() },
        Column { name: "Internal", header: "INTERNAL", value: |row| row.listed.internal.to_string().into() },
        Column { name: "Labels", header: "LABELS", value: |row| labels(&row.listed).into() },
        Column { name: "Name", header: "NAME", value: |row| row.listed.name.clone().into() },
        Column { name: "Scope", header: "SCOPE", value: |_| "local".into() },
    ],
    methods: &[Method {
        name: "Label",
        call: |row, key| Value::String(row.listed.labels.get(key).cloned().unwrap_or_default()),
    }],
    table: &["ID", "Name", "Driver", "Scope"],
    quiet: "ID",
    raw: "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    // nerdctl's `wide` is the table.
    let given = args.format.as_deref().map(|text| if text == "wide" { "table" } else { text });
    let chosen = cx.format(given, args.quiet, |file| file.networks_format)?;
    let format = Format::parse(chosen.as_deref(), args.quiet, LISTING)?;
    let filters = Filters::parse(&args.filter)?;
    let engine = cx.engine().await?;
    let users = if filters.asks_for_users() { Some(users(&engine).await.told()?) } else { None };
    let mut rows = Vec::new();
    for listed in list(&engine).await.told()? {
        let refers = |network| users.as_ref().is_some_and(|users| users.refer_to(&engine, network, &[]));
        let used = listed.network.as_ref().is_some_and(refers);
        if filters.include(&listed, used) {
            rows.push(Row { listed, no_trunc: args.no_trunc });
        }
    }
    format.write(cx.ui, &rows)?;
    Ok(0)
}

fn id(row: &Row) -> String {
    let id = &row.listed.id;
    if row.no_trunc { id.clone() } else { id.get(..12).unwrap_or(id).to_owned() }
}

fn created(listed: &Listed) -> String {
    listed
        .created
        .map(|created| go_time(created, &TimeZone::system()))
        .unwrap_or_else(|| "0001-01-01 00:00:00 +0000 UTC".into())
}

fn labels(listed: &Listed) -> String {
    listed.labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}
