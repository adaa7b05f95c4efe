//! `import`: the tar of a root file system becomes an image.

use std::fs::File;

use super::kubernetes::KubernetesFlags;
use super::{platform, told};
use crate::cli::Context;
use crate::engine::image::{self, ImportRequest, Source};
use crate::error::{Error, Result};
use crate::image::progress::Silent;
use crate::registry::Reference;

/// Flags of `import`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie import --change 'CMD [\"sh\"]' rootfs.tar mine:1\n  tar -C rootfs -c . | wharfie import - mine:1"
)]
pub struct Args {
    /// Apply Dockerfile instruction to the created image
    #[arg(short, long, value_name = "list")]
    change: Vec<String>,
    /// Set commit message for imported image
    #[arg(short, long, value_name = "string")]
    message: Option<String>,
    /// Set platform if server is multi-platform capable
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    #[command(flatten)]
    kubernetes: KubernetesFlags,
    /// The tar, or - for standard input
    #[arg(value_name = "file|URL|-", required = true)]
    source: String,
    /// The image's name
    #[arg(value_name = "REPOSITORY[:TAG]")]
    name: Option<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let reference = args
        .name
        .as_deref()
        .map(Reference::parse)
        .transpose()
        .map_err(told)?
        .map(Reference::with_default_tag);
    if reference.as_ref().is_some_and(|reference| reference.digest().is_some()) {
        return Err(Error::failed("cannot import digest reference"));
    }
    let platform = platform(args.platform.as_deref(), cx)?;
    let source = match args.source.as_str() {
        "-" => Source::Reader(Box::new(std::io::stdin())),
        url if url.starts_with("http://") || url.starts_with("https://") => Source::Url(url.to_owned()),
        path => {
            let path = cx.environment.directory.join(path);
            Source::Reader(Box::new(File::open(&path).map_err(|cause| Error::io("open", &path, cause))?))
        }
    };
    let message = args.message.unwrap_or_else(|| format!("Imported from {}", args.source));
    let engine = args.kubernetes.engine(cx).await?;
    let request = ImportRequest { source, reference, changes: args.change, message, platform };
    let id = image::import(&engine, request, &Silent).await.map_err(told)?;
    cx.ui.line(&id)?;
    args.kubernetes.publish(&engine, &id, cx).await.map_err(told)?;
    Ok(0)
}
