//! `crictl rmi`: remove images.

use std::collections::BTreeMap;

use super::log::Level;
use super::select;
use super::session::{Answer, Done, Session, joined};
use crate::cri::{Client, api};
use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;

/// Flags of `crictl rmi`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri rmi busybox:1.37\n  wharfie cri rmi --prune")]
pub(super) struct Args {
    /// Remove all images
    #[arg(short, long)]
    all: bool,
    /// Remove all unused images
    #[arg(short = 'q', long)]
    prune: bool,
    /// Images by id or name
    #[arg(value_name = "IMAGE-ID")]
    ids: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let images = session.images().await?;
    // Whether each is to go.
    let mut ids: BTreeMap<String, bool> = args.ids.iter().map(|id| (id.clone(), true)).collect();
    if args.all || args.prune {
        let found = images.list_images(api::ListImagesRequest::default()).await.during("")?.images;
        // A pinned image is what pods are made of.
        let goes = found.into_iter().filter(|image| !(args.prune && image.pinned));
        ids.extend(goes.map(|image| (image.id, true)));
    }
    if args.prune {
        for used in used(&images, session).await? {
            ids.insert(used, false);
        }
    }
    if ids.is_empty() {
        if args.all || args.prune {
            session.say(Level::Info, "No images to remove")?;
            return Ok(Done::Well);
        }
        return Ok(Done::Help);
    }
    let mut failures = Vec::new();
    for (id, _) in ids.iter().filter(|(_, goes)| **goes) {
        if let Err(error) = remove(&images, id, args.prune, session.cx.ui).await {
            failures.push(error);
        }
    }
    joined(failures)?;
    Ok(Done::Well)
}

/// The images of all containers, running or not.
async fn used(images: &Client, session: &mut Session<'_, '_>) -> Result<Vec<String>> {
    let runtime = session.runtime().await?;
    let containers = runtime.list_containers(api::ListContainersRequest::default()).await.during("")?;
    let mut used = Vec::new();
    for container in containers.containers {
        let name = container.image.map(|spec| spec.image).unwrap_or_default();
        match select::image(images, &name, false).await {
            Ok(answer) => used.extend(answer.image.map(|image| image.id)),
            Err(error) => {
                let message = format!("image status request for {} failed: {}", quote(&name), error.message);
                session.say(Level::Error, &message)?;
            }
        }
    }
    Ok(used)
}

async fn remove(images: &Client, id: &str, prune: bool, ui: &mut Ui) -> Result<()> {
    let status = select::image(images, id, false)
        .await
        .map_err(|error| error.context(format!("image status request for {} failed", quote(id))))?;
    let Some(image) = status.image else {
        return Err(Error::not_found(format!("no such image {id}")));
    };
    let spec = api::ImageSpec { image: id.to_owned(), ..Default::default() };
    let removed = images.remove_image(api::RemoveImageRequest { image: Some(spec) }).await;
    if let Err(error) = removed.during(&format!("error of removing image {}", quote(id))) {
        // Somebody else may have removed or begun to use it.
        return if prune { Ok(()) } else { Err(error) };
    }
    let names = if image.repo_tags.is_empty() { &image.repo_digests } else { &image.repo_tags };
    names.iter().try_for_each(|name| ui.line(format_args!("Deleted: {name}")))
}
