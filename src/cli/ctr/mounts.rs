//! `ctr images mount` and `unmount`: an image's files at a directory of this machine.

use std::time::Duration;

use jiff::Timestamp;
use std::collections::HashMap;

use super::registry::RegistryFlags;
use super::{connect_for, flags, shown};
use crate::cli::Context;
use crate::containerd::{Code, EXPIRY};
use crate::engine::image::{ensure_unpacked, mount_at, read, unmount_at};
use crate::error::{Error, Result};
use crate::image::platform::Platform;
use crate::image::progress::Silent;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images mount docker.io/library/busybox:latest /mnt\n  \
                        ctr images mount --rw docker.io/library/busybox:latest /mnt")]
pub struct MountArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    /// Labels for the lease that keeps the files
    #[arg(long, value_name = "key=value")]
    label: Vec<String>,
    /// Enable write support on the mount
    #[arg(long)]
    rw: bool,
    /// Mount the image for the specified platform [default: this machine's]
    #[arg(long, value_name = "value")]
    platform: Option<String>,
    /// Synchronize the underlying filesystem; containerd's own setting decides
    #[arg(long)]
    sync_fs: bool,
    /// Set the expiration time for the mounted image lease [default: 1h0m0s]
    #[arg(short = 'x', long, value_name = "duration", value_parser = flags::duration)]
    expiration: Option<Duration>,
    /// The image, then a directory
    #[arg(value_name = "ref target")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr images unmount --rm /mnt")]
pub struct UnmountArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Snapshotter name. Empty value stands for the default value
    #[arg(long, value_name = "value")]
    snapshotter: Option<String>,
    /// Labels; taken and not used, as by ctr
    #[arg(long, value_name = "key=value")]
    label: Vec<String>,
    /// Remove the snapshot after a successful unmount
    #[arg(long)]
    rm: bool,
    /// The directory
    #[arg(value_name = "target")]
    target: Option<String>,
}

pub(super) async fn mount(args: MountArgs, cx: &mut Context<'_>) -> Result<u8> {
    let word = |number: usize| args.words.get(number).filter(|word| !word.is_empty());
    let name = word(0).ok_or_else(|| Error::failed("please provide an image reference to mount"))?;
    let target = word(1).ok_or_else(|| Error::failed("please provide a target path to mount to"))?;
    let platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let engine = connect_for(cx, args.snapshotter.as_deref()).await?;
    let client = &engine.containerd;
    let image = read(client, &client.image(name).await?, platform.as_ref()).await?;
    ensure_unpacked(&engine, &image, &Silent).await?;
    let mut labels: HashMap<String, String> = shown::flag_labels(&args.label);
    let life = args.expiration.unwrap_or(Duration::from_secs(60 * 60));
    if !life.is_zero() {
        let end = Timestamp::now().checked_add(life).unwrap_or(Timestamp::MAX);
        labels.insert(EXPIRY.into(), end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    }
    match client.create_labelled_lease(target, labels).await {
        Err(error) if error.code != Code::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let leased = client.with_lease(target)?;
    let snapshotter = &engine.config.snapshotter;
    let prepared = match args.rw {
        true => leased.prepare_snapshot(snapshotter, target, &image.chain_id, HashMap::new()).await,
        false => leased.view_snapshot(snapshotter, target, &image.chain_id, HashMap::new()).await,
    };
    let mounts = match prepared {
        Err(error) if error.code == Code::AlreadyExists => {
            client.snapshot_mounts(snapshotter, target).await?
        }
        prepared => prepared?,
    };
    if let Err(error) = mount_at(&mounts, &cx.environment.directory.join(target), !args.rw) {
        let _ = client.remove_snapshot(snapshotter, target).await;
        let _ = client.delete_lease(target, false).await;
        return Err(error);
    }
    cx.ui.line(&image.chain_id)?;
    cx.ui.line(target)?;
    Ok(0)
}

pub(super) async fn unmount(args: UnmountArgs, cx: &mut Context<'_>) -> Result<u8> {
    let target = args.target.filter(|target| !target.is_empty());
    let target = target.ok_or_else(|| Error::failed("please provide a target path to unmount from"))?;
    unmount_at(&cx.environment.directory.join(&target))?;
    if args.rm {
        let engine = connect_for(cx, args.snapshotter.as_deref()).await?;
        let client = &engine.containerd;
        let left = [
            client.delete_lease(&target, false).await,
            client.remove_snapshot(&engine.config.snapshotter, &target).await,
        ];
        for result in left {
            match result {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
    }
    cx.ui.line(&target)?;
    Ok(0)
}
