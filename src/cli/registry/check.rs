//! `registry check`: which hosts stand for an image's registry, and what each of them says.

use std::time::Duration;

use serde_json::Value;

use super::flags::RegistryArgs;
use crate::cli::Context;
use crate::cli::errors::EngineResult as _;
use crate::error::{Error, Kind, Result};
use crate::output::{Column, Format, Listing};
use crate::registry::{self, Candidate, Reference};

/// How long each host may take.
const LIMIT: Duration = Duration::from_secs(20);
/// Digits of a digest in a table.
const DIGITS: usize = 12;

/// Flags of `registry check`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every host is asked that hosts.toml, containerd's configuration or the name itself makes a candidate, \
    with docker's log-in for it. CRI is the host's place in the order of containerd's CRI, the one that it would use \
    with a star; a kubelet's pull secrets are not known here. Exits with 1 when no host has the image.\n\nExamples:\n  \
    wharfie registry check docker.io/library/busybox:1\n  wharfie registry check --format json registry.example/app:1"
)]
pub struct Args {
    /// Format output using a custom template: 'table', 'table TEMPLATE', 'json', or a Go template
    #[arg(long, value_name = "string")]
    format: Option<String>,
    /// Don't truncate output
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// The image; it need not be here
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    image: String,
}

struct Row {
    candidate: Candidate,
    used_by_cri: bool,
    whole: bool,
    is_in_table: bool,
}

const LISTING: Listing<Row> = Listing {
    type_name: "*registry.Candidate",
    columns: &[
        Column { name: "Host", header: "HOST", value: |row| row.candidate.address.as_str().into() },
        Column { name: "Source", header: "SOURCE", value: |row| row.candidate.source.as_str().into() },
        Column { name: "Resolved", header: "RESOLVED", value: |row| row.candidate.resolved.as_str().into() },
        Column { name: "TLS", header: "TLS", value: |row| row.candidate.tls.as_str().into() },
        Column { name: "Auth", header: "AUTH", value: |row| row.candidate.credentials.as_str().into() },
        Column { name: "Manifest", header: "MANIFEST", value: |row| manifest(row).into() },
        Column { name: "Latency", header: "LATENCY", value: |row| latency(row).into() },
        Column { name: "CRI", header: "CRI", value: |row| cri(row).into() },
        Column { name: "Serves", header: "SERVES", value: |row| row.candidate.manifest.is_ok().into() },
        Column { name: "Error", header: "ERROR", value: error },
    ],
    methods: &[],
    table: &["Host", "Source", "Resolved", "TLS", "Auth", "Manifest", "Latency", "CRI"],
    quiet: "Host",
    raw: "",
};

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let format = Format::parse(args.format.as_deref(), false, LISTING)?;
    let reference = Reference::parse(&args.image)
        .map_err(|error| Error { kind: Kind::Failed, ..error })?
        .with_default_tag();
    let mut requests = args.registry.apply(cx);
    let found = registry::check(&cx.config, &reference, LIMIT).await;
    requests.say(cx.ui)?;
    let found = found.told()?;
    let serving = found.iter().filter(|one| one.manifest.is_ok());
    let used = serving.clone().filter_map(|one| one.cri).min();
    let served = serving.filter(|one| one.is_ours).count() > 0;
    // JSON is for programs: whole.
    let is_in_table = format.is_table();
    let whole = args.no_trunc || !is_in_table;
    let rows: Vec<Row> = found
        .into_iter()
        .map(|candidate| Row {
            used_by_cri: used.is_some() && candidate.cri == used,
            candidate,
            whole,
            is_in_table,
        })
        .collect();
    format.write(cx.ui, &rows)?;
    if served {
        return Ok(0);
    }
    cx.ui.flush()?;
    cx.ui.say(format_args!("no host serves {}", reference.familiar()))?;
    Ok(1)
}

fn manifest(row: &Row) -> String {
    match &row.candidate.manifest {
        Ok(digest) if row.whole => digest.to_string(),
        Ok(digest) => digest.to_string().chars().take("sha256:".len() + DIGITS).collect(),
        // Elsewhere it has a field of its own.
        Err(why) if row.is_in_table => why.clone(),
        Err(_) => String::new(),
    }
}

fn error(row: &Row) -> Value {
    row.candidate.manifest.as_ref().err().cloned().unwrap_or_default().into()
}

fn latency(row: &Row) -> String {
    row.candidate.latency.map_or_else(|| "-".to_owned(), |time| format!("{}ms", time.as_millis()))
}

fn cri(row: &Row) -> String {
    let star = if row.used_by_cri { "*" } else { "" };
    row.candidate.cri.map_or_else(|| "-".to_owned(), |at| format!("{at}{star}"))
}
