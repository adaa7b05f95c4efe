//! `manifest annotate`: what a manifest of a list was built for.

use super::reference;
use crate::cli::Context;
use crate::engine::manifest::{self, Annotation};
use crate::error::Result;

/// Flags of `manifest annotate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  wharfie manifest annotate registry.example/app:1 registry.example/app:1-arm --arch arm64 --variant v8"
)]
pub struct Args {
    /// Set architecture
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    arch: String,
    /// Set operating system
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    os: String,
    /// Set operating system feature
    #[arg(long, value_name = "stringSlice", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Set operating system version
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    os_version: String,
    /// Set architecture variant
    #[arg(long, value_name = "string", default_value = "", hide_default_value = true)]
    variant: String,
    /// The list
    #[arg(value_name = "MANIFEST_LIST", required = true, add = crate::cli::names::manifest_lists())]
    list: String,
    /// Its manifest
    #[arg(value_name = "MANIFEST", required = true)]
    manifest: String,
}

/// Run the verb.
pub fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let list = reference(&args.list).map_err(|error| {
        error.context(format!("annotate: error parsing name for manifest list {}", args.list))
    })?;
    let one = reference(&args.manifest).map_err(|error| {
        error.context(format!("annotate: error parsing name for manifest {}", args.manifest))
    })?;
    let annotation = Annotation {
        os: args.os,
        architecture: args.arch,
        variant: args.variant,
        os_version: args.os_version,
        os_features: args.os_features,
    };
    manifest::annotate(&cx.config, (&list, &one), (&args.list, &args.manifest), &annotation)?;
    Ok(0)
}
