//! `cp`: files between this machine and a container, or out of an image.

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::cli::args::parse::number;
use crate::cli::errors::{EngineResult, from_engine};
use crate::cli::{Context, names};
use crate::engine::Engine;
use crate::engine::container::copy::{self, Copied, Fault, Whose, keep_end};
use crate::engine::container::locate;
use crate::engine::image;
use crate::error::{Error, Kind, Result};
use crate::output::units::human_size_with_precision;

/// Flags of `cp`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Use '-' as the source to read a tar archive from stdin and extract it to a directory of the container, \
    or as the destination to stream a tar archive of the source to stdout.\n\nExamples:\n  wharfie cp web:/etc/nginx/nginx.conf .\n  \
    wharfie cp ./site/. web:/usr/share/nginx/html\n  wharfie cp web:/var/log - | tar -t\n  wharfie cp busybox:latest:/bin/busybox ."
)]
pub struct Args {
    /// Archive mode (copy all uid/gid information)
    #[arg(short, long)]
    archive: bool,
    /// Always follow symbol link in SRC_PATH
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached
    #[arg(short, long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = number::switch, value_name = "")]
    quiet: Option<bool>,
    /// What to copy: CONTAINER:SRC_PATH, IMAGE:TAG:SRC_PATH, SRC_PATH, or - for a tar on stdin
    #[arg(value_name = "CONTAINER:SRC_PATH|SRC_PATH|-", add = names::containers())]
    source: String,
    /// Where to: DEST_PATH, CONTAINER:DEST_PATH, or - for a tar on stdout
    #[arg(value_name = "DEST_PATH|-|CONTAINER:DEST_PATH", add = names::containers())]
    destination: String,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    for (end, what) in [(&args.source, "source"), (&args.destination, "destination")] {
        if end.is_empty() {
            return Err(Error::failed(format!("{what} can not be empty")));
        }
    }
    let quiet = args.quiet.unwrap_or(!cx.ui.out_is_terminal());
    match (split(&args.source), split(&args.destination)) {
        (Some(_), Some(_)) => Err(Error::failed("copying between containers is not supported")
            .hint("`wharfie cp A:/path - | wharfie cp - B:/path` copies a directory from one to the other")),
        (None, None) => Err(Error::failed("must specify at least one container source")
            .hint("name it with a colon: CONTAINER:/path")),
        (Some(from), None) => out(&args, from, quiet, cx).await,
        (None, Some(to)) => into(&args, to, quiet, cx).await,
    }
}

/// docker's rule: a path of this machine is absolute, begins with a dot, or has no colon.
fn split(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('/') {
        return None;
    }
    // A pod's container may be named as lists show it.
    let scheme = if text.starts_with("k8s://") { "k8s://".len() } else { 0 };
    let colon = scheme + text.get(scheme..)?.find(':')?;
    Some((&text[..colon], &text[colon + 1..])).filter(|(container, _)| !container.starts_with('.'))
}

async fn out(args: &Args, (container, path): (&str, &str), quiet: bool, cx: &mut Context<'_>) -> Result<u8> {
    let destination = match args.destination.as_str() {
        "-" => None,
        path => Some(local(path, cx)?),
    };
    if let Some(path) = &destination {
        check_output(path)?;
    }
    let engine = cx.engine().await?;
    let (engine, whose, typed, path) = whose(&engine, (container, path), &args.source).await.told()?;
    let reading = copy::read(&engine, whose, (typed, path), args.follow_link).await.told()?;
    let Some(destination) = destination else {
        return reading.into_tar(cx.ui.out()).await.map(|()| 0);
    };
    let copied = reading.into_host(&destination, args.archive).await?;
    for device in &copied.skipped {
        cx.ui.warn(format_args!("{} is a device: not copied", device.display()))?;
    }
    told(&copied, &destination, quiet, cx)
}

