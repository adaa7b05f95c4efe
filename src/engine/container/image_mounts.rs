//! `--mount type=image`: an image's files in a container, read-only. A read-only snapshot keeps the image's
//! layers as long as the container is there. The runtime mounts it into the container itself, so nothing of it
//! is mounted on this machine, and nothing is left there after a crash.

use std::collections::HashMap;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::containerd::{Code, Mount};
use crate::engine::Engine;
use crate::engine::image::{ensure_unpacked, resolve};
use crate::error::{Error, Result};
use crate::image::progress::Silent;
use crate::oci::mounts::ImageMount;
use crate::oci::request::MountRequest;
use crate::sys::layers::{self, Below};
use crate::sys::mount::{self, Access, Overlay};
use crate::sys::view::View;

use super::spec::plain;

/// What the runtime can pass to the kernel as the options of one mount.
const MOST_OPTIONS: usize = 4095;

/// What is between the container's id and a number in the names of its snapshots.
const INFIX: &str = "-image-";

/// Hold the image of `request`, the mount number `number` of the container `id`. Gives the snapshot's key and
/// what the runtime is to mount.
pub(super) async fn hold(
    engine: &Engine,
    (id, number): (&str, usize),
    request: &MountRequest,
) -> Result<(String, ImageMount)> {
    let image = resolve(engine, &request.source, None).await?;
    ensure_unpacked(engine, &image, &Silent).await?;
    let key = format!("{id}{INFIX}{number}");
    let labels = HashMap::from([("containerd.io/gc.root".to_owned(), jiff::Timestamp::now().to_string())]);
    let snapshotter = &engine.config.snapshotter;
    let mounts = engine.containerd.view_snapshot(snapshotter, &key, &image.chain_id, labels).await?;
    let mount = match request.subpath.as_deref().filter(|subpath| !subpath.is_empty()) {
        None => whole(mounts)?,
        Some(subpath) => part(mounts, subpath, &request.source)?,
    };
    if mount.options.join(",").len() > MOST_OPTIONS {
        return Err(Error::failed(format!("image {} has too many layers to be mounted", request.source))
            .hint("a copy of it with fewer layers can be: `wharfie export` and `wharfie import` make one"));
    }
    Ok((key, mount))
}

/// Remove every snapshot that holds an image for the container `id`.
pub(super) async fn release(engine: &Engine, id: &str, snapshotter: &str) -> Result<()> {
    let prefix = format!("{id}{INFIX}");
    for snapshot in engine.containerd.snapshots(snapshotter).await? {
        if snapshot.name.starts_with(&prefix) {
            release_one(engine, snapshotter, &snapshot.name).await?;
        }
    }
    Ok(())
}

/// Remove one of these snapshots; one that is gone is fine.
pub(super) async fn release_one(engine: &Engine, snapshotter: &str, key: &str) -> Result<()> {
    match engine.containerd.remove_snapshot(snapshotter, key).await {
        Err(error) if error.code != Code::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn whole(mounts: Vec<Mount>) -> Result<ImageMount> {
    let [mount] = <[Mount; 1]>::try_from(mounts)
        .map_err(|_| Error::failed("this snapshotter's images cannot be mounted into a container"))?;
    Ok(read_only(mount))
}

fn read_only(mount: Mount) -> ImageMount {
    let mut options: Vec<String> = mount.options.into_iter().filter(|option| option != "rw").collect();
    if !options.iter().any(|option| option == "ro") {
        options.push("ro".into());
    }
    ImageMount { kind: mount.kind, source: mount.source.into(), options }
}

fn bind(source: PathBuf) -> ImageMount {
    ImageMount { kind: "bind".into(), source, options: vec!["rbind".into(), "ro".into()] }
}

/// One directory or file of the image, links followed within it.
fn part(mounts: Vec<Mount>, subpath: &str, image: &str) -> Result<ImageMount> {
    let missing = || {
        Error::not_found(format!("cannot access path {subpath} of image {image}: no such file or directory"))
    };
    let view = View::of(mount::detached(&plain(&mounts), Access::Read)?);
    let failed =
        |cause: rustix::io::Errno| Error::io("look up", format!("{subpath} of image {image}"), cause);
    let place = view.place(Path::new(subpath), true).map_err(failed)?.ok_or_else(missing)?;
    let root = view.place(Path::new("/"), true).map_err(failed)?.ok_or_else(missing)?;
    let path = |place: &std::os::fd::OwnedFd| {
        std::fs::read_link(format!("/proc/self/fd/{}", place.as_raw_fd()))
            .map_err(|cause| Error::io("look up", format!("{subpath} of image {image}"), cause))
    };
    // Where it really lies, from the root on: the kernel has followed what links there were.
    let real = path(&place)?;
    let real = real.strip_prefix(path(&root)?).map_err(|_| missing())?.to_path_buf();
    let [mount] = <[Mount; 1]>::try_from(mounts)
        .map_err(|_| Error::failed("this snapshotter's images cannot be mounted into a container"))?;
    match mount.kind.as_str() {
        "bind" | "rbind" => Ok(bind(Path::new(&mount.source).join(real))),
        "overlay" => {
            let overlay = Overlay::parse(&mount.options);
            match layers::below(&overlay.lower, &real)?.ok_or_else(missing)? {
                Below::Other(place) => Ok(bind(place)),
                Below::Directory(mut parts) if parts.len() == 1 => Ok(bind(parts.remove(0))),
                Below::Directory(parts) => {
                    let parts: Vec<String> = parts.iter().map(|part| part.display().to_string()).collect();
                    let options =
                        overlay.options.into_iter().chain([format!("lowerdir={}", parts.join(":"))]);
                    Ok(read_only(Mount { options: options.collect(), ..mount }))
                }
            }
        }
        kind => {
            Err(Error::failed(format!("image-subpath is not supported on a snapshotter of {kind} mounts")))
        }
    }
}
