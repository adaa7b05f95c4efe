//! `commit`: make an image of a container.

use crate::cli::errors::EngineResult;
use crate::cli::{Context, errors, names};
use crate::engine::container::{CommitRequest, commit, locate};
use crate::engine::image::Format;
use crate::error::{Error, Kind, Result};
use crate::registry::Reference;

/// Flags of `commit`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie commit web mine:1\n  wharfie commit -c 'CMD [\"nginx\"]' -c 'EXPOSE 80' -m 'with a fix' web mine:2"
)]
pub struct Args {
    /// Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")
    #[arg(short, long, value_name = "string")]
    author: Option<String>,
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Commit message
    #[arg(short, long, value_name = "string")]
    message: Option<String>,
    /// Disable pausing container during commit
    #[arg(long)]
    no_pause: bool,
    /// Pause container during commit (deprecated: use --no-pause instead)
    #[arg(short, long, action = clap::ArgAction::SetFalse)]
    pause: bool,
    /// Compression of the new layer: gzip
    #[arg(long, value_name = "string", default_value = "gzip", hide_default_value = true)]
    compression: String,
    /// Words of the manifest: docker or oci
    #[arg(long, value_name = "string", default_value = "docker", hide_default_value = true)]
    format: String,
    /// The container by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
    /// The image's name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let request = request(&args)?;
    let engine = cx.engine().await?;
    let (engine, container) = locate(&engine, &args.container).await.told()?;
    let id = commit(&engine, &container, request).await.map_err(refused)?;
    cx.ui.line(id)?;
    Ok(0)
}

fn request(args: &Args) -> Result<CommitRequest> {
    let reference = match args.name.as_deref().filter(|name| !name.is_empty()) {
        Some(name) => Some(Reference::parse(name).map_err(failed)?.with_default_tag()),
        None => None,
    };
    if reference.as_ref().is_some_and(|reference| reference.digest().is_some()) {
        return Err(Error::failed("cannot commit to digest reference"));
    }
    if args.compression != "gzip" {
        let flag = format!("--compression {}", args.compression);
        return Err(errors::unbuilt_flag(&flag, "new layers are written with gzip, which every tool reads"));
    }
    let format = match args.format.as_str() {
        "docker" => Format::Docker,
        "oci" => Format::Oci,
        other => return Err(Error::usage(format!("invalid --format {other:?}: it is docker or oci"))),
    };
    Ok(CommitRequest {
        reference,
        author: args.author.clone().unwrap_or_default(),
        message: args.message.clone().unwrap_or_default(),
        changes: args.change.clone(),
        pause: args.pause && !args.no_pause,
        format,
    })
}

/// A wrong instruction is the daemon's complaint, and ends with 1.
fn refused(error: Error) -> Error {
    errors::from_engine(failed(error))
}

fn failed(error: Error) -> Error {
    if error.kind == Kind::Usage { Error { kind: Kind::Failed, ..error } } else { error }
}
