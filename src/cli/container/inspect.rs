//! `inspect`: everything known of containers and images, as JSON or through a template.

use serde_json::Value;

use crate::cli::errors::{EngineResult, from_engine};
use crate::cli::{Context, names};
use crate::engine::container::{inspect, locate};
use crate::engine::{Engine, image};
use crate::error::{Error, Kind, Result};
use crate::output::inspect::{Inspector, Object};

/// Flags of `inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie inspect web\n  wharfie inspect -f '{{.State.Status}}' web\n  \
    wharfie inspect --type image busybox")]
pub struct Args {
    #[command(flatten)]
    shared: Shared,
    /// Only inspect objects of the given type: container or image
    #[arg(long, value_name = "TYPE")]
    r#type: Option<String>,
    /// Containers and images by name or id
    #[arg(required = true, value_name = "NAME|ID", add = names::objects())]
    objects: Vec<String>,
}

/// Flags of `container inspect`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  wharfie container inspect -f '{{.NetworkSettings.IPAddress}}' web")]
pub struct ContainerArgs {
    #[command(flatten)]
    shared: Shared,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

/// What both have.
#[derive(Debug, clap::Args)]
struct Shared {
    /// Format output using a custom template: 'json', or a Go template such as '{{.State.Status}}'
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show docker's view (dockercompat) or containerd's own record (native)
    #[arg(long, value_name = "MODE", default_value = "dockercompat")]
    mode: String,
    /// Display total file sizes of containers
    #[arg(short, long)]
    size: bool,
}

/// What may be looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Any,
    Container,
    Image,
}

/// How a container is shown.
#[derive(Debug, Clone, Copy)]
struct View {
    native: bool,
    size: bool,
}

/// Run `inspect`.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let wanted = match args.r#type.as_deref() {
        None => Wanted::Any,
        Some("container") => Wanted::Container,
        Some("image") => Wanted::Image,
        Some("") => return Err(Error::failed("type is empty: must be one of \"container\", \"image\"")),
        Some(other) => {
            return Err(Error::failed(format!(
                "unknown type: {other:?}: must be one of \"container\", \"image\""
            )));
        }
    };
    show(&args.objects, wanted, args.shared, cx).await
}

/// Run `container inspect`.
pub async fn run_container(args: ContainerArgs, cx: &mut Context<'_>) -> Result<u8> {
    show(&args.containers, Wanted::Container, args.shared, cx).await
}

/// Write what is found, then say what is not.
async fn show(references: &[String], wanted: Wanted, shared: Shared, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse(shared.format.as_deref())?;
    let view = View { native: is_native(&shared.mode)?, size: shared.size };
    let engine = cx.engine().await?;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for reference in references {
        match look_up(&engine, reference, wanted, view).await {
            Ok(object) => found.push(object),
            Err(error)
                if matches!(error.kind, Kind::NotFound | Kind::Conflict | Kind::Failed | Kind::Usage) =>
            {
                missing.push(error)
            }
            Err(error) => return Err(error),
        }
    }
    crate::cli::exit::inspected(cx, &inspector, &found, &missing)
}

/// Whether `--mode` asks for containerd's own record.
///
/// # Errors
/// A mode that is none.
pub fn is_native(mode: &str) -> Result<bool> {
    match mode {
        "dockercompat" => Ok(false),
        "native" => Ok(true),
        other => {
            Err(Error::usage(format!("unknown mode {other:?}: must be one of \"dockercompat\", \"native\"")))
        }
    }
}

async fn look_up(engine: &Engine, reference: &str, wanted: Wanted, view: View) -> Result<(Object, Value)> {
    let mut hints = Vec::new();
    if wanted != Wanted::Image {
        match locate(engine, reference).await {
            Ok((_, container)) if view.native => return Ok((Object::Other, inspect::native(&container))),
            Ok((engine, container)) => {
                let described = inspect::inspect(&engine, &container, view.size).await.told()?;
                return Ok((Object::Container, value(&described)?));
            }
            // It may name a pod that is there, with what that one has.
            Err(error) if error.kind == Kind::NotFound && wanted == Wanted::Any => hints = error.hints,
            Err(error) => return Err(from_engine(error)),
        }
    }
    let described = match view.native {
        true => image::native(engine, reference, None).await.map(|record| Ok((Object::Other, record))),
        false => image::inspect(engine, reference, None)
            .await
            .map(|described| Ok((Object::Image, value(&described)?))),
    };
    match described {
        Ok(described) => described,
        // A name that cannot be an image's is no object either.
        Err(error) if wanted == Wanted::Any && matches!(error.kind, Kind::NotFound | Kind::Usage) => {
            let mut error = Error::not_found(format!("error: no such object: {reference}"));
            error.hints = hints;
            Err(error.hint("`wharfie images` lists images"))
        }
        Err(error) => Err(from_engine(error)),
    }
}

fn value(described: &impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(described).map_err(|cause| Error::failed(format!("encode JSON: {cause}")))
}
