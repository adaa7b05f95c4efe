//! `rm`: remove containers.

use futures_util::stream::{self, StreamExt};

use crate::cli::exit::Failures;
use crate::cli::{Context, names};
use crate::engine::Engine;
use crate::engine::container::{
    Container, RemoveOptions, find, locate, permit, remove, remove_remains, settle, unlink,
};
use crate::engine::pod::is_pod_form;
use crate::error::{Kind, Result};

/// How many containers are removed side by side: a removal waits more than it works.
const SIDE_BY_SIDE: usize = 8;

/// Flags of `rm`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie rm web\n  wharfie rm -f $(wharfie ps -aq)")]
pub struct Args {
    /// Force the removal of a running container (uses SIGKILL), or of one that a kubelet manages
    #[arg(short, long)]
    force: bool,
    /// Remove the specified link
    #[arg(short, long)]
    link: bool,
    /// Remove anonymous volumes associated with the container
    #[arg(short, long)]
    volumes: bool,
    /// Containers by name or id
    #[arg(required = true, value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    if args.link {
        return remove_links(&args.containers, cx).await;
    }
    let engine = cx.engine().await?;
    settle(&engine).await?;
    let options = RemoveOptions { force: args.force, volumes: args.volumes };
    let removals = args.containers.iter().map(|reference| {
        let engine = &engine;
        async move {
            let removed = async {
                let (engine, container) = looked_for(engine, reference, options.force).await?;
                permit(&container, "remove", Some(options.force))?;
                remove(&engine, &container, options).await
            };
            (reference, removed.await)
        }
    });
    let mut removals = stream::iter(removals).buffered(SIDE_BY_SIDE);
    let mut failures = Failures::default();
    while let Some((reference, removed)) = removals.next().await {
        match removed {
            Ok(()) => cx.ui.line(reference)?,
            // docker's `rm -f` of what is not there is content.
            Err(error) if args.force && error.kind == Kind::NotFound => {
                match remove_remains(&engine, reference).await {
                    Ok(true) => cx.ui.line(reference)?,
                    Ok(false) => {}
                    Err(error) => failures.add(cx, error)?,
                }
            }
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}

/// `rm -f NAME` is how scripts make sure that nothing of that name is there: it never means a pod that happens to be
/// called so, unless it is written as one.
async fn looked_for(engine: &Engine, reference: &str, force: bool) -> Result<(Engine, Container)> {
    if force && !is_pod_form(reference) {
        return Ok((engine.clone(), find(engine, reference).await?));
    }
    locate(engine, reference).await
}

/// `--link`: the names are links, `CONTAINER/ALIAS`.
async fn remove_links(references: &[String], cx: &mut Context<'_>) -> Result<u8> {
    let engine = cx.engine().await?;
    let mut failures = Failures::default();
    for reference in references {
        match unlink(&engine, reference).await {
            Ok(()) => cx.ui.line(reference)?,
            Err(error) => failures.add(cx, error)?,
        }
    }
    Ok(failures.code())
}
