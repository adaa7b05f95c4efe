//! `ctr version`, `info`, `deprecations` and `oci`.

use serde_json::{Map, Value, json};

use super::{connect, shown};
use crate::cli::Context;
use crate::error::{Error, Result};
use crate::oci::plain::default_spec;
use crate::output::units::rfc3339_nano;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr version")]
pub struct VersionArgs {
    #[arg(hide = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr info")]
pub struct InfoArgs {}

#[derive(Debug, clap::Subcommand)]
pub enum DeprecationsVerb {
    /// Print warnings for deprecations
    List(DeprecationsArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr deprecations list --format json")]
pub struct DeprecationsArgs {
    /// Output format to use: default or json
    #[arg(long, value_name = "value")]
    format: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
pub enum OciVerb {
    /// See the output of the default OCI spec
    Spec(SpecArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr oci spec > config.json")]
pub struct SpecArgs {
    /// Platform of the spec to print (Examples: 'linux/arm64', 'linux')
    #[arg(long, value_name = "value")]
    platform: Option<String>,
}

pub(super) async fn version(args: VersionArgs, cx: &mut Context<'_>) -> Result<u8> {
    if !args.words.is_empty() {
        return Err(Error::failed(format!("extra arguments: &[{}]", args.words.join(" "))));
    }
    let version = env!("CARGO_PKG_VERSION");
    cx.ui.print(format_args!(
        "Client:\n  Version:  {version}\n  Revision: \n  Go version: none: wharfie\n\n"
    ))?;
    cx.ui.flush()?;
    let engine = connect(cx).await?;
    let server = engine.containerd.version().await?;
    let id = engine.containerd.server_id().await?;
    let (version, revision) = (server.version, server.revision);
    cx.ui.print(format_args!("Server:\n  Version:  {version}\n  Revision: {revision}\n  UUID: {id}\n"))?;
    Ok(0)
}

pub(super) async fn info(_: InfoArgs, cx: &mut Context<'_>) -> Result<u8> {
    let server = connect(cx).await?.containerd.server().await?;
    let mut told = Map::new();
    told.insert("uuid".into(), json!(server.id));
    for (name, number) in [("pid", server.pid), ("pidns", server.pid_namespace)] {
        if number != 0 {
            told.insert(name.into(), json!(number));
        }
    }
    let warnings: Vec<Value> = server.deprecations.iter().map(warning).collect();
    if !warnings.is_empty() {
        told.insert("deprecations".into(), json!(warnings));
    }
    shown::json(cx.ui, &json!({ "server": told }))?;
    Ok(0)
}

fn warning(told: &crate::containerd::Deprecation) -> Value {
    let at = told.last.map(|time| json!({ "seconds": time.as_second(), "nanos": time.subsec_nanosecond() }));
    json!({ "id": told.id, "message": told.message, "last_occurrence": at })
}

pub(super) async fn deprecations(verb: DeprecationsVerb, cx: &mut Context<'_>) -> Result<u8> {
    let DeprecationsVerb::List(args) = verb;
    let server = connect(cx).await?.containerd.server().await?;
    match args.format.as_deref().unwrap_or_default() {
        "json" => {
            let list = server.deprecations.iter().map(|told| {
                let last = told.last.map(|time| rfc3339_nano(time, &jiff::tz::TimeZone::UTC));
                json!({ "id": told.id, "message": told.message, "lastOccurrence": last })
            });
            let list: Vec<Value> = list.collect();
            shown::json(cx.ui, &json!(list))?;
        }
        "" | "default" => {
            for told in server.deprecations {
                let last =
                    told.last.map(|time| rfc3339_nano(time, &jiff::tz::TimeZone::UTC)).unwrap_or_default();
                cx.ui.line(format_args!(
                    "ID:       {}\nLast:     {last}\nMessage:  {}\n",
                    told.id, told.message
                ))?;
            }
        }
        other => return Err(Error::failed(format!("unknown format {other:?}: use \"default\" or \"json\""))),
    }
    Ok(0)
}

pub(super) fn oci(verb: OciVerb, cx: &mut Context<'_>) -> Result<u8> {
    let OciVerb::Spec(args) = verb;
    let platform = args.platform.as_deref().unwrap_or("linux");
    if platform.split('/').next() != Some("linux") {
        return Err(Error::failed(format!("no specification for {platform}: containers here run linux")));
    }
    shown::json(cx.ui, &default_spec(&cx.config.namespace, ""))?;
    Ok(0)
}
