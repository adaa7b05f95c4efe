//! `ctr run`: create, start, serve, and with `--rm` remove.

use std::path::PathBuf;

use super::created::ContainerFlags;
use super::{connect_for, containers, session, shown};
use crate::cli::Context;
use crate::engine::container::create_plain;
use crate::error::{Error, Result};
use crate::image::platform::Platform;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr run --rm -t docker.io/library/busybox:latest one sh\n  \
                        ctr run -d --net-host docker.io/library/nginx:latest web")]
pub struct Args {
    #[command(flatten)]
    flags: ContainerFlags,
    #[command(flatten)]
    streams: session::StreamFlags,
    /// Remove the container after running, cannot be used with --detach
    #[arg(long)]
    rm: bool,
    /// Detach from the task after it has started execution, cannot be used with --rm
    #[arg(short, long)]
    detach: bool,
    /// Enable cni networking for the container: not here
    #[arg(long)]
    cni: bool,
    /// Cgroup path (To disable use of cgroup, set to "" explicitly)
    #[arg(long, value_name = "value")]
    cgroup: Option<String>,
    /// Run image for specific platform
    #[arg(long, value_name = "value")]
    platform: Option<String>,
    /// Without host devices, where the container is privileged
    #[arg(long)]
    privileged_without_host_devices: bool,
    /// Run inside a user namespace with the specified UID mapping range: not here
    #[arg(long, value_name = "container-uid:host-uid:length")]
    uidmap: Vec<String>,
    /// Run inside a user namespace with the specified GID mapping range: not here
    #[arg(long, value_name = "container-gid:host-gid:length")]
    gidmap: Vec<String>,
    /// Provide the user namespace ID remapping to the snapshotter via label options: not here
    #[arg(long)]
    remap_labels: bool,
    /// Set the CFS cpu quota
    #[arg(long, value_name = "value", default_value_t = 0.0)]
    cpus: f64,
    /// Set the cpu shares
    #[arg(long, value_name = "value", default_value_t = 1024)]
    cpu_shares: u64,
    /// Set the CPUs the container will run in (e.g. 1-2,4)
    #[arg(long, value_name = "value")]
    cpuset_cpus: Option<String>,
    /// Set the memory nodes the container will run in (e.g. 1-2,4)
    #[arg(long, value_name = "value")]
    cpuset_mems: Option<String>,
    /// Set RLIMIT_NOFILE (e.g. 1024:4096, soft and hard)
    #[arg(long, value_name = "value")]
    rlimit_nofile: Option<String>,
    /// Write the specification to this file and make nothing
    #[arg(long, value_name = "value")]
    dump_config: Option<PathBuf>,
    /// Synchronize the underlying filesystem; containerd's own setting decides
    #[arg(long)]
    sync_fs: bool,
    /// The image (or a directory, with --rootfs), the container's id, its command
    #[arg(value_name = "Image|RootFS ID COMMAND ARG", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

pub(super) async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let mut wanted = args.flags.request(&args.words, "", cx)?;
    if args.rm && args.detach {
        return Err(Error::failed("flags --detach and --rm cannot be specified together"));
    }
    if args.cni {
        return Err(Error::failed("--cni is not here")
            .hint("`wharfie run` connects to CNI's networks; --net-host shares the machine's"));
    }
    if !args.uidmap.is_empty() || !args.gidmap.is_empty() || args.remap_labels {
        return Err(Error::failed("user namespaces (--uidmap, --gidmap, --remap-labels) are not here"));
    }
    wanted.platform = args.platform.as_deref().map(Platform::parse).transpose()?;
    let asked = &mut wanted.asked;
    asked.cgroup = args.cgroup;
    asked.cpus = args.cpus;
    asked.cpu_shares = Some(args.cpu_shares);
    asked.cpuset_cpus = args.cpuset_cpus.filter(|set| !set.is_empty());
    asked.cpuset_mems = args.cpuset_mems.filter(|set| !set.is_empty());
    asked.nofile = args.rlimit_nofile.as_deref().map(limit).transpose()?;
    asked.without_devices = args.privileged_without_host_devices;
    asked.privileged |= args.privileged_without_host_devices;
    args.streams.check(args.flags.tty, args.detach)?;
    let engine = connect_for(cx, args.flags.snapshotter.as_deref()).await?;
    let container = create_plain(&engine, &wanted).await?;
    if let Some(path) = args.dump_config {
        let spec = serde_json::from_slice::<serde_json::Value>(&container.spec).unwrap_or_default();
        containers::remove(&engine, &container, false).await?;
        let text = format!("{spec:#}\n");
        crate::store::write_atomic(&cx.environment.directory.join(path), text.as_bytes(), 0o644)?;
        return Ok(0);
    }
    let start = session::Start {
        engine: &engine,
        container: &container,
        streams: &args.streams,
        tty: args.flags.tty,
        detach: args.detach,
        no_pivot: args.flags.no_pivot,
        pid_file: args.flags.pid_file.as_ref().map(|path| cx.environment.directory.join(path)),
    };
    let ended = session::start(start, cx).await;
    if args.rm
        && let Err(error) = containers::remove(&engine, &container, false).await
    {
        shown::log(cx.ui, "error", &format!("failed to delete container {:?}", container.id), Some(&error))?;
    }
    ended
}

/// `soft:hard`, or one number for both.
fn limit(text: &str) -> Result<(u64, u64)> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    match (soft.parse(), hard.parse()) {
        (Ok(soft), Ok(hard)) => Ok((soft, hard)),
        _ => Err(Error::failed(format!("invalid rlimit {text:?}: write soft:hard"))),
    }
}