async fn into(args: &Args, (typed, path): (&str, &str), quiet: bool, cx: &mut Context<'_>) -> Result<u8> {
    let source = match args.source.as_str() {
        "-" => None,
        path => Some(local(path, cx)?),
    };
    let engine = cx.engine().await?;
    let (engine, mut container) = match locate(&engine, typed).await {
        Err(error)
            if error.kind == Kind::NotFound && image_of(&engine, &args.destination).await.is_some() =>
        {
            return Err(Error::failed(format!("cannot copy into the image of {}", args.destination))
                .hint("copy into a container of it, then `wharfie commit`"));
        }
        found => found.told()?,
    };
    let writing = copy::write(&engine, &mut container, (typed, path)).await.told()?;
    let Some(source) = source else {
        if !writing.is_directory() {
            return Err(Error::failed(format!("destination \"{typed}:{path}\" must be a directory")));
        }
        let shown = format!("{typed}:{}", writing.path());
        writing.extract(std::io::stdin()).told()?;
        return told(&Copied::default(), &shown, quiet, cx);
    };
    let shown = format!("{typed}:{}", if writing.is_link() { writing.path() } else { path });
    match writing.copy(&source, args.follow_link) {
        Ok(copied) => told(&copied, &shown, quiet, cx),
        Err(Fault::Here(error)) => Err(error),
        Err(Fault::There(error)) => Err(from_engine(error)),
    }
}

fn told(copied: &Copied, destination: &str, quiet: bool, cx: &mut Context<'_>) -> Result<u8> {
    if !quiet {
        let size = human_size_with_precision(copied.bytes as f64, 3);
        cx.ui.say(format_args!("Successfully copied {size} to {destination}"))?;
    }
    Ok(0)
}

/// A container, or what no container is called: an image, its path behind the first `:/`.
async fn whose<'a>(
    engine: &Engine,
    (container, path): (&'a str, &'a str),
    source: &'a str,
) -> Result<(Engine, Whose, &'a str, &'a str)> {
    match locate(engine, container).await {
        Ok((engine, found)) => Ok((engine, Whose::Container(Box::new(found)), container, path)),
        Err(error) if error.kind == Kind::NotFound => match image_of(engine, source).await {
            Some((image, name, path)) => Ok((engine.clone(), Whose::Image(image), name, path)),
            None => Err(error),
        },
        Err(error) => Err(error),
    }
}

async fn image_of<'a>(
    engine: &Engine,
    text: &'a str,
) -> Option<(Box<image::ResolvedImage>, &'a str, &'a str)> {
    let (name, _) = text.split_once(":/")?;
    let path = text.get(name.len() + 1..)?;
    let image = image::resolve(engine, name, None).await.ok()?;
    Some((Box::new(image), name, path))
}

/// A path of this machine, absolute and clean, with the `/` or `/.` that was written at its end.
fn local(path: &str, cx: &Context<'_>) -> Result<String> {
    let absolute = cx.environment.directory.join(path);
    let absolute = absolute.to_str().ok_or_else(|| Error::failed(format!("{path}: not in UTF-8")))?;
    Ok(keep_end(&copy::clean(absolute), path))
}

/// docker's check before it asks for anything.
fn check_output(path: &str) -> Result<()> {
    let parent = Path::new(path).parent().unwrap_or(Path::new("/"));
    if !parent.exists() {
        return Err(Error::failed(format!(
            "invalid output path: directory {:?} does not exist",
            parent.display().to_string()
        )));
    }
    match std::fs::metadata(path) {
        Ok(data) if data.file_type().is_block_device() || data.file_type().is_char_device() => {
            Err(Error::failed(format!(
                "invalid output path: {path:?} must be a directory or a regular file: got a device"
            )))
        }
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(Error::io("stat", path, cause)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colon_makes_a_container() {
        for (text, expected) in [
            ("web:/etc", Some(("web", "/etc"))),
            ("web:etc", Some(("web", "etc"))),
            ("web:", Some(("web", ""))),
            ("busybox:latest:/etc", Some(("busybox", "latest:/etc"))),
            ("/a:b", None),
            ("./a:b", None),
            ("../a:b", None),
            ("a", None),
            ("-", None),
        ] {
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
