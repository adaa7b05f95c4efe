//! `load`: the images of an archive.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

use super::kubernetes::KubernetesFlags;
use super::{platforms, told};
use crate::cli::Context;
use crate::engine::image::{self, Archive, LoadRequest, Loaded};
use crate::error::{Error, Result};
use crate::image::progress::Silent;

/// Flags of `load`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie load -i images.tar.gz\n  wharfie save app | ssh host wharfie load"
)]
pub struct Args {
    /// Read from tar archive file, instead of STDIN
    #[arg(short, long, value_name = "string")]
    input: Option<String>,
    /// Load only the given platform(s)
    #[arg(long, value_name = "stringSlice")]
    platform: Vec<String>,
    /// Suppress the load output
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    kubernetes: KubernetesFlags,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let platforms = platforms(&args.platform)?;
    let archive = match args.input.as_deref().filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = cx.environment.directory.join(path);
            Archive::File(File::open(&path).map_err(|cause| Error::io("open", &path, cause))?)
        }
        None if std::io::stdin().is_terminal() => {
            return Err(Error::failed("requested load from stdin, but stdin is empty")
                .hint("name the archive with --input, or send it to standard input"));
        }
        None => standard_input()?,
    };
    let engine = args.kubernetes.engine(cx).await?;
    let from = args.input.as_deref().filter(|path| !path.is_empty()).unwrap_or("standard input");
    let broken = |error: Error| match error.hints.is_empty() {
        true => error.hint(format!("the archive came from {from}: make it again, or copy it again")),
        false => error,
    };
    let request = LoadRequest { platforms, ..LoadRequest::default() };
    let loaded = image::load(&engine, archive, &request, &Silent).await.map_err(broken).map_err(told)?;
    for Loaded { name, id } in &loaded {
        match name {
            Some(name) => cx.ui.line(format_args!("Loaded image: {name}"))?,
            None => cx.ui.line(format_args!("Loaded image ID: {id}"))?,
        }
    }
    // Several names of one image are one image to the kubelet.
    let mut targets: Vec<&str> = loaded.iter().map(|image| image.id.as_str()).collect();
    targets.dedup();
    for target in targets {
        args.kubernetes.publish(&engine, target, cx).await.map_err(told)?;
    }
    Ok(0)
}

/// A file that a shell has opened and that nobody has begun to read is read as any other.
fn standard_input() -> Result<Archive> {
    let input = std::io::stdin();
    let failed = |cause| Error::io("read", "standard input", cause);
    let file = File::from(input.as_fd().try_clone_to_owned().map_err(failed)?);
    let is_fresh = file.metadata().is_ok_and(|data| data.is_file())
        && rustix::fs::tell(&file).is_ok_and(|position| position == 0);
    Ok(if is_fresh { Archive::File(file) } else { Archive::Stream(Box::new(input)) })
}
