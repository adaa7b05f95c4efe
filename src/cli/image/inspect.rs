//! `image inspect`: everything about images.

use super::told;
use crate::cli::Context;
use crate::cli::registry::flags::RegistryArgs;
use crate::engine::image;
use crate::error::{Error, Result};
use crate::output::{Inspector, Object};
use crate::registry::Reference;

/// Flags of `image inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie image inspect busybox\n  wharfie image inspect -f '{{json .Config.Env}}' busybox\n  wharfie image inspect --remote --platform linux/arm64 debian:12"
)]
pub struct Args {
    /// Format output using a custom template: 'json', or a Go template
    #[arg(short, long, value_name = "string")]
    format: Option<String>,
    /// Show docker's view (dockercompat) or containerd's own record (native)
    #[arg(long, value_name = "MODE", default_value = "dockercompat")]
    mode: String,
    /// Inspect a specific platform of the multi-platform image
    #[arg(long, value_name = "string")]
    platform: Option<String>,
    /// Ask the registry, and bring nothing here
    #[arg(long)]
    remote: bool,
    #[command(flatten)]
    registry: RegistryArgs,
    /// The images
    #[arg(value_name = "IMAGE", required = true, add = crate::cli::names::images())]
    images: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse(args.format.as_deref())?;
    // As with docker, the environment's platform does not count here.
    let platform = args.platform.as_deref().map(image::platform).transpose().map_err(told)?;
    let native = crate::cli::container::inspect::is_native(&args.mode)?;
    if native && args.remote {
        return Err(Error::usage(
            "--mode native shows containerd's own record, and --remote asks no containerd",
        ));
    }
    let mut requests = args.registry.apply(cx);
    let engine = if args.remote { None } else { Some(cx.engine().await?) };
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in &args.images {
        if native && let Some(engine) = &engine {
            match image::native(engine, name, platform.as_ref()).await {
                Ok(image) => found.push((Object::Other, image)),
                Err(error) => failures.push(told(error)),
            }
            continue;
        }
        let inspected = match &engine {
            Some(engine) => image::inspect(engine, name, platform.as_ref()).await,
            None => match Reference::parse(name) {
                Ok(reference) => image::inspect_remote(&cx.config, &reference, platform.as_ref()).await,
                Err(error) => Err(error),
            },
        };
        match inspected {
            Ok(image) => {
                let value = serde_json::to_value(image)
                    .map_err(|cause| Error::failed(format!("encode JSON: {cause}")))?;
                found.push((Object::Image, value));
            }
            Err(error) => failures.push(told(error)),
        }
    }
    requests.say(cx.ui)?;
    inspector.write(cx.ui, &found)?;
    for error in &failures {
        cx.ui.error(error)?;
    }
    Ok(u8::from(!failures.is_empty()))
}
